package authserver_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/webtest"
)

// party is a relying party with a session at the server.
func (w *world) party() (id string) {
	w.t.Helper()
	return w.register(`{"client_name":"Desk","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","post_logout_redirect_uris":["http://localhost:8090/bye","https://desk.example/bye"]}`).str("client_id")
}

func signIn(clientID string, changes map[string]string) string {
	all := map[string]string{"scope": "openid profile", "resource": "", "nonce": "n-1"}
	for name, value := range changes {
		all[name] = value
	}
	return request(clientID, all)
}

// identify redeems a code of a sign-in.
func (w *world) identify(clientID, code string) answer {
	w.t.Helper()
	form := redemption(clientID, code)
	form.Del("resource")
	return w.form("/token", form)
}

func (w *world) userinfo(token string) answer {
	w.t.Helper()
	return w.send(http.MethodGet, "/userinfo", "", "", map[string]string{"Authorization": "Bearer " + token})
}

// OpenID Connect Core §3.1: a sign-in from beginning to end.
func TestSignInByOpenIDConnect(t *testing.T) {
	w := newWorld(t, options{})
	id := w.party()
	b := w.browser()
	begun := time.Now().Unix()
	consent := w.consent(b, signIn(id, nil), "alice")
	for _, want := range []string{"recognise you when you come back", "know the name that you sign in with", "login.localhost:8080", "Desk"} {
		if !strings.Contains(strings.ToLower(consent.Text()), strings.ToLower(want)) {
			t.Errorf("the page lacks %q:\n%s", want, consent.Text())
		}
	}
	a := w.identify(id, consent.Submit("action=allow", nil).Location().Query().Get("code"))
	if a.Status != 200 || a.str("scope") != "openid profile" {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	var claims struct {
		Sub      string   `json:"sub"`
		Nonce    string   `json:"nonce"`
		AuthTime int64    `json:"auth_time"`
		AMR      []string `json:"amr"`
		Hash     string   `json:"at_hash"`
	}
	if err := jose.Verify(a.str("id_token"), w.Keys, jose.Expect{Type: "JWT", Issuer: issuer, Audience: id, Algorithms: []string{jose.ES256}}, &claims); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(a.str("access_token")))
	if claims.Nonce != "n-1" || claims.AuthTime < begun || claims.Sub == "" || claims.Hash != base64.RawURLEncoding.EncodeToString(sum[:16]) {
		t.Errorf("claims %+v", claims)
	}
	info := w.userinfo(a.str("access_token"))
	if info.Status != 200 || info.str("sub") != claims.Sub || info.str("preferred_username") != "alice" || len(info.Body) != 3 {
		t.Errorf("userinfo: %d %v", info.Status, info.Body)
	}

	// Without profile there is no name, whatever was asked for.
	narrow := w.consent(w.browser(), signIn(id, nil), "bob").Submit("action=allow", url.Values{"scope": {"openid"}})
	a = w.identify(id, narrow.Location().Query().Get("code"))
	if info := w.userinfo(a.str("access_token")); len(info.Body) != 1 || info.str("sub") == "" {
		t.Errorf("userinfo without profile: %v", info.Body)
	}
}

// A sign-in opens no API, and no API's token opens /userinfo (token audience
// confusion); an ID token is no access token (typ confusion).
func TestSignInAndAPIsAreApart(t *testing.T) {
	w := newWorld(t, options{})
	id := w.party()
	a := w.identify(id, w.code(signIn(id, nil), "alice"))
	login := a.str("access_token")
	if got := w.introspect(login); got.Body["active"] != false {
		t.Errorf("a gateway is told of a sign-in: %v", got.Body)
	}
	if got := w.form("/token", w.asGateway(exchange(login, "openid"))); got.Status == 200 {
		t.Errorf("a sign-in is exchanged: %v", got.Body)
	}
	_, api := w.token("alice", nil)
	for name, token := range map[string]string{"an API's token": api, "the ID token": a.str("id_token"), "nonsense": "x"} {
		if got := w.userinfo(token); got.Status != 401 || !strings.Contains(got.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %d %v", name, got.Status, got.Header)
		}
	}
	if got := w.send(http.MethodGet, "/userinfo", "", "", nil); got.Status != 401 || got.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("no token: %d %v", got.Status, got.Header)
	}
	if got := w.send(http.MethodGet, "/userinfo?access_token="+login, "", "", nil); got.Status != 400 {
		t.Errorf("a token in the URL: %d", got.Status)
	}
	if err := jose.Verify(a.str("id_token"), w.Keys, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: id}, &struct{}{}); err == nil {
		t.Error("the ID token is an access token")
	}
	// Who asks for scopes of an API gets a token for that, as before.
	consent := w.consent(w.browser(), signIn(w.public(), map[string]string{"scope": "openid users:read", "resource": resource}), "alice")
	if strings.Contains(consent.Text(), "recognise you") {
		t.Error(consent.Text())
	}
	if page := w.browser().Get(signIn(id, map[string]string{"scope": "profile", "resource": issuer})); !strings.Contains(page.Header.Get("Location"), "error=invalid_scope") {
		t.Errorf("no openid: %d %s", page.Status, page.Header.Get("Location"))
	}
}

// OpenID Connect Core §3.1.2.1: max_age and prompt.
func TestMaxAge(t *testing.T) {
	w := newWorld(t, options{})
	id := w.party()
	b := w.browser()
	w.consent(b, signIn(id, nil), "alice").Submit("action=allow", nil)
	for maxAge, want := range map[string]string{"600": "/consent", "0": "/login", "": "/consent"} {
		if at := b.Get(signIn(id, map[string]string{"max_age": maxAge})).Location(); at.Path != want {
			t.Errorf("max_age=%s leads to %s", maxAge, at)
		}
	}
	for _, maxAge := range []string{"-1", "soon", "1.5"} {
		if at := b.Get(signIn(id, map[string]string{"max_age": maxAge})).Location(); at.Query().Get("error") != "invalid_request" {
			t.Errorf("max_age=%s leads to %s", maxAge, at)
		}
	}
	if at := b.Get(signIn(id, map[string]string{"max_age": "0", "prompt": "none"})).Location(); at.Query().Get("error") != "login_required" {
		t.Errorf("a silent fresh sign-in leads to %s", at)
	}
	if at := b.Get(signIn(id, map[string]string{"nonce": strings.Repeat("n", 513)})).Location(); at.Query().Get("error") != "invalid_request" {
		t.Errorf("a huge nonce leads to %s", at)
	}
}

// OpenID Connect RP-Initiated Logout 1.0.
func TestLogout(t *testing.T) {
	w := newWorld(t, options{})
	id, other := w.party(), w.party()
	enter := func() (*webtest.Browser, string) {
		b := w.browser()
		page := w.consent(b, signIn(id, nil), "alice")
		button := "action=continue"
		if strings.Contains(page.Body, `value="allow"`) {
			button = "action=allow"
		}
		return b, w.identify(id, page.Submit(button, nil).Location().Query().Get("code")).str("id_token")
	}
	signedIn := func(b *webtest.Browser) bool { return b.Get(issuer+"/account").Status == http.StatusOK }
	_, bobs := func() (*webtest.Browser, string) {
		b := w.browser()
		code := w.consent(b, signIn(id, nil), "bob").Submit("action=allow", nil).Location().Query().Get("code")
		return b, w.identify(id, code).str("id_token")
	}()
	logout := func(q url.Values) string { return issuer + "/logout?" + q.Encode() }

	b, hint := enter()
	page := b.Get(logout(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"http://localhost:8090/bye"}, "state": {"s"}}))
	if page.Status != http.StatusSeeOther || page.Location().String() != "http://localhost:8090/bye?state=s" || signedIn(b) {
		t.Errorf("with a hint: %d %s", page.Status, page.Header.Get("Location"))
	}
	b, hint = enter()
	page = b.Get(logout(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://desk.example/bye"}}))
	if page.Status != http.StatusOK || !strings.Contains(page.Body, `href="https://desk.example/bye"`) || signedIn(b) {
		t.Errorf("to where nobody vouches for: %d %s", page.Status, page.Header.Get("Location"))
	}
	for name, q := range map[string]url.Values{
		"by anybody":          {},
		"by a client":         {"client_id": {id}, "post_logout_redirect_uri": {"http://localhost:8090/bye"}},
		"with another's hint": {"id_token_hint": {bobs}},
	} {
		b, _ = enter()
		page = b.Get(logout(q))
		if page.Status != http.StatusOK || !strings.Contains(page.Text(), "Sign out?") || !signedIn(b) {
			t.Errorf("%s: %d %s", name, page.Status, page.Text())
			continue
		}
		if page = page.Submit("action=leave", nil); signedIn(b) {
			t.Errorf("%s, confirmed: %d %s", name, page.Status, page.Text())
		}
	}
	for name, q := range map[string]url.Values{
		"to an address of nobody":      {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.example/"}},
		"to an address without client": {"post_logout_redirect_uri": {"http://localhost:8090/bye"}},
		"a hint for another client":    {"id_token_hint": {hint}, "client_id": {other}},
		"a forged hint":                {"id_token_hint": {hint[:len(hint)-4] + "AAAA"}},
		"a hint that is no token":      {"id_token_hint": {"x"}},
	} {
		b, _ = enter()
		if page = b.Get(logout(q)); page.Status < 400 || !signedIn(b) {
			t.Errorf("%s: %d %s", name, page.Status, page.Text())
		}
	}
	// Nobody is signed out from another site by a form that it sends itself.
	b, hint = enter()
	if page = b.Post("https://evil.example/", issuer+"/logout", url.Values{"id_token_hint": {hint}, "action": {"leave"}}); page.Status != http.StatusForbidden || !signedIn(b) {
		t.Errorf("from another site: %d", page.Status)
	}
}
