package gateway_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

var revisions = []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

func members(t *testing.T, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var answer struct{ Result map[string]any }
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 || answer.Result == nil {
		t.Fatalf("no result: %d %s", rec.Code, rec.Body)
	}
	return answer.Result
}

// R-RS-30, R-RS-31, R-RS-32, R-RS-33.
func TestDiscover(t *testing.T) {
	w := newWorld(t, nil)
	got := members(t, w.do(modern("reader", "server/discover", nil)))
	if got["resultType"] != "complete" || got["ttlMs"] != 300000.0 || got["cacheScope"] != "private" || got["instructions"] == "" {
		t.Errorf("%v", got)
	}
	var versions []string
	for _, v := range got["supportedVersions"].([]any) {
		versions = append(versions, v.(string))
	}
	if !slices.Equal(versions, revisions) {
		t.Errorf("versions %v", versions)
	}
	if c := got["capabilities"].(map[string]any); len(c) != 1 || c["tools"] == nil {
		t.Errorf("capabilities %v", c)
	}
	server := got["_meta"].(map[string]any)["io.modelcontextprotocol/serverInfo"].(map[string]any)
	if server["name"] != "gatehouse-users" || server["title"] != "Customer API" || server["version"] != "1.2.3" {
		t.Errorf("server %v", server)
	}
}

// Version negotiation of the revisions with a handshake, which starts no
// session (R-RS-31).
func TestInitialize(t *testing.T) {
	w := newWorld(t, nil)
	for asked, want := range map[string]string{
		"2025-11-25": "2025-11-25", "2025-06-18": "2025-06-18", "2025-03-26": "2025-03-26", "2024-11-05": "2024-11-05",
		"2026-07-28": "2025-11-25", "1999-01-01": "2025-11-25", "": "2025-11-25",
	} {
		rec := w.do(request{token: "reader", body: rpc("initialize", map[string]any{"protocolVersion": asked, "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "x", "version": "1"}})})
		if got := members(t, rec); got["protocolVersion"] != want || got["serverInfo"] == nil || got["capabilities"] == nil || got["resultType"] != nil {
			t.Errorf("asked for %q: %v; want %s", asked, got, want)
		}
		if rec.Header().Get("Mcp-Session-Id") != "" {
			t.Error("a session was started")
		}
	}
	rec := w.do(request{token: "reader", body: rpc("initialize", nil)})
	if errorCode(rec) != -32602 {
		t.Errorf("without version: %d %s", rec.Code, rec.Body)
	}
}

// R-RS-33, R-RS-34: the same bytes for everyone, in the document's order,
// with all that could be granted, whatever the present token allows.
func TestListIsDeterministic(t *testing.T) {
	w := newWorld(t, nil)
	for _, revision := range revisions {
		var first string
		for _, token := range []string{"reader", "writer", "nothing", "reader"} {
			q := legacy(token, revision, "tools/list", nil)
			if revision == "2026-07-28" {
				q = modern(token, "tools/list", nil)
			}
			rec := w.do(q)
			if first == "" {
				first = rec.Body.String()
			}
			if rec.Body.String() != first || rec.Code != 200 {
				t.Errorf("%s, %s: %d %s\nwant %s", revision, token, rec.Code, rec.Body, first)
			}
		}
		another := newWorld(t, nil).do(func() request {
			if revision == "2026-07-28" {
				return modern("reader", "tools/list", nil)
			}
			return legacy("reader", revision, "tools/list", nil)
		}())
		if another.Body.String() != first {
			t.Errorf("%s: another start lists otherwise:\n%s\n%s", revision, another.Body, first)
		}
	}
	got := members(t, w.do(modern("reader", "tools/list", nil)))
	if got["resultType"] != "complete" || got["ttlMs"] != 300000.0 || got["cacheScope"] != "private" || got["nextCursor"] != nil {
		t.Errorf("%v", got)
	}
	var names []string
	for _, tool := range got["tools"].([]any) {
		names = append(names, tool.(map[string]any)["name"].(string))
	}
	if len(names) != 7 {
		t.Errorf("tools %v", names)
	}
	// R-RS-27: no parameter is mirrored in a header, so there is none to check.
	if strings.Contains(first(w), "x-mcp-header") {
		t.Error("a schema asks for mirrored headers")
	}
	old := members(t, w.do(legacy("reader", "2025-11-25", "tools/list", nil)))
	if old["resultType"] != nil || old["ttlMs"] != nil || old["_meta"] != nil {
		t.Errorf("members of 2026-07-28 in an older revision: %v", old)
	}
}

func first(w *world) string { return w.do(modern("reader", "tools/list", nil)).Body.String() }

func TestUnknownCursor(t *testing.T) {
	w := newWorld(t, nil)
	for _, q := range []request{modern("reader", "tools/list", map[string]any{"cursor": "x"}), legacy("reader", "2025-06-18", "tools/list", map[string]any{"cursor": ""})} {
		if rec := w.do(q); errorCode(rec) != -32602 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
}

// R-RS-32: every result of 2026-07-28 says that it is complete and from whom
// it is; earlier ones do not.
func TestResultType(t *testing.T) {
	w := newWorld(t, nil)
	got := members(t, w.do(modern("reader", "tools/call", map[string]any{"name": "fetch-users"})))
	if got["resultType"] != "complete" || got["_meta"] == nil {
		t.Errorf("%v", got)
	}
	got = members(t, w.do(legacy("reader", "2025-03-26", "tools/call", map[string]any{"name": "fetch-users"})))
	if got["resultType"] != nil || got["_meta"] != nil || got["content"] == nil {
		t.Errorf("%v", got)
	}
}
