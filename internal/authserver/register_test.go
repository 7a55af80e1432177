package authserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// RFC 7591 §3.2.1: the answer has what was registered, with every value that
// was replaced: a client that registers itself cannot act for itself.
func TestRegistration(t *testing.T) {
	w := newWorld(t, options{})
	a := w.register(`{"client_name":"Simple OAuth MCP Client","redirect_uris":["http://localhost:8090/callback"],
		"grant_types":["authorization_code","refresh_token","client_credentials"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_post","scope":"users:read"}`)
	grants, _ := a.Body["grant_types"].([]any)
	if len(grants) != 2 || grants[0] != "authorization_code" || grants[1] != "refresh_token" || a.str("client_secret") == "" || a.Body["client_secret_expires_at"] != float64(0) ||
		a.Body["client_id_issued_at"] == nil || a.str("application_type") != "native" || a.str("scope") != "users:read" {
		t.Errorf("%v", a.Body)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	// Every registration is its own client (security.md 2).
	if b := w.register(`{"redirect_uris":["http://localhost:8090/callback"],"token_endpoint_auth_method":"none"}`); b.str("client_id") == a.str("client_id") || b.Body["client_secret"] != nil {
		t.Errorf("%v", b.Body)
	}
}

func TestRegistrationRefuses(t *testing.T) {
	w := newWorld(t, options{})
	for _, tt := range []struct{ name, contentType, body, want string }{
		{"no JSON", "application/json", "x", "invalid_client_metadata"},
		{"another media type", "text/plain", `{"redirect_uris":["https://a.example"]}`, "invalid_client_metadata"},
		{"duplicate JSON members", "application/json", `{"redirect_uris":["https://a.example"],"redirect_uris":["https://evil.example"]}`, "invalid_client_metadata"},
		{"differently-cased JSON members", "application/json", `{"REDIRECT_URIS":["https://evil.example"]}`, "invalid_redirect_uri"},
		{"deep nesting", "application/json", `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "invalid_client_metadata"},
		{"too large", "application/json", `{"client_name":"` + strings.Repeat("x", 70<<10) + `"}`, "invalid_client_metadata"},
		{"a redirect off this computer without https", "application/json", `{"redirect_uris":["http://a.example/cb"]}`, "invalid_redirect_uri"},
		{"keys that are none", "application/json", `{"redirect_uris":["https://a.example"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}}`, "invalid_client_metadata"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.send(http.MethodPost, "/register", tt.contentType, tt.body, nil)
			if a.Status != 400 || a.str("error") != tt.want || a.str("error_description") == "" {
				t.Errorf("%d %v, want %s", a.Status, a.Body, tt.want)
			}
		})
	}
}

// proving.md "registration flood": per-address limits, with Retry-After.
func TestRegistrationFlood(t *testing.T) {
	w := newWorld(t, options{})
	for range 200 {
		a := w.send(http.MethodPost, "/register", "application/json", `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}`, nil)
		if a.Status == http.StatusTooManyRequests {
			if a.Header.Get("Retry-After") == "" || a.str("error_description") == "" {
				t.Errorf("%v %v", a.Header, a.Body)
			}
			return
		}
	}
	t.Error("200 registrations from one address in a row")
}

// R-AS-2, R-AS-3, R-AS-4, R-AS-16: metadata at every form that clients probe.
func TestMetadata(t *testing.T) {
	w := newWorld(t, options{})
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		a := w.send(http.MethodGet, path, "", "", map[string]string{"Origin": "http://localhost:6274"})
		if a.Status != 200 || a.str("issuer") != issuer || a.Body["authorization_response_iss_parameter_supported"] != true {
			t.Errorf("%s: %d %v", path, a.Status, a.Body)
		}
		for member, want := range map[string][]string{
			"code_challenge_methods_supported": {"S256"}, "response_types_supported": {"code"},
			"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "none", "private_key_jwt"},
			"scopes_supported":                      {"notes:read", "openid", "orders:read", "profile", "users:read", "users:write"},
		} {
			var got []string
			list, _ := a.Body[member].([]any)
			for _, v := range list {
				s, _ := v.(string)
				got = append(got, s)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q", path, member, got)
			}
		}
		if a.Header.Get("Access-Control-Allow-Origin") != "http://localhost:6274" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: CORS %v", path, a.Header)
		}
	}
	keys := w.send(http.MethodGet, "/jwks.json", "", "", nil)
	list, _ := keys.Body["keys"].([]any)
	if len(list) != 1 {
		t.Fatalf("key set %v", keys.Body)
	}
	key, _ := list[0].(map[string]any)
	if key["d"] != nil || key["kid"] == nil || key["alg"] != "ES256" {
		t.Errorf("key %v", key)
	}
	if a := w.send(http.MethodPost, "/token", "application/x-www-form-urlencoded", "", map[string]string{"Origin": "https://evil.example"}); a.Status != 403 {
		t.Errorf("a foreign origin: %d", a.Status)
	}
}
