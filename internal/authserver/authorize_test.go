package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/account"
)

// The whole flow, as a person and a client see it: R-AS-1, R-AS-12, R-AS-15,
// R-AS-22, R-AS-25.
func TestAuthorizationCodeFlow(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	consent := w.consent(w.browser(), request(id, nil), "alice")
	for _, want := range []string{"Notebook", "calls itself", "Customer API", "alice", "read customers", "localhost:8090", "this computer", "Your region", "USA", "fetch-users"} {
		if !strings.Contains(strings.ToLower(consent.Text()), strings.ToLower(want)) {
			t.Errorf("the consent page does not say %q: %s", want, consent.Text())
		}
	}
	done := consent.Submit("action=allow", url.Values{"scope": {"users:read"}})
	to := done.Location()
	if done.Status != http.StatusSeeOther || !strings.HasPrefix(to.String(), callback+"?") {
		t.Fatalf("%d to %s", done.Status, to)
	}
	q := to.Query()
	if q.Get("iss") != issuer || q.Get("state") != "s t&a=te" || q.Get("error") != "" {
		t.Errorf("answer %v", q)
	}
	a := w.form("/token", redemption(id, q.Get("code")))
	if a.Status != http.StatusOK || a.str("token_type") != "Bearer" || a.str("scope") != "users:read" || a.Body["refresh_token"] != nil {
		t.Fatalf("token answer %d %v", a.Status, a.Body)
	}
	if a.Header.Get("Cache-Control") != "no-store" { // RFC 6749 §5.1
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	in := w.introspect(a.str("access_token"))
	if in.Body["active"] != true || in.str("aud") != resource || in.str("client_id") != id || in.str("scope") != "users:read" {
		t.Errorf("introspection %v", in.Body)
	}
}

// Before the redirect URI can be trusted, errors are pages and nobody is sent
// anywhere: RFC 6749 §4.1.2.1, R-AS-17, R-AS-18, "open redirect on error".
func TestAuthorizeShowsErrorsThatCannotBeSent(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	for name, address := range map[string]string{
		"unknown client":              request("nobody", nil),
		"no client":                   request(id, map[string]string{"client_id": ""}),
		"wrong redirect":              request(id, map[string]string{"redirect_uri": "https://evil.example/cb"}),
		"redirect path":               request(id, map[string]string{"redirect_uri": callback + "/../x"}),
		"redirect userinfo":           request(id, map[string]string{"redirect_uri": "http://localhost:8090@evil.example/callback"}),
		"redirect scheme":             request(id, map[string]string{"redirect_uri": "javascript:alert(1)"}),
		"two client_ids":              request(id, nil) + "&client_id=" + id,
		"two redirect_uris":           request(id, nil) + "&redirect_uri=https%3A%2F%2Fevil.example",
		"wrong redirect and no PKCE":  request(id, map[string]string{"redirect_uri": "https://evil.example", "code_challenge": ""}),
		"client_id of another server": request("https://evil.example/client.json", nil),
	} {
		t.Run(name, func(t *testing.T) {
			page := w.browser().Get(address)
			if page.Status != http.StatusBadRequest || page.Header.Get("Location") != "" {
				t.Fatalf("status %d, Location %q", page.Status, page.Header.Get("Location"))
			}
			if text := page.Text(); !strings.Contains(text, "agent") || !strings.Contains(text, "Start again") && !strings.Contains(text, "add it again") {
				t.Errorf("the page does not say what to do: %s", text)
			}
		})
	}
}

// After it, errors go back with state and iss: RFC 6749 §4.1.2.1, RFC 9207 §2
// (R-AS-15 on errors), PKCE MUST (OAuth 2.1 §4.1.1), RFC 8707 §2.
func TestAuthorizeSendsErrorsBack(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	for _, tt := range []struct {
		name    string
		changes map[string]string
		extra   string
		want    string
	}{
		{"missing PKCE", map[string]string{"code_challenge": ""}, "", "invalid_request"},
		{"plain PKCE", map[string]string{"code_challenge_method": "plain"}, "", "invalid_request"},
		{"PKCE method left out means plain", map[string]string{"code_challenge_method": ""}, "", "invalid_request"},
		{"challenge that is no hash", map[string]string{"code_challenge": "abc"}, "", "invalid_request"},
		{"implicit", map[string]string{"response_type": "token"}, "", "unsupported_response_type"},
		{"no response_type", map[string]string{"response_type": ""}, "", "invalid_request"},
		{"fragment mode", map[string]string{"response_mode": "fragment"}, "", "invalid_request"},
		{"unknown resource", map[string]string{"resource": "https://other.example"}, "", "invalid_target"},
		{"no resource where there are two", map[string]string{"resource": ""}, "", "invalid_target"},
		{"two resources", nil, "&resource=http%3A%2F%2Fx", "invalid_target"},
		{"resource with fragment", map[string]string{"resource": resource + "#x"}, "", "invalid_target"},
		{"only unknown scopes", map[string]string{"scope": "admin root"}, "", "invalid_scope"},
		{"scope with a quote", map[string]string{"scope": `users:read "`}, "", "invalid_scope"},
		{"scope twice", nil, "&scope=x", "invalid_request"},
		{"request object", map[string]string{"request": "eyJ"}, "", "request_not_supported"},
		{"request_uri", map[string]string{"request_uri": "https://evil.example"}, "", "request_uri_not_supported"},
		{"prompt=none without a session", map[string]string{"prompt": "none"}, "", "login_required"},
		{"prompt=none with company", map[string]string{"prompt": "none login"}, "", "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page := w.browser().Get(request(id, tt.changes) + tt.extra)
			to := page.Location()
			if !strings.HasPrefix(to.String(), callback+"?") {
				t.Fatalf("sent to %s", to)
			}
			q := to.Query()
			if q.Get("error") != tt.want || q.Get("iss") != issuer || q.Get("state") != "s t&a=te" || q.Get("error_description") == "" || q.Get("code") != "" {
				t.Errorf("got %v, want %s", q, tt.want)
			}
		})
	}
}

// R-AS-24: no scope asked for means the default; R-AS-25: what does not exist
// is left out. clients.md: resource with a trailing slash.
func TestAuthorizeScopes(t *testing.T) {
	w := newWorld(t, options{})
	for _, tt := range []struct{ asked, want string }{
		{"", "users:read orders:read"},
		{"users:read offline_access unknown", "users:read"},
		{"users:write", "users:write"},
	} {
		id := w.public()
		a := w.form("/token", redemption(id, w.code(request(id, map[string]string{"scope": tt.asked, "resource": resource + "/"}), "alice")))
		if a.str("scope") != tt.want {
			t.Errorf("asked for %q: got %q, want %q", tt.asked, a.str("scope"), tt.want)
		}
	}
}

// Denying gives the client a clean error, at both pages.
func TestDenying(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	for name, page := range map[string]func() string{
		"at sign-in": func() string {
			return w.browser().Get(request(id, nil)).Follow().Submit("action=deny", nil).Location().String()
		},
		"at consent": func() string {
			return w.consent(w.browser(), request(id, nil), "alice").Submit("action=deny", nil).Location().String()
		},
	} {
		u, err := url.Parse(page())
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); q.Get("error") != "access_denied" || q.Get("iss") != issuer || q.Get("state") != "s t&a=te" || q.Has("code") {
			t.Errorf("%s: %v", name, q)
		}
	}
}

// "Not you?" switches the account: the next page asks who is there, and the
// consent is for the other one. security.md: the wrong account gets connected.
func TestSwitchAccount(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	consent := w.consent(b, request(w.public(), nil), "alice")
	login := consent.Submit("action=switch", nil).Follow()
	second := login.Submit("Sign in", url.Values{"username": {"bruno"}}).Follow()
	if !strings.Contains(second.Text(), "signed in as bruno") {
		t.Fatalf("not switched: %s", second.Text())
	}
	// The first page, still open in another tab, shows alice. It cannot answer for bruno.
	stale := consent.Submit("action=allow", nil)
	if stale.Status != http.StatusConflict || stale.Header.Get("Location") != "" || !strings.Contains(stale.Text(), "another account") {
		t.Errorf("a page of alice answered for bruno: %d %s", stale.Status, stale.Header.Get("Location"))
	}
}

// Who signs out in one tab does not go on deciding in another that was left open.
func TestSigningOutEndsOpenPages(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	open := w.consent(b, request(w.public(), nil), "alice")
	other := b.Get(request(w.public(), nil)).Follow()
	other.Submit("action=switch", nil)
	if page := open.Submit("action=allow", nil); !strings.HasPrefix(page.Location().String(), issuer+"/login?") {
		t.Errorf("a page of somebody who signed out answered: %s", page.Location())
	}
}

// Nothing switched on is not a consent.
func TestConsentNeedsSomething(t *testing.T) {
	w := newWorld(t, options{})
	page := w.consent(w.browser(), request(w.public(), nil), "alice").Submit("action=allow", url.Values{"scope": {}})
	if page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "Nothing is switched on") {
		t.Errorf("%d %s", page.Status, page.Text())
	}
}

// A form that adds scopes which were not asked for gets none of them.
func TestConsentNeverWidens(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	page := w.consent(w.browser(), request(id, map[string]string{"scope": "users:read"}), "alice")
	done := page.Submit("action=allow", url.Values{"scope": {"users:read", "users:write"}})
	a := w.form("/token", redemption(id, done.Location().Query().Get("code")))
	if a.str("scope") != "users:read" {
		t.Errorf("scope %q", a.str("scope"))
	}
}

// security.md 1: a remembered grant is silent for a client that authenticates,
// one button for any other, and prompt=consent shows the whole page.
func TestRememberedConsent(t *testing.T) {
	w := newWorld(t, options{})
	public := w.public()
	desk, _ := w.confidential()
	deskRequest := func(changes map[string]string) string {
		all := map[string]string{"redirect_uri": "https://desk.example/cb"}
		for k, v := range changes {
			all[k] = v
		}
		return request(desk, all)
	}
	b := w.browser()
	w.consent(b, request(public, nil), "alice").Submit("action=allow", nil)
	b.Get(deskRequest(nil)).Follow().Submit("action=allow", nil)

	confirm := b.Get(request(public, map[string]string{"scope": "users:read"})).Follow()
	if !strings.Contains(confirm.Text(), "Continue") || strings.Contains(confirm.Body, "checkbox") {
		t.Errorf("a public client does not get the confirmation page: %s", confirm.Text())
	}
	if code := confirm.Submit("action=continue", nil).Location().Query().Get("code"); code == "" {
		t.Error("the confirmation gives no code")
	}
	if silent := b.Get(deskRequest(nil)); silent.Location().Query().Get("code") == "" {
		t.Errorf("a client that authenticates is asked again: %s", silent.Location())
	}
	if asked := b.Get(deskRequest(map[string]string{"prompt": "consent"})).Follow(); !strings.Contains(asked.Body, "checkbox") {
		t.Error("prompt=consent does not ask")
	}
	if more := b.Get(deskRequest(map[string]string{"scope": "users:read users:write"})).Follow(); !strings.Contains(more.Body, "checkbox") {
		t.Error("more scopes than remembered do not ask")
	}
	if none := b.Get(request(public, map[string]string{"prompt": "none"})); none.Location().Query().Get("error") != "consent_required" {
		t.Errorf("prompt=none for a public client: %s", none.Location())
	}
	if again := b.Get(deskRequest(map[string]string{"prompt": "login"})); !strings.HasPrefix(again.Location().String(), issuer+"/login?") {
		t.Errorf("prompt=login leads to %s", again.Location())
	}
}

// Narrowing a consent narrows what was given before.
func TestNarrowingConsentNarrowsTokens(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	b := w.browser()
	code := w.consent(b, request(id, nil), "alice").Submit("action=allow", nil).Location().Query().Get("code")
	token := w.form("/token", redemption(id, code)).str("access_token")
	page := b.Get(request(id, map[string]string{"prompt": "consent"})).Follow()
	page.Submit("action=allow", url.Values{"scope": {"users:read"}})
	if got := w.introspect(token).str("scope"); got != "users:read" {
		t.Errorf("the earlier token still has %q", got)
	}
}

// A redirect URI that the request left out is the only one registered, and the
// token request need not name it (RFC 6749 §4.1.3).
func TestRedirectURILeftOut(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	values := redemption(id, w.code(request(id, map[string]string{"redirect_uri": ""}), "alice"))
	values.Del("redirect_uri")
	if a := w.form("/token", values); a.Status != http.StatusOK {
		t.Errorf("%d %v", a.Status, a.Body)
	}
}

// security.md 19: names are normalised, and what is no name is told so.
func TestUsernameSignIn(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	page := w.browser().Get(request(id, nil)).Follow().Submit("Sign in", url.Values{"username": {"аlice"}}) // Cyrillic а
	if page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "alphabets") {
		t.Errorf("%d %s", page.Status, page.Text())
	}
	if consent := w.consent(w.browser(), request(id, nil), "ALICE"); !strings.Contains(consent.Text(), "signed in as alice") {
		t.Errorf("not normalised: %s", consent.Text())
	}
	if w.Server.Authenticator.Method != account.Username {
		t.Fatal("the test is about the demo's sign-in")
	}
}
