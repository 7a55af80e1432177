//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package mcpclient

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPause is between attempts: a system call that waits could not be ended
// with its context.
const lockPause = 10 * time.Millisecond

// lock holds a file until unlock, or until this process ends.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // which unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		select {
		case <-time.After(lockPause):
			continue
		case <-ctx.Done():
			err = ctx.Err()
		}
		break
	}
	_ = f.Close() // the first error is the one to tell
	return nil, err
}

// private refuses a file that others can read.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s is open to others (mode %o); look who could read it, then `chmod 600` or remove it", f.Name(), mode)
	}
	return nil
}
