package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/sampleapi"
	"gatehouse/internal/shell"
	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

// installation runs the processes of one installation, of which each has all
// roles, on one database.
func installation(t *testing.T, listeners ...net.Listener) (*console, string) {
	t.Helper()
	folder := t.TempDir()
	document := filepath.Join(folder, "api.yaml")
	if err := os.WriteFile(document, sampleapi.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	var d *console
	_, port, _ := strings.Cut(listeners[0].Addr().String(), ":")
	for i, l := range listeners {
		file := filepath.Join(folder, "gatehouse-"+strconv.Itoa(i)+".yaml")
		text := "urls: {authserver: http://login.localhost:" + port + ", gateway: http://mcp.localhost:" + port + ", admin: http://admin.localhost:" + port + "}\n" +
			"listen: " + l.Addr().String() + "\nstore: sqlite:test.db\ndata: data\n" +
			"apis:\n  - {name: customers, mcp_path: /, openapi: file:api.yaml, url: http://127.0.0.1:9, claims: [region]}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := app.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			d = &console{t: t, config: config, password: somePassword, browser: webtest.NewBrowser(t, nil)}
		}
		a, err := app.New(t.Context(), config, app.Options{Migrate: true, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx, l) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	for name, role := range map[string]string{"root": "admin", "alice": "none"} {
		if _, err := app.AddPerson(t.Context(), d.config, app.NewPerson{Name: name, Role: role}, somePassword); err != nil {
			t.Fatal(err)
		}
	}
	return d, document
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// tools waits until an agent of alice sees what is wanted at a process, and
// returns what it sees if it never does.
func (d *console) tools(process net.Listener, wanted, unwanted string) string {
	t := d.t
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":"+d.port()) {
			address = process.Addr().String() // of one replica or the other
		}
		return webtest.DialTCP(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	var names string
	for range 40 {
		if names = agentTools(t, transport, d.config.URLs.Gateway); strings.Contains(names, " "+wanted+" ") && !strings.Contains(names, " "+unwanted+" ") {
			return ""
		}
		time.Sleep(250 * time.Millisecond) // another process notices by itself
	}
	return names
}

// agentTools are the tools that a new agent of alice sees.
func agentTools(t *testing.T, transport *http.Transport, endpoint string) (names string) {
	t.Helper()
	c := &mcpclient.Client{Name: "Tools", Transport: transport, Open: shell.SignIn{Name: "alice", Password: somePassword, Transport: transport}.Open}
	s, err := c.Connect(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	list, err := s.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list {
		names += " " + tool.Name + " "
	}
	return names
}

func (d *console) port() string {
	_, port, _ := strings.Cut(strings.TrimPrefix(d.config.URLs.Gateway, "http://"), ":")
	return port
}

// A changed document is looked at before anything changes, goes live by an
// administrator's act on every process, and not if it changed since.
func TestDocumentsGoLiveWhenTaken(t *testing.T) {
	first, second := listenTCP(t), listenTCP(t)
	d, document := installation(t, first, second)
	b := d.signInAs("root", somePassword)
	get := func(path string) *webtest.Page { return follow(b.Get(d.config.URLs.Admin + path)) }
	if p := get("/admin/apis/customers/document"); !strings.Contains(p.Text(), "is the one that is live") {
		t.Fatalf("unchanged: %d\n%s", p.Status, p.Text())
	}
	change := func(pairs ...string) {
		t.Helper()
		text := strings.NewReplacer(pairs...).Replace(string(sampleapi.Document))
		if text == string(sampleapi.Document) {
			t.Fatal("nothing was replaced")
		}
		if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	processes := []net.Listener{first, second}
	change("operationId: fetch-users", "operationId: all-users", `["refunds:create"]`, `["users:read"]`, "summary: Refund an order", "summary: <b>Give</b> money back")
	p := get("/admin/apis/customers/document")
	for _, wanted := range []string{"all-users", "tool added", "fetch-users", "tool removed", "refund-order", "scopes", "refunds:create", "users:read", "opens", "<b>Give</b> money back"} {
		if !strings.Contains(p.Text(), wanted) {
			t.Errorf("the differences lack %q:\n%s", wanted, p.Text())
		}
	}
	for i, process := range processes {
		if left := d.tools(process, "fetch-users", "all-users"); left != "" {
			t.Errorf("before the act process %d has%s", i, left)
		}
	}
	// It changes once more between the look and the act.
	sure := get("/admin/apis/customers/live")
	change("operationId: fetch-users", "operationId: every-user")
	if late := sure.Submit("act=live", url.Values{"reason": {"new version"}}); late.Status != http.StatusConflict || !strings.Contains(late.Text(), "changed since you looked") {
		t.Errorf("a document that nobody looked at: %d\n%s", late.Status, late.Text())
	}
	done := follow(get("/admin/apis/customers/live").Submit("act=live", url.Values{"reason": {"new version"}}))
	if !strings.Contains(done.Text(), "Done.") {
		t.Fatalf("taken live: %d\n%s", done.Status, done.Text())
	}
	for i, process := range processes {
		if left := d.tools(process, "every-user", "fetch-users"); left != "" {
			t.Errorf("after the act process %d has%s", i, left)
		}
	}
	// What cannot be served does not go live.
	if err := os.WriteFile(document, []byte("openapi: 3.1.0\ninfo: {title: x, version: '1'}\npaths: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := get("/admin/apis/customers/document"); !strings.Contains(p.Text(), "It cannot go live.") {
		t.Errorf("a document without a tool: %d\n%s", p.Status, p.Text())
	}
	if left := d.tools(first, "every-user", "fetch-users"); left != "" {
		t.Errorf("after a document that cannot be served:%s", left)
	}
}
