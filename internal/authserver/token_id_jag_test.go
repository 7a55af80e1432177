package authserver_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/trust"
)

// enterprise is a world with an identity provider, a person and a client that it
// may send them through.
func enterprise(t *testing.T, o options) (w *world, p platform, value string) {
	t.Helper()
	w, p = workloads(t, o)
	value = secret.New("ghs_")
	for _, id := range []string{"desk", "other-desk"} {
		if err := w.DB.AddClient(t.Context(), client.Client{
			ID: id, Origin: client.Administrated, Name: "Desk", GrantTypes: []string{oauth.GrantJWTBearer, oauth.GrantAuthorizationCode}, ResponseTypes: []string{"code"},
			AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(value), RedirectURIs: []string{"https://desk.example/cb"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.DB.AddAccount(t.Context(), account.Account{ID: "ana-id", Name: "ana", CreatedAt: time.Now().Unix()}); err != nil {
		t.Fatal(err)
	}
	return w, p, value
}

func (p platform) person(t testing.TB, jti string, change map[string]any) string {
	return p.sign(t, trust.IDJAGType, map[string]any{
		"iss": "https://idp.example", "sub": "U1", "preferred_username": "ana", "client_id": "desk", "jti": jti, "resource": resource, "scope": "users:read orders:read",
	}, change)
}

func asserted(assertion, value string, more ...string) url.Values {
	form := url.Values{"grant_type": {oauth.GrantJWTBearer}, "assertion": {assertion}, "client_id": {"desk"}, "client_secret": {value}, "resource": {resource}}
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
		if more[n+1] == "" {
			form.Del(more[n])
		}
	}
	return form
}

// TestIDJAG is R-AS-EMA: a token for the person, for the resource of the
// assertion, with what request and assertion have in common, and no refresh token.
func TestIDJAG(t *testing.T) {
	w, p, value := enterprise(t, options{})
	a := w.form("/token", asserted(p.person(t, "1", nil), value, "scope", "users:read users:write", "resource", ""))
	if a.Status != 200 || a.str("scope") != "users:read" || a.str("refresh_token") != "" {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	if got := w.introspect(a.str("access_token")); got.str("sub") != "ana-id" || got.str("client_id") != "desk" || got.str("aud") != resource {
		t.Errorf("introspection: %v", got.Body)
	}
	e := w.tokenEntries()[0]
	if e.AccountID != "ana-id" || e.Detail["trust"] != "corp" || e.Detail["assertion_jti"] != "1" || e.Detail["matched"] != "preferred_username=ana" {
		t.Errorf("audit: %+v", e)
	}
	m := w.send("GET", "/.well-known/oauth-authorization-server", "", "", nil)
	if got := strings.Join(list(m.Body["authorization_grant_profiles_supported"]), " "); got != oauth.GrantProfileIDJAG {
		t.Errorf("profiles: %s", got)
	}
}

// TestIDJAGRefuses: issue 5's "ID-JAG for another client / resource / issuer",
// and what else R-AS-EMA and security.md 9 forbid.
func TestIDJAGRefuses(t *testing.T) {
	w, p, value := enterprise(t, options{})
	public := w.public()
	used := p.person(t, "used", nil)
	if a := w.form("/token", asserted(used, value)); a.Status != 200 {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	for name, c := range map[string]struct {
		form url.Values
		code string
	}{
		"used before":                    {asserted(used, value), "invalid_grant"},
		"without the client's secret":    {asserted(p.person(t, "a", nil), value, "client_secret", ""), "invalid_client"},
		"a public client":                {asserted(p.person(t, "b", map[string]any{"client_id": public}), value, "client_secret", "", "client_id", public), "unauthorized_client"},
		"another client":                 {asserted(p.person(t, "c", nil), value, "client_id", "other-desk"), "invalid_grant"},
		"a client it may not send":       {asserted(p.person(t, "d", map[string]any{"client_id": "other-desk"}), value, "client_id", "other-desk"), "invalid_grant"},
		"another resource":               {asserted(p.person(t, "e", nil), value, "resource", other), "invalid_grant"},
		"a resource that is not here":    {asserted(p.person(t, "f", map[string]any{"resource": "https://evil.example"}), value, "resource", ""), "invalid_target"},
		"no resource at all":             {asserted(p.person(t, "g", map[string]any{"resource": nil}), value, "resource", ""), "invalid_target"},
		"sign-in":                        {asserted(p.person(t, "h", map[string]any{"resource": issuer}), value, "resource", ""), "invalid_target"},
		"another issuer":                 {asserted(p.person(t, "i", map[string]any{"iss": "https://evil.example"}), value), "invalid_grant"},
		"a cluster that plays provider":  {asserted(p.person(t, "j", map[string]any{"iss": cluster}), value), "invalid_grant"},
		"for another server":             {asserted(p.person(t, "k", map[string]any{"aud": "https://other.example"}), value), "invalid_grant"},
		"expired":                        {asserted(p.person(t, "l", map[string]any{"exp": time.Now().Unix() - 60}), value), "invalid_grant"},
		"nobody here":                    {asserted(p.person(t, "m", map[string]any{"preferred_username": "zoe"}), value), "invalid_grant"},
		"a name that is none":            {asserted(p.person(t, "n", map[string]any{"preferred_username": "аna"}), value), "invalid_grant"}, // a Cyrillic а
		"scopes of neither":              {asserted(p.person(t, "o", nil), value, "scope", "users:write"), "invalid_scope"},
		"a scope that is no list":        {asserted(p.person(t, "p", map[string]any{"scope": "\"x"}), value, "scope", "users:read"), "invalid_grant"},
		"as a workload (security.md 9)":  {federation(p.sign(t, "JWT", map[string]any{"iss": "https://idp.example", "sub": "U1"}, nil)), "invalid_grant"},
		"a workload's token as a person": {asserted(p.pod(t, "report", nil), value), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.form("/token", c.form); a.str("error") != c.code || a.str("access_token") != "" {
				t.Errorf("%d %v, want %s", a.Status, a.Body, c.code)
			}
		})
	}
	if _, err := w.DB.Pause(t.Context(), oauth.SubjectAccount, "ana-id", "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	if a := w.form("/token", asserted(p.person(t, "z", nil), value)); a.str("error") != "invalid_grant" {
		t.Errorf("a paused person: %d %v", a.Status, a.Body)
	}
}

// TestIDJAGIsUsedOnce: R-AS-EMA, "jti replay rejection is REQUIRED", also at once.
func TestIDJAGIsUsedOnce(t *testing.T) {
	for name, dsn := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w, p, value := enterprise(t, options{dsn: dsn(t), latency: time.Millisecond})
			form := asserted(p.person(t, "1", nil), value)
			var mu sync.Mutex
			won := 0
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if a := w.form("/token", form); a.Status == 200 {
						mu.Lock()
						won++
						mu.Unlock()
					}
				})
			}
			all.Wait()
			if won != 1 {
				t.Errorf("%d of 16 uses of one assertion succeeded", won)
			}
		})
	}
}

// TestConsentBoundsIDJAG: what a person decided on a page here is not widened by
// their organization, and what it says is no consent of theirs.
func TestConsentBoundsIDJAG(t *testing.T) {
	for name, dsn := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w, p, value := enterprise(t, options{dsn: dsn(t)})
			ask := func(jti string) answer { return w.form("/token", asserted(p.person(t, jti, nil), value)) }
			if a := ask("1"); a.str("scope") != "users:read orders:read" {
				t.Fatalf("%d %v", a.Status, a.Body)
			}
			// A page asks all the same, and shows all that is asked for.
			b := w.browser()
			page := w.consent(b, request("desk", map[string]string{"redirect_uri": "https://desk.example/cb", "scope": "users:read"}), "ana")
			if !strings.Contains(page.Text(), "read customers") {
				t.Fatalf("no consent page: %s", page.Text())
			}
			page.Submit("action=allow", nil)
			if a := ask("2"); a.str("scope") != "users:read" {
				t.Errorf("after a narrower consent: %d %v", a.Status, a.Body)
			}
		})
	}
}
