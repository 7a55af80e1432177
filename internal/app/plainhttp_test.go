package app_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/webtest"
)

const development = `
urls: {authserver: http://login.example.test, gateway: http://mcp.example.test}
development_http: [login.example.test, mcp.example.test, agent.example.test]
allowed_origins: [http://agent.example.test]
store: sqlite:gatehouse.db
data: data
apis:
  - {name: books, openapi: file:books.yaml, url: http://localhost:9000}
`

// security.md 17 and R-AS-19: plain http is for the named hosts alone, and not
// beside anything that is on https.
func TestDevelopmentHTTP(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"as it is":              {"data: data", "data: folder", ""},
		"host that is not here": {"[login.example.test, ", "[", "urls.authserver: \"http://login.example.test\" must be https"},
		"parent of a host":      {"mcp.example.test, ", "example.test, ", "urls.gateway: \"http://mcp.example.test\" must be https"},
		"API that is not here":  {"http://localhost:9000", "http://books.example.test", "apis[0].url: \"http://books.example.test\" must be https"},
		"origin not here":       {"agent.example.test]\nallowed", "x.example.test]\nallowed", "allowed_origins[0]"},
		"a gateway on https":    {"gateway: http:", "gateway: https:", "development_http: is for development without certificates, and urls.gateway is https"},
		"an API on https":       {"http://localhost:9000", "https://books.example.test", "apis[0].url is https"},
		"an audience on https":  {"name: books", "name: books, audience: https://books.example.com", "apis[0].audience is https"},
		"an origin on https":    {"[http://agent", "[https://agent", "allowed_origins[0] is https"},
		"TLS":                   {"data: data", "data: data\ntls: {certificate: c.pem, key: k.pem}", "and tls is https"},
		"wildcard":              {"agent.example.test]\nallowed", "'*.example.test']\nallowed", "development_http[2]: \"*.example.test\" is no host name"},
		"URL":                   {"[login.example.test", "[http://login.example.test", "development_http[0]"},
		"port":                  {"[login.example.test", "[login.example.test:80", "development_http[0]"},
		"upper case":            {"[login.example.test", "[Login.example.test", "development_http[0]"},
		"range of addresses":    {"[login.example.test", "[10.0.0.0/8", "development_http[0]"},
		"this computer":         {"[login.example.test", "[localhost, login.example.test", "development_http[0]: \"localhost\" is this computer"},
		"its address":           {"[login.example.test", "['::1', login.example.test", "development_http[0]: \"::1\" is this computer"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(development, tt.from, tt.to, 1)
			if text == development {
				t.Fatal("the test changes nothing")
			}
			_, err := load(t, text)
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// What every start says, and says of nobody else.
func TestDevelopmentHTTPIsLoud(t *testing.T) {
	c, err := load(t, development)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.PlainHTTPWarning(); !strings.Contains(w, "WARNING") || !strings.Contains(w, "login.example.test, mcp.example.test, agent.example.test") || !strings.Contains(w, "passwords") {
		t.Errorf("%q", w)
	}
	if c, err = load(t, good); err != nil || c.PlainHTTPWarning() != "" {
		t.Errorf("%v, and without the list %q", err, c.PlainHTTPWarning())
	}
	for domain, want := range map[string]bool{"": false, "demo.localhost": false, "example.test": true} {
		demo, err := app.Demo(app.DemoOptions{Address: "127.0.0.1:80", Domain: domain, Data: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(demo.PlainHTTPWarning(), "login.example.test"); got != want {
			t.Errorf("demo --domain %q warns: %v", domain, got)
		}
	}
}

// R-AS-17 and its divergence: redirects to the named hosts can be registered,
// to no others; and metadata documents still come by https alone.
func TestDevelopmentHTTPRedirects(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"gatehouse.yaml": development, "books.yaml": books} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := app.Load(filepath.Join(dir, "gatehouse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d := serve(t, config)
	for redirect, want := range map[string]int{
		"http://agent.example.test/cb": 201, "http://agent.example.test:8000/cb": 201, "http://127.0.0.1:9/cb": 201,
		"http://other.example.test/cb": 400, "http://x.agent.example.test/cb": 400, "http://agent.example.test.evil.example/cb": 400,
	} {
		r := d.do(http.MethodPost, "http://login.example.test/register", "", "application/json", `{"redirect_uris":["`+redirect+`"],"token_endpoint_auth_method":"none"}`)
		if r.Status != want {
			t.Errorf("%s: %d, want %d: %s", redirect, r.Status, want, r.Text)
		}
	}
	if r := d.get("http://login.example.test/authorize?response_type=code&client_id=http://agent.example.test/client.json"); r.Status != 400 {
		t.Errorf("a metadata document on plain http: %d", r.Status)
	}
	if r := d.get("http://other.example.test/.well-known/oauth-authorization-server"); r.Status != 421 {
		t.Errorf("another host: %d", r.Status)
	}
	if _, _, err := app.AddClient(t.Context(), config, app.NewClient{Name: "Agent", RedirectURIs: []string{"http://agent.example.test/cb"}}); err != nil {
		t.Error(err)
	}
	if _, _, err := app.AddClient(t.Context(), config, app.NewClient{Name: "Agent", RedirectURIs: []string{"http://other.example.test/cb"}}); err == nil {
		t.Error("an administrator can add a plain redirect that is not named")
	}
}

const books = `
openapi: 3.1.0
info: {title: Bookshop, version: "1"}
paths:
  /books:
    get:
      operationId: list-books
      responses: {"200": {description: The books}}
`

// serve runs an installation over an in-memory network until the test ends.
func serve(t *testing.T, config app.Config) *demo {
	t.Helper()
	d := &demo{t: t, Network: webtest.NewNetwork()}
	a, err := app.New(t.Context(), config, app.Options{Migrate: true, Dial: d.Network.Dial})
	if err != nil {
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
