package oauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/oauth"
)

// RFC 7636 Appendix B.
func TestPKCEVector(t *testing.T) {
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if !oauth.VerifyPKCE(challenge, verifier) || !oauth.ValidChallenge(challenge) {
		t.Error("the RFC's own example is refused")
	}
	for _, wrong := range []string{"", verifier[:42], verifier + "!", strings.Repeat("a", 129), challenge, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"} {
		if oauth.VerifyPKCE(challenge, wrong) {
			t.Errorf("verifier %q is accepted", wrong)
		}
	}
	if oauth.ValidChallenge(verifier+"=") || oauth.ValidChallenge("short") {
		t.Error("what is no S256 challenge is accepted")
	}
}

// RFC 8707 §2, clients.md: `https://x` and `https://x/` are one resource. R-RS-16.
func TestCanonicalResource(t *testing.T) {
	for in, want := range map[string]string{
		"https://x.example":            "https://x.example",
		"https://x.example/":           "https://x.example",
		"HTTPS://X.Example:443/":       "https://x.example",
		"http://x.example:80":          "http://x.example",
		"http://mcp.localhost:8080/":   "http://mcp.localhost:8080",
		"https://x.example/mcp":        "https://x.example/mcp",
		"https://x.example/mcp/":       "https://x.example/mcp/",
		"https://x.example/MCP":        "https://x.example/MCP",
		"https://x.example/a?b=c":      "https://x.example/a?b=c",
		"https://x.example#f":          "",
		"https://x.example#":           "",
		"https://user@x.example":       "",
		"x.example":                    "",
		"urn:example:resource":         "",
		"ftp://x.example":              "",
		"":                             "",
		"https://x.example/%2e%2e/a":   "https://x.example/%2e%2e/a",
		"https://x.example:8443/":      "https://x.example:8443",
		"https://x.example/a/../../b/": "https://x.example/a/../../b/",
	} {
		got, err := oauth.CanonicalResource(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("CanonicalResource(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// RFC 6749 §3.3.
func TestParseScope(t *testing.T) {
	got, err := oauth.ParseScope("  b a  b ")
	if err != nil || !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"a\"b", "a\\b", "a\x00", "ä", strings.Repeat("a ", 3000)} {
		if _, err := oauth.ParseScope(bad); err == nil {
			t.Errorf("scope %.20q is accepted", bad)
		}
	}
}

// RFC 6749 §3.1, §3.2: parameters MUST NOT be included more than once.
func TestParseFormRefuses(t *testing.T) {
	for name, build := range map[string]func() *http.Request{
		"repeated parameter": func() *http.Request { return post("/token", "a=1&a=2") },
		"wrong media type": func() *http.Request {
			r := post("/token", "a=1")
			r.Header.Set("Content-Type", "application/json")
			return r
		},
		"parameters in the URL": func() *http.Request { return post("/token?client_secret=x", "a=1") },
		"too large":             func() *http.Request { return post("/token", "a="+strings.Repeat("x", 65<<10)) },
		"bad encoding":          func() *http.Request { return post("/token", "a=%zz") },
		"no UTF-8":              func() *http.Request { return post("/token", "a=%ff") },
		"NUL":                   func() *http.Request { return post("/token", "a=%00") },
		"semicolons":            func() *http.Request { return post("/token", "a=1;b=2") },
	} {
		if _, err := oauth.ParseForm(build()); err == nil {
			t.Errorf("%s: accepted", name)
		} else if e, ok := oauth.AsError(err); !ok || e.Code != oauth.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	form, err := oauth.ParseForm(post("/token", "a=1&empty=&m=1&m=2"), "m")
	if err != nil || form.Get("a") != "1" || form.Has("empty") || len(form["m"]) != 2 {
		t.Errorf("got %v, %v", form, err)
	}
}

func post(target, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

// proving.md: duplicate and differently-cased JSON members, deep nesting.
func TestMembers(t *testing.T) {
	for _, bad := range []string{
		``, `[]`, `"x"`, `{`, `{"a":1}{}`, `{"a":1} x`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`,
		`{"a":1,"\u0061":2}`, `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`,
	} {
		if _, err := oauth.Members([]byte(bad), 8); !errors.Is(err, oauth.ErrJSON) {
			t.Errorf("%s: %v, want ErrJSON", bad, err)
		}
	}
	m, err := oauth.Members([]byte(`{"a":1,"A":{"b":[1,{"c":null}]}}`), 8)
	if err != nil || len(m) != 2 || string(m["a"]) != "1" {
		t.Errorf("got %v, %v", m, err)
	}
}

// RFC 6750 §3: what goes into a challenge cannot break out of its quotes.
func TestChallenge(t *testing.T) {
	got := oauth.Challenge{
		Error: oauth.InsufficientScope, Description: "needs \"x\"\r\nSet-Cookie: a=b", Scope: []string{"a:b", "c"},
		ResourceMetadata: "https://x.example/.well-known/oauth-protected-resource",
	}.String()
	want := `Bearer error="insufficient_scope", error_description="needs 'x'??Set-Cookie: a=b", scope="a:b c", resource_metadata="https://x.example/.well-known/oauth-protected-resource"`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if (oauth.Challenge{}).String() != "Bearer" {
		t.Error("an empty challenge is not bare")
	}
}

// RFC 6749 §2.3.1, and clients that do not form-encode (clients.md, LibreChat).
func TestBasicCredentials(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/token", nil)
	r.SetBasicAuth("a%3Ab", "s+%25")
	id, secret, rawID, rawSecret, ok, err := oauth.BasicCredentials(r)
	if err != nil || !ok || id != "a:b" || secret != "s %" || rawID != "a%3Ab" || rawSecret != "s+%25" {
		t.Errorf("got %q %q %q %q %v %v", id, secret, rawID, rawSecret, ok, err)
	}
	r.Header.Set("Authorization", "Basic !!!")
	if _, _, _, _, _, err := oauth.BasicCredentials(r); !errors.Is(err, oauth.ErrBasic) {
		t.Errorf("malformed header: %v", err)
	}
}
