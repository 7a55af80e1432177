package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app"
)

const good = `
urls: {authserver: https://login.example.com, gateway: https://mcp.example.com}
store: sqlite:gatehouse.db
data: data
apis:
  - {name: books, openapi: file:books.yaml, url: https://books.internal}
`

func load(t *testing.T, text string) (app.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return app.Load(path)
}

func TestLoadFillsDefaults(t *testing.T) {
	c, err := load(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.SignIn != "password" || c.APIs[0].MCPPath != "/books" || c.APIs[0].Audience != "https://books.internal" {
		t.Errorf("%+v", c)
	}
}

// Each problem is told with its path; several at once. R-AS-19 among them.
func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"unknown key":               {"store:", "stroe:", "stroe"},
		"unknown key in an API":     {"url: https://books", "adress: x, url: https://books", "adress"},
		"plain http (R-AS-19)":      {"https://login.example.com", "http://login.example.com", "urls.authserver"},
		"http look-alike":           {"https://login.example.com", "http://localhost.evil.example", "urls.authserver"},
		"trailing slash":            {"https://login.example.com", "https://login.example.com/", "urls.authserver"},
		"no gateway":                {", gateway: https://mcp.example.com", "", "urls.gateway"},
		"one host for two roles":    {"https://mcp.example.com", "https://login.example.com", "urls.gateway"},
		"gateway with a path":       {"https://mcp.example.com", "https://mcp.example.com/x", "urls.gateway"},
		"password in the store":     {"sqlite:gatehouse.db", "postgres://u:secret@db/x", "store: has a password"},
		"no data":                   {"data: data", "", "data: is missing"},
		"sign-in of the demo":       {"data: data", "data: data\nsign_in: username", "sign_in"},
		"no APIs":                   {"apis:\n  - {name: books, openapi: file:books.yaml, url: https://books.internal}", "", "apis: is empty"},
		"bad name":                  {"name: books", "name: My Books", "apis[0].name"},
		"bad path":                  {"name: books", "name: books, mcp_path: /a/../b", "apis[0].mcp_path"},
		"path of the metadata":      {"name: books", "name: books, mcp_path: /.well-known/x", "apis[0].mcp_path"},
		"document by http":          {"file:books.yaml", "https://evil.example/x.yaml", "apis[0].openapi"},
		"address with a password":   {"https://books.internal", "https://u:p@books.internal", "apis[0].url"},
		"claim of the token":        {"name: books", "name: books, claims: [sub]", "apis[0].claims"},
		"bad scope":                 {"name: books", `name: books, default_scopes: ["a b"]`, "apis[0].default_scopes"},
		"unknown protection":        {"name: books", "name: books, protect: nothing", "apis[0].protect"},
		"bad origin":                {"data: data", "data: data\nallowed_origins: [example.com]", "allowed_origins[0]"},
		"half of TLS":               {"data: data", "data: data\ntls: {certificate: x}", "tls"},
		"certificates without TLS":  {"data: data", "data: data\nmutual_tls: {url: https://mtls.example.com}", "mutual_tls: needs tls"},
		"certificates at a role":    {"data: data", "data: data\ntls: {certificate: x, key: y}\nmutual_tls: {url: https://login.example.com}", "mutual_tls.url: has the same host as urls.authserver"},
		"certificates nowhere":      {"data: data", "data: data\ntls: {certificate: x, key: y}\nmutual_tls: {authorities: x}", "mutual_tls.url: is missing"},
		"certificates on http":      {"data: data", "data: data\ntls: {certificate: x, key: y}\nmutual_tls: {url: http://mtls.example.com}", "mutual_tls.url"},
		"certificates of anybody":   {"data: data", "data: data\nmutual_tls: {url: https://mtls.example.com, header: Client-Cert}", "a header from anybody proves nothing"},
		"every address a proxy":     {"data: data", "data: data\nmutual_tls: {url: https://mtls.example.com, header: Client-Cert, proxies: [0.0.0.0/0]}", "mutual_tls.proxies[0]"},
		"proxy by name":             {"data: data", "data: data\nmutual_tls: {url: https://mtls.example.com, header: Client-Cert, proxies: [proxy]}", "mutual_tls.proxies[0]"},
		"bad header":                {"data: data", "data: data\nmutual_tls: {url: https://mtls.example.com, header: \"a b\", proxies: [10.0.0.5]}", "mutual_tls.header"},
		"unknown key of mutual TLS": {"data: data", "data: data\nmutual_tls: {uri: x}", "is no key of mutual_tls"},
		"delegation to everybody":   {"data: data", "data: data\ndelegation: [{actor: summary, for: [\"*\"], apis: [books]}]", "delegation[0].for: must name the clients"},
		"delegation to itself":      {"data: data", "data: data\ndelegation: [{actor: summary, for: [summary], apis: [books]}]", "delegation[0].for: names the actor itself"},
		"delegation anywhere":       {"data: data", "data: data\ndelegation: [{actor: summary, for: [desk]}]", "delegation[0].apis: is missing"},
		"delegation elsewhere":      {"data: data", "data: data\ndelegation: [{actor: summary, for: [desk], apis: [films]}]", "is none of apis"},
		"delegation of nobody":      {"data: data", "data: data\ndelegation: [{for: [desk], apis: [books], scopes: [\"a b\"]}]", "delegation[0].actor: is missing"},
		"partner on http":           {"data: data", "data: data\npartners: [{issuer: http://login.example.org, clients: {a: b}, resources: [https://mcp.example.org], scopes: [x]}]", "partners[0].issuer"},
		"partner that we are":       {"data: data", "data: data\npartners: [{issuer: https://login.example.com, clients: {a: b}, resources: [https://mcp.example.org], scopes: [x]}]", "partners[0].issuer: is this installation itself"},
		"partner for nothing":       {"data: data", "data: data\npartners: [{issuer: https://login.example.org}]", "partners[0].scopes: is missing"},
		"two documents":             {"data: data", "data: data\n---\nx: y", "YAML"},
		"documents from a wildcard": {"data: data", "data: data\ndocuments: {addresses: [\"*.internal\"]}", "documents.addresses[0]"},
		"documents from anywhere":   {"data: data", "data: data\ndocuments: {addresses: [apps.internal, 0.0.0.0/0]}", "documents.addresses[1]"},
		"documents neither way":     {"data: data", "data: data\ndocuments: {accept: some}", "documents.accept"},
		"roots for nothing":         {"data: data", "data: data\ndocuments: {roots: ca.pem}", "documents.roots"},
		"bad listen":                {"data: data", "data: data\nlisten: here", "listen"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, tt.from, tt.to, 1)
			if text == good {
				t.Fatal("the test changes nothing")
			}
			_, err := load(t, text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not name %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
	_, err := load(t, "urls: {}\n")
	for _, want := range []string{"urls.authserver", "urls.gateway", "store", "data", "apis"} {
		if err == nil || !strings.Contains(err.Error(), want+": ") {
			t.Errorf("not all problems at once: %v", err)
		}
	}
}
