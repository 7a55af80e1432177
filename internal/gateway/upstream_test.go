package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/gateway"
)

// Issue 2: an API that is down, slow, or answers 500, HTML or 20 MB; and all
// else that an API may do. Each is a result that says what happened and what
// would help; nothing of the inside is passed on.
func TestAPIMisbehaves(t *testing.T) {
	const secret = "stack trace of 10.0.0.7"
	text := func(status int, media, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", media)
			rw.Header().Set("Set-Cookie", "session="+secret)
			rw.Header().Set("Location", "https://internal.example/")
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, body)
		}
	}
	for _, c := range []struct {
		name, tool string
		api        http.HandlerFunc
		failed     bool
		says       string
		status     string // in the audit
	}{
		{"slow", "fetch-user", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, true, "did not answer within 30s", ""},
		{"500", "fetch-user", text(500, "text/plain", secret), true, "500 Internal Server Error", "500"},
		{"500 in JSON", "fetch-user", text(500, "application/json", `{"error":"`+secret+`"}`), true, "500 Internal Server Error", "500"},
		{"503 problem", "fetch-user", text(503, "application/problem+json", `{"title":"Closed","detail":"open at nine"}`), true, "Closed. open at nine", "503"},
		{"502 HTML", "fetch-user", text(502, "text/html", "<h1>"+secret), true, "502 Bad Gateway", "502"},
		{"200 HTML", "fetch-user", text(200, "text/html", "<h1>"+secret), true, "where JSON was expected", "200"},
		{"20 MB", "fetch-user", text(200, "application/json", `"`+strings.Repeat("x", 20<<20)+`"`), true, "more than 4 MB", "200"},
		{"20 MB of 500", "fetch-user", text(500, "application/json", `"`+strings.Repeat("x", 20<<20)+`"`), true, "500", "500"},
		{"broken JSON", "fetch-user", text(200, "application/json", `{"id":`), true, "calls JSON but is not", "200"},
		{"deeply nested JSON", "fetch-report", text(200, "application/json", strings.Repeat("[", 100000)+strings.Repeat("]", 100000)), true, "calls JSON but is not", "200"},
		{"unnamed type", "fetch-user", text(200, "", `{"id":"7"}`), true, "", "200"},
		{"404 problem", "fetch-user", text(404, "application/problem+json", `{"title":"No such customer","detail":"There is no customer 7.","instance":"`+secret+`"}`), true, "No such customer. There is no customer 7.", "404"},
		{"403 problem", "fetch-user", text(403, "application/problem+json", `{"title":"Agents may not"}`), true, "Agents may not", "403"},
		{"400 JSON", "fetch-user", text(400, "application/json", `{"message":"id must be even"}`), true, "id must be even", "400"},
		{"409 text", "fetch-user", text(409, "text/plain", secret), true, "409 Conflict", "409"},
		{"429", "fetch-user", text(429, "text/plain", ""), true, "Wait before", "429"},
		{"redirect", "fetch-user", text(302, "text/plain", ""), true, "not followed", "302"},
		{"control characters in a problem", "fetch-user", text(404, "application/problem+json", `{"title":"a\u001b[31mb\u0007"}`), true, "a[31mb", "404"},
		{"empty though it promised data", "fetch-user", text(200, "application/json", ""), true, "sent no data", "200"},
		{"empty and promised nothing", "delete-user", text(204, "", ""), false, "did it (204 No Content)", "204"},
		{"answer off its schema", "fetch-user", text(200, "application/json", `{"id":7}`), true, `{"id":7}`, "200"},
		{"array", "fetch-report", text(200, "application/json", `[1,2]`), false, "[1,2]", "200"},
		{"text", "fetch-report", text(200, "text/csv", "a,b\n1,2\n"), false, "a,b\n1,2\n", "200"},
		{"binary", "fetch-report", text(200, "application/pdf", "%PDF"+secret), true, "application/pdf", "200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.api.handler = c.api
				rec := w.do(modern("writer", "tools/call", map[string]any{"name": c.tool, "arguments": map[string]any{"id": "7"}}))
				r := w.result(rec)
				if r.IsError != c.failed || !strings.Contains(r.text(), c.says) {
					t.Errorf("isError %t: %.300q; want %t, %q", r.IsError, r.text(), c.failed, c.says)
				}
				if bytes.Contains(rec.Body.Bytes(), []byte(secret)) || rec.Header().Get("Set-Cookie") != "" || rec.Header().Get("Location") != "" {
					t.Errorf("the inside of the API shows: %.300s %v", rec.Body, rec.Header())
				}
				if rec.Body.Len() > 10_000 {
					t.Errorf("an answer of %d bytes", rec.Body.Len())
				}
				e := w.audit.all()[0]
				if want := map[bool]string{true: "failed", false: "done"}[c.failed]; string(e.Outcome) != want || e.Detail["status"] != c.status || c.failed && e.Reason == "" {
					t.Errorf("audit %+v; want %s, %s", e, want, c.status)
				}
			})
		})
	}
}

func TestAPIDown(t *testing.T) {
	w := newWorld(t, func(s *gateway.Server) { delete(s.Client.Transport.(hosts), "api.example.com") })
	r := w.callTool("reader", "fetch-users", map[string]any{"q": "confidential"})
	if !r.IsError || !strings.Contains(r.text(), "Customer API cannot be reached") || strings.Contains(r.text(), "dial") {
		t.Errorf("%+v", r)
	}
	// The operator sees why, but neither arguments nor tokens.
	if log := w.log.String(); !strings.Contains(log, "no such host") || strings.Contains(log, "confidential") || strings.Contains(log, "reader") || strings.Contains(log, "exchanged-") {
		t.Errorf("log: %s", log)
	}
	if e := w.audit.all()[0]; e.Outcome != "failed" {
		t.Errorf("audit %+v", e)
	}
}

// An answer that ends early, over a real connection.
func TestAPIBreaksOff(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(rw, `{"id":`)
	}))
	defer api.Close()
	w := newWorld(t, func(s *gateway.Server) {
		inner := s.Client.Transport
		s.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "api.example.com" {
				return inner.RoundTrip(r)
			}
			r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(api.URL, "http://")
			return http.DefaultTransport.RoundTrip(r)
		})}
	})
	if r := w.callTool("reader", "fetch-users", nil); !r.IsError || !strings.Contains(r.text(), "did not finish") {
		t.Errorf("%+v", r)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// R-RS-39: a modern client that leaves cancels its call; an older one does
// not. What happened is recorded either way.
func TestCancellation(t *testing.T) {
	for name, q := range map[string]request{
		"2026-07-28": modern("reader", "tools/call", map[string]any{"name": "fetch-users"}),
		"2025-11-25": legacy("reader", "2025-11-25", "tools/call", map[string]any{"name": "fetch-users"}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				var cancelled bool
				w.api.handler = func(rw http.ResponseWriter, r *http.Request) {
					select {
					case <-r.Context().Done():
						cancelled = true
					case <-time.After(10 * time.Second):
						writeJSON(rw, 200, map[string]any{"items": []any{}})
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					time.Sleep(time.Second)
					cancel()
				}()
				serve(w, q.build(ctx))
				synctest.Wait()
				if cancelled != (name == "2026-07-28") {
					t.Errorf("cancelled: %t", cancelled)
				}
				if e := w.audit.all()[0]; e.Outcome == "started" {
					t.Errorf("audit %+v", e)
				}
			})
		})
	}
}

// The result is the API's answer, nothing lost on the way: numbers beyond
// float64, order, characters that HTML escapes.
func TestDataIsKept(t *testing.T) {
	w := newWorld(t, nil)
	const data = `{"z":12345678901234567890.123456789,"a":"<&>\u2028é","n":null}`
	w.api.handler = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/vnd.x+json; charset=utf-8")
		_, _ = io.WriteString(rw, data)
	}
	r := w.callTool("reader", "fetch-report", nil)
	var kept bytes.Buffer
	if err := json.Compact(&kept, r.Data); err != nil || kept.String() != data || r.text() != data {
		t.Errorf("structured %s\ntext %s\nwant %s", r.Data, r.text(), data)
	}
}
