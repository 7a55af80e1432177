package httpserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/httpserver"
)

func cors(origins ...string) http.Handler {
	return httpserver.CORS{
		Origins: origins, Methods: []string{"POST"},
		RequestHeaders:  []string{"Mcp-Method", "Mcp-Param-*"},
		ResponseHeaders: []string{"Mcp-Session-Id"},
	}.Wrap(http.HandlerFunc(ok))
}

// TestOriginIsChecked is R-RS-24 and security.md 15.
func TestOriginIsChecked(t *testing.T) {
	demo := []string{"https://app.example.com", "http://localhost", "http://127.0.0.1", "http://[::1]", "http://*.localhost"}
	for _, c := range []struct {
		origin  string
		origins []string
		want    int
	}{
		{"", nil, 200}, // no script of another site
		{"https://app.example.com", demo, 200},
		{"http://localhost:6274", demo, 200},
		{"http://localhost", demo, 200},
		{"http://127.0.0.1:5173", demo, 200},
		{"http://[::1]:5173", demo, 200},
		{"http://agent.localhost:8080", demo, 200},

		{"http://localhost:6274", nil, 403},
		{"http://agent.localhost:8080", demo[:4], 403},
		{"http://localhost:6274", demo[4:], 403},
		{"https://localhost:6274", demo, 403},
		{"https://app.example.com:8443", demo, 403},
		{"https://APP.example.com", demo, 403},
		{"https://app.example.com.evil.example", demo, 403},
		{"http://evil.example", demo, 403},
		{"http://localhost.evil.example", demo, 403},
		{"http://evillocalhost", demo, 403},
		{"http://localhost@evil.example", demo, 403},
		{"http://localhost:6274/path", demo, 403},
		{"http://127.0.0.2:5173", demo, 403},
		{"http://2130706433:5173", demo, 403},
		{"null", demo, 403},
		{"http://*.localhost", []string{"http://localhost"}, 403},
		{"localhost", demo, 403},
		{"http://localhost:x", demo, 403},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://mcp.localhost:8080/", nil)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		cors(c.origins...).ServeHTTP(w, r)
		h := w.Header()
		if w.Code != c.want {
			t.Errorf("%q with %v: status %d, want %d", c.origin, c.origins, w.Code, c.want)
		}
		allowed := ""
		if c.want == 200 {
			allowed = c.origin
		}
		if h.Get("Access-Control-Allow-Origin") != allowed || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%q: header %v", c.origin, h)
		}
		if allowed != "" && h.Get("Access-Control-Expose-Headers") != "WWW-Authenticate, Mcp-Session-Id" {
			t.Errorf("%q: exposed %q", c.origin, h.Get("Access-Control-Expose-Headers"))
		}
	}
	r := httptest.NewRequest(http.MethodPost, "http://mcp.localhost:8080/", nil)
	r.Header["Origin"] = []string{"https://app.example.com", "http://evil.example"}
	w := httptest.NewRecorder()
	cors(demo...).ServeHTTP(w, r)
	if w.Code != 403 {
		t.Errorf("two origins: status %d", w.Code)
	}
}

func TestPreflight(t *testing.T) {
	r := httptest.NewRequest(http.MethodOptions, "http://mcp.localhost:8080/", nil)
	r.Header.Set("Origin", "http://localhost:6274")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "authorization, Mcp-Param-Region,mcp-param-a b,mcp-param-\x7f,x-evil,cookie,"+strings.Repeat("mcp-param-z,", 100))
	w := httptest.NewRecorder()
	cors("http://localhost").ServeHTTP(w, r)
	h := w.Header()
	if w.Code != http.StatusNoContent || w.Body.Len() != 0 || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("answer is %d %v", w.Code, h)
	}
	allowed := h.Get("Access-Control-Allow-Headers")
	if !strings.HasPrefix(allowed, "Accept, Authorization, Content-Type, Mcp-Method, mcp-param-region, mcp-param-z") ||
		strings.Contains(allowed, "evil") || strings.Contains(allowed, "cookie") || strings.Contains(allowed, "a b") || strings.Count(allowed, ",") > 70 {
		t.Errorf("allowed headers are %q", allowed)
	}
	if h.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("credentials are allowed")
	}

	r.Header.Set("Origin", "http://evil.example")
	w = httptest.NewRecorder()
	cors("http://localhost").ServeHTTP(w, r)
	if w.Code != 403 || w.Header().Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("foreign preflight: %d %v", w.Code, w.Header())
	}
}

// TestWriteProblem is RFC 9457 §3.
func TestWriteProblem(t *testing.T) {
	for _, c := range []struct {
		problem httpserver.Problem
		want    map[string]any
	}{
		{httpserver.Problem{}, map[string]any{"type": "about:blank", "title": "Internal Server Error", "status": 500.0}},
		{
			httpserver.Problem{Type: "urn:x", Title: "T", Status: 409, Detail: "D", Instance: "urn:i", Extra: map[string]any{"balance": 30, "status": 200, "detail": "E"}},
			map[string]any{"type": "urn:x", "title": "T", "status": 409.0, "detail": "D", "instance": "urn:i", "balance": 30.0},
		},
		{
			httpserver.Problem{Status: 404, Extra: map[string]any{"detail": "E", "bad": func() {}}},
			map[string]any{"type": "about:blank", "title": "Not Found", "status": 404.0},
		},
	} {
		w := httptest.NewRecorder()
		httpserver.WriteProblem(w, c.problem)
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Header().Get("Content-Type") != "application/problem+json" || float64(w.Code) != c.want["status"] || len(got) != len(c.want) {
			t.Errorf("answer is %d %v %s", w.Code, w.Header(), w.Body)
		}
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
	}
}
