package shell_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sys/unix"

	"gatehouse/internal/shell"
)

// terminal is a pseudo-terminal: what a person types, and what appears.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	screen bytes.Buffer
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}); err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, master: master, slave: slave}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			p.mu.Lock()
			p.screen.Write(b[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		slave.Close()
		<-done // the other end is gone
		master.Close()
	})
	return p
}

// shows waits until something appears after what was waited for before.
func (p *terminal) shows(want string) {
	p.t.Helper()
	var seen string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		seen = p.screen.String()
		if i := strings.Index(seen, want); i >= 0 {
			p.screen.Next(i + len(want))
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	p.t.Fatalf("%q did not appear; there is %q", want, seen)
}

func (p *terminal) types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// The shell at a real terminal: Tab completes commands, tools, arguments and
// values, history is kept in a private file, and Ctrl-D leaves.
func TestInteractive(t *testing.T) {
	var got json.RawMessage
	address := server(t, func(arguments json.RawMessage) *mcp.CallToolResult { got = arguments; return text("called") })
	folder := t.TempDir()
	p := newTerminal(t)
	session := func(run func()) {
		s, err := shell.New(shell.Options{Server: address, Folder: folder, Out: p.slave, Err: p.slave})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Interactive(t.Context(), p.slave, p.slave) }()
		p.shows("> ")
		run()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	session(func() {
		p.types("ca\t")
		p.shows("call ")
		p.types("fi\t")
		p.shows("find-")
		p.types("\t") // two tools begin like this
		p.shows("find-all  find-things")
		p.types("t\t")
		p.shows("things ")
		p.types("co\t")
		p.shows("colour=")
		p.types("\t")
		p.shows("red  green")
		p.types("g\t")
		p.shows("green ")
		p.types("name=x\r")
		p.shows("called")
		p.types(" whoami\r") // begins with a space: not remembered
		p.shows("none was needed")
		p.types("\x04")
	})
	if string(got) != `{"colour":"green","name":"x"}` {
		t.Errorf("sent %s", got)
	}
	info, err := os.Stat(filepath.Join(folder, "history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	got = nil
	session(func() {
		p.types("\x1b[A\r") // up: what the first session typed last
		p.shows("called")
		p.types("quit\r")
	})
	if string(got) != `{"colour":"green","name":"x"}` {
		t.Errorf("from history: %s", got)
	}
}

// A program that is told to end leaves the terminal as it found it.
func TestInteractiveEndsWithItsContext(t *testing.T) {
	p := newTerminal(t)
	before, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s, err := shell.New(shell.Options{Server: server(t, nil), Folder: t.TempDir(), Out: p.slave, Err: p.slave})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Interactive(ctx, p.slave, p.slave) }()
	p.shows("> ")
	cancel()
	if err := <-ended; err == nil {
		t.Error("it ended as if the person had left")
	}
	after, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil || *before != *after {
		t.Errorf("%+v became %+v, %v", before, after, err)
	}
	p.types("\r") // for the read that is still waiting
}
