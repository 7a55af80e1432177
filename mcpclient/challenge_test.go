package mcpclient_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/mcpclient"
)

// R-CL-2: challenges as servers write them (RFC 9110 §11.6.1).
func TestChallenges(t *testing.T) {
	for name, c := range map[string]struct {
		headers  []string
		bearer   bool
		metadata string
		code     string
		scope    []string
	}{
		"none":                   {},
		"bare":                   {headers: []string{"Bearer"}, bearer: true},
		"in any case":            {headers: []string{`bEARER Error="invalid_token"`}, bearer: true, code: "invalid_token"},
		"all":                    {headers: []string{`Bearer error="insufficient_scope", scope="a b", resource_metadata="https://mcp.example/.well-known/oauth-protected-resource"`}, bearer: true, code: "insufficient_scope", scope: []string{"a", "b"}, metadata: "https://mcp.example/.well-known/oauth-protected-resource"},
		"unquoted":               {headers: []string{`Bearer resource_metadata=https://mcp.example/x, error=invalid_token`}, bearer: true, metadata: "https://mcp.example/x", code: "invalid_token"},
		"after another":          {headers: []string{`Basic realm="x, Bearer error=\"forged\"", Bearer error="invalid_token"`}, bearer: true, code: "invalid_token"},
		"after a token68":        {headers: []string{`Negotiate abc==, Bearer error="invalid_token"`}, bearer: true, code: "invalid_token"},
		"in a header of its own": {headers: []string{`DPoP algs="ES256"`, `Bearer scope="a"`}, bearer: true, scope: []string{"a"}},
		"another only":           {headers: []string{`Basic realm="Bearer"`}},
		"within a quotation":     {headers: []string{`Digest nonce="Bearer error=\"invalid_token\""`}},
		"escapes":                {headers: []string{`Bearer error_description="a \"b\" \\ c", error="x"`}, bearer: true, code: "x"},
		"spaces and commas":      {headers: []string{"  ,, Bearer  scope = \"a\" ,, error = \"b\" , "}, bearer: true, scope: []string{"a"}, code: "b"},
		"a name given twice":     {headers: []string{`Bearer error="first", error="second"`}, bearer: true, code: "first"},
		"unfinished":             {headers: []string{`Bearer error="invalid_token`}, bearer: true},
		"no scope tokens":        {headers: []string{"Bearer scope=\"a \\\" b\""}, bearer: true},
		"huge":                   {headers: []string{"Bearer error=\"" + strings.Repeat("x", 9000) + "\""}},
	} {
		h := http.Header{}
		for _, value := range c.headers {
			h.Add("WWW-Authenticate", value)
		}
		bearer, metadata, code, scope := mcpclient.ParseChallenge(h)
		if bearer != c.bearer || metadata != c.metadata || code != c.code || !slices.Equal(scope, c.scope) {
			t.Errorf("%s: %v %q %q %q", name, bearer, metadata, code, scope)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_scope", scope="a b"`)
	f.Add(`Basic realm="x\", Negotiate abc==, Bearer a=b`)
	f.Add("=,\"\\")
	f.Fuzz(func(t *testing.T, value string) {
		h := http.Header{}
		h["Www-Authenticate"] = []string{value}
		bearer, _, _, scope := mcpclient.ParseChallenge(h)
		if bearer && !strings.Contains(strings.ToLower(value), "bearer") {
			t.Errorf("%q is a Bearer challenge", value)
		}
		for _, s := range scope {
			if s == "" || strings.ContainsAny(s, " \"\\") {
				t.Errorf("%q has scope %q", value, s)
			}
		}
	})
}
