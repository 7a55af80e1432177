package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/gateway"
)

// One call, from the client's token to the API's request and back. R-RS-8:
// the API gets a token made for it, never the client's.
func TestCall(t *testing.T) {
	w := newWorld(t, nil)
	r := w.callTool("writer", "update-user", map[string]any{"id": "a b?c", "name": "Grace", "notify": true})
	if r.IsError || string(r.Data) != `{"id":"7","name":"Ada"}` || r.text() != "{\"id\":\"7\",\"name\":\"Ada\"}\n" {
		t.Errorf("result %+v", r)
	}
	got := w.api.requests()
	if len(got) != 1 {
		t.Fatalf("%d API requests; want 1", len(got))
	}
	if got[0].Method != "PATCH" || got[0].URL.String() != apiURL+"/users/a%20b%3Fc?notify=true" || strings.TrimSpace(w.api.bodies[0]) != `{"name":"Grace"}` {
		t.Errorf("%s %s %s", got[0].Method, got[0].URL, w.api.bodies[0])
	}
	if got[0].Header.Get("Authorization") != "Bearer exchanged-1" {
		t.Errorf("Authorization: %s", got[0].Header.Get("Authorization"))
	}
	dump := fmt.Sprint(got[0].Header, got[0].URL, w.api.bodies[0])
	if strings.Contains(dump, "writer") || got[0].Header.Get("Mcp-Method") != "" || got[0].Header.Get("X-Request-Id") == "" {
		t.Errorf("the API got more than it should, or no request id: %s", dump)
	}
	want := map[string]string{
		"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "writer",
		"subject_token_type":   "urn:ietf:params:oauth:token-type:access_token",
		"requested_token_type": "urn:ietf:params:oauth:token-type:jwt", "audience": apiURL, "scope": "users:write",
	}
	if x := w.as.exchanged(); len(x) != 1 || fmt.Sprint(x[0]) != fmt.Sprint(want) {
		t.Errorf("exchanges %v\nwant %v", x, want)
	}
}

// security.md 22: the entry is there before the call leaves, holds the names
// of arguments and a hash, and the outcome afterwards.
func TestCallIsAudited(t *testing.T) {
	w := newWorld(t, nil)
	var before []string
	w.api.handler = func(rw http.ResponseWriter, r *http.Request) {
		for _, e := range w.audit.all() {
			before = append(before, string(e.Outcome))
		}
		writeJSON(rw, 200, map[string]any{"id": "7", "name": "Ada"})
	}
	w.callTool("writer", "update-user", map[string]any{"id": "7", "name": "Top Secret"})
	w.callTool("writer", "update-user", map[string]any{"id": "7", "name": "Top Secret"})
	w.callTool("writer", "update-user", map[string]any{"id": "7", "name": "Other"})
	if fmt.Sprint(before) != "[started done started done done started]" {
		t.Errorf("outcomes seen by the API: %v", before)
	}
	all := w.audit.all()
	e := all[0]
	if e.Kind != "call" || e.Outcome != "done" || e.AccountID != "alice" || e.ClientID != "notebook" || e.GrantID != "grant-writer" || e.API != "users" || e.Tool != "update-user" || e.RequestID == "" || e.Time == 0 || e.Detail["status"] != "200" || e.Detail["arguments"] != "id name" {
		t.Errorf("entry %+v", e)
	}
	if h := e.Detail["arguments_hmac"]; h == "" || all[1].Detail["arguments_hmac"] != h || all[2].Detail["arguments_hmac"] == h {
		t.Errorf("hashes of arguments: %v", all)
	}
	if strings.Contains(fmt.Sprintf("%+v", all), "Secret") {
		t.Errorf("the audit holds a value: %+v", all)
	}
}

// Only a call that cannot change anything may leave before its entry is
// durable.
func TestAuditWaitsForChanges(t *testing.T) {
	w := newWorld(t, nil)
	w.callTool("writer", "fetch-user", map[string]any{"id": "7"})
	if w.audit.appends != 0 || w.audit.enqueues != 1 {
		t.Errorf("a read: %d appended, %d enqueued", w.audit.appends, w.audit.enqueues)
	}
	w.callTool("writer", "update-user", map[string]any{"id": "7", "name": "x"})
	if w.audit.appends != 1 || w.audit.enqueues != 1 {
		t.Errorf("a change: %d appended, %d enqueued", w.audit.appends, w.audit.enqueues)
	}
}

// An audit log that takes no entries: nothing leaves, and the agent is told.
func TestAuditFailing(t *testing.T) {
	w := newWorld(t, nil)
	w.audit.err = errors.New("disk full")
	for _, tool := range []string{"fetch-user", "update-user"} {
		r := w.callTool("writer", tool, map[string]any{"id": "7"})
		if !r.IsError || !strings.Contains(r.text(), "audit log") || strings.Contains(r.text(), "disk") {
			t.Errorf("%s: %+v", tool, r)
		}
	}
	if n := len(w.api.requests()) + len(w.as.exchanged()); n != 0 {
		t.Errorf("%d requests left", n)
	}
	// A denial stays a denial.
	if rec := w.do(modern("reader", "tools/call", map[string]any{"name": "update-user"})); rec.Code != 403 {
		t.Errorf("denied call: %d", rec.Code)
	}
}

// Exchanged tokens are kept by token, API and scopes until shortly before
// they expire, and made once for concurrent calls.
func TestExchangedTokensAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.as.expiresIn = 60
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { w.callTool("writer", "fetch-user", map[string]any{"id": "7"}) })
		}
		wg.Wait()
		if n := len(w.as.exchanged()); n != 1 {
			t.Errorf("%d exchanges for 20 calls at once; want 1", n)
		}
		w.callTool("writer", "fetch-users", nil) // the same scopes
		if n := len(w.as.exchanged()); n != 1 {
			t.Errorf("%d exchanges; want 1: same scopes", n)
		}
		w.callTool("writer", "update-user", map[string]any{"id": "7", "name": "x"}) // other scopes
		w.callTool("reader", "fetch-user", map[string]any{"id": "7"})               // another token
		if n := len(w.as.exchanged()); n != 3 {
			t.Errorf("%d exchanges; want 3", n)
		}
		time.Sleep(44 * time.Second)
		w.callTool("writer", "fetch-user", map[string]any{"id": "7"})
		if n := len(w.as.exchanged()); n != 3 {
			t.Errorf("%d exchanges after 44 s; want 3", n)
		}
		time.Sleep(2 * time.Second)
		w.callTool("writer", "fetch-user", map[string]any{"id": "7"})
		if n := len(w.as.exchanged()); n != 4 {
			t.Errorf("%d exchanges shortly before expiry; want 4", n)
		}
	})
}

// A token that died between introspection and exchange is 401, so that the
// client refreshes; every other refusal is a result that says why.
func TestExchangeRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		revoke bool
		status int
		says   string
	}{
		{"dead token", func(rw http.ResponseWriter, _ *http.Request) {
			writeJSON(rw, 400, map[string]any{"error": "invalid_grant"})
		}, true, 401, ""},
		{"dead token, as RFC 8693 says", func(rw http.ResponseWriter, _ *http.Request) {
			writeJSON(rw, 400, map[string]any{"error": "invalid_request"})
		}, true, 401, ""},
		{"grant refused though the token lives", func(rw http.ResponseWriter, _ *http.Request) {
			writeJSON(rw, 400, map[string]any{"error": "invalid_grant", "error_description": "no such thing"})
		}, false, 200, "no such thing (invalid_grant)"},
		{"target", func(rw http.ResponseWriter, _ *http.Request) {
			writeJSON(rw, 400, map[string]any{"error": "invalid_target", "error_description": "unknown API"})
		}, false, 200, "unknown API (invalid_target)"},
		{"down", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(502) }, false, 200, "gave no token"},
		{"page", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }, false, 200, "gave no token"},
		{"the client's own token", func(rw http.ResponseWriter, r *http.Request) {
			writeJSON(rw, 200, map[string]any{"access_token": r.PostForm.Get("subject_token"), "expires_in": 60})
		}, false, 200, "gave no token"},
		{"no expiry", func(rw http.ResponseWriter, _ *http.Request) {
			writeJSON(rw, 200, map[string]any{"access_token": "x"})
		}, false, 200, "gave no token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.as.exchange = func(rw http.ResponseWriter, r *http.Request) {
				if c.revoke {
					delete(w.as.tokens, "reader") // the lock is held
				}
				c.answer(rw, r)
			}
			rec := w.do(modern("reader", "tools/call", map[string]any{"name": "fetch-users"}))
			if rec.Code != c.status {
				t.Fatalf("%d %s; want %d", rec.Code, rec.Body, c.status)
			}
			if c.status == 200 {
				if r := w.result(rec); !r.IsError || !strings.Contains(r.text(), c.says) {
					t.Errorf("%+v; want %q", r, c.says)
				}
			}
			if len(w.api.requests()) != 0 {
				t.Error("the API was called")
			}
			if e := w.audit.all(); len(e) != 1 || e[0].Outcome == "started" || e[0].Outcome == "done" {
				t.Errorf("audit %+v", e)
			}
		})
	}
}

// The API does not accept a kept token: it is dropped and the call tried once
// more; a fresh one that is not accepted is a result, never a 401.
func TestAPIRefusesToken(t *testing.T) {
	w := newWorld(t, nil)
	bad := map[string]bool{}
	w.api.handler = func(rw http.ResponseWriter, r *http.Request) {
		if bad[r.Header.Get("Authorization")] {
			rw.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			rw.WriteHeader(401)
			return
		}
		writeJSON(rw, 200, map[string]any{"id": "7", "name": "Ada"})
	}
	w.callTool("reader", "fetch-user", map[string]any{"id": "7"})
	bad["Bearer exchanged-1"] = true // keys changed
	if r := w.callTool("reader", "fetch-user", map[string]any{"id": "7"}); r.IsError {
		t.Errorf("after dropping the token: %s", r.text())
	}
	if n := len(w.api.requests()); n != 3 {
		t.Errorf("%d API requests; want 3", n)
	}
	bad["Bearer exchanged-2"], bad["Bearer exchanged-3"] = true, true
	r := w.callTool("reader", "fetch-user", map[string]any{"id": "7"})
	if !r.IsError || !strings.Contains(r.text(), "signing in again does not help") {
		t.Errorf("%+v", r)
	}
	if n := len(w.api.requests()); n != 5 {
		t.Errorf("%d API requests; want 5: one retry", n)
	}
}

// R-RS-35, issue 2: arguments that break the schema do not leave, and the
// agent learns what is wrong.
func TestArgumentsAreValidated(t *testing.T) {
	w := newWorld(t, nil)
	for _, args := range []map[string]any{
		{}, {"id": 7}, {"id": "7", "name": 1}, {"id": "7", "surprise": true}, {"id": "7", "name": strings.Repeat("x", 200)},
	} {
		r := w.callTool("writer", "update-user", args)
		if !r.IsError || !strings.Contains(r.text(), "arguments do not fit tool update-user") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	rec := w.do(modern("writer", "tools/call", map[string]any{"name": "update-user", "arguments": []any{1}}))
	if rec.Code != 400 || errorCode(rec) != -32602 {
		t.Errorf("arguments no object: %d %s", rec.Code, rec.Body)
	}
	if n := len(w.api.requests()) + len(w.as.exchanged()) + len(w.audit.all()); n != 0 {
		t.Errorf("%d traces of calls that were not made", n)
	}
}

// Argument and header smuggling: what an argument holds stays where it belongs.
func TestArgumentsStayInTheirPlace(t *testing.T) {
	w := newWorld(t, nil)
	for id, path := range map[string]string{"..": "", ".": "", "../admin": "", "7/refunds": "", `7\admin`: "", "%2e%2e%2fadmin": "/users/%252e%252e%252fadmin", "7?x=1#y": "/users/7%3Fx=1%23y"} {
		before := len(w.api.requests())
		r := w.callTool("writer", "fetch-user", map[string]any{"id": id})
		got := w.api.requests()[before:]
		if path == "" && (len(got) != 0 || !r.IsError) || path != "" && (len(got) != 1 || got[0].URL.String() != apiURL+path) {
			t.Errorf("path argument %q: %v, %+v", id, got, r)
		}
	}
	for _, value := range []string{"a\r\nAuthorization: Bearer stolen", "a\nX: y", "a\x00"} {
		before, exchanges := len(w.api.requests()), len(w.as.exchanged())
		r := w.callTool("writer", "fetch-users", map[string]any{"X-Tenant": value})
		if got := w.api.requests(); !r.IsError || len(got) != before || len(w.as.exchanged()) != exchanges {
			t.Errorf("header argument %q: %+v, sent: %v", value, r, got[before:])
		}
	}
	w.callTool("writer", "fetch-users", map[string]any{"q": "a&limit=9#\r\n b"})
	got := w.api.requests()
	if q := got[len(got)-1].URL.Query(); q.Get("q") != "a&limit=9#\r\n b" || q.Has("limit") {
		t.Errorf("query argument: %v", got[len(got)-1].URL)
	}
}

func TestUnknownTool(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"no-such", "fetch-orders", "Fetch-Users", ""} {
		rec := w.do(legacy("nothing", "2025-11-25", "tools/call", map[string]any{"name": name}))
		if rec.Code != 200 || errorCode(rec) != -32602 || rec.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%q: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// R-RS-35: calls are limited per grant; others are not affected.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s *gateway.Server) { s.CallsPerSecond = 5 })
		refused := 0
		for range 30 {
			if r := w.callTool("reader", "fetch-users", nil); r.IsError {
				refused++
				if !strings.Contains(r.text(), "Too many calls") {
					t.Errorf("%+v", r)
				}
			}
		}
		if refused != 10 || len(w.api.requests()) != 20 {
			t.Errorf("%d refused, %d made; want 10 and 20", refused, len(w.api.requests()))
		}
		if r := w.callTool("writer", "fetch-users", nil); r.IsError {
			t.Errorf("another grant: %s", r.text())
		}
		time.Sleep(time.Second)
		if r := w.callTool("reader", "fetch-users", nil); r.IsError {
			t.Errorf("a second later: %s", r.text())
		}
	})
}
