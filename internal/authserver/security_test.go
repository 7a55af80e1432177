package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/authserver"
	"gatehouse/internal/grant"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/webtest"
)

// engines are the stores that a test of concurrency runs on.
func engines(t *testing.T) map[string]func(testing.TB) string {
	return map[string]func(testing.TB) string{
		"sqlite":   func(testing.TB) string { return "" },
		"postgres": webtest.Postgres,
	}
}

// "code injection and replay", at once: 64 parallel redemptions of one code
// with 1 ms of store latency, on both engines: one winner, every time.
func TestParallelRedemptionHasOneWinner(t *testing.T) {
	for name, dsn := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{dsn: dsn(t), latency: time.Millisecond})
			id := w.public()
			b := w.browser()
			w.consent(b, request(id, nil), "alice").Submit("action=allow", nil)
			for range 5 {
				again := b.Get(request(id, nil)).Follow().Submit("action=continue", nil)
				code := again.Location().Query().Get("code")
				answers := make([]answer, 64)
				var wg sync.WaitGroup
				for i := range answers {
					wg.Go(func() { answers[i] = w.form("/token", redemption(id, code)) })
				}
				wg.Wait()
				winner := ""
				for _, a := range answers {
					switch {
					case a.Status == 200 && winner == "":
						winner = a.str("access_token")
					case a.Status == 200:
						t.Fatal("two winners")
					case a.str("error") != "invalid_grant":
						t.Fatalf("loser got %d %v", a.Status, a.Body)
					}
				}
				if winner == "" {
					t.Fatal("no winner")
				}
				// Within ten seconds a repetition ends nothing (real clients repeat).
				if w.introspect(winner).Body["active"] != true {
					t.Fatal("the winner's token is dead")
				}
			}
		})
	}
}

// RFC 9700 §4.5, OAuth 2.1 §4.1.3: a code presented again later ends the
// grant; a foreign client's attempt ends nothing. In fake time.
func TestCodeReplayEndsTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		id, stranger := w.public(), w.public()
		code := w.code(request(id, nil), "alice")
		token := w.form("/token", redemption(id, code)).str("access_token")
		time.Sleep(30 * time.Second)
		if a := w.form("/token", redemption(stranger, code)); a.str("error") != "invalid_grant" {
			t.Errorf("a foreign client: %v", a.Body)
		}
		if w.introspect(token).Body["active"] != true {
			t.Fatal("a foreign client's attempt ended the grant")
		}
		if a := w.form("/token", redemption(id, code)); a.str("error") != "invalid_grant" {
			t.Errorf("a replay: %v", a.Body)
		}
		if w.introspect(token).Body["active"] != false {
			t.Error("the grant lives on after a replay")
		}
	})
}

// Lifetimes, in fake time: code, request, token.
func TestLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		id := w.public()
		b := w.browser()
		code := w.consent(b, request(id, nil), "alice").Submit("action=allow", nil).Location().Query().Get("code")
		time.Sleep(grant.CodeLifetime + time.Second)
		if a := w.form("/token", redemption(id, code)); a.str("error") != "invalid_grant" {
			t.Errorf("an expired code: %d %v", a.Status, a.Body)
		}
		confirm := b.Get(request(id, nil)).Follow()
		time.Sleep(grant.RequestLifetime + time.Second)
		if late := confirm.Submit("action=continue", nil); late.Status != http.StatusBadRequest || late.Header.Get("Location") != "" {
			t.Errorf("an expired request: %d", late.Status)
		}
		_, token := w.token("alice", nil)
		time.Sleep(grant.TokenLifetime + time.Second)
		if w.introspect(token).Body["active"] != false {
			t.Error("an expired token is active")
		}
		if a := w.form("/token", w.asGateway(exchange(token, "users:read"))); a.str("error") != "invalid_request" {
			t.Errorf("an expired token is exchanged: %v", a.Body)
		}
	})
}

// security.md 17: each authorization request is bound to the browser that
// started it ("CSRF on login and consent", "session fixation").
func TestRequestIsBoundToItsBrowser(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	mine := w.browser()
	login := mine.Get(request(id, nil))
	victim := w.browser()
	if page := victim.Get(login.Location().String()); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "another browser") {
		t.Errorf("a request was opened in another browser: %d %s", page.Status, page.Text())
	}
	form := url.Values{"request": {login.Location().Query().Get("request")}, "username": {"alice"}, "action": {"signin"}}
	if page := victim.Post(issuer, issuer+"/login", form); page.Status != http.StatusBadRequest {
		t.Errorf("a request was continued in another browser: %d", page.Status)
	}
	// A form on another site, sent by the right browser.
	if page := mine.Post("https://evil.example", issuer+"/login", form); page.Status != http.StatusForbidden {
		t.Errorf("a foreign form signed in: %d", page.Status)
	}
	if page := mine.Post("http://evil.localhost:8080", issuer+"/consent", form); page.Status != http.StatusForbidden {
		t.Errorf("a sibling site's form got through: %d", page.Status)
	}
}

// A request is answered once, also from two tabs.
func TestRequestIsAnsweredOnce(t *testing.T) {
	w := newWorld(t, options{})
	consent := w.consent(w.browser(), request(w.public(), nil), "alice")
	if consent.Submit("action=allow", nil).Location().Query().Get("code") == "" {
		t.Fatal("no code")
	}
	if again := consent.Submit("action=allow", nil); again.Status != http.StatusBadRequest || again.Header.Get("Location") != "" {
		t.Errorf("answered twice: %d %s", again.Status, again.Header.Get("Location"))
	}
}

// "session fixation": signing in never goes on with a session from before.
func TestSignInStartsANewSession(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	w.consent(b, request(w.public(), nil), "alice").Submit("action=allow", nil)
	before := sessionCookie(b)
	b.Get(request(w.public(), map[string]string{"prompt": "login"})).Follow().Submit("Sign in", url.Values{"username": {"bruno"}})
	after := sessionCookie(b)
	if before == "" || after == "" || before == after {
		t.Errorf("session %q became %q", before, after)
	}
	if _, _, err := w.DB.Session(t.Context(), secret.Sum(before), time.Now()); err == nil {
		t.Error("the old session lives on")
	}
}

func sessionCookie(b *webtest.Browser) string {
	for _, c := range b.Cookies(issuer) {
		if c.Name == "__Host-gatehouse-session" {
			return c.Value
		}
	}
	return ""
}

// security.md 17: stale, foreign, duplicated and oversized cookies start the
// flow clean; never an error page that only clearing cookies cures.
func TestCookiesStartClean(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	for name, cookie := range map[string]string{
		"stale":      "__Host-gatehouse-session=" + secret.New(""),
		"foreign":    "session=abc; theme=dark; __Host-gatehouse-session=not-ours",
		"duplicated": "__Host-gatehouse-session=a; __Host-gatehouse-session=b",
		"oversized":  "junk=" + strings.Repeat("x", 60<<10),
		"many":       strings.Repeat("__Host-gatehouse-flow-x=y; ", 150) + "a=b",
		"malformed":  "=;;; =x; a; {}",
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, request(id, nil), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", cookie)
			resp, err := w.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			to := resp.Header.Get("Location")
			if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, issuer+"/login?") {
				t.Fatalf("%d %q", resp.StatusCode, to)
			}
			// The flow goes on with the cookies that came with this answer beside the bad ones.
			var flow string
			cleared := 0
			for _, c := range resp.Cookies() {
				if c.MaxAge < 0 {
					cleared++
				} else if strings.HasPrefix(c.Name, "__Host-gatehouse-flow-") {
					flow = c.Name + "=" + c.Value
					if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
						t.Errorf("cookie %+v", c)
					}
				}
			}
			if (name == "oversized" || name == "many") && cleared == 0 {
				t.Error("nothing was tidied up")
			}
			page, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
			if err != nil {
				t.Fatal(err)
			}
			page.Header.Set("Cookie", cookie+"; "+flow)
			resp, err = w.HTTP.Do(page)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("the sign-in page answers %d", resp.StatusCode)
			}
		})
	}
}

// Cookies of a plain-http demo domain carry no prefix, since browsers drop it there.
func TestCookiesOnPlainHTTP(t *testing.T) {
	w := newWorld(t, options{change: func(s *authserver.Server) { s.Issuer = "http://login.example.com" }})
	a := w.send(http.MethodGet, strings.TrimPrefix(request(w.public(), nil), issuer), "", "", nil)
	if c := a.Header.Get("Set-Cookie"); !strings.HasPrefix(c, "gatehouse-flow-") || strings.Contains(c, "Secure") || !strings.Contains(c, "HttpOnly") {
		t.Errorf("cookie %q", c)
	}
}

// "clickjacking": pages cannot be framed and run nothing (R-RS-20).
func TestPagesCannotBeFramed(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	id := w.public()
	for name, page := range map[string]*webtest.Page{
		"sign-in": b.Get(request(id, nil)).Follow(),
		"consent": w.consent(b, request(id, nil), "alice"),
		"error":   b.Get(request("nobody", nil)),
	} {
		csp := page.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") ||
			page.Header.Get("X-Frame-Options") != "DENY" || page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, page.Header)
		}
		if strings.Contains(page.Body, "<script") || strings.Contains(page.Body, " style=") {
			t.Errorf("%s has script or inline style", name)
		}
	}
}

// "consent page injection through client name, logo, scope text".
func TestConsentPageShowsHostileNamesAsText(t *testing.T) {
	w := newWorld(t, options{})
	id := w.register(`{"client_name":"<script>alert(1)</script> verified ✔ \"x\" ` + strings.Repeat("long ", 40) + `","client_uri":"https://evil.example/\"><script>","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none"}`).str("client_id")
	page := w.consent(w.browser(), request(id, nil), "alice")
	if strings.Contains(page.Body, "<script") || !strings.Contains(page.Body, "&lt;script&gt;") {
		t.Error("the name is not shown as text")
	}
	if !strings.Contains(page.Text(), "calls itself") || !strings.Contains(page.Text(), "Not verified") {
		t.Errorf("the name is not shown as the agent's own word: %s", page.Text())
	}
}

// passwords builds a server where alice signs in with a password.
func passwords(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, options{change: func(s *authserver.Server) { s.Authenticator.Method = account.Password }})
	hash, err := w.Server.Authenticator.Passwords.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DB.AddAccount(t.Context(), account.Account{ID: "a1", Name: "alice", PasswordHash: hash}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestPasswordSignIn(t *testing.T) {
	w := passwords(t)
	login := w.browser().Get(request(w.public(), nil)).Follow()
	consent := login.Submit("Sign in", url.Values{"username": {"Alice"}, "password": {"correct horse"}}).Follow()
	if !strings.Contains(consent.Text(), "signed in as alice") {
		t.Errorf("%s", consent.Text())
	}
}

// "user enumeration": a name that exists and one that does not get the same
// answer; the work for both is the same (secret.Passwords).
func TestSignInDoesNotTellWhoExists(t *testing.T) {
	w := passwords(t)
	id := w.public()
	var texts []string
	for _, name := range []string{"alice", "nobody", "not a name"} {
		page := w.browser().Get(request(id, nil)).Follow().Submit("Sign in", url.Values{"username": {name}, "password": {"wrong"}})
		if page.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, page.Status)
		}
		texts = append(texts, page.Text())
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("the answers differ:\n%s\n%s\n%s", texts[0], texts[1], texts[2])
	}
}

// "password spraying": one name, or one address with many names, is slowed;
// what is slowed says so, also with the right password.
func TestPasswordSprayingIsSlowed(t *testing.T) {
	w := passwords(t)
	id := w.public()
	try := func(name string) int {
		return w.browser().Get(request(id, nil)).Follow().Submit("Sign in", url.Values{"username": {name}, "password": {"wrong"}}).Status
	}
	slowed := func(n int, name func(int) string) bool {
		for i := range n {
			if try(name(i)) == http.StatusTooManyRequests {
				return true
			}
		}
		return false
	}
	if !slowed(20, func(int) string { return "alice" }) {
		t.Error("20 guesses at one name in a row")
	}
	if !slowed(60, func(i int) string { return "person-" + string(rune('a'+i%26)) + string(rune('a'+i/26)) }) {
		t.Error("60 names from one address in a row")
	}
}

// "token audience confusion between two of our own resources": a token of one
// API is worth nothing as one of the other, and codes keep to their resource.
func TestTokensKeepToTheirResource(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	values := exchange(token, "notes:read")
	values.Set("audience", "http://api.localhost/notes")
	if a := w.form("/token", w.asGateway(values)); a.str("error") != "invalid_target" {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	if aud := w.introspect(token).str("aud"); aud != resource {
		t.Errorf("aud %q", aud)
	}
}

// Nothing of a secret's value is stored.
func TestOnlyHashesAreStored(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	if _, _, err := w.DB.Token(t.Context(), secret.Hash(token), time.Now()); err == nil {
		t.Error("the token itself is a key of the store")
	}
	if _, _, err := w.DB.Token(t.Context(), secret.Sum(token), time.Now()); err != nil {
		t.Errorf("its hash is not: %v", err)
	}
	id, value := w.confidential()
	c, err := w.DB.Client(t.Context(), id)
	if err != nil || strings.Contains(string(c.SecretHash), value) || c.SecretHash != secret.Sum(value) {
		t.Errorf("client %+v, %v", c, err)
	}
}

// "alg none, key confusion, typ confusion" at client authentication: a signed
// access token of ours is no client assertion.
func TestAccessTokenIsNoAssertion(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	jwt := w.form("/token", w.asGateway(exchange(token, "users:read"))).str("access_token")
	for name, assertion := range map[string]string{
		"access token": jwt,
		"alg none":     "eyJhbGciOiJub25lIn0.eyJpc3MiOiJnYXRld2F5Iiwic3ViIjoiZ2F0ZXdheSIsImF1ZCI6Imh0dHA6Ly9sb2dpbi5sb2NhbGhvc3Q6ODA4MCIsImV4cCI6OTk5OTk5OTk5OSwianRpIjoieCJ9.",
	} {
		a := w.form("/introspect", url.Values{"token": {token}, "client_id": {"gateway"}, "client_assertion_type": {oauth.AssertionJWTBearer}, "client_assertion": {assertion}})
		if a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %v", name, a.Status, a.Body)
		}
	}
	var claims jose.AccessClaims
	if err := jose.Verify(token, w.Keys, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: resource, Now: time.Now()}, &claims); err == nil {
		t.Error("the outside token is a JWT; it must be opaque")
	}
}

// security.md 22: what happened can be found, in order, without secrets.
func TestAuditTellsTheStory(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	w.form("/token", w.asGateway(exchange(token, "users:read")))
	entries, err := w.DB.Recent(t.Context(), 20)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range entries {
		kinds = append([]string{string(e.Kind)}, kinds...)
		for name, value := range e.Detail {
			if strings.Contains(value, token) || strings.Contains(value, verifier) {
				t.Errorf("%s of %s holds a secret", name, e.Kind)
			}
		}
	}
	if got := strings.Join(kinds, " "); got != "registration sign-in consent token exchange" {
		t.Errorf("story: %s", got)
	}
}
