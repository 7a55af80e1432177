package mcpclient

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
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
		err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
		if err == nil {
			return func() { _ = f.Close() }, nil // which unlocks
		}
		if !errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
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

// private has nothing to look at: a user's folders are closed to others here.
func private(*os.File) error { return nil }
