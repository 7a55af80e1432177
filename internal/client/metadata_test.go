package client_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
)

func metadata(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	m, err := oauth.Members([]byte(text), 8)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var rules = client.Rules{GrantTypes: []string{oauth.GrantAuthorizationCode}}

// RFC 7591 §2 and §3.2.2; clients.md on what clients register.
func TestFromMetadata(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		code       oauth.Code // empty: accepted
		check      func(client.Client) bool
	}{
		{"defaults", `{"redirect_uris":["https://a.example/cb"]}`, "", func(c client.Client) bool {
			return c.AuthMethod == "client_secret_basic" && c.MayUse("authorization_code") && c.ApplicationType == "web" && c.ResponseTypes[0] == "code"
		}},
		{"the TypeScript SDK's simple client", `{"client_name":"Simple OAuth MCP Client","redirect_uris":["http://localhost:8090/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_post","scope":"users:read orders:read"}`, "", func(c client.Client) bool {
			return len(c.GrantTypes) == 1 && c.ApplicationType == "native" && c.AuthMethod == "client_secret_post" && c.Scope == "users:read orders:read"
		}},
		{"LibreChat copies whole lists", `{"client_name":"LibreChat MCP Client","redirect_uris":["https://chat.example/api/mcp/x/oauth/callback"],"response_types":["code","token"],"grant_types":["authorization_code","refresh_token","client_credentials"]}`, "", func(c client.Client) bool {
			return len(c.ResponseTypes) == 1 && len(c.GrantTypes) == 1
		}},
		{"native says so (R-AS-23)", `{"redirect_uris":["http://127.0.0.1/cb"],"application_type":"native","token_endpoint_auth_method":"none"}`, "", func(c client.Client) bool { return !c.Confidential() }},
		{"web with loopback (R-AS-23)", `{"redirect_uris":["http://127.0.0.1/cb"],"application_type":"web"}`, oauth.InvalidRedirectURI, nil},
		{"unknown members are ignored", `{"redirect_uris":["https://a.example/cb"],"software_id":"x","x":{"y":1}}`, "", nil},
		{"a differently-cased member is another member", `{"Redirect_URIs":["https://a.example/cb"]}`, oauth.InvalidRedirectURI, nil},
		{"no redirects", `{}`, oauth.InvalidRedirectURI, nil},
		{"wrong type", `{"redirect_uris":"https://a.example/cb"}`, oauth.InvalidClientMetadata, nil},
		{"bad redirect", `{"redirect_uris":["https://a.example/cb","javascript:alert(1)"]}`, oauth.InvalidRedirectURI, nil},
		{"unknown authentication", `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"tls_client_auth"}`, oauth.InvalidClientMetadata, nil},
		{"private_key_jwt without keys", `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}`, oauth.InvalidClientMetadata, nil},
		{"jwks_uri would be a fetch", `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://169.254.169.254/"}`, oauth.InvalidClientMetadata, nil},
		{"only a grant that is not offered", `{"grant_types":["client_credentials"]}`, oauth.InvalidClientMetadata, nil},
		{"implicit only", `{"redirect_uris":["https://a.example/cb"],"response_types":["token"]}`, oauth.InvalidClientMetadata, nil},
		{"client_uri that is a script", `{"redirect_uris":["https://a.example/cb"],"client_uri":"javascript:alert(1)"}`, oauth.InvalidClientMetadata, nil},
		{"a name that would turn text around", "{\"redirect_uris\":[\"https://a.example/cb\"],\"client_name\":\"A\\u202egro.live\\u0007  B\\n\"}", "", func(c client.Client) bool { return c.Name == "Agro.live B" }},
		{"a name without end", `{"redirect_uris":["https://a.example/cb"],"client_name":"` + strings.Repeat("ä", 5000) + `"}`, "", func(c client.Client) bool { return len([]rune(c.Name)) <= 120 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := client.FromMetadata(metadata(t, tt.text), rules)
			if tt.code == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				if tt.check != nil && !tt.check(c) {
					t.Errorf("unexpected client %+v", c)
				}
				return
			}
			e, ok := oauth.AsError(err)
			if !ok || e.Code != tt.code || e.Description == "" {
				t.Errorf("error %v, want %s with a description", err, tt.code)
			}
		})
	}
}
