package app_test

import (
	"strings"
	"testing"
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
