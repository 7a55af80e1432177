package mcpclient_test

import (
	"io"
	"net/http"
	"net/url"
	"testing"

	"gatehouse/mcpclient"
)

// A refresh that the server cannot answer keeps the token for the next attempt;
// one that it refuses leads to a person: R-CL-20.
func TestRefreshFailures(t *testing.T) {
	for body, status := range map[string]int{`{"error":"invalid_grant"}`: 400, `{"error":"server_error"}`: 500, "": 503} {
		s := newAuthServer(t)
		m := newResource(t, s)
		store := &mcpclient.Store{Folder: t.TempDir()}
		if err := call(t, &mcpclient.Client{Open: browser, Store: store}, m.URL); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		clear(s.valid)
		s.token = func(w http.ResponseWriter, _ url.Values) bool {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
		s.mu.Unlock()
		if err := call(t, &mcpclient.Client{Store: store}, m.URL); err == nil {
			t.Fatalf("%d: called without a token", status)
		}
		s.mu.Lock()
		s.token = nil
		s.mu.Unlock()
		err := call(t, &mcpclient.Client{Store: store}, m.URL)
		if kept := err == nil; kept != (status >= 500) {
			t.Errorf("%d %s: the session is kept: %v, %v", status, body, kept, err)
		}
		if err := call(t, &mcpclient.Client{Open: browser, Store: store}, m.URL); err != nil || s.times("/register") != 1 {
			t.Errorf("%d: %v after %d registrations, want 1", status, err, s.times("/register"))
		}
	}
}
