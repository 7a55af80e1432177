package resource_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// publisher is an authorization server of others that publishes one document.
type publisher struct {
	mu     sync.Mutex
	path   string
	status int // of the document; 0: 200
	change map[string]any
	raw    string // in place of the document
	seen   []string
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, r.URL.Path)
	if p.status >= 500 {
		w.WriteHeader(p.status)
		return
	}
	if r.URL.Path != p.path {
		http.NotFound(w, r)
		return
	}
	if p.status != 0 {
		w.Header().Set("Location", "https://elsewhere.example.com/")
		w.WriteHeader(p.status)
	}
	document := map[string]any{
		"issuer": issuer, "token_endpoint": issuer + "/token", "introspection_endpoint": issuer + "/introspect", "jwks_uri": "https://keys.example.com/set",
	}
	maps.Copy(document, p.change)
	text, _ := json.Marshal(document)
	if p.raw != "" {
		text = []byte(p.raw)
	}
	_, _ = w.Write(text)
}

func (p *publisher) set(status int, change map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.change = status, change
}

func (p *publisher) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

func discovery(p *publisher) *resource.Discovery {
	if p.path == "" {
		p.path = "/.well-known/oauth-authorization-server"
	}
	return &resource.Discovery{Issuer: issuer, Client: &http.Client{Transport: transport{p}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// RFC 8414 §3.1, OpenID Connect Discovery §4: where the metadata may be.
func TestDiscoveryLooksWhereMetadataMayBe(t *testing.T) {
	for place, at := range map[string]string{
		"/.well-known/oauth-authorization-server":        "",
		"/.well-known/openid-configuration":              "",
		"/.well-known/oauth-authorization-server/tenant": "/tenant",
		"/.well-known/openid-configuration/tenant":       "/tenant",
		"/tenant/.well-known/openid-configuration":       "/tenant/",
	} {
		p := &publisher{path: place, change: map[string]any{"issuer": issuer + at}}
		d := discovery(p)
		d.Issuer = issuer + at
		if m, err := d.Metadata(t.Context()); err != nil || m.IntrospectionEndpoint != issuer+"/introspect" {
			t.Errorf("%s: %v after %v", place, err, p.seen)
		}
	}
}

// RFC 8414 §3.3: the issuer is exact; secrets go to https alone, and a document
// that two readers could read in two ways is not read.
func TestDiscoveryRefuses(t *testing.T) {
	for name, p := range map[string]*publisher{
		"nothing there":             {path: "/elsewhere"},
		"redirect":                  {status: http.StatusFound},
		"other issuer":              {change: map[string]any{"issuer": "https://evil.example"}},
		"issuer with a slash":       {change: map[string]any{"issuer": issuer + "/"}},
		"no issuer":                 {change: map[string]any{"issuer": nil}},
		"token endpoint by http":    {change: map[string]any{"token_endpoint": "http://login.example.com/token"}},
		"introspection by http":     {change: map[string]any{"introspection_endpoint": "http://localhost/introspect"}},
		"keys by http":              {change: map[string]any{"jwks_uri": "http://keys.example.com/"}},
		"endpoint with a password":  {change: map[string]any{"token_endpoint": "https://u:p@login.example.com/token"}},
		"no list":                   {change: map[string]any{"grant_types_supported": "all"}},
		"issuer twice":              {raw: `{"issuer":"` + issuer + `","issuer":"` + issuer + `"}`},
		"issuer in another case":    {raw: `{"Issuer":"` + issuer + `"}`},
		"no JSON":                   {raw: "<html>"},
		"too large":                 {raw: `{"issuer":"` + issuer + `","x":"` + strings.Repeat("x", 300<<10) + `"}`},
		"what its user cannot take": {change: map[string]any{"scopes_supported": []string{}}},
	} {
		d := discovery(p)
		if name == "what its user cannot take" {
			d.Check = func(oauth.ServerMetadata) error { return errors.New("lacks something") }
		}
		if _, err := d.Metadata(t.Context()); !errors.Is(err, resource.ErrUnsuitable) || errors.Is(err, resource.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where the issuer itself is on plain http, as the configuration allowed it, so
// may its endpoints be, on that host alone (security.md 17).
func TestDiscoveryOnPlainHTTP(t *testing.T) {
	const local = "http://localhost:9000"
	for endpoint, want := range map[string]bool{local + "/token": true, "https://login.example.com/token": true, "http://localhost:9001/token": false, "http://login.example.com/token": false} {
		d := discovery(&publisher{change: map[string]any{"issuer": local, "token_endpoint": endpoint, "introspection_endpoint": local, "jwks_uri": local}})
		d.Issuer = local
		if _, err := d.Metadata(t.Context()); (err == nil) != want {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// An outage is survived for an hour, and found to be over within two seconds; a
// document that is wrong ends what was known at once.
func TestDiscoveryOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		d := discovery(p)
		p.set(502, nil)
		is := func(when string, want error) {
			t.Helper()
			if _, err := d.Metadata(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", when, err, want)
			}
		}
		is("away at the start", resource.ErrUnavailable)
		p.set(0, nil)
		is("not asked again so soon", resource.ErrUnavailable)
		time.Sleep(2 * time.Second)
		is("back", nil)
		for range 100 {
			is("kept", nil)
		}
		if n := p.fetches(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
		p.set(502, nil)
		time.Sleep(59 * time.Minute)
		is("away for most of an hour", nil)
		time.Sleep(2 * time.Minute)
		is("away for longer", resource.ErrUnavailable)
		p.set(0, nil)
		time.Sleep(2 * time.Second)
		is("back again", nil)
		p.set(0, map[string]any{"issuer": "https://evil.example"})
		time.Sleep(9 * time.Minute)
		is("kept for ten minutes", nil)
		time.Sleep(2 * time.Minute)
		is("another issuer", resource.ErrUnsuitable)
		p.set(502, nil)
		time.Sleep(2 * time.Second)
		is("away after that", resource.ErrUnavailable)
	})
}

func TestDiscoveryIsSharedByAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		d := discovery(p)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := d.Metadata(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if !slices.Equal(p.seen, []string{"/.well-known/oauth-authorization-server"}) {
			t.Errorf("%v", p.seen)
		}
	})
}
