// Package revocation_test proves what is promised of revoked and refreshed
// tokens with processes on sockets: the real binary as authorization server,
// and this test binary, started again, as gateways and as clients.
package revocation_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

const (
	issuer  = "http://login.localhost:8080"
	gateURL = "http://mcp.localhost:8080"

	// childRole says what this binary is when it is started by itself.
	childRole = "REVOCATION_TEST_CHILD"
)

// binary is the built product.
var binary string

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "gateway":
		os.Exit(child(playGateway))
	case "server":
		os.Exit(child(playServer))
	case "refresh":
		os.Exit(child(playClient))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-revocation-")
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

func child(play func(ctx context.Context) error) int {
	if err := play(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is an installation: the real binary serves, an API answers, and the
// test can reach the store as an administrator's terminal does.
type world struct {
	t       *testing.T
	dir     string
	dsn     string
	db      *sqlstore.DB
	address string // of the serving process
}

// newWorld starts an installation of the real binary.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, sqliteDSN(t), served)
}

// served starts the real binary.
func served(w *world) (address string) {
	w.t.Helper()
	return start(w.t, w.command(binary, "serve"), `on (127\.0\.0\.1:[0-9]+)`)
}

func sqliteDSN(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db")
}

// onBoth runs f with an empty database of each engine, at the same time: most of
// what is here is waiting.
func onBoth(t *testing.T, f func(t *testing.T, dsn string)) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqliteDSN, "postgres": webtest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, dsn(t))
		})
	}
}

// newWorldOn starts an installation on the database that dsn names; serve starts
// its process and returns the address.
func newWorldOn(t *testing.T, dsn string, serve func(w *world) (address string)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: dsn}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"titles":["Middlemarch"]}`)
	}))
	t.Cleanup(api.Close)
	config := `urls: {authserver: ` + issuer + `, gateway: ` + gateURL + `}
store: env:STORE
data: data
listen: 127.0.0.1:0
apis:
  - {name: books, mcp_path: /, openapi: file:openapi.yaml, url: "` + api.URL + `"}
  - {name: mail, openapi: file:mail.yaml, url: "` + api.URL + `", audience: mail}
`
	must(t, os.WriteFile(filepath.Join(w.dir, "gatehouse.yaml"), []byte(config), 0o600))
	must(t, os.WriteFile(filepath.Join(w.dir, "openapi.yaml"), []byte(`openapi: 3.1.0
info: {title: Bookshop, version: "1"}
paths:
  /books:
    get: {operationId: list-books, responses: {"200": {description: The books}}}
  /authors:
    get: {operationId: list-authors, responses: {"200": {description: The authors}}}
`), 0o600))
	must(t, os.WriteFile(filepath.Join(w.dir, "mail.yaml"), []byte(`openapi: 3.1.0
info: {title: Mail, version: "1"}
paths:
  /mail:
    get: {operationId: list-mail, responses: {"200": {description: The mail}}}
`), 0o600))
	w.run("migrate")
	w.address = serve(w)
	var err error
	w.db, err = sqlstore.Open(t.Context(), dsn, sqlstore.Options{NoMigrate: true})
	must(t, err)
	t.Cleanup(func() { _ = w.db.Close() })
	return w
}

func (w *world) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), "STORE="+w.dsn)
	return cmd
}

// run is the product's binary at the terminal of the installation.
func (w *world) run(args ...string) {
	w.t.Helper()
	if out, err := w.command(binary, args...).CombinedOutput(); err != nil {
		w.t.Errorf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// start runs a process until the test ends, and returns the first group of what
// it says when it is ready.
func start(t *testing.T, cmd *exec.Cmd, ready string) string {
	t.Helper()
	var errors lockedBuffer
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Args, errors.tail())
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(ready).FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("%s ended: %s", cmd.Args, errors.tail())
	return ""
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// tail is the end of what was written, without the lines of single requests.
func (l *lockedBuffer) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kept []string
	for line := range strings.Lines(l.b.String()) {
		if !strings.Contains(line, `"level":"INFO"`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-20):], "")
}

// client stores a public client that refreshes.
func (w *world) client(id string) {
	w.t.Helper()
	must(w.t, w.db.AddClient(w.t.Context(), client.Client{
		ID: id, Origin: client.Registered, Name: id, AuthMethod: oauth.AuthNone, CreatedAt: time.Now().Unix(),
		RedirectURIs: []string{"http://127.0.0.1/cb"}, GrantTypes: []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		ResponseTypes: []string{"code"},
	}))
}

func (w *world) person(name string) {
	w.t.Helper()
	must(w.t, w.db.AddAccount(w.t.Context(), account.Account{ID: name, Name: name, CreatedAt: time.Now().Unix()}))
}

// allow makes a token under the grant of a person, a client and the bookshop, as
// consent does.
func (w *world) allow(grantID, person, clientID string) (token string) {
	w.t.Helper()
	return w.allowAt(gateURL, "books:read", grantID, person, clientID)
}

// allowAt does so for any API and scope.
func (w *world) allowAt(resource, scope, grantID, person, clientID string) (token string) {
	w.t.Helper()
	now := time.Now()
	scopes := []string{scope}
	token = secret.New("gha_")
	must(w.t, w.db.Issue(w.t.Context(), grant.Grant{
		ID: grantID, AccountID: person, ClientID: clientID, Resource: resource, Scopes: scopes,
		CreatedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix(),
	}, grant.Token{
		Hash: secret.Sum(token), Scopes: scopes, IssuedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix(),
	}, now))
	return token
}

// caller sends everything to one address, whatever the host.
func caller(t *testing.T, address string) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return webtest.DialTCP(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}
