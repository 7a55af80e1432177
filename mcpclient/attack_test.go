package mcpclient_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/mcpclient"
)

// No token comes of a server whose answers cannot be believed, and what is said
// tells why: R-CL-4, R-CL-13, R-CL-16, R-CL-22, RFC 9728 §3.3.
func TestServersThatAreNotBelieved(t *testing.T) {
	set := func(name string, value any) func(*authServer, *resource) {
		return func(s *authServer, _ *resource) { s.change = func(m map[string]any) { m[name] = value } }
	}
	answer := func(change func(url.Values)) func(*authServer, *resource) {
		return func(s *authServer, _ *resource) { s.redirect = change }
	}
	token := func(status int, header, body string) func(*authServer, *resource) {
		return func(s *authServer, _ *resource) {
			s.token = func(w http.ResponseWriter, _ url.Values) bool {
				w.Header().Set("Location", header)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
				return true
			}
		}
	}
	for name, test := range map[string]struct {
		attack func(*authServer, *resource)
		want   string
	}{
		"metadata of another issuer": {set("issuer", "https://other.example"), "is not used"},
		"no PKCE":                    {set("code_challenge_methods_supported", []string{"plain"}), "PKCE"},
		"javascript to sign in":      {set("authorization_endpoint", "javascript:alert(1)"), "authorization endpoint"},
		"a file to sign in":          {set("authorization_endpoint", "file:///etc/passwd"), "authorization endpoint"},
		"plain http to sign in":      {set("authorization_endpoint", "http://192.0.2.1/authorize"), "neither https nor http on this computer"},
		"plain http for tokens":      {set("token_endpoint", "http://192.0.2.1/token"), "neither https nor http on this computer"},
		"plain http to register":     {set("registration_endpoint", "http://192.0.2.1/register"), "neither https nor http on this computer"},
		"another resource": {func(_ *authServer, m *resource) {
			m.metadata = func(doc map[string]any) { doc["resource"] = "https://bank.example/mcp" }
		}, "it describes https://bank.example"},
		"no issuer in the answer":      {answer(func(q url.Values) { q.Del("iss") }), "does not say"},
		"another issuer in the answer": {answer(func(q url.Values) { q.Set("iss", "https://evil.example") }), "another authorization server"},
		"the issuer with a slash":      {answer(func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }), "another authorization server"},
		"an error":                     {answer(func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }), "access_denied"},
		"neither":                      {answer(func(q url.Values) { q.Del("code") }), "neither code nor error"},
		"a huge token answer":          {token(200, "", `{"access_token":"`+strings.Repeat("a", 1<<20)+`","token_type":"Bearer"}`), "too large"},
		"two tokens":                   {token(200, "", `{"access_token":"a","access_token":"b","token_type":"Bearer"}`), "read the token endpoint's answer"},
		"a line in a token":            {token(200, "", `{"access_token":"a\r\nb","token_type":"Bearer"}`), "no usable access token"},
		"another type of token":        {token(200, "", `{"access_token":"a","token_type":"DPoP"}`), "only Bearer"},
		"a refused registration": {func(s *authServer, _ *resource) {
			s.register = func(w http.ResponseWriter) bool {
				w.WriteHeader(400)
				_, _ = io.WriteString(w, `{"error":"invalid_redirect_uri","error_description":"\u001b[2Jno"}`)
				return true
			}
		}, "invalid_redirect_uri: ?[2Jno"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAuthServer(t)
			m := newResource(t, s)
			test.attack(s, m)
			err := call(t, &mcpclient.Client{Open: browser}, m.URL)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// An error by the wrong server is neither shown nor acted upon: R-CL-16.
func TestErrorsOfTheWrongServerAreNotShown(t *testing.T) {
	s := newAuthServer(t)
	s.redirect = func(q url.Values) { q.Set("iss", "https://evil.example"); q.Set("error", "call-this-number") }
	err := call(t, &mcpclient.Client{Open: browser}, newResource(t, s).URL)
	if err == nil || strings.Contains(err.Error(), "call-this-number") || s.times("/token") != 0 {
		t.Errorf("got %v after %d token requests", err, s.times("/token"))
	}
}

// Requests with secrets are not repeated where an answer points: OAuth 2.1 §7.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Int32
	thief := newAuthServer(t)
	thief.token = func(http.ResponseWriter, url.Values) bool { reached.Add(1); return false }
	thief.register = func(http.ResponseWriter) bool { reached.Add(1); return false }
	for _, from := range []string{"token", "register"} {
		s := newAuthServer(t)
		point := func(w http.ResponseWriter) bool {
			w.Header().Set("Location", thief.URL+"/"+from)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}
		if from == "register" {
			s.register = point
		} else {
			s.token = func(w http.ResponseWriter, _ url.Values) bool { return point(w) }
		}
		if err := call(t, &mcpclient.Client{Open: browser}, newResource(t, s).URL); err == nil || reached.Load() != 0 {
			t.Errorf("%s: got %v, and the thief was reached %d times", from, err, reached.Load())
		}
	}
}

// When the server names another authorization server, that one sees nothing of
// the first: R-CL-5, R-CL-6, R-CL-19.
func TestAnotherAuthorizationServerSeesNothing(t *testing.T) {
	for _, configured := range []bool{false, true} {
		first, second := newAuthServer(t), newAuthServer(t)
		first.secret = "registered-secret"
		m := newResource(t, first)
		c := &mcpclient.Client{Open: browser, Store: &mcpclient.Store{Folder: t.TempDir()}}
		if configured {
			c.ClientID, c.ClientSecret = "fixed", "configured-secret"
		}
		if err := call(t, c, m.URL); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.issuer = second
		m.mu.Unlock()
		if err := call(t, c, m.URL); (err != nil) != configured {
			t.Errorf("configured %v: %v", configured, err)
		}
		seen := second.everything()
		for _, s := range append(first.secrets, "registered-secret", "configured-secret") {
			encoded := base64Basic("fixed", s)
			if strings.Contains(seen, s) || strings.Contains(seen, encoded) {
				t.Errorf("configured %v: the second server saw %s", configured, s)
			}
		}
	}
}

// A server that refuses every token does not have people asked without end, and
// one that wants more scope gets the union of old and new: R-CL-12.
func TestRefusalsEnd(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	m.never = true
	asked := 0
	c := &mcpclient.Client{Open: func(ctx context.Context, a string) error { asked++; return browser(ctx, a) }}
	if err := call(t, c, m.URL); err == nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	m.mu.Lock()
	m.never, m.needs = false, "write"
	m.mu.Unlock()
	if err := call(t, c, m.URL); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.everything(), "scope=read+write") {
		t.Error("the step-up did not ask for the union of scopes")
	}
}

// Whatever happens, the trace shows no secret, and a login survives in the store
// with files for their owner only: R-CL-21.
func TestTraceShowsNoSecret(t *testing.T) {
	s := newAuthServer(t)
	s.secret = "registered-secret"
	s.expires = 5 // sooner than it is renewed
	m := newResource(t, s)
	m.needs = "write"
	var trace traced
	folder := t.TempDir()
	c := &mcpclient.Client{Open: browser, Store: &mcpclient.Store{Folder: folder}, Trace: trace.add}
	for range 2 {
		if err := call(t, c, m.URL); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := c.Logout(t.Context(), m.URL, true); !found || err != nil {
		t.Fatal(found, err)
	}
	text := trace.String()
	for _, want := range []string{"refresh_token", "client registration", "token revocation", "authorization_code"} {
		if !strings.Contains(text, want) {
			t.Errorf("the trace has no %s", want)
		}
	}
	for _, secret := range append(s.secrets, s.secret, base64Basic("client-1", s.secret)) {
		if strings.Contains(text, secret) {
			t.Errorf("the trace shows %s", secret)
		}
	}
}

// A JWT is shown with its claims and without its signature.
func TestTraceDecodesTokens(t *testing.T) {
	s := newAuthServer(t)
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
	s.token = func(w http.ResponseWriter, _ url.Values) bool {
		s.valid[jwt] = "read"
		w.Header().Set("Content-Type", "text/html") // which it is not
		_, _ = io.WriteString(w, `{"Access_Token":"`+jwt+`","token_type":"bearer"}`)
		return true
	}
	var trace traced
	c := &mcpclient.Client{Open: browser, Trace: trace.add}
	if err := call(t, c, newResource(t, s).URL); err != nil {
		t.Fatal(err)
	}
	if text := trace.String(); !strings.Contains(text, "alice") || strings.Contains(text, "c2lnbmF0dXJl") || strings.Contains(text, jwt) {
		t.Error("the token is not shown decoded, or with its signature:\n" + text)
	}
}

// Files that others can read are refused, and broken ones say what to do: R-CL-21.
func TestStoreFiles(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"chmod 600":                     func(f string) error { return os.Chmod(f, 0o644) },
		"remove the file to begin anew": func(f string) error { return os.WriteFile(f, []byte("{"), 0o600) },
	} {
		s := newAuthServer(t)
		m := newResource(t, s)
		folder := t.TempDir()
		c := &mcpclient.Client{Open: browser, Store: &mcpclient.Store{Folder: folder}}
		if err := call(t, c, m.URL); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(folder, "*.json"))
		if err != nil || len(files) != 1 || damage(files[0]) != nil {
			t.Fatal(files, err)
		}
		if err := call(t, c, m.URL); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

// A logout that cannot write ends all the same.
func TestLogoutEnds(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	c := &mcpclient.Client{Open: browser, Store: &mcpclient.Store{Folder: t.TempDir()}}
	if err := call(t, c, m.URL); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(c.Store.Folder, "*.lock"))
	if err := os.Remove(files[0]); err != nil || os.Mkdir(files[0], 0o700) != nil {
		t.Fatal(err)
	}
	if _, err := c.Logout(t.Context(), m.URL, false); err == nil {
		t.Error("a logout that could not write said nothing")
	}
}
