package mcpclient_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/mcpclient"
)

// What is not the awaited answer is refused, and waiting goes on for the one
// that is; pages allow nothing and are not kept: R-CL-17.
func TestCallbackWaitsForItsAnswer(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	open := func(ctx context.Context, address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		back, state := u.Query().Get("redirect_uri"), u.Query().Get("state")
		for _, wrong := range []struct {
			method, address, host string
			status                int
		}{
			{"GET", back + "?code=x&state=wrong&iss=" + s.URL, "", 400},
			{"GET", back + "?code=x", "", 400},
			{"GET", back + "?code=x&code=y&iss=" + s.URL + "&state=" + state, "", 400},
			{"GET", back + "?error=access_denied&state=" + state + "&state=" + state, "", 400},
			{"GET", back + "?code=x&iss=" + s.URL + "&state=" + state, "rebound.example", 421},
			{"POST", back + "?code=x&iss=" + s.URL + "&state=" + state, "", 404},
			{"GET", strings.Replace(back, "/callback", "/other", 1) + "?code=x&state=" + state, "", 404},
		} {
			req, err := http.NewRequestWithContext(ctx, wrong.method, wrong.address, nil)
			if err != nil {
				return err
			}
			req.Host = wrong.host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			policy := resp.Header.Get("Content-Security-Policy")
			if resp.StatusCode != wrong.status || !strings.HasPrefix(policy, "default-src 'none'") || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d with %v", wrong.method, wrong.address, resp.StatusCode, resp.Header)
			}
		}
		return browser(ctx, address)
	}
	if err := call(t, &mcpclient.Client{Open: open}, m.URL); err != nil {
		t.Error(err)
	}
}

// A person who goes away leaves nothing behind that listens.
func TestCallbackEndsWithItsContext(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var back string
	c := &mcpclient.Client{Open: func(_ context.Context, address string) error {
		u, err := url.Parse(address)
		back = u.Query().Get("redirect_uri")
		return err
	}}
	if _, err := c.Connect(ctx, m.URL); err == nil {
		t.Fatal("connected without an answer")
	}
	if resp, err := http.Get(back); err == nil {
		_ = resp.Body.Close()
		t.Error("the callback still listens at", back)
	}
}

// A caller that gives up during a refresh does not lose the rotated token.
func TestRefreshOutlivesItsCaller(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	store := &mcpclient.Store{Folder: t.TempDir()}
	if err := call(t, &mcpclient.Client{Open: browser, Store: store}, m.URL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.mu.Lock()
	clear(s.valid)
	s.token = func(http.ResponseWriter, url.Values) bool { cancel(); return false }
	s.mu.Unlock()
	if session, err := (&mcpclient.Client{Store: store}).Connect(ctx, m.URL); err == nil {
		_ = session.Close()
	}
	s.mu.Lock()
	s.token = nil
	s.mu.Unlock()
	if err := call(t, &mcpclient.Client{Store: store}, m.URL); err != nil {
		t.Errorf("the session is lost: %v", err)
	}
}
