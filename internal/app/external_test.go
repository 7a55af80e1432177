package app_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app"
)

const external = `
urls: {gateway: https://mcp.example.com}
authorization_server: {issuer: https://idp.example.com/tenant, client_id: gatehouse, api_tokens: exchange}
store: sqlite:gatehouse.db
data: data
apis:
  - {name: books, openapi: file:books.yaml, url: https://books.internal}
`

// security.md 7: what contradicts an external authorization server, or would let
// the gateway begin without a way to get tokens for APIs, is told with what to do.
func TestValidateExternalAuthorizationServer(t *testing.T) {
	c, err := load(t, external)
	if err != nil {
		t.Fatal(err)
	}
	if c.Issuer() != "https://idp.example.com/tenant" || c.AuthorizationServer.AccessTokens != "introspection" {
		t.Errorf("%+v", c.AuthorizationServer)
	}
	for name, tt := range map[string]struct{ from, to, want string }{
		"both servers":              {"{gateway", "{authserver: https://login.example.com, gateway", "authorization_server: and urls.authserver exclude each other; remove"},
		"plain http (R-AS-19)":      {"https://idp", "http://idp", "authorization_server.issuer: \"http://idp.example.com/tenant\" must be https"},
		"no issuer":                 {"issuer: https://idp.example.com/tenant, ", "", "authorization_server.issuer"},
		"issuer with a fragment":    {"com/tenant", "com/tenant#t", "authorization_server.issuer"},
		"issuer with a password":    {"https://idp", "https://u:s3cret@idp", "authorization_server.issuer"},
		"no client_id":              {"client_id: gatehouse, ", "", "authorization_server.client_id: is missing; register"},
		"no way to get API tokens":  {", api_tokens: exchange", "", "authorization_server.api_tokens: \"\" is not known; write exchange if the server has RFC 8693, or client_credentials"},
		"the agent's token for all": {"api_tokens: exchange", "api_tokens: passthrough", "never goes to an API"},
		"secret in the file":        {"gatehouse,", "gatehouse, client_secret: s3cret,", "authorization_server.client_secret: must be file:PATH or env:NAME"},
		"key in the file":           {"gatehouse,", "gatehouse, key: '{\"d\":\"s3cret\"}',", "authorization_server.key: must be file:PATH"},
		"key and secret":            {"gatehouse,", "gatehouse, key: file:a, client_secret: file:b,", "exclude each other"},
		"unknown check":             {"gatehouse,", "gatehouse, access_tokens: any,", "authorization_server.access_tokens: \"any\" is not known"},
		"claims of ours":            {"name: books", "name: books, claims: [region]", "apis[0].claims: is for tokens made here; configure at \"https://idp.example.com/tenant\""},
		"signature of ours":         {"name: books", "name: books, signing_algorithm: RS256", "apis[0].signing_algorithm"},
		"documents of ours":         {"data: data", "data: data\ndocuments: {accept: none}", "documents: is for our own authorization server"},
		"its issuer as an audience": {"name: books", "name: books, audience: https://idp.example.com/tenant", "apis[0].audience"},
		"an endpoint as audience":   {"name: books", "name: books, audience: https://mcp.example.com/books", "apis[0].audience: \"https://mcp.example.com/books\" is an MCP endpoint of this gateway"},
		"the root as audience":      {"name: books", "name: books, mcp_path: /, audience: https://mcp.example.com/", "apis[0].audience"},
		"certificates of ours":      {"data: data", "data: data\nmutual_tls: {url: https://mtls.example.com}", "mutual_tls: is for this installation's own authorization server"},
		"unknown key":               {"client_id:", "clientid:", "is no key of authorization_server"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(external, tt.from, tt.to, 1)
			if text == external {
				t.Fatal("the test changes nothing")
			}
			_, err := load(t, text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// security.md 7: a server that cannot give tokens for APIs, or tell what tokens
// are worth, ends the start; one that is away does not. R-RS-2.
func TestExternalAuthorizationServerAtStart(t *testing.T) {
	const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	for name, tt := range map[string]struct {
		settings string
		change   map[string]any
		want     string
	}{
		"all there":             {"api_tokens: exchange", map[string]any{"grant_types_supported": []string{exchange}}, ""},
		"it lists nothing":      {"api_tokens: exchange, client_secret: file:secret", nil, ""},
		"no exchange":           {"api_tokens: exchange", map[string]any{"grant_types_supported": []string{"client_credentials"}}, "does not serve grant type " + exchange + ", so there is no way to get tokens for APIs; enable it there, or change authorization_server.api_tokens"},
		"no client credentials": {"api_tokens: client_credentials", map[string]any{"grant_types_supported": []string{"authorization_code"}}, "does not serve grant type client_credentials"},
		"no token endpoint":     {"api_tokens: exchange", map[string]any{"token_endpoint": ""}, "names no token_endpoint"},
		"no introspection":      {"api_tokens: exchange", map[string]any{"introspection_endpoint": ""}, "enable it there, or set authorization_server.access_tokens to jwt"},
		"no introspection, JWT": {"api_tokens: exchange, access_tokens: jwt", map[string]any{"introspection_endpoint": ""}, ""},
		"no keys":               {"api_tokens: exchange, access_tokens: jwt", map[string]any{"jwks_uri": ""}, "set authorization_server.access_tokens to introspection"},
		"keys only":             {"api_tokens: exchange, client_secret: file:secret", map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, "takes no client secrets; set authorization_server.key"},
		"secrets only":          {"api_tokens: exchange", map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}}, "set authorization_server.client_secret"},
		"RSA only":              {"api_tokens: exchange", map[string]any{"token_endpoint_auth_signing_alg_values_supported": []string{"RS256"}}, "no client assertions signed with ES256"},
		"another issuer":        {"api_tokens: exchange", map[string]any{"issuer": "https://evil.example"}, "its issuer is"},
		"no secret there":       {"api_tokens: exchange, client_secret: file:nowhere", nil, "authorization_server.client_secret: "},
		"an empty secret":       {"api_tokens: exchange, client_secret: file:empty", nil, "authorization_server.client_secret: it is empty"},
		"a key for everybody":   {"api_tokens: exchange, key: file:open.jwk", nil, "authorization_server.key: the gateway's key"},
		"away":                  {"api_tokens: exchange", map[string]any{"away": true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var issuer string
			idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				document := map[string]any{"issuer": issuer, "token_endpoint": issuer + "/token", "introspection_endpoint": issuer + "/introspect", "jwks_uri": issuer + "/jwks"}
				maps.Copy(document, tt.change)
				if document["away"] == true {
					w.WriteHeader(http.StatusBadGateway)
				}
				_ = json.NewEncoder(w).Encode(document)
			}))
			defer idp.Close()
			issuer = idp.URL
			dir := t.TempDir()
			config := strings.NewReplacer("https://idp.example.com/tenant", issuer, "api_tokens: exchange", tt.settings).Replace(external)
			for file, text := range map[string]string{"gatehouse.yaml": config, "books.yaml": books, "secret": "s3cret", "empty": "\n"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "open.jwk"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := app.Load(filepath.Join(dir, "gatehouse.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			a, err := app.New(t.Context(), c, app.Options{Migrate: true})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err == nil {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}
			public, err := os.ReadFile(filepath.Join(dir, "data", "gateway.jwks.json"))
			if own := !strings.Contains(tt.settings, "client_secret") && !strings.Contains(tt.settings, "key:"); own != (err == nil) || strings.Contains(string(public), `"d"`) {
				t.Errorf("the public key to register: %v %s", err, public)
			}
		})
	}
}

// The file in docs/identity-provider.md is valid as it stands there.
func TestIdentityProviderPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/identity-provider.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	if c, err := load(t, text); err != nil || c.AuthorizationServer == nil {
		t.Error(err)
	}
}
