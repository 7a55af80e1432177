package client_test

import (
	"testing"

	"gatehouse/internal/client"
)

// R-AS-17, RFC 8252 §7.3, proving.md "redirect URI manipulation (path, host,
// userinfo, port, scheme, encoded, loopback look-alikes)".
func TestRedirectAllowed(t *testing.T) {
	web := client.Client{RedirectURIs: []string{"https://app.example.com/cb", "https://app.example.com/cb?x=1"}}
	native := client.Client{RedirectURIs: []string{"http://localhost:33418/callback"}}
	portless := client.Client{RedirectURIs: []string{"http://127.0.0.1/callback"}}
	named := client.Client{RedirectURIs: []string{"http://agent.localhost:8080/cb"}}
	for _, tt := range []struct {
		name   string
		client client.Client
		uri    string
		want   bool
	}{
		{"the same string", web, "https://app.example.com/cb", true},
		{"a registered query", web, "https://app.example.com/cb?x=1", true},
		{"another query", web, "https://app.example.com/cb?x=2", false},
		{"longer path", web, "https://app.example.com/cb/", false},
		{"path below", web, "https://app.example.com/cb/../evil", false},
		{"other case in path", web, "https://app.example.com/CB", false},
		{"subdomain", web, "https://app.example.com.evil.example/cb", false},
		{"sibling", web, "https://evil.example.com/cb", false},
		{"userinfo", web, "https://app.example.com@evil.example/cb", false},
		{"other scheme", web, "http://app.example.com/cb", false},
		{"other port", web, "https://app.example.com:8443/cb", false},
		{"encoded slash", web, "https://app.example.com/%63b", false},
		{"fragment", web, "https://app.example.com/cb#x", false},
		{"backslash", web, `https://app.example.com\@evil.example/cb`, false},
		{"empty", web, "", false},

		{"loopback, another port", native, "http://localhost:50000/callback", true},
		{"loopback, the interface's address", native, "http://127.0.0.1:50000/callback", true},
		{"loopback, IPv6", native, "http://[::1]:50000/callback", true},
		{"loopback, no port", native, "http://localhost/callback", true},
		{"loopback, registered without port", portless, "http://127.0.0.1:4711/callback", true},
		{"loopback, another path", native, "http://localhost:50000/callback/x", false},
		{"loopback, a query", native, "http://localhost:50000/callback?x=1", false},
		{"loopback, https", native, "https://localhost:50000/callback", false},
		{"loopback look-alike: subdomain", native, "http://localhost.evil.example:50000/callback", false},
		{"loopback look-alike: userinfo", native, "http://localhost@evil.example/callback", false},
		{"loopback look-alike: other address", native, "http://127.0.0.2:50000/callback", false},
		{"loopback look-alike: decimal", native, "http://2130706433:50000/callback", false},
		{"loopback look-alike: trailing dot", native, "http://localhost.:50000/callback", false},
		{"loopback look-alike: zero", native, "http://0.0.0.0:50000/callback", false},
		{"names below localhost are exact", named, "http://agent.localhost:9999/cb", false},
		{"names below localhost, exact", named, "http://agent.localhost:8080/cb", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.client.RedirectAllowed(tt.uri); got != tt.want {
				t.Errorf("RedirectAllowed(%q) = %v, want %v (registered %q)", tt.uri, got, tt.want, tt.client.RedirectURIs)
			}
		})
	}
}

func TestCheckRedirect(t *testing.T) {
	plain := []string{"agent.example.com"}
	for uri, ok := range map[string]bool{
		"https://app.example.com/cb":        true,
		"https://app.example.com":           true,
		"http://localhost:8090/callback":    true,
		"http://[::1]/cb":                   true,
		"http://agent.localhost:8080/cb":    true,
		"http://agent.example.com/cb":       true, // named, security.md 17
		"http://other.example.com/cb":       false,
		"https://app.example.com/cb#":       false,
		"https://app.example.com/cb#frag":   false,
		"https://user@app.example.com/cb":   false,
		"https://app.example.com/a/../b":    false,
		"https://app.example.com/*":         false,
		"https://app.example.com/a b":       false,
		"javascript:alert(1)":               false,
		"data:text/html,x":                  false,
		"myapp://callback":                  false,
		"https:///cb":                       false,
		"https://app.example.com./cb":       false,
		"https://app.example.com:99999/cb":  false,
		"https://app.example.com:0/cb":      false,
		"https://app.example.com:/cb":       false,
		"https://x<b>.example/cb":           false,
		"https://evil.example&x.test/cb":    false,
		"https://app.example.com/cb?a;b":    false,
		"https://app.example.com/cb?x=%zz":  false,
		"https://app.example.com/cb?code=1": false,
		"https://app.example.com/cb?a=b":    true,
		"https://192.0.2.1:8443/cb":         true,
		"//app.example.com/cb":              false,
		"/cb":                               false,
		"urn:ietf:wg:oauth:2.0:oob":         false,
		"https://app.example.com\\@evil/cb": false,
	} {
		if err := client.CheckRedirect(uri, plain); (err == nil) != ok {
			t.Errorf("CheckRedirect(%q) = %v, want accepted: %v", uri, err, ok)
		}
	}
}

func FuzzRedirectAllowed(f *testing.F) {
	f.Add("http://localhost:1/callback")
	f.Add("http://localhost@evil/callback")
	f.Add("https://app.example.com/cb")
	c := client.Client{RedirectURIs: []string{"http://localhost:33418/callback", "https://app.example.com/cb"}}
	f.Fuzz(func(t *testing.T, uri string) {
		if !c.RedirectAllowed(uri) || uri == "https://app.example.com/cb" {
			return
		}
		if !client.IsLoopback(uri) {
			t.Errorf("%q is allowed but leaves this computer", uri)
		}
	})
}
