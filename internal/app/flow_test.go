package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/oauth"
	"gatehouse/internal/webtest"
)

const (
	login     = "http://login.localhost:8080"
	mcp       = "http://mcp.localhost:8080"
	api       = "http://api.localhost:8080"
	callback  = "http://127.0.0.1:8090/callback"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// demo is the whole demo in one process over an in-memory network.
type demo struct {
	t       *testing.T
	Network *webtest.Network
	HTTP    *http.Client
	Log     *bytes.Buffer
	Data    string // its folder
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	return newDemoAt(t, "127.0.0.1:8080", "")
}

func newDemoAt(t *testing.T, address, domain string) *demo {
	t.Helper()
	d := &demo{t: t, Network: webtest.NewNetwork(), Log: &bytes.Buffer{}, Data: t.TempDir()}
	config, err := app.Demo(app.DemoOptions{Address: address, Domain: domain, Data: d.Data})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), config, app.Options{
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: d.Log}, nil)), Migrate: true, Dial: d.Network.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.SeedDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, d.Network) }()
	transport := &http.Transport{DialContext: d.Network.DialContext}
	d.HTTP = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

type reply struct {
	Status int
	Header http.Header
	Text   string
	Body   map[string]any
}

func (d *demo) do(method, address, token, contentType, body string) reply {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := d.HTTP.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	r := reply{Status: resp.StatusCode, Header: resp.Header, Text: string(data)}
	_ = json.Unmarshal(data, &r.Body) // not everything is JSON
	return r
}

func (d *demo) get(address string) reply { return d.do(http.MethodGet, address, "", "", "") }

func (d *demo) rpc(token, method, params string) reply {
	return d.do(http.MethodPost, mcp, token, "application/json", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params))
}

// connect walks hops 2 to 7 as a client of the specification would, and
// returns an access token with the scopes that name left switched on.
func (d *demo) connect(name string, scopes ...string) string {
	d.t.Helper()
	challenged := d.rpc("", "initialize", "{}").Header.Get("WWW-Authenticate")
	metadata := d.get(between(challenged, `resource_metadata="`, `"`))
	servers, _ := metadata.Body["authorization_servers"].([]any)
	if len(servers) != 1 || servers[0] != login || metadata.Body["resource"] != mcp {
		d.t.Fatalf("resource metadata %s", metadata.Text)
	}
	server := d.get(login + "/.well-known/oauth-authorization-server").Body
	field := func(name string) string { s, _ := server[name].(string); return s }
	registered := d.do(http.MethodPost, field("registration_endpoint"), "", "application/json",
		`{"client_name":"Flow","redirect_uris":["`+callback+`"],"token_endpoint_auth_method":"none"}`)
	id, _ := registered.Body["client_id"].(string)
	q := url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {"http://localhost:41234/callback"}, "state": {"s"}, "resource": {mcp + "/"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "scope": {between(challenged, `scope="`, `"`)},
	}
	b := webtest.NewBrowser(d.t, d.Network.DialContext)
	consent := b.Get(field("authorization_endpoint")+"?"+q.Encode()).Follow().Submit("username="+name, nil).Follow()
	fields := url.Values{}
	if len(scopes) > 0 {
		fields["scope"] = scopes
	}
	answer := consent.Submit("action=allow", fields).Location().Query()
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {answer.Get("code")}, "code_verifier": {verifier},
		"redirect_uri": {q.Get("redirect_uri")}, "resource": {mcp},
	}
	token := d.do(http.MethodPost, field("token_endpoint"), "", "application/x-www-form-urlencoded", form.Encode())
	value, _ := token.Body["access_token"].(string)
	if value == "" {
		d.t.Fatalf("token: %d %s", token.Status, token.Text)
	}
	return value
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// regions lists the regions of the customers that a call of fetch-users returns.
func (d *demo) regions(token string) map[string]bool {
	d.t.Helper()
	r := d.rpc(token, "tools/call", `{"name":"fetch-users","arguments":{"limit":100}}`)
	var body struct {
		Result struct {
			IsError           bool
			StructuredContent struct {
				Users []struct{ Region string }
			}
		}
	}
	if err := json.Unmarshal([]byte(r.Text), &body); err != nil || r.Status != 200 || body.Result.IsError {
		d.t.Fatalf("fetch-users: %d %s", r.Status, r.Text)
	}
	found := map[string]bool{}
	for _, u := range body.Result.StructuredContent.Users {
		found[u.Region] = true
	}
	return found
}

// The thirteen hops of ARCHITECTURE.md in one bubble of fake time: every role,
// real SQLite, no clock but the fake one.
func TestFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		// Hop 1: a challenge that says where and what (R-RS-3, R-RS-4, R-RS-10).
		r := d.rpc("", "tools/list", "{}")
		if want := `scope="users:read orders:read"`; r.Status != 401 || !strings.Contains(r.Header.Get("WWW-Authenticate"), want) || strings.Contains(r.Header.Get("WWW-Authenticate"), "error=") {
			t.Fatalf("%d %q", r.Status, r.Header.Get("WWW-Authenticate"))
		}
		token := d.connect("alice")
		if found := d.regions(token); len(found) != 1 || !found["USA"] {
			t.Errorf("alice sees %v", found)
		}
		if found := d.regions(d.connect("bruno")); len(found) != 1 || !found["Europe"] {
			t.Errorf("bruno sees %v", found)
		}
		// The client's token is worth nothing at the API itself (R-RS-8).
		if r := d.do(http.MethodGet, api+"/users", token, "", ""); r.Status != 401 || !strings.Contains(r.Header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("the outside token at the API: %d %q", r.Status, r.Header.Get("WWW-Authenticate"))
		}
		// A tool beyond the token: a challenge that names the scope (R-RS-11).
		r = d.rpc(token, "tools/call", `{"name":"delete-user","arguments":{"id":1}}`)
		if h := r.Header.Get("WWW-Authenticate"); r.Status != 403 || !strings.Contains(h, `error="insufficient_scope"`) || !strings.Contains(h, `scope="users:write"`) {
			t.Errorf("%d %q", r.Status, h)
		}
		// After an hour the token is over: 401 with error, so that clients sign in again (R-RS-9).
		time.Sleep(time.Hour + time.Second)
		r = d.rpc(token, "tools/call", `{"name":"fetch-users","arguments":{}}`)
		if h := r.Header.Get("WWW-Authenticate"); r.Status != 401 || !strings.Contains(h, `error="invalid_token"`) {
			t.Errorf("expired: %d %q", r.Status, h)
		}
	})
}

// architecture.md: a warm call asks the authorization server nothing, and the
// polls of the feed that makes this possible fill no log.
func TestFlowOfWarmCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		token := d.connect("alice")
		d.regions(token)
		synctest.Wait()
		before := d.Log.String()
		for range 100 {
			d.regions(token)
			time.Sleep(250 * time.Millisecond)
		}
		synctest.Wait()
		log := d.Log.String()[len(before):]
		if n := strings.Count(log, "host=login.localhost:8080"); n != 0 {
			t.Errorf("%d requests to the authorization server for 100 calls in 25 seconds:\n%s", n, log)
		}
		if n := strings.Count(log, "mcp_method=tools/call"); n != 100 {
			t.Errorf("the log has %d calls", n)
		}
	})
}

// Switching a scope off at consent is felt at the tool behind it.
func TestFlowWithAScopeSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		token := d.connect("alice", "users:read")
		d.regions(token)
		r := d.rpc(token, "tools/call", `{"name":"fetch-orders","arguments":{"id":1}}`)
		if h := r.Header.Get("WWW-Authenticate"); r.Status != 403 || !strings.Contains(h, `scope="orders:read"`) {
			t.Errorf("%d %q %s", r.Status, h, r.Text)
		}
		// tools/list shows what could be granted, not only what is.
		if list := d.rpc(token, "tools/list", "{}"); !strings.Contains(list.Text, "fetch-orders") || !strings.Contains(list.Text, "refund-order") {
			t.Errorf("tools/list: %s", list.Text)
		}
	})
}

// security.md 20: an agent that registered itself deletes nothing, even where
// a person allowed it; the API knows it by its claims.
func TestFlowAgentsOfLowestLevelDeleteNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		token := d.connectWith("alice", "users:write")
		r := d.rpc(token, "tools/call", `{"name":"delete-user","arguments":{"id":1}}`)
		result, _ := r.Body["result"].(map[string]any)
		if r.Status != 200 || result["isError"] != true || !strings.Contains(r.Text, "403") {
			t.Errorf("%d %s", r.Status, r.Text)
		}
	})
}

// connectWith asks for scopes of its own.
func (d *demo) connectWith(name, scope string) string {
	d.t.Helper()
	return d.connectAt(login, name, scope)
}

func (d *demo) connectAt(login, name, scope string) string {
	d.t.Helper()
	registered := d.do(http.MethodPost, login+"/register", "", "application/json", `{"client_name":"Flow","redirect_uris":["`+callback+`"],"token_endpoint_auth_method":"none"}`)
	id, _ := registered.Body["client_id"].(string)
	q := url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {callback}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {oauth.MethodS256}, "scope": {scope},
	}
	b := webtest.NewBrowser(d.t, d.Network.DialContext)
	consent := b.Get(login+"/authorize?"+q.Encode()).Follow().Submit("username="+name, nil).Follow()
	answer := consent.Submit("action=allow", nil).Location().Query()
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {answer.Get("code")}, "code_verifier": {verifier}, "redirect_uri": {callback}}
	token := d.do(http.MethodPost, login+"/token", "", "application/x-www-form-urlencoded", form.Encode())
	value, _ := token.Body["access_token"].(string)
	return value
}

// Nothing secret is in the log: no token, code, verifier or query (security.md,
// style 13), and there is one event for each request.
func TestFlowLogsNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		token := d.connect("alice")
		d.regions(token)
		synctest.Wait()
		log := d.Log.String()
		for name, value := range map[string]string{"token": token, "token prefix": "gha_", "code": "ghc_", "verifier": verifier, "query": "code_challenge", "a JWT": "eyJ"} {
			if strings.Contains(log, value) {
				t.Errorf("the log has the %s", name)
			}
		}
		if !strings.Contains(log, "/token") || !strings.Contains(log, "status=200") {
			t.Errorf("the log has no events: %s", log)
		}
	})
}

// The second column of the design's table: names below a domain, on plain http,
// where cookies have no prefix and browsers send no Sec-Fetch headers.
func TestFlowWithDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemoAt(t, "127.0.0.1:80", "example.com")
		token := d.connectAt("http://login.example.com", "bruno", "users:read")
		r := d.do(http.MethodPost, "http://mcp.example.com", token, "application/json", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","arguments":{"limit":2}}}`)
		if r.Status != 200 || !strings.Contains(r.Text, `"region":"Europe"`) {
			t.Errorf("%d %s", r.Status, r.Text)
		}
		if home := d.get("http://example.com/"); home.Status != 200 {
			t.Errorf("home page: %d", home.Status)
		}
	})
}

// security.md 15: unknown Host is 421 on every role; /healthz answers probes.
func TestUnknownHost(t *testing.T) {
	d := newDemo(t)
	for address, want := range map[string]int{
		"http://evil.example/": 421, "http://localhost:8081/": 421, "http://127.0.0.1:8080/": 421, "http://mcp.localhost/": 421,
		"http://localhost:8080/": 200, "http://127.0.0.1:8080/healthz": 200, mcp + "/healthz": 200,
	} {
		if r := d.get(address); r.Status != want {
			t.Errorf("%s: %d, want %d", address, r.Status, want)
		}
	}
	if home := d.get("http://localhost:8080/"); !strings.Contains(home.Text, mcp) || !strings.Contains(home.Text, "alice") {
		t.Errorf("home page: %s", home.Text)
	}
}
