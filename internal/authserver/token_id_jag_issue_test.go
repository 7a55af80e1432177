package authserver_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/authserver"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/trust"
)

const partnerIssuer = "https://partner.example"

// employer is a world that speaks for its people at a partner, through desk.
func employer(t *testing.T) (w *world, value string) {
	t.Helper()
	w = newWorld(t, options{change: func(s *authserver.Server) {
		s.Partners = []authserver.Partner{{
			Issuer: partnerIssuer, Clients: map[string]string{"desk": "desk-there", "public": "public-there"}, Resources: []string{resource}, Scopes: []string{"users:read", "orders:read"},
		}}
	}})
	value = secret.New("ghs_")
	for _, c := range []client.Client{
		{ID: "desk", AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(value)}, {ID: "other", AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(value)}, {ID: "public", AuthMethod: oauth.AuthNone},
	} {
		c.Origin, c.Name, c.RedirectURIs, c.GrantTypes, c.ResponseTypes = client.Administrated, c.ID, []string{callback}, []string{oauth.GrantAuthorizationCode}, []string{"code"}
		if err := w.DB.AddClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return w, value
}

// idTokenFor signs somebody in at a client.
func (w *world) idTokenFor(id, value, name string) string {
	w.t.Helper()
	form := redemption(id, w.code(signIn(id, nil), name))
	form.Del("resource")
	if value != "" {
		form.Set("client_secret", value)
	}
	a := w.form("/token", form)
	if a.str("id_token") == "" {
		w.t.Fatalf("%s: %v", id, a.Body)
	}
	return a.str("id_token")
}

func jagRequest(id, value, idToken string, more ...string) url.Values {
	form := url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "requested_token_type": {oauth.TokenTypeIDJAG}, "subject_token": {idToken}, "subject_token_type": {oauth.TokenTypeIDToken},
		"audience": {partnerIssuer}, "resource": {resource}, "scope": {"users:read users:write"}, "client_id": {id},
	}
	if value != "" {
		form.Set("client_secret", value)
	}
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
		if more[n+1] == "" {
			form.Del(more[n])
		}
	}
	return form
}

// Both sides of enterprise-managed authorization: an assertion that one server
// issues for a person is a token at another that trusts it, for its resource, its
// client and once.
func TestIDJAGFromOneServerToAnother(t *testing.T) {
	w, value := employer(t)
	a := w.form("/token", jagRequest("desk", value, w.idTokenFor("desk", value, "ana")))
	if a.Status != http.StatusOK || a.str("issued_token_type") != oauth.TokenTypeIDJAG || a.str("token_type") != "N_A" || a.str("scope") != "users:read" || a.str("refresh_token") != "" {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	var claims map[string]any
	if err := jose.Verify(a.str("access_token"), w.Keys, jose.Expect{Type: trust.IDJAGType, Issuer: issuer, Audience: partnerIssuer, Now: time.Now()}, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"client_id": "desk-there", "resource": resource, "scope": "users:read", "preferred_username": "ana"} {
		if claims[name] != want {
			t.Errorf("%s is %v", name, claims[name])
		}
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life <= 0 || life > 300 || claims["jti"] == "" || claims["sub"] == "" || claims["sub"] == "ana" {
		t.Errorf("%v", claims)
	}

	desk, err := trust.ParsePattern("desk-there")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trust.New([]trust.Issuer{{Name: "employer", Kind: trust.IdentityProvider, Issuer: issuer, Audiences: []string{partnerIssuer}, Algorithms: []string{"ES256"}, Keys: w.Keys, SingleUse: true,
		People: trust.People{Claim: "preferred_username", Clients: []trust.Pattern{desk}}}})
	if err != nil {
		t.Fatal(err)
	}
	there := newWorld(t, options{change: func(s *authserver.Server) { s.Trust = tr }})
	if err := there.DB.AddClient(t.Context(), client.Client{ID: "desk-there", Origin: client.Administrated, Name: "Desk", GrantTypes: []string{oauth.GrantJWTBearer}, AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(value)}); err != nil {
		t.Fatal(err)
	}
	if err := there.DB.AddAccount(t.Context(), account.Account{ID: "ana-there", Name: "ana", CreatedAt: time.Now().Unix()}); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {oauth.GrantJWTBearer}, "assertion": {a.str("access_token")}, "client_id": {"desk-there"}, "client_secret": {value}}
	got := there.form("/token", form)
	if i := there.introspect(got.str("access_token")); got.Status != http.StatusOK || i.str("sub") != "ana-there" || i.str("scope") != "users:read" || i.str("aud") != resource {
		t.Fatalf("%d %v %v", got.Status, got.Body, i.Body)
	}
	if again := there.form("/token", form); again.str("error") != "invalid_grant" {
		t.Errorf("the assertion is good twice: %v", again.Body)
	}
	if w.lives(a.str("access_token")) {
		t.Error("the assertion is an access token here")
	}
}

func TestIDJAGIsNotIssued(t *testing.T) {
	w, value := employer(t)
	id := w.idTokenFor("desk", value, "ana")
	elsewhere := w.idTokenFor("other", value, "ana")
	public := w.idTokenFor("public", "", "ana")
	key, stranger := newKey(t)
	_ = key
	forged, err := stranger.Sign("JWT", map[string]any{"iss": issuer, "aud": "desk", "sub": "x", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()})
	if err != nil {
		t.Fatal(err)
	}
	_, access := w.token("ana", nil)
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"another audience":                {jagRequest("desk", value, id, "audience", "https://evil.example"), "invalid_target"},
		"no audience":                     {jagRequest("desk", value, id, "audience", ""), "invalid_target"},
		"this server as audience":         {jagRequest("desk", value, id, "audience", issuer), "invalid_target"},
		"a resource that is not listed":   {jagRequest("desk", value, id, "resource", other), "invalid_target"},
		"only scopes that are not listed": {jagRequest("desk", value, id, "scope", "users:write"), "invalid_scope"},
		"a client without a rule":         {jagRequest("other", value, elsewhere), "invalid_target"},
		"another client's ID token":       {jagRequest("desk", value, elsewhere), "invalid_request"},
		"a public client":                 {jagRequest("public", "", public), "unauthorized_client"},
		"a wrong secret":                  {jagRequest("desk", "ghs_x", id), "invalid_client"},
		"a forged ID token":               {jagRequest("desk", value, forged), "invalid_request"},
		"an access token":                 {jagRequest("desk", value, access, "subject_token_type", oauth.TokenTypeAccessToken), "invalid_request"},
		"an access token as ID token":     {jagRequest("desk", value, access), "invalid_request"},
		"an actor":                        {jagRequest("desk", value, id, "actor_token", access, "actor_token_type", oauth.TokenTypeAccessToken), "invalid_request"},
	} {
		if a := w.form("/token", tt.form); a.str("error") != tt.want {
			t.Errorf("%s: %d %v, want %s", name, a.Status, a.Body, tt.want)
		}
	}
	// What ends the sign-in at the client ends this, too.
	w.pause(oauth.SubjectAccount, w.accountOf("ana"))
	if a := w.form("/token", jagRequest("desk", value, id)); a.Status == http.StatusOK {
		t.Error("it speaks for somebody who is paused")
	}
	w.resume(oauth.SubjectAccount, w.accountOf("ana"))
	if a := w.form("/token", jagRequest("desk", value, id)); a.Status != http.StatusOK {
		t.Fatalf("%v", a.Body)
	}
	g, err := w.DB.Remembered(t.Context(), w.accountOf("ana"), "desk", issuer, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DB.Revoke(t.Context(), g.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if a := w.form("/token", jagRequest("desk", value, id)); a.str("error") != "invalid_request" {
		t.Errorf("it speaks for somebody who ended the sign-in: %v", a.Body)
	}
}
