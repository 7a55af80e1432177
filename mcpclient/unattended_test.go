package mcpclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/mcpclient"
)

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// vouched lets an authorization server issue for assertions, and keeps the forms.
func vouched(as *authServer) *[]url.Values {
	forms := &[]url.Values{}
	as.token = func(w http.ResponseWriter, form url.Values) bool {
		*forms = append(*forms, form)
		access := fmt.Sprint("access-", len(*forms))
		as.valid[access] = "read"
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": as.expires})
		return true
	}
	return forms
}

// A token file may be replaced during long use, and many requests at once ask
// for one token only (R-CL-14; MCP auth/wif).
func TestWorkloadTokenRotates(t *testing.T) {
	as := newAuthServer(t)
	forms := vouched(as)
	m := newResource(t, as)
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	s, err := (&mcpclient.Client{Assertion: mcpclient.AssertionFile(file)}).Connect(t.Context(), m.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	write("second")
	as.mu.Lock()
	clear(as.valid) // what was issued ends
	as.mu.Unlock()
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if _, err := s.Call(t.Context(), "echo", map[string]any{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(*forms) != 2 {
		t.Fatalf("%d tokens were asked for, want one and its successor", len(*forms))
	}
	for i, want := range []string{"first", "second"} {
		if form := (*forms)[i]; form.Get("assertion") != want || form.Get("resource") != m.URL || form.Get("grant_type") != jwtBearer || form.Has("client_id") {
			t.Errorf("request %d was %v", i, form)
		}
	}
}

// An assertion is shown to the authorization server only that serves its grant,
// follows no redirect, and is not sent for what lies elsewhere (R-CL-4, R-CL-19).
func TestAssertionIsNotGivenAway(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		token  func(http.ResponseWriter, url.Values) bool
		issuer string
		want   string
		asked  int
	}{
		{name: "another issuer's metadata", change: func(m map[string]any) { m["issuer"] = "https://login.example.com" }, want: "it is not used"},
		{name: "grant not served", change: func(m map[string]any) { m["grant_types_supported"] = []string{"authorization_code"} }, want: "does not serve"},
		{name: "token endpoint without TLS", change: func(m map[string]any) { m["token_endpoint"] = "http://192.0.2.1/token" }, want: "neither https"},
		{name: "not the issuer that is meant", issuer: "https://login.example.com", want: "not https://login.example.com"},
		{name: "redirect", token: func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}, want: "answered 307", asked: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			as := newAuthServer(t)
			as.change, as.token = c.change, c.token
			client := &mcpclient.Client{Issuer: c.issuer, Assertion: func(context.Context, mcpclient.Audience) (string, error) { return "the-assertion", nil }}
			err := call(t, client, newResource(t, as).URL)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "the-assertion") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if as.times("/token") != c.asked || as.times("/elsewhere") != 0 || strings.Count(as.everything(), "the-assertion") != c.asked {
				t.Error("the assertion went where it is not for")
			}
		})
	}
}

// Both legs of enterprise-managed authorization: each server sees its own
// credential and token and nothing of the other's, and an answer that is no
// ID-JAG goes no further (R-CL-14, R-CL-19; security.md 9).
func TestIdentityProvider(t *testing.T) {
	for _, issued := range []string{"urn:ietf:params:oauth:token-type:id-jag", "urn:ietf:params:oauth:token-type:access_token"} {
		as := newAuthServer(t)
		forms := vouched(as)
		m := newResource(t, as)
		var asked url.Values
		var idp *httptest.Server
		idp = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/.well-known/oauth-authorization-server" {
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": idp.URL, "token_endpoint": idp.URL + "/token", "token_endpoint_auth_methods_supported": []string{"client_secret_post"}})
				return
			}
			body, _ := io.ReadAll(r.Body)
			asked, _ = url.ParseQuery(string(body))
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "the-id-jag", "issued_token_type": issued, "token_type": "N_A"})
		}))
		t.Cleanup(idp.Close)
		provider := &mcpclient.IdentityProvider{Issuer: idp.URL, ClientID: "at-idp", ClientSecret: "idp-secret", IDToken: func(context.Context) (string, error) { return "the-id-token", nil }}
		var shown traced
		err := call(t, &mcpclient.Client{ClientID: "at-as", ClientSecret: "as-secret", Assertion: provider.Assertion, Trace: shown.add}, m.URL)
		if asked.Get("audience") != as.URL || asked.Get("resource") != m.URL || asked.Get("subject_token") != "the-id-token" || asked.Get("client_secret") != "idp-secret" || strings.Contains(asked.Encode(), "as-secret") {
			t.Errorf("the identity provider was asked %v", asked)
		}
		seen := as.everything()
		if strings.Contains(seen, "the-id-token") || strings.Contains(seen, "idp-secret") {
			t.Error("the authorization server saw what is the identity provider's")
		}
		for _, secret := range []string{"the-id-jag", "the-id-token", "idp-secret", "as-secret"} {
			if strings.Contains(shown.String(), secret) {
				t.Errorf("the trace shows %s", secret)
			}
		}
		if strings.HasSuffix(issued, ":id-jag") {
			if err != nil || len(*forms) != 1 || (*forms)[0].Get("assertion") != "the-id-jag" || (*forms)[0].Get("grant_type") != jwtBearer {
				t.Errorf("%v: %v", err, *forms)
			}
		} else if err == nil || len(*forms) != 0 || !strings.Contains(err.Error(), "not an ID-JAG") {
			t.Errorf("an access token was taken for an ID-JAG: %v", err)
		}
	}
}
