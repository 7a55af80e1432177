// Package processes_test runs roles in processes of their own, as
// docs/processes.md says: an authorization server on PostgreSQL and two gateways
// with a key and a store each, which are killed at bad moments.
package processes_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to count what has arrived
	_ "modernc.org/sqlite"             // and what is still to be sent

	"gatehouse/internal/webtest"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-processes-")
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

const patience = 30 * time.Second

// place is an installation: addresses that stay, whatever process is behind.
type place struct {
	t                        *testing.T
	folder, dsn              string
	authServer, one, another string // host:port
	api                      *httptest.Server
	calls                    atomic.Int64 // that reached the API
}

// process is a running role.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	log *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, folder: t.TempDir(), dsn: webtest.Postgres(t), authServer: free(t), one: free(t), another: free(t)}
	p.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"books":[]}`) // the gateway may be killed
	}))
	t.Cleanup(p.api.Close)
	p.write("openapi.yaml", `{openapi: 3.1.0, info: {title: Bookshop, version: "1"}, paths: {/books: {get: {operationId: list-books, responses: {"200": {description: ok}}}}}}`)
	p.write("dsn", p.dsn)
	return p
}

// free returns an address that nobody listens at just now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// configure writes the file of one process. All are the same but for where it
// listens and who it is; each gateway is at an address of its own here, where an
// installation would put one before both.
func (p *place) configure(name, gateway, listen, clientID string, known ...string) {
	p.t.Helper()
	_, asPort, _ := net.SplitHostPort(p.authServer)
	text := "urls: {authserver: \"http://localhost:" + asPort + "\", gateway: \"http://" + gateway + "\"}\nlisten: " + listen +
		"\nstore: file:dsn\ndata: data-" + name + "\nallowed_origins: []\npeers:\n  authserver: {client_id: " + clientID + "}\n  gateways:\n"
	for _, id := range known {
		text += "    - {client_id: " + id + ", keys: file:" + id + ".jwks.json}\n"
	}
	if len(known) == 0 {
		text = strings.Replace(text, "  gateways:\n", "", 1)
	}
	p.write(name+".yaml", text+"apis:\n  - {name: books, openapi: file:openapi.yaml, url: \""+p.api.URL+"\"}\n")
}

func (p *place) run(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = p.folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs a role until the test ends or it is killed.
func (p *place) start(name, role string) *process {
	p.t.Helper()
	r := &process{t: p.t, cmd: exec.Command(binary, "serve", "--role", role, "-c", name+".yaml"), log: &syncBuffer{}}
	r.cmd.Dir, r.cmd.Stderr = p.folder, r.log
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line := make([]byte, 256)
	n, _ := out.Read(line)
	if !strings.HasPrefix(string(line[:n]), "gatehouse serves ") {
		_ = r.cmd.Wait()
		p.t.Fatalf("%s: %s\n%s", name, line[:n], r.log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	p.t.Cleanup(func() { r.end(syscall.SIGTERM) })
	return r
}

// end ends a process, and reports how if it did so badly.
func (r *process) end(how syscall.Signal) {
	r.t.Helper()
	if r.cmd.ProcessState != nil {
		return
	}
	_ = r.cmd.Process.Signal(how)
	err := r.cmd.Wait()
	if how == syscall.SIGTERM && err != nil {
		r.t.Errorf("%v: %v\n%s", r.cmd.Args, err, r.log)
	}
}

// call calls the tool at a gateway.
func (p *place) call(gateway, token string) (status int, body string) {
	p.t.Helper()
	return p.tool(gateway, token, "list-books")
}

func (p *place) tool(gateway, token, name string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+gateway+"/books", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":{}}}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// works reports whether a call was carried out.
func works(status int, body string) bool {
	return status == http.StatusOK && strings.Contains(body, `"books"`) && !strings.Contains(body, `"isError":true`)
}

func (p *place) await(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// token gets an access token for a client that acts for itself.
func (p *place) token(gateway, id, secret string) string {
	p.t.Helper()
	resp, err := http.PostForm("http://"+strings.Replace(p.authServer, "127.0.0.1", "localhost", 1)+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "resource": {"http://" + gateway + "/books"}, "scope": {"books:read"},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.Token == "" {
		p.t.Fatalf("token: %d %v", resp.StatusCode, err)
	}
	return body.Token
}

// count runs a query that counts, on the authorization server's database or, by
// the name of a process, on that of a gateway.
func (p *place) count(name, query string) (n int) {
	p.t.Helper()
	driver, dsn := "pgx", p.dsn
	if name != "" {
		driver, dsn = "sqlite", "file:"+filepath.Join(p.folder, "data-"+name, "gateway.db")
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

const arrived = `SELECT count(*) FROM audit WHERE kind = 'call' AND outcome = 'done'`

var clientLines = regexp.MustCompile(`client_id: +(\S+)\nclient_secret: +(\S+)`)

// The page docs/processes.md, from the first step to a lost process: any order
// of starting, calls through both gateways, every entry at the authorization
// server exactly once, and a gateway that is not known any more.
func TestProcesses(t *testing.T) {
	p := newPlace(t)
	p.configure("one", p.one, p.one, "gateway-1")
	p.configure("another", p.another, p.another, "gateway-2")
	one := p.start("one", "gateway")
	// Its authorization server is not there yet: it says where to go, and lets
	// nothing through.
	if status, _ := p.call(p.one, ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if status, body := p.call(p.one, "gha_invented"); status != http.StatusServiceUnavailable {
		t.Errorf("without its authorization server: %d %s", status, body)
	}
	p.start("another", "gateway")
	for name, id := range map[string]string{"one": "gateway-1", "another": "gateway-2"} {
		keys, err := os.ReadFile(filepath.Join(p.folder, "data-"+name, "gateway.jwks.json"))
		if err != nil || bytes.Contains(keys, []byte(`"d"`)) {
			t.Fatalf("%s %v", keys, err)
		}
		p.write(id+".jwks.json", string(keys))
	}
	p.configure("login", p.one, p.authServer, "unused", "gateway-1") // gateway-2 is not known
	p.run("migrate", "-c", "login.yaml")
	login := p.start("login", "authserver")
	found := clientLines.FindStringSubmatch(p.run("client", "add", "Nightly", "--secret", "--scope", "books:read", "-c", "login.yaml"))
	if found == nil {
		t.Fatal("no client")
	}
	token := p.token(p.one, found[1], found[2])
	p.await("the first call", func() bool { return works(p.call(p.one, token)) })
	if status, _ := p.call(p.another, token); status != http.StatusServiceUnavailable && status != http.StatusUnauthorized {
		t.Errorf("a gateway that nobody knows: %d", status)
	}

	many := func(n int) {
		t.Helper()
		for range n {
			if !works(p.call(p.one, token)) {
				t.Fatal("a call failed")
			}
		}
	}
	many(20)
	p.await("the entries of all calls", func() bool { return p.count("", arrived) == int(p.calls.Load()) })
	if n := p.count("", `SELECT count(*) FROM audit WHERE kind = 'call' AND (detail NOT LIKE '%"gateway":"gateway-1"%' OR id NOT LIKE 'gateway-1:%')`); n != 0 {
		t.Errorf("%d entries do not say which gateway vouches for them", n)
	}

	// What is recorded of an agent at this gateway is seen with the rest.
	p.run("inspect", "on", "--client", found[1], "--for", "5m", "--reason", "look", "-c", "login.yaml")
	for _, kind := range []string{"mcp", "api-call", "token-exchange"} {
		p.await("messages of the gateway: "+kind, func() bool {
			if kind == "token-exchange" { // told by the authorization server itself
				token = p.token(p.one, found[1], found[2])
			}
			many(1)
			return p.count("", `SELECT count(*) FROM messages WHERE kind = '`+kind+`' AND client_id = '`+found[1]+`'`) > 0
		})
	}
	if n := p.count("", `SELECT count(*) FROM messages WHERE detail LIKE '%`+token+`%'`); n != 0 {
		t.Error("a message holds the token")
	}
	p.run("inspect", "off", "--client", found[1], "-c", "login.yaml")

	// Both are killed where it hurts: the gateway right after calls, then the
	// authorization server, and the gateway once more.
	many(10)
	one.end(syscall.SIGKILL)
	one = p.start("one", "gateway")
	p.await("a call after the restart", func() bool { return works(p.call(p.one, token)) })
	many(5)
	login.end(syscall.SIGKILL)
	p.await("refusal without the authorization server", func() bool { status, _ := p.call(p.one, token); return status == http.StatusServiceUnavailable })
	one.end(syscall.SIGKILL)
	one = p.start("one", "gateway")
	p.configure("login", p.one, p.authServer, "unused", "gateway-1", "gateway-2")
	login = p.start("login", "authserver")
	p.await("calls after all restarts", func() bool { return works(p.call(p.one, token)) })
	p.await("nothing is left to be sent", func() bool {
		return p.count("one", `SELECT count(*) FROM audit WHERE shipped < 2 AND outcome <> 'started'`) == 0
	})
	// The end of a call that a kill cut off is not known; that it began is told
	// after a while.
	begun := p.count("one", `SELECT count(*) FROM audit WHERE outcome = 'started'`)
	if n, calls := p.count("", arrived), int(p.calls.Load()); n+begun != calls || begun > 2 {
		t.Errorf("%d entries, and %d that only began, for %d calls", n, begun, calls)
	}
	for _, table := range []string{"accounts", "clients", "grants", "tokens", "signing_keys", "sessions"} {
		if n := p.count("one", "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("the gateway keeps %d %s", n, table)
		}
	}

	// What ends, ends at the gateway in the other process within a second.
	p.run("client", "end", found[1], "--reason", "test", "-c", "login.yaml")
	time.Sleep(time.Second)
	if status, body := p.call(p.one, token); status != http.StatusUnauthorized {
		t.Errorf("after the end: %d %s", status, body)
	}
	// A gateway that is removed is nobody.
	login.end(syscall.SIGTERM)
	p.configure("login", p.one, p.authServer, "unused", "gateway-2")
	login = p.start("login", "authserver")
	found = clientLines.FindStringSubmatch(p.run("client", "add", "Nightly", "--secret", "--scope", "books:read", "-c", "login.yaml"))
	token = p.token(p.one, found[1], found[2])
	time.Sleep(2 * time.Second)
	if status, body := p.call(p.one, token); works(status, body) {
		t.Error("a gateway that was removed goes on")
	}
	_ = one
	_ = login
}

// Nobody but a gateway of the installation sends audit entries, and a gateway
// none but of calls.
func TestStrangersSendNoEntries(t *testing.T) {
	p := newPlace(t)
	p.configure("login", p.one, p.authServer, "unused")
	p.run("migrate", "-c", "login.yaml")
	p.start("login", "authserver")
	found := clientLines.FindStringSubmatch(p.run("client", "add", "Nightly", "--secret", "--scope", "books:read", "-c", "login.yaml"))
	entry := `[{"id":"abcdefghijklmnop","time":1,"kind":"call","outcome":"done"}]`
	address := "http://" + strings.Replace(p.authServer, "127.0.0.1", "localhost", 1) + "/audit"
	for name, form := range map[string]url.Values{
		"nobody":         {"entries": {entry}},
		"a wrong secret": {"entries": {entry}, "client_id": {found[1]}, "client_secret": {"x"}},
		"another client": {"entries": {entry}, "client_id": {found[1]}, "client_secret": {found[2]}},
	} {
		resp, err := http.PostForm(address, form)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if n := p.count("", `SELECT count(*) FROM audit WHERE kind = 'call'`); n != 0 {
		t.Errorf("%d entries were taken", n)
	}
}

func TestRolesNeedWhatTheyNeed(t *testing.T) {
	p := newPlace(t)
	p.configure("one", p.one, p.one, "gateway-1")
	for name, c := range map[string]struct {
		change func(string) string
		role   string
		want   string
	}{
		"a gateway without a name": {func(s string) string { return strings.Replace(s, "  authserver: {client_id: gateway-1}\n", "", 1) }, "gateway", "peers.authserver: is missing"},
		"an unknown role":          {func(s string) string { return s }, "gatekeeper", `"gatekeeper" is no role; there are authserver, gateway, api, admin, agent`},
		"a role without a URL":     {func(s string) string { return s }, "api", "api has no URL; write urls.api"},
		"a role twice":             {func(s string) string { return s }, "gateway,gateway", "is named twice"},
		"a gateway's own name twice": {func(s string) string {
			return strings.Replace(s, "peers:\n", "peers:\n  gateways: [{client_id: g, keys: file:k}, {client_id: g, keys: file:k}]\n", 1)
		}, "authserver", `"g" is used twice`},
	} {
		text, err := os.ReadFile(filepath.Join(p.folder, "one.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		p.write("wrong.yaml", c.change(string(text)))
		cmd := exec.Command(binary, "serve", "--role", c.role, "-c", "wrong.yaml")
		cmd.Dir = p.folder
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
