package mcpclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/mcpclient"
)

// R-CL-12: a person who does not allow the further scope is not asked again for
// the same call, the caller learns why, and the token of before goes on.
func TestFurtherScopeThatIsRefused(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	asked := 0
	c := &mcpclient.Client{Store: &mcpclient.Store{}, Open: func(ctx context.Context, a string) error { asked++; return browser(ctx, a) }}
	if err := call(t, c, m.URL); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.needs = "write"
	m.mu.Unlock()
	s.mu.Lock()
	s.token = func(w http.ResponseWriter, form url.Values) bool { // grants read, whatever is asked
		s.n++
		s.valid["narrow-secret"] = "read"
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "narrow-secret", "token_type": "Bearer", "expires_in": 3600, "scope": "read"})
		return true
	}
	s.mu.Unlock()
	err := call(t, c, m.URL)
	if !errors.Is(err, mcpclient.ErrAuthorization) || !strings.Contains(err.Error(), "write was asked for and not given") || asked != 2 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	m.mu.Lock()
	m.needs = ""
	m.mu.Unlock()
	if err := call(t, c, m.URL); err != nil || asked != 2 {
		t.Errorf("afterwards: asked %d times: %v", asked, err)
	}
}

// A 403 that no token would change is the server's word, and nobody is asked.
func TestOtherRefusalsPassThrough(t *testing.T) {
	for _, challenge := range []string{"", "Bearer", `Bearer error="access_denied", scope="admin"`} {
		refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if challenge != "" {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			w.WriteHeader(http.StatusForbidden)
		}))
		c := &mcpclient.Client{Open: func(context.Context, string) error { t.Errorf("%q: a person is asked", challenge); return nil }}
		if err := call(t, c, refusing.URL); err == nil || errors.Is(err, mcpclient.ErrAuthorization) {
			t.Errorf("%q: %v", challenge, err)
		}
		refusing.Close()
	}
}

// A web application awaits the answer in its own way: its redirect URI goes out
// as it is, and an answer for another person is not used.
func TestWebApplication(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	answers := make(chan url.Values, 1)
	c := &mcpclient.Client{
		RedirectURI: "https://agent.example/callback", Store: &mcpclient.Store{},
		Open: func(ctx context.Context, address string) error {
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.Get(address)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			to, err := resp.Location()
			if err != nil || !strings.HasPrefix(to.String(), "https://agent.example/callback?") {
				t.Errorf("the answer goes to %v: %v", to, err)
			}
			answers <- to.Query()
			return nil
		},
		Await: func(_ context.Context, state string) (url.Values, error) {
			answer := <-answers
			if answer.Get("state") != state {
				t.Errorf("state %q is awaited, %q came", state, answer.Get("state"))
			}
			return answer, nil
		},
	}
	if err := call(t, c, m.URL); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.everything(), `"application_type":"web"`) {
		t.Error("it did not register as a web application")
	}
	await := c.Await
	for name, change := range map[string]func(url.Values){
		"another state": func(a url.Values) { a.Set("state", "x") }, "no state": func(a url.Values) { a.Del("state") },
		"two codes": func(a url.Values) { a.Add("code", "y") }, "another issuer": func(a url.Values) { a.Set("iss", "https://evil.example") },
	} {
		before := s.times("/token")
		other := &mcpclient.Client{RedirectURI: c.RedirectURI, Open: c.Open, Await: func(ctx context.Context, state string) (url.Values, error) {
			a, err := await(ctx, state)
			change(a)
			return a, err
		}}
		if err := call(t, other, m.URL); !errors.Is(err, mcpclient.ErrAuthorization) || s.times("/token") != before {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, uri := range []string{"", "http://agent.example/callback", "https://agent.example", "https://agent.example/cb?x=1", "javascript:alert(1)"} {
		wrong := &mcpclient.Client{RedirectURI: uri, Open: c.Open, Await: c.Await}
		if err := call(t, wrong, m.URL); !errors.Is(err, mcpclient.ErrURL) {
			t.Errorf("redirect URI %q: %v", uri, err)
		}
	}
}

// A registration is used again, with its port; where another program has that,
// there is one registration more, and no others after.
func TestRegistrationsAreKept(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	folder := t.TempDir()
	ports := []string{}
	connect := func(account string) {
		t.Helper()
		c := &mcpclient.Client{Store: &mcpclient.Store{Folder: folder}, Account: account, Open: func(ctx context.Context, a string) error {
			u, err := url.Parse(a)
			if err != nil {
				return err
			}
			back, err := url.Parse(u.Query().Get("redirect_uri"))
			if err != nil {
				return err
			}
			ports = append(ports, back.Port())
			return browser(ctx, a)
		}}
		if err := call(t, c, m.URL); err != nil {
			t.Fatal(err)
		}
	}
	connect("one")
	connect("two")
	if s.times("/register") != 1 || ports[0] != ports[1] {
		t.Fatalf("%d registrations, ports %v", s.times("/register"), ports)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:"+ports[0])
	if err != nil {
		t.Fatal(err)
	}
	connect("three")
	connect("four")
	taken.Close()
	connect("five")
	slices.Sort(ports)
	if s.times("/register") != 2 || len(slices.Compact(ports)) != 2 {
		t.Errorf("%d registrations, ports %v", s.times("/register"), ports)
	}
}

// A server that forgot the client says so at the token endpoint; the next
// attempt registers anew.
func TestForgottenRegistration(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	c := &mcpclient.Client{Store: &mcpclient.Store{}, Open: browser}
	s.token = func(w http.ResponseWriter, _ url.Values) bool {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return true
	}
	if err := call(t, c, m.URL); !errors.Is(err, mcpclient.ErrAuthorization) {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.token = nil
	s.mu.Unlock()
	if err := call(t, c, m.URL); err != nil || s.times("/register") != 2 {
		t.Errorf("%d registrations: %v", s.times("/register"), err)
	}
}
