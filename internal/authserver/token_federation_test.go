package authserver_test

import (
	"context"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/authserver"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/trust"
)

const cluster = "https://kubernetes.example"

// platform is a cluster and a pipeline that the world trusts.
type platform struct {
	signer *jose.Signer
	trust  *trust.Trust
}

func newPlatform(t *testing.T) platform {
	t.Helper()
	key, signer := newKey(t)
	set, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		t.Fatal(err)
	}
	when := func(pairs ...string) (all []trust.Condition) {
		for n := 0; n < len(pairs); n += 2 {
			p, err := trust.ParsePattern(pairs[n+1])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, trust.Condition{Claim: pairs[n], Pattern: p})
		}
		return all
	}
	audiences := []string{issuer, issuer + "/token"}
	desk, err := trust.ParsePattern("desk")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trust.New([]trust.Issuer{
		{Name: "prod", Kind: trust.Kubernetes, Issuer: cluster, Audiences: audiences, Algorithms: []string{"ES256"}, Keys: set, Workloads: []trust.Workload{
			{Client: "nightly", When: when("namespace", "prod", "service_account", "report")},
			{Client: "gone", When: when("namespace", "prod", "service_account", "gone")},
			{Client: "gateway", When: when("namespace", "prod", "service_account", "gateway")},
			{Client: "other", When: when("namespace", "prod", "service_account", "twice")},
			{Client: "nightly", When: when("namespace", "prod", "service_account", "twice")},
		}},
		{Name: "pipeline", Kind: trust.OIDC, Issuer: "https://ci.example", Audiences: audiences, Keys: set, SingleUse: true, Workloads: []trust.Workload{
			{Client: "nightly", When: when("sub", "deploy:*")},
		}},
		{Name: "corp", Kind: trust.IdentityProvider, Issuer: "https://idp.example", Audiences: audiences[:1], Keys: set, SingleUse: true,
			People: trust.People{Claim: "preferred_username", Clients: []trust.Pattern{desk}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return platform{signer, tr}
}

func (p platform) sign(t testing.TB, typ string, claims, change map[string]any) string {
	t.Helper()
	all := map[string]any{"aud": issuer, "exp": time.Now().Add(5 * time.Minute).Unix(), "iat": time.Now().Unix()}
	maps.Copy(all, claims)
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	token, err := p.signer.Sign(typ, all)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (p platform) pod(t testing.TB, name string, change map[string]any) string {
	return p.sign(t, "JWT", map[string]any{
		"iss": cluster, "sub": "system:serviceaccount:prod:" + name,
		"kubernetes.io": map[string]any{"namespace": "prod", "serviceaccount": map[string]any{"name": name}},
	}, change)
}

func (p platform) run(t testing.TB, jti string) string {
	return p.sign(t, "JWT", map[string]any{"iss": "https://ci.example", "sub": "deploy:main", "jti": jti}, nil)
}

// workloads is a world that trusts a platform, with a client for its workloads.
func workloads(t *testing.T, o options) (*world, platform) {
	t.Helper()
	p := newPlatform(t)
	o.change = func(s *authserver.Server) { s.Trust = p.trust }
	w := newWorld(t, o)
	for _, c := range []client.Client{
		{ID: "nightly", Origin: client.Administrated, Name: "Nightly report", GrantTypes: []string{oauth.GrantJWTBearer}, AuthMethod: client.AuthWorkload, Scope: "users:read"},
		{ID: "other", Origin: client.Administrated, Name: "Other", GrantTypes: []string{oauth.GrantClientCredentials}, AuthMethod: oauth.AuthPrivateKey, Scope: "users:read"},
	} {
		if err := w.DB.AddClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return w, p
}

func federation(assertion string, more ...string) url.Values {
	form := url.Values{"grant_type": {oauth.GrantJWTBearer}, "assertion": {assertion}, "resource": {resource}}
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
	}
	return form
}

// tokenEntries returns the newest audit entries of tokens, newest first.
func (w *world) tokenEntries() (tokens []audit.Entry) {
	w.t.Helper()
	all, err := w.DB.Recent(w.t.Context(), 50)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == audit.TokenIssued {
			tokens = append(tokens, e)
		}
	}
	return tokens
}

// TestFederation: RFC 7523 §2.1 with the MCP extension auth/wif (SEP-1933): no
// client authentication, a token of the rule's client for one resource, within
// what that client was given, and in the audit with the claims that matched.
func TestFederation(t *testing.T) {
	w, p := workloads(t, options{})
	pod := p.pod(t, "report", nil)
	a := w.form("/token", federation(pod, "scope", "users:read users:write"))
	if a.Status != 200 || a.str("scope") != "users:read" || a.str("refresh_token") != "" || !strings.HasPrefix(a.str("access_token"), "gha_") {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	if got := w.introspect(a.str("access_token")); got.str("client_id") != "nightly" || got.str("sub") != "nightly" || got.str("aud") != resource {
		t.Errorf("introspection: %v", got.Body)
	}
	e := w.tokenEntries()[0]
	if e.ClientID != "nightly" || e.Outcome != audit.Done || e.Detail["trust"] != "prod" || e.Detail["matched"] != "namespace=prod service_account=report" || e.Detail["subject"] != "system:serviceaccount:prod:report" {
		t.Errorf("audit: %+v", e)
	}
	for _, e := range w.tokenEntries() {
		for _, value := range e.Detail {
			if strings.Contains(pod, value) && len(value) > 40 || strings.Contains(value, pod[:40]) {
				t.Errorf("the audit holds a part of the assertion: %s", value)
			}
		}
	}
	// A cluster's token is read again and again from where the cluster puts it.
	if again := w.form("/token", federation(pod)); again.Status != 200 {
		t.Errorf("again: %d %v", again.Status, again.Body)
	}
	if id := w.form("/token", federation(pod, "client_id", "nightly")); id.Status != 200 {
		t.Errorf("with the right client_id (RFC 7521 §4.1): %d %v", id.Status, id.Body)
	}
	if m := w.send("GET", "/.well-known/oauth-authorization-server", "", "", nil); !strings.Contains(strings.Join(list(m.Body["grant_types_supported"]), " "), oauth.GrantJWTBearer) {
		t.Error("the metadata does not list the grant")
	}
}

func list(v any) (all []string) {
	for _, s := range v.([]any) {
		all = append(all, s.(string))
	}
	return all
}

// TestFederationRefuses: security.md 9 and issue 5's attack table, as far as it
// is not the assertion's own (package trust).
func TestFederationRefuses(t *testing.T) {
	w, p := workloads(t, options{})
	idJAG := p.sign(t, trust.IDJAGType, map[string]any{"iss": "https://idp.example", "sub": "u", "client_id": "desk", "jti": "1", "preferred_username": "ana"}, nil)
	for name, c := range map[string]struct {
		form url.Values
		code string
	}{
		"no assertion":                             {federation(""), "invalid_request"},
		"with a client secret":                     {federation(p.pod(t, "report", nil), "client_id", "nightly", "client_secret", "x"), "invalid_request"},
		"with a client assertion":                  {federation(p.pod(t, "report", nil), "client_assertion_type", oauth.AssertionJWTBearer, "client_assertion", "x.y.z"), "invalid_request"},
		"another client's name":                    {federation(p.pod(t, "report", nil), "client_id", "other"), "invalid_grant"},
		"no rule":                                  {federation(p.pod(t, "web", nil)), "invalid_grant"},
		"two rules":                                {federation(p.pod(t, "twice", nil)), "invalid_grant"},
		"a client that is gone":                    {federation(p.pod(t, "gone", nil)), "invalid_grant"},
		"a gateway":                                {federation(p.pod(t, "gateway", nil)), "invalid_grant"},
		"expired":                                  {federation(p.pod(t, "report", map[string]any{"exp": time.Now().Unix() - 60})), "invalid_grant"},
		"for somebody else":                        {federation(p.pod(t, "report", map[string]any{"aud": "https://kubernetes.default.svc"})), "invalid_grant"},
		"a scope that was not given":               {federation(p.pod(t, "report", nil), "scope", "users:write"), "invalid_scope"},
		"a resource where nothing was given":       {federation(p.pod(t, "report", nil), "resource", other), "invalid_scope"},
		"a resource that is not here":              {federation(p.pod(t, "report", nil), "resource", "https://evil.example"), "invalid_target"},
		"sign-in":                                  {federation(p.pod(t, "report", nil), "resource", issuer), "invalid_target"},
		"ID-JAG without a client (security.md 9)":  {federation(idJAG), "invalid_client"},
		"a person's identity provider as workload": {federation(p.sign(t, "JWT", map[string]any{"iss": "https://idp.example", "sub": "u"}, nil)), "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.form("/token", c.form); a.str("error") != c.code || a.str("access_token") != "" {
				t.Errorf("%d %v, want %s", a.Status, a.Body, c.code)
			}
		})
	}
	for _, e := range w.tokenEntries() {
		if e.Outcome == audit.Done && e.Detail["trust"] != "" {
			t.Errorf("a refused assertion is on record as done: %+v", e)
		}
	}
	if _, err := w.DB.Pause(t.Context(), oauth.SubjectClient, "nightly", "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	if a := w.form("/token", federation(p.pod(t, "report", nil))); a.str("error") != "invalid_grant" {
		t.Errorf("a paused client: %d %v", a.Status, a.Body)
	}
}

// TestFederationUsesOnce: "assertion replay"; of many at once, one wins, on both
// engines (RFC 7523 §3 point 7).
func TestFederationUsesOnce(t *testing.T) {
	for name, dsn := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w, p := workloads(t, options{dsn: dsn(t), latency: time.Millisecond})
			form := federation(p.run(t, "run-1"))
			var mu sync.Mutex
			won := 0
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if a := w.form("/token", form); a.Status == 200 {
						mu.Lock()
						won++
						mu.Unlock()
					} else if a.str("error") != "invalid_grant" {
						t.Errorf("%d %v", a.Status, a.Body)
					}
				})
			}
			all.Wait()
			if won != 1 {
				t.Errorf("%d of 16 uses of one assertion succeeded", won)
			}
			if a := w.form("/token", federation(p.run(t, "run-2"))); a.Status != 200 {
				t.Errorf("the next run: %d %v", a.Status, a.Body)
			}
		})
	}
}

// TestFederationIsSlowed: nobody has proven anything, so guesses are limited.
func TestFederationIsSlowed(t *testing.T) {
	w, p := workloads(t, options{})
	for range 200 {
		if a := w.form("/token", federation("x.y.z")); a.Status == 429 {
			if good := w.form("/token", federation(p.pod(t, "report", nil))); good.Status != 200 {
				t.Errorf("a right assertion beside it: %d %v", good.Status, good.Body)
			}
			return
		}
	}
	t.Error("nobody slowed 200 guesses down")
}

type away struct{}

func (away) VerifyForeign(context.Context, string, jose.ExpectForeign) (jose.Foreign, error) {
	return jose.Foreign{}, jose.ErrKeysUnavailable
}

// TestFederationWithoutKeys: fail closed, and say that trying again helps.
func TestFederationWithoutKeys(t *testing.T) {
	p := newPlatform(t)
	issuers := p.trust.Issuers()
	issuers[0].Keys = away{}
	tr, err := trust.New(issuers)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, options{change: func(s *authserver.Server) { s.Trust = tr }})
	if a := w.form("/token", federation(p.pod(t, "report", nil))); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.Status, a.Body)
	}
}
