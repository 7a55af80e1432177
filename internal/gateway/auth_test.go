package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/catalog"
	"gatehouse/internal/gateway"
)

const metadataURL = mcpURL + "/.well-known/oauth-protected-resource/users"

// R-RS-3, R-RS-4, R-RS-6, R-RS-9: nothing is answered to nobody, whatever is
// asked, and the challenge says all a client needs.
func TestWithoutTokenEverythingIs401(t *testing.T) {
	w := newWorld(t, nil)
	for name, q := range map[string]request{
		"modern discover": modern("", "server/discover", nil),
		"modern list":     modern("", "tools/list", nil),
		"modern call":     modern("", "tools/call", map[string]any{"name": "fetch-users"}),
		"initialize":      legacy("", "2025-11-25", "initialize", map[string]any{"protocolVersion": "2025-11-25"}),
		"ping":            legacy("", "2025-11-25", "ping", nil),
		"empty object":    {body: "{}"},
		"garbage":         {body: "not JSON"},
		"wrong type":      {body: "x", header: map[string]string{"Content-Type": "text/plain"}},
		"unknown method":  modern("", "no/such", nil),
		"GET":             {method: "GET"},
		"GET for events":  {method: "GET", header: map[string]string{"Accept": "text/event-stream"}},
		"HEAD":            {method: "HEAD"},
		"HEAD of a page":  {method: "HEAD", header: map[string]string{"Accept": "text/html"}},
		"DELETE":          {method: "DELETE"},
		"trailing slash":  {path: "/users/", body: "{}"},
		"token in URL":    {body: "{}", path: "/users?token=reader"},
		"Basic":           {body: "{}", header: map[string]string{"Authorization": "Basic cmVhZGVyOg=="}},
	} {
		t.Run(name, func(t *testing.T) {
			rec := w.do(q)
			if rec.Code != http.StatusUnauthorized {
				t.Errorf("status %d; want 401", rec.Code)
			}
			want := `Bearer scope="users:read", resource_metadata="` + metadataURL + `"`
			if got := rec.Header().Get("WWW-Authenticate"); got != want {
				t.Errorf("WWW-Authenticate\n got %s\nwant %s", got, want)
			}
		})
	}
	if n := w.as.questions(); n != 0 {
		t.Errorf("the authorization server was asked %d times about nothing", n)
	}
}

// R-RS-7, R-RS-9, security.md 14: expired, foreign, tampered, unknown; and a
// token for another API of this very gateway.
func TestBadTokens(t *testing.T) {
	w := newWorld(t, nil)
	for name, token := range map[string]string{
		"expired": "expired", "of another API of ours": "orders", "unknown": "stolen", "tampered": "reader.", "other case": "Reader",
		"a JWT of the issuer for the API": "eyJ0eXAiOiJhdCtqd3QifQ.eyJhdWQiOiJhcGkifQ.c2ln",
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"server/discover", "tools/list"} {
				rec := w.do(modern(token, method, nil))
				if rec.Code != http.StatusUnauthorized || !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), `Bearer error="invalid_token", `) {
					t.Errorf("%s: %d, %s", method, rec.Code, rec.Header().Get("WWW-Authenticate"))
				}
			}
			if rec := w.do(modern(token, "tools/call", map[string]any{"name": "fetch-users"})); rec.Code != http.StatusUnauthorized {
				t.Errorf("call: %d", rec.Code)
			}
		})
	}
	if n := len(w.api.requests()); n != 0 || len(w.as.exchanged()) != 0 {
		t.Errorf("%d API requests and %d exchanges for bad tokens", n, len(w.as.exchanged()))
	}
	if rec := w.do(request{method: "GET", path: "/users", token: "expired"}); rec.Code != http.StatusUnauthorized {
		t.Errorf("GET with a bad token: %d; want 401", rec.Code)
	}
}

// R-RS-10: a request that presents tokens ambiguously is 400.
func TestAmbiguousTokens(t *testing.T) {
	w := newWorld(t, nil)
	r := modern("reader", "tools/list", nil).build(t.Context())
	r.Header.Add("Authorization", "Bearer writer")
	rec := serve(w, r)
	if rec.Code != http.StatusBadRequest || !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), `Bearer error="invalid_request"`) {
		t.Errorf("two headers: %d, %s", rec.Code, rec.Header().Get("WWW-Authenticate"))
	}
	q := modern("reader", "tools/list", nil)
	q.path = "/users?access_token=reader"
	if rec := w.do(q); rec.Code != http.StatusBadRequest {
		t.Errorf("token in the URL: %d", rec.Code)
	}
}

// R-RS-11, R-RS-12, R-RS-14: a missing scope is a challenge that names all
// scopes of this call, also those the token has; a broader scope suffices.
func TestMissingScope(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ token, tool, scope string }{
		{"reader", "update-user", "users:write"},
		{"reader", "refund-order", "users:read refunds:create"},
		{"nothing", "fetch-users", "users:read"},
	} {
		// Arguments are wrong on purpose: who lacks the scope learns nothing of the schema.
		rec := w.do(modern(c.token, "tools/call", map[string]any{"name": c.tool, "arguments": map[string]any{"no": "such"}}))
		want := `Bearer error="insufficient_scope", error_description="this needs an access token with the scopes named here", scope="` + c.scope + `", resource_metadata="` + metadataURL + `"`
		if rec.Code != http.StatusForbidden || rec.Header().Get("WWW-Authenticate") != want {
			t.Errorf("%s calls %s: %d\n got %s\nwant %s", c.token, c.tool, rec.Code, rec.Header().Get("WWW-Authenticate"), want)
		}
	}
	w.as.add("machine", mcpURL+"/users", "users:read")["sub"] = "notebook" // client credentials
	w.do(modern("machine", "tools/call", map[string]any{"name": "delete-user"}))
	if e := w.audit.all()[3]; e.AccountID != "" || e.ClientID != "notebook" {
		t.Errorf("audit of a client that acts for itself: %+v", e)
	}
	entries := w.audit.all()[:3]
	if len(entries) != 3 || entries[0].Outcome != "denied" || entries[0].Tool != "update-user" || entries[0].ClientID != "notebook" {
		t.Errorf("audit of denials: %+v", entries)
	}
	if n := len(w.api.requests()); n != 0 {
		t.Errorf("%d requests left for denied calls", n)
	}
	// security.md 3: the authorization server hears once what was missing.
	w.do(modern("reader", "tools/call", map[string]any{"name": "update-user"}))
	told := w.as.exchanged()
	if len(told) != 4 || told[0]["scope"] != "users:write" || told[1]["scope"] != "users:read refunds:create" {
		t.Errorf("the authorization server was told %v", told)
	}
	// And again of the next token: a person may have signed in without ticking it.
	w.as.add("renewed", mcpURL+"/users", "users:read")["grant_id"] = "grant-reader"
	w.do(modern("renewed", "tools/call", map[string]any{"name": "update-user"}))
	if told := w.as.exchanged(); len(told) != 5 || told[4]["scope"] != "users:write" {
		t.Errorf("of the next token it was told %v", told)
	}
	if r := w.callTool("writer", "fetch-user", map[string]any{"id": "7"}); r.IsError {
		t.Errorf("users:write implies users:read, but: %s", r.text())
	}
}

// The authorization server is down: 503, for a 401 would make every client
// sign in again. Nothing leaves. security.md 11.
func TestAuthorizationServerDown(t *testing.T) {
	w := newWorld(t, nil)
	w.as.introspect = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }
	rec := w.do(modern("reader", "tools/call", map[string]any{"name": "fetch-users"}))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || rec.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if n := len(w.api.requests()); n != 0 {
		t.Errorf("%d API requests", n)
	}
}

// security.md 10: a revoked token is refused a second later although its
// exchanged token is still good.
func TestRevocationReachesCallsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		call := modern("reader", "tools/call", map[string]any{"name": "fetch-users"})
		if rec := w.do(call); rec.Code != 200 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		w.as.revoke("reader")
		time.Sleep(time.Second)
		if rec := w.do(call); rec.Code != http.StatusUnauthorized {
			t.Errorf("a second after revocation: %d", rec.Code)
		}
		if n := len(w.api.requests()); n != 1 {
			t.Errorf("%d API requests; want 1", n)
		}
	})
}

// R-RS-24: Origin on every connection; CORS lets listed origins read the
// challenge, without credentials (security.md 15).
func TestOrigin(t *testing.T) {
	w := newWorld(t, nil)
	for _, method := range []string{"GET", "POST", "HEAD", "DELETE", "OPTIONS"} {
		for _, origin := range []string{"https://evil.example", "null", "https://app.example.com.evil.example"} {
			rec := w.do(request{method: method, token: "reader", body: "{}", header: map[string]string{"Origin": origin}})
			if rec.Code != http.StatusForbidden {
				t.Errorf("%s from %s: %d; want 403", method, origin, rec.Code)
			}
		}
	}
	rec := w.do(request{body: "{}", header: map[string]string{"Origin": "https://app.example.com"}})
	h := rec.Header()
	if rec.Code != 401 || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("listed origin: %d %v", rec.Code, h)
	}
	rec = w.do(request{method: "OPTIONS", header: map[string]string{
		"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,mcp-method,mcp-param-region",
	}})
	if allowed := rec.Header().Get("Access-Control-Allow-Headers"); rec.Code != 204 || !strings.Contains(allowed, "mcp-param-region") || !strings.Contains(allowed, "Mcp-Protocol-Version") {
		t.Errorf("preflight: %d %s", rec.Code, allowed)
	}
}

// R-RS-1, R-RS-2, R-RS-3, R-RS-16: metadata of each API, by path insertion;
// none at the root unless an API is there.
func TestMetadata(t *testing.T) {
	w := newWorld(t, nil)
	rec := w.do(request{method: "GET", path: "/.well-known/oauth-protected-resource/users"})
	want := `{"resource":"https://mcp.example.com/users","authorization_servers":["https://login.example.com"],"scopes_supported":["users:read"],"bearer_methods_supported":["header"],"resource_name":"Customer API"}`
	if rec.Code != 200 || rec.Body.String() != want {
		t.Errorf("%d %s\nwant %s", rec.Code, rec.Body, want)
	}
	for path, status := range map[string]int{
		"/.well-known/oauth-protected-resource/orders": 200,
		"/.well-known/oauth-protected-resource/users/": 200,
		"/.well-known/oauth-protected-resource":        404,
		"/.well-known/oauth-protected-resource/other":  404,
		"/users/.well-known/oauth-protected-resource":  404,
		"/":        404,
		"/users/7": 404,
	} {
		if rec := w.do(request{method: "GET", path: path}); rec.Code != status {
			t.Errorf("GET %s: %d; want %d", path, rec.Code, status)
		}
	}
	root := newWorld(t, func(s *gateway.Server) {
		s.APIs = []*catalog.API{testAPI(t, "users", "Customer API", "/", usersDocument, []string{"users:read"})}
	})
	rec = root.do(request{method: "GET", path: "/.well-known/oauth-protected-resource"})
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"resource":"https://mcp.example.com",`) {
		t.Errorf("API at the root: %d %s", rec.Code, rec.Body)
	}
	if rec := root.do(request{path: "/", body: "{}"}); rec.Header().Get("WWW-Authenticate") != `Bearer scope="users:read", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource"` {
		t.Errorf("challenge at the root: %s", rec.Header().Get("WWW-Authenticate"))
	}
}

// A browser gets a page for people; it tells no tool (security.md 14).
func TestPage(t *testing.T) {
	w := newWorld(t, nil)
	rec := w.do(request{method: "GET", header: map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}})
	body := rec.Body.String()
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") || !strings.Contains(body, "Customer API") || !strings.Contains(body, "claude mcp add") {
		t.Errorf("%d %s", rec.Code, body)
	}
	if strings.Contains(body, "fetch-users") || rec.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("the page tells tools or lacks its policy")
	}
}

// R-RS-40: no streams, no sessions.
func TestOtherMethods(t *testing.T) {
	w := newWorld(t, nil)
	for _, method := range []string{"GET", "HEAD", "DELETE", "PUT", "OPTIONS"} {
		rec := w.do(request{method: method, token: "reader", header: map[string]string{"Mcp-Session-Id": "x", "Last-Event-ID": "1"}})
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" || rec.Header().Get("Mcp-Session-Id") != "" {
			t.Errorf("%s: %d, Allow %q", method, rec.Code, rec.Header().Get("Allow"))
		}
	}
}
