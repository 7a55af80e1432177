package quickstart_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// reader is somebody who does what the quickstart says, in a folder of their
// own, with only what it says is theirs to change changed.
type reader struct {
	t             *testing.T
	dir           string
	port, apiPort string
	shop          *program
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, dir: t.TempDir(), port: freePort(t), apiPort: freePort(t)}
	r.copy("openapi.yaml")
	return r
}

// yours changes what the quickstart's first table says is the reader's.
func (r *reader) yours(text string) string {
	return strings.NewReplacer("http://127.0.0.1:9000", "http://127.0.0.1:"+r.apiPort, "8080", r.port).Replace(text)
}

type block struct{ language, text string }

// blocks are the fenced blocks of the quickstart up to its last section, which
// is about other computers.
func (r *reader) blocks() []block {
	r.t.Helper()
	document, _, _ := strings.Cut(read(r.t, "../../docs/quickstart.md"), "\n## On https")
	var found []block
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(document, -1) {
		found = append(found, block{m[1], r.yours(m[2])})
	}
	return found
}

var fileName = regexp.MustCompile(`^(?:#|//) (\S+)\n`)

// follow does every block in order: files are written, commands run, and what
// a text block after a command shows is what it must print.
func (r *reader) follow(startAPI func(*reader) *program) {
	r.t.Helper()
	var printed string
	served := false
	for _, b := range r.blocks() {
		switch {
		case b.language == "text":
			if printed != b.text {
				r.t.Errorf("the command printed\n%s\nbut the quickstart says\n%s", printed, b.text)
			}
		case b.language == "console": // programs of others; test/witness runs them
		case b.language != "sh":
			name := fileName.FindStringSubmatch(b.text)
			if name == nil {
				r.t.Fatalf("a block of %s does not begin with the name of its file:\n%s", b.language, b.text)
			}
			r.write(name[1], b.text)
		case strings.Contains(b.text, "gatehouse serve"):
			r.start("bash", "-c", "exec "+b.text).wait("gatehouse serves")
			r.shop = startAPI(r)
			r.shop.wait("ready")
			served = true
		case strings.Contains(b.text, "curl "):
			if _, err := exec.LookPath("curl"); err != nil {
				lack(r.t, "curl")
			}
			if printed = r.run(b.text); !strings.Contains(printed, "401 Unauthorized") || !strings.Contains(printed, "resource_metadata=") {
				r.t.Errorf("%s printed\n%s", b.text, printed)
			}
		default:
			printed = r.run(b.text)
		}
	}
	if !served {
		r.t.Fatal("the quickstart does not say gatehouse serve")
	}
}

// run runs commands and returns what they print. They read the password from
// standard input, as the quickstart says.
func (r *reader) run(commands string) string {
	r.t.Helper()
	cmd := r.command("bash", "-e", "-c", commands)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(password+"\n"), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%s: %v\n%s%s", commands, err, &stdout, &stderr)
	}
	return stdout.String()
}

func (r *reader) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return cmd
}

func (r *reader) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) copy(name string) {
	r.t.Helper()
	r.write(name, r.yours(read(r.t, filepath.Join("testdata", name))))
}

// accepted returns the last token that the API accepted, which it wrote down
// before it answered.
func (r *reader) accepted() string {
	r.t.Helper()
	token, err := os.ReadFile(filepath.Join(r.dir, "accepted"))
	if err != nil {
		r.t.Fatalf("the API accepted no token: %v\n%s", err, r.shop.text())
	}
	return string(token)
}

// freePort returns a port that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// program is a running process of the reader's.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	ended  chan struct{}
	once   sync.Once
	mu     sync.Mutex
	output bytes.Buffer
	grown  chan struct{}
}

func (r *reader) start(name string, args ...string) *program {
	r.t.Helper()
	p := &program{t: r.t, cmd: exec.Command(name, args...), ended: make(chan struct{}), grown: make(chan struct{}, 1)}
	like := r.command(name)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = like.Dir, like.Env, p, os.Stderr
	if name == "bash" { // the log of gatehouse serve
		p.cmd.Stderr = nil
	}
	if err := p.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended shows in its output
		close(p.ended)
	}()
	r.t.Cleanup(p.stop)
	return p
}

// Write keeps what the process prints.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.grown <- struct{}{}:
	default:
	}
	return p.output.Write(b)
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// wait returns when the process has printed text.
func (p *program) wait(text string) {
	p.t.Helper()
	limit := time.After(patience)
	for !strings.Contains(p.text(), text) {
		select {
		case <-p.grown:
		case <-p.ended:
			p.t.Fatalf("%s ended without printing %q: %s", p.cmd, text, p.text())
		case <-limit:
			p.t.Fatalf("%s did not print %q: %s", p.cmd, text, p.text())
		}
	}
}

// stop ends the process as Ctrl-C does.
func (p *program) stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	})
}
