package resource_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

func jsonMember(t *testing.T, body []byte, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	s, _ := members[name].(string)
	return s
}

// R-RS-1, R-RS-2, R-RS-3, R-RS-16; RFC 9728 §3.1.
func TestMetadata(t *testing.T) {
	for _, c := range []struct{ resource, path, url, canonical string }{
		{"https://mcp.example.com", "/.well-known/oauth-protected-resource", "https://mcp.example.com/.well-known/oauth-protected-resource", "https://mcp.example.com"},
		{"HTTPS://MCP.example.com:443/", "/.well-known/oauth-protected-resource", "https://mcp.example.com/.well-known/oauth-protected-resource", "https://mcp.example.com"},
		{"https://mcp.example.com/users", "/.well-known/oauth-protected-resource/users", "https://mcp.example.com/.well-known/oauth-protected-resource/users", "https://mcp.example.com/users"},
	} {
		m, err := resource.NewMetadata(oauth.ResourceMetadata{Resource: c.resource, AuthorizationServers: []string{"https://login.example.com"}, ScopesSupported: []string{"users:read"}})
		if err != nil {
			t.Fatal(err)
		}
		if m.Path != c.path || m.URL != c.url {
			t.Errorf("%s: at %s, %s; want %s, %s", c.resource, m.Path, m.URL, c.path, c.url)
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("GET", m.Path, nil))
		want := `{"resource":"` + c.canonical + `","authorization_servers":["https://login.example.com"],"scopes_supported":["users:read"],"bearer_methods_supported":["header"]}`
		if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("answer %d %s\nwant %s", w.Code, w.Body, want)
		}
	}
}

func TestMetadataIsReadOnly(t *testing.T) {
	m, err := resource.NewMetadata(oauth.ResourceMetadata{Resource: "https://x", AuthorizationServers: []string{"https://y"}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("POST", m.Path, nil))
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// R-RS-2, R-RS-15.
func TestMetadataRefuses(t *testing.T) {
	as := []string{"https://y"}
	for name, m := range map[string]oauth.ResourceMetadata{
		"no authorization server": {Resource: "https://x"},
		"offline_access":          {Resource: "https://x", AuthorizationServers: as, ScopesSupported: []string{"a", "offline_access"}},
		"fragment":                {Resource: "https://x#y", AuthorizationServers: as},
		"query":                   {Resource: "https://x?y", AuthorizationServers: as},
		"no URI":                  {Resource: "x", AuthorizationServers: as},
	} {
		if _, err := resource.NewMetadata(m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
