package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
)

// outsider is an authorization server of others. It gives tokens as told and
// records what it is asked for them.
type outsider struct {
	mu    sync.Mutex
	forms []map[string]string
	token map[string]any // changes to what it gives
}

func (o *outsider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = r.ParseForm()
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		writeJSON(w, 200, map[string]any{"issuer": loginURL, "token_endpoint": loginURL + "/oauth/token", "introspection_endpoint": loginURL + "/oauth/check"})
	case "/oauth/check":
		name, scope, _ := strings.Cut(r.PostForm.Get("token"), ".")
		writeJSON(w, 200, map[string]any{"active": true, "aud": mcpURL + "/users", "sub": name, "client_id": "notebook", "token_type": "Bearer",
			"scope": map[string]string{"r": "users:read", "rw": "users:read users:write"}[scope], "exp": time.Now().Add(time.Hour).Unix()})
	case "/oauth/token":
		form := map[string]string{}
		for name, values := range r.PostForm {
			form[name] = strings.Join(values, "|")
		}
		o.forms = append(o.forms, form)
		token := map[string]any{"access_token": "for-the-api", "token_type": "Bearer", "expires_in": 300}
		for name, value := range o.token {
			token[name] = value
		}
		writeJSON(w, 200, token)
	default:
		http.NotFound(w, r)
	}
}

// external makes newWorld's gateway that of an outsider.
func external(t *testing.T, o *outsider, own bool) *world {
	return newWorld(t, func(s *gateway.Server) {
		s.Client.Transport.(hosts)["login.example.com"] = o
		s.External = &gateway.External{OwnCredentials: own, Server: &resource.AuthorizationServer{
			Issuer: loginURL, ClientID: "gatehouse", Client: s.Client, Secret: "secret", Discovery: &resource.Discovery{Issuer: loginURL, Client: s.Client},
		}}
		s.Signer, s.ClientID, s.TokenEndpoint, s.IntrospectionEndpoint = nil, "", "", ""
	})
}

// security.md 7, R-RS-8: behind an external server the gateway exchanges there,
// by RFC 8693, for this API and the scopes of this call.
func TestExternalExchange(t *testing.T) {
	o := &outsider{}
	w := external(t, o, false)
	for _, token := range []string{"alice.rw", "bruno.r"} {
		if r := w.callTool(token, "fetch-user", map[string]any{"id": "7"}); r.IsError {
			t.Fatalf("%s: %s", token, r.text())
		}
	}
	if len(o.forms) != 2 {
		t.Fatalf("%d exchanges for two people", len(o.forms))
	}
	for name, want := range map[string]string{
		"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "alice.rw",
		"subject_token_type": "urn:ietf:params:oauth:token-type:access_token", "resource": apiURL, "audience": "", "scope": "users:read",
	} {
		if got := o.forms[0][name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, r := range w.api.requests() {
		if r.Header.Get("Authorization") != "Bearer for-the-api" {
			t.Errorf("the API got %q", r.Header.Get("Authorization"))
		}
	}
}

// security.md 7, R-RS-8: with client credentials of its own, nothing of the
// caller's token goes anywhere but to introspection, and one token serves all.
func TestExternalClientCredentials(t *testing.T) {
	o := &outsider{}
	w := external(t, o, true)
	for _, token := range []string{"alice.r", "bruno.r"} {
		if r := w.callTool(token, "fetch-user", map[string]any{"id": "7"}); r.IsError {
			t.Fatalf("%s: %s", token, r.text())
		}
	}
	if len(o.forms) != 1 {
		t.Fatalf("%d tokens for one API and scope", len(o.forms))
	}
	text, err := json.Marshal(o.forms)
	if err != nil || strings.Contains(string(text), "alice") || strings.Contains(string(text), "subject") {
		t.Errorf("%v in %s", err, text)
	}
	if f := o.forms[0]; f["grant_type"] != "client_credentials" || f["resource"] != apiURL || f["scope"] != "users:read" {
		t.Errorf("%v", f)
	}
	// The call of somebody who lacks a scope is challenged as ever, and is no
	// reason to get a token that has it.
	if rec := w.do(modern("bruno.", "tools/call", map[string]any{"name": "fetch-user", "arguments": map[string]any{"id": "7"}})); rec.Code != 403 || !strings.Contains(rec.Header().Get("WWW-Authenticate"), `scope="users:read"`) {
		t.Errorf("%d %s", rec.Code, rec.Header().Get("WWW-Authenticate"))
	}
	if len(o.forms) != 1 {
		t.Errorf("asked for %v", o.forms)
	}
}

// What an external server gives is used only if it is what was asked for; and
// the client's own token is never it.
func TestExternalTokensThatAreNotUsed(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"for this gateway":       {"access_token": unsigned(`{"aud":"` + mcpURL + `/users"}`)},
		"for others too":         {"access_token": unsigned(`{"aud":["` + apiURL + `","account"]}`)},
		"for nobody":             {"access_token": unsigned(`{}`)},
		"more scopes":            {"scope": "users:read users:write"},
		"unreadable scopes":      {"scope": "users:read \"all\""},
		"bound to a key":         {"token_type": "DPoP"},
		"of no type":             {"token_type": ""},
		"without an end":         {"expires_in": nil},
		"the client's own token": {"access_token": "alice.r"},
		"none":                   {"access_token": ""},
	} {
		for _, own := range []bool{true, false} {
			w := external(t, &outsider{token: change}, own)
			if r := w.callTool("alice.r", "fetch-user", map[string]any{"id": "7"}); !r.IsError || len(w.api.requests()) != 0 {
				t.Errorf("%s: %s", name, r.text())
			}
		}
	}
	for name, change := range map[string]map[string]any{
		"the scopes that were asked for": {"scope": "users:read"},
		"for the API":                    {"access_token": unsigned(`{"aud":"` + apiURL + `"}`)},
	} {
		w := external(t, &outsider{token: change}, true)
		if r := w.callTool("alice.r", "fetch-user", map[string]any{"id": "7"}); r.IsError {
			t.Errorf("%s: %s", name, r.text())
		}
	}
}

// unsigned is a JWT whose signature is the API's to check.
func unsigned(claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AAAA"
}

// The metadata of the resource names the external issuer; a server that is away
// is no reason to send people to sign in anew.
func TestExternalMetadataAndOutage(t *testing.T) {
	w := external(t, &outsider{}, true)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, mcpURL+"/.well-known/oauth-protected-resource/users", nil))
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"authorization_servers":["`+loginURL+`"]`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w = newWorld(t, func(s *gateway.Server) {
		peers := &http.Client{Transport: hosts{}}
		d := &resource.Discovery{Issuer: loginURL, Client: peers}
		s.External = &gateway.External{
			Server: &resource.AuthorizationServer{Issuer: loginURL, ClientID: "gatehouse", Client: peers, Secret: "secret", Discovery: d},
			JWT:    &resource.JWTAccessTokens{Issuer: loginURL, Keys: d.Keys()},
		}
	})
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign("at+jwt", map[string]any{"iss": loginURL})
	if err != nil {
		t.Fatal(err)
	}
	if rec := w.do(modern(token, "tools/list", nil)); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("while it is away: %d %s", rec.Code, rec.Body)
	}
}
