package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// oracle is an MCP server of the official SDK with the same tools as w's
// users API, each answering like w's API does.
func oracle(t *testing.T, w *world) http.Handler {
	t.Helper()
	var list struct{ Result struct{ Tools []*mcp.Tool } }
	if err := json.Unmarshal(w.do(modern("reader", "tools/list", nil)).Body.Bytes(), &list); err != nil || len(list.Result.Tools) == 0 {
		t.Fatalf("no tools: %v", err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "gatehouse-users", Title: "Customer API", Version: "1.2.3"}, nil)
	for _, tool := range list.Result.Tools {
		server.AddTool(tool, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			const data = `{"id":"7","name":"Ada"}`
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: data + "\n"}}, StructuredContent: json.RawMessage(data)}, nil
		})
	}
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true, DisableLocalhostProtection: true})
}

// outcome is what two servers must agree on: the HTTP status, the JSON-RPC
// error code, and the members of the result that mean something.
type outcome struct {
	Status, Code int
	Result       map[string]any
}

func outcomeOf(rec *httptest.ResponseRecorder) outcome {
	var answer struct {
		Error  struct{ Code int }
		Result map[string]any
	}
	_ = json.Unmarshal(rec.Body.Bytes(), &answer) // a plain-text refusal has neither
	for _, ours := range []string{"ttlMs", "cacheScope", "instructions", "capabilities", "_meta", "tools", "serverInfo"} {
		switch v := answer.Result[ours].(type) {
		case map[string]any: // each server has its own; that it is there counts
			if ours == "capabilities" {
				answer.Result[ours] = v["tools"] != nil
			} else {
				answer.Result[ours] = true
			}
		case []any:
			answer.Result[ours] = toolsByName(v)
		default:
			delete(answer.Result, ours)
		}
	}
	return outcome{rec.Code, answer.Error.Code, answer.Result}
}

// toolsByName drops the order, which in the oracle is alphabetical and here
// the document's.
func toolsByName(tools []any) map[string]any {
	byName := map[string]any{}
	for _, tool := range tools {
		m := tool.(map[string]any)
		// The oracle leaves out hints that are at their default.
		if a, ok := m["annotations"].(map[string]any); ok {
			for _, hint := range []string{"readOnlyHint", "idempotentHint"} {
				if a[hint] == false {
					delete(a, hint)
				}
			}
		}
		byName[fmt.Sprint(m["name"])] = m
	}
	return byName
}

// What the gateway does otherwise than the oracle, on purpose. Everything not
// listed must agree.
var divergences = map[string]string{
	"unknown method, legacy":      "JSON-RPC 2.0 §5.1: -32601 tells a client what to do; the oracle answers 400 in plain text",
	"unsupported, no _meta":       "the version decides what _meta must have, so it is looked at first",
	"encoded name":                "R-RS-26 says to decode =?base64?…?= before comparing; the oracle does not",
	"events not accepted":         "no answer is ever an event stream, so a client need not take one",
	"Accept missing":              "likewise",
	"only events accepted":        "406 says what is wrong; the oracle answers 400",
	"notification without method": "2026-07-28 defines no headers for notifications, so none is required",
	"unknown notification":        "JSON-RPC 2.0 §4.1: unknown notifications are ignored; the oracle answers 400",
	"method in two cases":         "security.md 13: refused; the oracle ignores the stranger",
	"name twice":                  "security.md 13: refused; the oracle takes one of them",
	"name in another case":        "security.md 13: refused; the oracle ignores it",
	"batch":                       "batches are refused in every revision; see docs/standards.md",
	"id fraction":                 "MCP wants a string or an integer",
	"two messages":                "security.md 13: refused; the oracle reads the first",
	"arguments array":             "arguments are an object (schema, CallToolRequest); the oracle leaves that to the tool",
	"response":                    "this server asks nothing, so a response answers nothing; the oracle takes it with 202",
	"resources":                   "capabilities list tools only, so resources are unknown; the oracle lists none",
	"prompts":                     "likewise",
	"resources, legacy":           "likewise",
	"logging, legacy":             "likewise",
	"params null":                 "MCP wants an object or nothing",
}

// The hand-written wire is held against the official SDK's, in every revision
// (performance.md: "keep the SDK as the oracle").
func TestWireAgreesWithSDK(t *testing.T) {
	w := newWorld(t, nil)
	w.api.handler = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, "{\"id\":\"7\",\"name\":\"Ada\"}\n")
	}
	sdk := oracle(t, w)
	seen := map[string]bool{}
	for name, q := range differentialCases() {
		base, _, _ := strings.Cut(name, " @ ")
		seen[base] = true
		t.Run(name, func(t *testing.T) {
			q.token = "writer"
			ours := w.do(q)
			theirs := httptest.NewRecorder()
			r := q.build(t.Context())
			r.Header.Del("Authorization")
			sdk.ServeHTTP(theirs, r)
			want, got := outcomeOf(theirs), outcomeOf(ours)
			if !json.Valid(theirs.Body.Bytes()) {
				got.Code = 0 // the oracle refuses in plain text, the gateway always with a code
			}
			diff := cmp.Diff(want, got)
			reason, expected := divergences[base]
			switch {
			case diff != "" && !expected:
				t.Errorf("oracle (-) and gateway (+) differ:\n%s\noracle: %d %s\ngateway: %d %s", diff, theirs.Code, theirs.Body, ours.Code, ours.Body)
			case diff == "" && expected:
				t.Errorf("no difference any more; remove from divergences: %s", reason)
			}
		})
	}
	for name := range divergences {
		if !seen[name] {
			t.Errorf("divergence %q has no case", name)
		}
	}
}

func differentialCases() map[string]request {
	cases := map[string]request{}
	args := map[string]any{"name": "fetch-user", "arguments": map[string]any{"id": "7"}}
	for _, revision := range revisions[1:] {
		at := " @ " + revision
		cases["initialize"+at] = legacy("", revision, "initialize", map[string]any{"protocolVersion": revision, "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "x", "version": "1"}})
		cases["ping"+at] = legacy("", revision, "ping", nil)
		cases["list"+at] = legacy("", revision, "tools/list", nil)
		cases["list, empty params"+at] = legacy("", revision, "tools/list", map[string]any{})
		cases["bad cursor"+at] = legacy("", revision, "tools/list", map[string]any{"cursor": "no such"})
		cases["call"+at] = legacy("", revision, "tools/call", args)
		cases["unknown tool"+at] = legacy("", revision, "tools/call", map[string]any{"name": "no-such", "arguments": map[string]any{}})
		cases["unknown method, legacy"+at] = legacy("", revision, "no/such", nil)
		cases["discover in an old revision"+at] = legacy("", revision, "server/discover", nil)
		cases["resources, legacy"+at] = legacy("", revision, "resources/list", nil)
		cases["logging, legacy"+at] = legacy("", revision, "logging/setLevel", map[string]any{"level": "info"})
		cases["initialized"+at] = request{header: map[string]string{"Mcp-Protocol-Version": revision}, body: `{"jsonrpc":"2.0","method":"notifications/initialized"}`}
		cases["cancelled"+at] = request{header: map[string]string{"Mcp-Protocol-Version": revision}, body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`}
		mixed := modern("", "tools/list", nil)
		mixed.header["MCP-Protocol-Version"] = revision
		cases["old header, modern _meta"+at] = mixed
	}
	header := func(q request, name, value string) request {
		h := map[string]string{}
		for k, v := range q.header {
			h[k] = v
		}
		h[name] = value
		q.header = h
		return q
	}
	list, call := modern("", "tools/list", nil), modern("", "tools/call", args)
	for name, q := range map[string]request{
		"initialize without header":   {body: rpc("initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "x", "version": "1"}})},
		"initialize, modern version":  {body: rpc("initialize", map[string]any{"protocolVersion": "2026-07-28", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "x", "version": "1"}})},
		"initialize, unknown version": {body: rpc("initialize", map[string]any{"protocolVersion": "1999-01-01", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "x", "version": "1"}})},
		"list without header":         {body: rpc("tools/list", nil)},
		"discover":                    modern("", "server/discover", nil),
		"list":                        list,
		"call":                        call,
		"bad cursor":                  modern("", "tools/list", map[string]any{"cursor": "no such"}),
		"unknown tool":                modern("", "tools/call", map[string]any{"name": "no-such", "arguments": map[string]any{}}),
		"unknown method":              modern("", "no/such", nil),
		"removed method":              modern("", "ping", nil),
		"handshake in 2026-07-28":     modern("", "initialize", map[string]any{"protocolVersion": "2026-07-28"}),
		"resources":                   modern("", "resources/list", nil),
		"prompts":                     modern("", "prompts/list", nil),
		"no version header":           header(list, "MCP-Protocol-Version", ""),
		"no method header":            header(list, "Mcp-Method", ""),
		"another method":              header(list, "Mcp-Method", "tools/call"),
		"no name header":              header(call, "Mcp-Name", ""),
		"another name":                header(call, "Mcp-Name", "update-user"),
		"encoded name":                header(call, "Mcp-Name", "=?base64?ZmV0Y2gtdXNlcg==?="),
		"no _meta":                    {header: list.header, body: rpc("tools/list", nil)},
		"no capabilities":             {header: list.header, body: strings.Replace(list.body, `"io.modelcontextprotocol/clientCapabilities":{},`, "", 1)},
		"bad client info":             {header: list.header, body: strings.Replace(list.body, `"_meta":{`, `"_meta":{"io.modelcontextprotocol/clientInfo":"x",`, 1)},
		"unsupported version":         header(request{body: strings.ReplaceAll(list.body, "2026-07-28", "2031-01-01"), header: list.header}, "MCP-Protocol-Version", "2031-01-01"),
		"unsupported, no _meta":       header(request{body: rpc("tools/list", nil), header: list.header}, "MCP-Protocol-Version", "2031-01-01"),
		"unsupported version, legacy": {header: map[string]string{"Mcp-Protocol-Version": "1999-01-01"}, body: rpc("tools/list", nil)},
		"notification":                {header: map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "notifications/cancelled"}, body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		"notification, lying header":  {header: map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "notifications/x"}, body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		"notification without method": {header: map[string]string{"Mcp-Protocol-Version": "2026-07-28"}, body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		"unknown notification":        {body: `{"jsonrpc":"2.0","method":"notifications/no/such"}`},
		"request without id":          {body: `{"jsonrpc":"2.0","method":"tools/list"}`},
		"response":                    {body: `{"jsonrpc":"2.0","id":1,"result":{}}`},
		"batch":                       {body: `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`},
		"batch in 2025-06-18":         {header: map[string]string{"Mcp-Protocol-Version": "2025-06-18"}, body: `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`},
		"not JSON":                    {body: `{"jsonrpc"`},
		"two messages":                {body: `{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}`},
		"empty body":                  {},
		"version 1.0":                 {body: `{"jsonrpc":"1.0","id":1,"method":"ping"}`},
		"id string":                   {body: `{"jsonrpc":"2.0","id":"x","method":"ping"}`},
		"id null":                     {body: `{"jsonrpc":"2.0","id":null,"method":"ping"}`},
		"id fraction":                 {body: `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`},
		"params null":                 {body: `{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`},
		"arguments array":             {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-report","arguments":[]}}`},
		"method in two cases":         {body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","params":{}}`},
		"name twice":                  {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-report","name":"fetch-report"}}`},
		"name in another case":        {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-report","NAME":"x"}}`},
		"wrong media type":            {header: map[string]string{"Content-Type": "text/plain"}, body: rpc("ping", nil)},
		"events not accepted":         {header: map[string]string{"Accept": "application/json"}, body: rpc("ping", nil)},
		"Accept missing":              {header: map[string]string{"Accept": ""}, body: rpc("ping", nil)},
		"only events accepted":        {header: map[string]string{"Accept": "text/event-stream"}, body: rpc("ping", nil)},
		"GET":                         {method: "GET", header: map[string]string{"Accept": "text/event-stream"}},
		"DELETE":                      {method: "DELETE"},
	} {
		cases[name] = q
	}
	return cases
}

// FuzzMessage sends arbitrary bodies with a token that may read only. No body
// makes the gateway fail, change something at the API, or answer what is no
// JSON; and what reaches the API was asked for by a body that every JSON
// reader understands alike.
func FuzzMessage(f *testing.F) {
	for _, q := range differentialCases() {
		f.Add([]byte(q.body), q.header["MCP-Protocol-Version"], q.header["Mcp-Method"], q.header["Mcp-Name"])
	}
	w := newWorld(f, nil)
	f.Fuzz(func(t *testing.T, body []byte, version, method, name string) {
		before := len(w.api.requests())
		r := httptest.NewRequest("POST", mcpURL+"/users", bytes.NewReader(body))
		r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer reader"}}
		for field, value := range map[string]string{"Mcp-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name} {
			if value != "" {
				r.Header[field] = []string{value}
			}
		}
		rec := serve(w, r)
		switch rec.Code {
		case 200, 202, 400, 403, 404, 413:
		default:
			t.Errorf("status %d: %s", rec.Code, rec.Body)
		}
		if rec.Body.Len() > 0 && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("no JSON: %s", rec.Body)
		}
		for _, sent := range w.api.requests()[before:] {
			var m struct {
				Method string
				Params struct{ Name string }
			}
			if sent.Method != "GET" || json.Unmarshal(body, &m) != nil || m.Method != "tools/call" || !strings.HasPrefix(m.Params.Name, "fetch-") {
				t.Errorf("%s %s after %s", sent.Method, sent.URL, body)
			}
		}
	})
}
