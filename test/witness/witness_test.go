// Package witness_test drives clients that others wrote against the real
// binary: what they can do with it is what it is worth.
package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/webtest"
)

// binary is the built product, shared by the tests of this package.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-witness-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "gatehouse")
		if out, err := exec.Command("go", "build", "-o", binary, "gatehouse/cmd/gatehouse").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build gatehouse: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// lack ends a test whose witness is missing: a failure in CI, where nothing is
// left out.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; make test installs it", what)
	}
	t.Skipf("%s is missing; make test installs it", what)
}

// program is a running process whose output can be waited for.
type program struct {
	t      *testing.T
	name   string
	input  io.Writer
	mu     sync.Mutex
	output bytes.Buffer
	grown  chan struct{}
	ended  chan struct{}
}

// start runs a command until the test ends.
func start(t *testing.T, name string, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, name: name, grown: make(chan struct{}, 1), ended: make(chan struct{})}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.input = input
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		in := bufio.NewReader(r)
		for {
			b := make([]byte, 4096)
			n, err := in.Read(b)
			p.mu.Lock()
			p.output.Write(b[:n])
			p.mu.Unlock()
			select {
			case p.grown <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		_ = cmd.Wait() // how it ended shows in its output
		_ = w.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.ended:
		case <-time.After(15 * time.Second):
			_ = cmd.Process.Kill()
			<-p.ended
		}
		<-read
	})
	return p
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// wait returns the first match of pattern in the output after offset, and the
// offset behind it.
func (p *program) wait(pattern string, offset int) ([]string, int) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(time.Minute)
	for {
		if all := p.text(); offset <= len(all) {
			if at := re.FindStringSubmatchIndex(all[offset:]); at != nil {
				return re.FindStringSubmatch(all[offset:]), offset + at[1]
			}
		}
		select {
		case <-p.grown:
		case <-p.ended:
			if re.MatchString(p.text()[min(offset, len(p.text())):]) {
				continue
			}
			p.t.Fatalf("%s ended without printing %q:\n%s", p.name, pattern, p.text())
		case <-limit:
			p.t.Fatalf("%s did not print %q:\n%s", p.name, pattern, p.text())
		}
	}
}

func (p *program) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, line+"\n"); err != nil {
		p.t.Fatalf("tell %s %q: %v\n%s", p.name, line, err, p.text())
	}
}

// demo starts the demo and returns its MCP server's URL and its folder.
func demo(t *testing.T, flags ...string) (mcp, data string) {
	t.Helper()
	data = t.TempDir()
	args := append([]string{"demo", "--listen", "127.0.0.1:0", "--data", data}, flags...)
	p := start(t, "gatehouse demo", exec.CommandContext(context.Background(), binary, args...))
	found, _ := p.wait(`gateway +(https?://mcp\.\S+:\d+)`, 0)
	return found[1], data
}

// allow answers for the person: signs in, and switches off what is named.
func allow(t *testing.T, address, name string, off ...string) {
	t.Helper()
	decide(webtest.NewBrowser(t, nil), address, name, off...)
}

// allowTrusting is allow in a browser that trusts the demo's own authority.
func allowTrusting(t *testing.T, authority, address, name string) {
	t.Helper()
	b := webtest.NewBrowser(t, nil)
	b.Trust(authority)
	decide(b, address, name)
}

func decide(b *webtest.Browser, address, name string, off ...string) {
	consent := b.Get(address).Follow().Submit("username="+name, nil).Follow()
	on := []string{}
	for _, m := range regexp.MustCompile(`name="scope" value="([^"]+)"`).FindAllStringSubmatch(consent.Body, -1) {
		if !strings.Contains(strings.Join(off, " "), m[1]) {
			on = append(on, m[1])
		}
	}
	consent.Submit("action=allow", url.Values{"scope": on}).Follow()
}
