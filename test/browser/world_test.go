// Package browser_test walks a real Chromium through the pages, as a person
// would: without JavaScript, by mouse and by keyboard, on a phone and in the
// dark.
package browser_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/app"
	"gatehouse/internal/sampleapi"
	"gatehouse/internal/webtest"
)

const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	password  = "correct horse battery"
	patience  = 40 * time.Second // for one step, on a busy machine
)

// place is a running installation.
type place struct {
	t          *testing.T
	Login, MCP string
	Home       string
	Agent      string // the agent front end; empty without one
	Admin      string // the administration console; empty without one
	Password   string // of its administrator
	Folder     string // with configuration, document and database; empty of a demo
	http       *http.Client
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t *testing.T, config app.Config, l net.Listener, prepare func(*app.App) error) *place {
	t.Helper()
	a, err := app.New(t.Context(), config, app.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(a); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, l) }()
	transport := &http.Transport{DialContext: webtest.DialTCP}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return &place{t: t, Login: config.URLs.AuthServer, MCP: config.URLs.Gateway, Home: "http://localhost:" + port, Agent: config.URLs.Agent, Admin: config.URLs.Admin, http: &http.Client{Transport: transport}}
}

// demo is the demo, where any name signs in.
func demo(t *testing.T) *place {
	t.Helper()
	l := listen(t)
	config, err := app.Demo(app.DemoOptions{Address: l.Addr().String(), Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var secret string
	p := serve(t, config, l, func(a *app.App) (err error) { secret, err = a.SeedDemo(t.Context()); return err })
	p.Password, p.Folder = secret, config.Data
	return p
}

// installation is one where alice signs in with a password; lines are added to
// its configuration.
func installation(t *testing.T, lines ...string) *place {
	t.Helper()
	return install(t, func(port string) string {
		return "urls: {authserver: http://login.localhost:" + port + ", gateway: http://mcp.localhost:" + port + "}\n" +
			"apis:\n  - {name: customers, mcp_path: /, openapi: file:api.yaml, url: http://127.0.0.1:9, claims: [region]}\n" +
			strings.Join(lines, "\n") + "\n"
	}, app.NewPerson{Name: "alice", Claims: map[string]string{"region": "USA"}})
}

// install runs an installation with the document of its API in a file, where
// people sign in with the same password.
func install(t *testing.T, configuration func(port string) string, people ...app.NewPerson) *place {
	t.Helper()
	l := listen(t)
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "api.yaml"), sampleapi.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "gatehouse.yaml")
	text := "listen: " + l.Addr().String() + "\nstore: sqlite:test.db\ndata: data\n" + configuration(port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := app.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, config, l, func(*app.App) error {
		for _, person := range people {
			if _, err := app.AddPerson(t.Context(), config, person, password); err != nil {
				return err
			}
		}
		return nil
	})
	p.Folder, p.Password = folder, password
	return p
}

// agent is a small OAuth client with a loopback callback of its own.
type agent struct {
	*place
	ID, Redirect string
	answers      chan url.Values
}

func (p *place) agent(name, method string) *agent {
	p.t.Helper()
	a := &agent{place: p, answers: make(chan url.Values, 8)}
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>back</title><p id=back>Back in the agent.") // the browser may be gone
		if r.URL.Path == "/callback" {
			a.answers <- r.URL.Query()
		}
	}))
	p.t.Cleanup(callback.Close)
	a.Redirect = callback.URL + "/callback"
	body, err := json.Marshal(map[string]any{"client_name": name, "redirect_uris": []string{a.Redirect}, "token_endpoint_auth_method": method})
	if err != nil {
		p.t.Fatal(err)
	}
	answer := p.post(p.Login+"/register", "application/json", "", string(body))
	a.ID, _ = answer["client_id"].(string)
	return a
}

func (a *agent) address(changes url.Values) string {
	q := url.Values{
		"client_id": {a.ID}, "response_type": {"code"}, "redirect_uri": {a.Redirect}, "state": {"s"}, "resource": {a.MCP},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for name, values := range changes {
		q[name] = values
	}
	return a.Login + "/authorize?" + q.Encode()
}

// answer is what came back to the agent.
func (a *agent) answer() url.Values {
	a.t.Helper()
	select {
	case v := <-a.answers:
		return v
	case <-time.After(patience):
		a.t.Fatal("nothing came back to the agent")
		return nil
	}
}

func (a *agent) token(code string) string {
	a.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {a.ID}, "code": {code}, "redirect_uri": {a.Redirect}, "code_verifier": {verifier}}
	token, _ := a.post(a.Login+"/token", "application/x-www-form-urlencoded", "", form.Encode())["access_token"].(string)
	if token == "" {
		a.t.Fatal("no token")
	}
	return token
}

func (p *place) send(address, contentType, token, body string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp
}

func (p *place) post(address, contentType, token, body string) map[string]any {
	p.t.Helper()
	resp := p.send(address, contentType, token, body)
	defer resp.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		p.t.Fatalf("%s: %d %v", address, resp.StatusCode, err)
	}
	return v
}

// call calls a tool and returns status, challenge and body.
func (p *place) call(token, tool, arguments string) (int, string, string) {
	p.t.Helper()
	resp := p.send(p.MCP, "application/json", token, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":`+arguments+`}}`)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), string(data)
}

// tab is a fresh Chromium with one page open, which runs no scripts.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func chromium(t *testing.T) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" && os.Getenv("CI") == "true" {
		t.Fatal("Chromium is missing; make test installs it")
	}
	if path == "" {
		t.Skip("Chromium is missing; on Debian: apt install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("no-sandbox", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return begin(t, ctx)
}

// other is a page of the same Chromium that shares nothing with this one, like
// the browser of somebody else.
func (b *tab) other() *tab {
	b.t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	b.t.Cleanup(closeTab)
	return begin(b.t, ctx)
}

// begin opens the first page.
func begin(t *testing.T, ctx context.Context) *tab {
	t.Helper()
	b := &tab{t: t, ctx: ctx}
	// The first step starts the browser, which lives as long as its context: no timeout here.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	b.scripts(false)
	// As if its window was in front, so that the focus shows.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("at %s: %v", where, err)
	}
}

func (b *tab) open(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

func (b *tab) see(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)))
}

// has reports whether something is on the page now.
func (b *tab) has(selector string) bool {
	b.t.Helper()
	return evaluate[bool](b, `document.querySelector(`+strconv.Quote(selector)+`) !== null`)
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// press clicks what leads to another page, and waits for that page: the next
// step must not work on the page before, nor take its request back.
func (b *tab) press(selector string) {
	b.t.Helper()
	evaluate[string](b, `document.documentElement.id = "before"`)
	b.click(selector)
	b.see("html:not(#before) body")
}

func (b *tab) text() string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}
