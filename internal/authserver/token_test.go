package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

func TestTokenRefuses(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	stranger := w.public()
	desk, deskSecret := w.confidential()
	code := w.code(request(id, nil), "alice")
	for _, tt := range []struct {
		name    string
		changes map[string]string // an empty value removes
		status  int
		want    string
	}{
		{"a code of another client (client binding first)", map[string]string{"client_id": stranger}, 400, "invalid_grant"},
		{"another redirect_uri", map[string]string{"redirect_uri": "http://localhost:8091/callback"}, 400, "invalid_grant"},
		{"no redirect_uri", map[string]string{"redirect_uri": ""}, 400, "invalid_grant"},
		{"no code_verifier (PKCE removal)", map[string]string{"code_verifier": ""}, 400, "invalid_grant"},
		{"another code_verifier", map[string]string{"code_verifier": strings.Repeat("a", 43)}, 400, "invalid_grant"},
		{"the challenge as verifier (PKCE downgrade)", map[string]string{"code_verifier": challenge}, 400, "invalid_grant"},
		{"another resource", map[string]string{"resource": other}, 400, "invalid_target"},
		{"an unknown code", map[string]string{"code": "ghc_x"}, 400, "invalid_grant"},
		{"no code", map[string]string{"code": ""}, 400, "invalid_request"},
		{"an unknown client", map[string]string{"client_id": "nobody"}, 401, "invalid_client"},
		{"no client", map[string]string{"client_id": ""}, 401, "invalid_client"},
		{"a confidential client without its secret", map[string]string{"client_id": desk}, 401, "invalid_client"},
		{"a wrong secret", map[string]string{"client_id": desk, "client_secret": "x"}, 401, "invalid_client"},
		{"a secret of a public client", map[string]string{"client_secret": deskSecret}, 401, "invalid_client"},
		{"no grant_type", map[string]string{"grant_type": ""}, 400, "invalid_request"},
		{"an unknown grant_type", map[string]string{"grant_type": "password"}, 400, "unsupported_grant_type"},
		{"client credentials of a public client", map[string]string{"grant_type": "client_credentials"}, 400, "unauthorized_client"},
		{"exchange by somebody", map[string]string{"grant_type": oauth.GrantTokenExchange}, 400, "unauthorized_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			values := redemption(id, code)
			for name, value := range tt.changes {
				values.Set(name, value)
				if value == "" {
					values.Del(name)
				}
			}
			a := w.form("/token", values)
			if a.Status != tt.status || a.str("error") != tt.want || a.str("error_description") == "" {
				t.Errorf("%d %v, want %d %s", a.Status, a.Body, tt.status, tt.want)
			}
		})
	}
	// None of that burned the code: checks precede redemption.
	if a := w.form("/token", redemption(id, code)); a.Status != http.StatusOK {
		t.Errorf("the code is gone: %d %v", a.Status, a.Body)
	}
}

// RFC 6749 §2.3.1: a client that tried the Authorization header gets a 401
// with a challenge of that scheme; encoded and raw secrets are both taken.
func TestClientAuthenticationByHeader(t *testing.T) {
	w := newWorld(t, options{})
	id, value := w.confidential()
	values := url.Values{"grant_type": {"authorization_code"}, "code": {"ghc_x"}}
	bad, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	bad.SetBasicAuth(id, value)
	auth := bad.Header.Get("Authorization")
	if a := w.send(http.MethodPost, "/token", "application/x-www-form-urlencoded", values.Encode(), map[string]string{"Authorization": auth}); a.str("error") != "invalid_grant" {
		t.Errorf("a right secret in the header: %d %v", a.Status, a.Body)
	}
	bad.SetBasicAuth(id, "wrong")
	auth = bad.Header.Get("Authorization")
	a := w.send(http.MethodPost, "/token", "application/x-www-form-urlencoded", values.Encode(), map[string]string{"Authorization": auth})
	if a.Status != 401 || a.str("error") != "invalid_client" || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("%d %v %q", a.Status, a.Body, a.Header.Get("WWW-Authenticate"))
	}
	values.Set("client_secret", value)
	values.Set("client_id", id)
	if a := w.send(http.MethodPost, "/token", "application/x-www-form-urlencoded", values.Encode(), map[string]string{"Authorization": auth}); a.str("error") != "invalid_request" {
		t.Errorf("two ways at once (RFC 6749 section 2.3): %d %v", a.Status, a.Body)
	}
}

// Token exchange, RFC 8693 with security.md 7: nested act, audience, only the
// claims that the API's configuration names, scopes and lifetime narrowed.
func TestExchange(t *testing.T) {
	w := newWorld(t, options{})
	id, token := w.token("alice", nil)
	a := w.form("/token", w.asGateway(exchange(token, "users:read")))
	if a.Status != http.StatusOK || a.str("scope") != "users:read" || a.str("issued_token_type") != oauth.TokenTypeAccessToken || a.str("token_type") != "Bearer" {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	var claims jose.AccessClaims
	expect := jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "http://api.localhost/customers", Now: time.Now()}
	if err := jose.Verify(a.str("access_token"), w.Keys, expect, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Act == nil || claims.Act.Sub != "gateway" || claims.Act.Act == nil || claims.Act.Act.Sub != id || claims.Act.Act.Act != nil {
		t.Errorf("act %+v", claims.Act)
	}
	if claims.ClientID != "gateway" || claims.Scope != "users:read" || claims.ID == "" || claims.Subject == "" || claims.Subject == "alice" {
		t.Errorf("claims %+v", claims)
	}
	if claims.Extra["region"] != "USA" || claims.Extra["client_type"] != "agent" || claims.Extra["client_assurance_level"] != float64(0) || len(claims.Extra) != 3 {
		t.Errorf("extra claims %v", claims.Extra)
	}
	if life := claims.ExpiresAt - claims.IssuedAt; life <= 0 || life > 300 {
		t.Errorf("lifetime %d s", life)
	}
}

func TestExchangeRefuses(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", map[string]string{"scope": "users:read"})
	for _, tt := range []struct {
		name    string
		changes map[string]string
		want    string
	}{
		{"a scope that the token lacks (least privilege)", map[string]string{"scope": "orders:read"}, "invalid_scope"},
		{"a wider scope", map[string]string{"scope": "users:read users:write"}, "invalid_scope"},
		{"no scope", map[string]string{"scope": ""}, "invalid_scope"},
		{"another API (audience confusion)", map[string]string{"audience": "http://api.localhost/notes"}, "invalid_target"},
		{"the MCP server itself as audience", map[string]string{"audience": resource}, "invalid_target"},
		{"no audience", map[string]string{"audience": ""}, "invalid_target"},
		{"a resource beside", map[string]string{"resource": other}, "invalid_target"},
		{"an unknown token (RFC 8693 section 2.2.2)", map[string]string{"subject_token": "gha_x"}, "invalid_request"},
		{"no token", map[string]string{"subject_token": ""}, "invalid_request"},
		{"another token type", map[string]string{"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"},
		{"an actor of one's own", map[string]string{"actor_token": token}, "invalid_request"},
		{"another requested type", map[string]string{"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			values := exchange(token, "users:read")
			for name, value := range tt.changes {
				values.Set(name, value)
				if value == "" {
					values.Del(name)
				}
			}
			if a := w.form("/token", w.asGateway(values)); a.Status != 400 || a.str("error") != tt.want {
				t.Errorf("%d %v, want %s", a.Status, a.Body, tt.want)
			}
		})
	}
	// security.md 7: a gateway holds no other grant.
	for _, grantType := range []string{"authorization_code", "client_credentials"} {
		if a := w.form("/token", w.asGateway(url.Values{"grant_type": {grantType}, "code": {"x"}})); a.str("error") != "unauthorized_client" {
			t.Errorf("the gateway uses %s: %v", grantType, a.Body)
		}
	}
}

// A broad scope includes what it implies (R-RS-14), and the exchange narrows to that.
func TestExchangeHonoursHierarchy(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", map[string]string{"scope": "users:write"})
	if a := w.form("/token", w.asGateway(exchange(token, "users:read"))); a.Status != 200 || a.str("scope") != "users:read" {
		t.Errorf("%d %v", a.Status, a.Body)
	}
}

// Introspection, RFC 7662 §2.1 and security.md 8, "introspection by a stranger".
func TestIntrospection(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	id, value := w.confidential()
	public := w.public()
	if a := w.form("/introspect", url.Values{"token": {token}, "client_id": {id}, "client_secret": {value}}); a.Status != 200 || len(a.Body) != 1 || a.Body["active"] != false {
		t.Errorf("a stranger learns %v", a.Body)
	}
	for name, values := range map[string]url.Values{
		"nobody":          {"token": {token}},
		"a public client": {"token": {token}, "client_id": {public}},
		"a wrong secret":  {"token": {token}, "client_id": {id}, "client_secret": {"x"}},
	} {
		if a := w.form("/introspect", values); a.Status != 401 || a.Body["active"] != nil {
			t.Errorf("%s: %d %v", name, a.Status, a.Body)
		}
	}
	for name, value := range map[string]string{"unknown": "gha_unknown", "tampered": token + "x", "a JWT": "eyJhbGciOiJub25lIn0.e30."} {
		if a := w.introspect(value); a.Status != 200 || len(a.Body) != 1 || a.Body["active"] != false {
			t.Errorf("%s token: %d %v", name, a.Status, a.Body)
		}
	}
	if a := w.form("/introspect", w.asGateway(url.Values{})); a.str("error") != "invalid_request" {
		t.Errorf("no token: %v", a.Body)
	}
}

// Assertions, RFC 7523 §3: used once, for us, by their key, unexpired.
func TestClientAssertions(t *testing.T) {
	w := newWorld(t, options{})
	_, foreign := newKey(t)
	sign := func(s *jose.Signer, id, audience string, at time.Time) string {
		a, err := jose.Assertion(s, id, audience, at)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	good := sign(w.Gateway, "gateway", issuer, time.Now())
	ask := func(assertion string) answer {
		return w.form("/introspect", url.Values{"token": {"gha_x"}, "client_assertion_type": {oauth.AssertionJWTBearer}, "client_assertion": {assertion}})
	}
	if a := ask(good); a.Status != 200 {
		t.Fatalf("a good assertion: %d %v", a.Status, a.Body)
	}
	for name, assertion := range map[string]string{
		"assertion replay":           good,
		"signed by another key":      sign(foreign, "gateway", issuer, time.Now()),
		"wrong audience":             sign(w.Gateway, "gateway", "https://other.example", time.Now()),
		"expired":                    sign(w.Gateway, "gateway", issuer, time.Now().Add(-time.Hour)),
		"from the future":            sign(w.Gateway, "gateway", issuer, time.Now().Add(time.Hour)),
		"for a client of its saying": sign(w.Gateway, "nobody", issuer, time.Now()),
		"no JWT":                     "x",
	} {
		if a := ask(assertion); a.Status != 401 || a.str("error") != "invalid_client" {
			t.Errorf("%s: %d %v", name, a.Status, a.Body)
		}
	}
}

// Parsed key sets are kept, but a client whose key was replaced is known by the
// new one at once, and the old one opens nothing any more.
func TestClientAssertionsAfterANewKey(t *testing.T) {
	w := newWorld(t, options{})
	introspect := func() int { return w.introspect("gha_x").Status }
	if got := introspect(); got != http.StatusOK {
		t.Fatalf("the first key: %d", got)
	}
	key, signer := newKey(t)
	if err := w.DB.PutClient(t.Context(), client.Client{
		ID: "gateway", Origin: client.Gateway, Name: "gateway", GrantTypes: []string{oauth.GrantTokenExchange},
		AuthMethod: oauth.AuthPrivateKey, Keys: jose.PublicSet(key),
	}); err != nil {
		t.Fatal(err)
	}
	if got := introspect(); got != http.StatusUnauthorized {
		t.Errorf("the replaced key: %d", got)
	}
	w.Gateway = signer
	if got := introspect(); got != http.StatusOK {
		t.Errorf("the new key: %d", got)
	}
}

// Client credentials, OAuth 2.1 §4.2: what the administrator gave and no more;
// a client that registered itself gets none.
func TestClientCredentials(t *testing.T) {
	w := newWorld(t, options{})
	value := secret.New("ghs_")
	if err := w.DB.AddClient(t.Context(), client.Client{
		ID: "report", Origin: client.Administrated, Name: "Report", GrantTypes: []string{oauth.GrantClientCredentials},
		AuthMethod: oauth.AuthBasic, SecretHash: secret.Sum(value), Scope: "users:write",
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(scope, resource string) answer {
		return w.form("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"report"}, "client_secret": {value}, "scope": {scope}, "resource": {resource}})
	}
	first := ask("users:read users:write", resource)
	if first.Status != 200 || first.str("scope") != "users:read users:write" {
		t.Fatalf("%d %v", first.Status, first.Body)
	}
	if a := ask("users:read", resource); a.str("scope") != "users:read" {
		t.Errorf("narrower: %d %v", a.Status, a.Body)
	}
	if got := w.introspect(first.str("access_token")); got.str("scope") != "users:read users:write" || got.str("sub") != "report" {
		t.Errorf("a later, narrower token changed an earlier one: %v", got.Body)
	}
	if a := ask("orders:read", resource); a.str("error") != "invalid_scope" {
		t.Errorf("a scope that was not given: %v", a.Body)
	}
	if a := ask("", other); a.str("error") != "invalid_scope" {
		t.Errorf("a resource where nothing was given: %v", a.Body)
	}
	a := w.form("/token", w.asGateway(exchange(first.str("access_token"), "users:read")))
	var claims jose.AccessClaims
	if err := jose.Verify(a.str("access_token"), w.Keys, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "http://api.localhost/customers", Now: time.Now()}, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "report" || claims.Extra["region"] != nil || claims.Extra["client_assurance_level"] != float64(1) {
		t.Errorf("claims %+v", claims)
	}
}
