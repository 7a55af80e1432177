package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func serve(w *world, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// post sends body as it is, in an early revision unless header says otherwise.
func (w *world) post(body string, header map[string]string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(request{token: "reader", body: body, header: header})
}

// security.md 13 and issue 2, "Bad input": what two readers could understand
// differently is refused, with a sentence that says what to do.
func TestBodyIsReadStrictly(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		name, body string
		code       int
		says       string
	}{
		{"method in two cases", `{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","params":{"name":"update-user"}}`, -32600, `"Method" must be spelled "method"`},
		{"method in another case", `{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`, -32600, `must be spelled "method"`},
		{"method with a long s", `{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}`, -32600, `must be spelled "params"`},
		{"method twice", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, -32700, `"method" is given twice`},
		{"method twice, escaped", `{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/list"}`, -32700, "given twice"},
		{"id twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, -32700, "given twice"},
		{"name twice", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","name":"update-user"}}`, -32700, "given twice"},
		{"name in another case", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","Name":"update-user"}}`, -32600, `must be spelled "name"`},
		{"arguments in another case", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","Arguments":{}}}`, -32600, `must be spelled "arguments"`},
		{"argument twice, deep", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","arguments":{"a":[{"b":1,"b":2}]}}}`, -32700, "given twice"},
		{"two messages", `{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":2,"method":"ping"}`, -32700, "follows the object"},
		{"trailing garbage", `{"jsonrpc":"2.0","id":1,"method":"ping"}x`, -32700, ""},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, -32600, "each message in its own POST"},
		{"empty", ``, -32700, "empty"},
		{"blank", " \n", -32700, "empty"},
		{"string", `"ping"`, -32700, "one JSON object"},
		{"truncated", `{"jsonrpc":"2.0","id":1,"method":"pi`, -32700, ""},
		{"invalid UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xff\"}", -32700, "UTF-8"},
		{"nested too deeply", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`, -32700, "nested too deeply"},
		{"no version", `{"id":1,"method":"ping"}`, -32600, `"2.0"`},
		{"old version", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, -32600, `"2.0"`},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, -32600, "string or an integer"},
		{"id object", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, -32600, "string or an integer"},
		{"id fraction", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, -32600, "string or an integer"},
		{"id true", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, -32600, "string or an integer"},
		{"method missing", `{"jsonrpc":"2.0","id":1}`, -32600, `"method" must be a string`},
		{"method number", `{"jsonrpc":"2.0","id":1,"method":1}`, -32600, `"method" must be a string`},
		{"method null", `{"jsonrpc":"2.0","id":1,"method":null}`, -32600, `"method" must be a string`},
		{"params array", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, -32600, `"params" must be an object`},
		{"params null", `{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, -32600, `"params" must be an object`},
		{"_meta array", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}`, -32602, `"_meta"`},
		{"response", `{"jsonrpc":"2.0","id":1,"result":{}}`, -32600, "asks nothing"},
		{"request without id", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"fetch-users"}}`, -32600, `needs an "id"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := w.post(c.body, nil)
			if rec.Code != http.StatusBadRequest || errorCode(rec) != c.code || !strings.Contains(message(rec), c.says) {
				t.Errorf("%d %s; want 400, %d and %q", rec.Code, rec.Body, c.code, c.says)
			}
		})
	}
	if n := len(w.api.requests()); n != 0 {
		t.Errorf("%d requests reached the API", n)
	}
}

func message(rec *httptest.ResponseRecorder) string {
	var answer struct{ Error struct{ Message string } }
	_ = json.Unmarshal(rec.Body.Bytes(), &answer)
	return answer.Error.Message
}

func TestTransportLimits(t *testing.T) {
	w := newWorld(t, nil)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	big := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`
	for _, c := range []struct {
		name, body string
		header     map[string]string
		status     int
	}{
		{"good", ping, nil, 200},
		{"charset", ping, map[string]string{"Content-Type": "application/json; charset=utf-8"}, 200},
		{"JSON only", ping, map[string]string{"Accept": "application/json"}, 200},
		{"anything", ping, map[string]string{"Accept": "*/*"}, 200},
		{"no Accept", ping, map[string]string{"Accept": ""}, 200},
		{"events only", ping, map[string]string{"Accept": "text/event-stream"}, 406},
		{"no Content-Type", ping, map[string]string{"Content-Type": ""}, 415},
		{"text", ping, map[string]string{"Content-Type": "text/plain"}, 415},
		{"form", ping, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415},
		{"oversized", big, nil, 413},
	} {
		if rec := w.post(c.body, c.header); rec.Code != c.status {
			t.Errorf("%s: %d %s; want %d", c.name, rec.Code, rec.Body, c.status)
		}
	}
}

// The id comes back byte for byte.
func TestIDIsKept(t *testing.T) {
	w := newWorld(t, nil)
	for _, id := range []string{`1`, `-7`, `0`, `12345678901234567890123`, `"a"`, `""`, `"\u00e9 \"x\""`, `"ü"`} {
		rec := w.post(`{"jsonrpc":"2.0","id": `+id+` ,"method":"ping"}`, nil)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"result":{}}`; rec.Body.String() != want {
			t.Errorf("%s\nwant %s", rec.Body, want)
		}
		rec = w.post(`{"jsonrpc":"2.0","id":`+id+`,"method":"no/such"}`, nil)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-32601,`; rec.Code != 200 || !strings.HasPrefix(rec.Body.String(), want) {
			t.Errorf("%d %s\nwant %s", rec.Code, rec.Body, want)
		}
	}
}

// R-RS-26, R-RS-29: what 2026-07-28 wants of headers and _meta.
func TestModernMetadata(t *testing.T) {
	w := newWorld(t, nil)
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users",` + meta + `}}`
	all := func(change ...string) map[string]string {
		h := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
		for i := 0; i < len(change); i += 2 {
			h[change[i]] = change[i+1]
		}
		return h
	}
	encoded := func(s string) string { return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?=" }
	for _, c := range []struct {
		name, body   string
		header       map[string]string
		status, code int
	}{
		{"good", list, all(), 200, 0},
		{"good call", call, all("Mcp-Method", "tools/call", "Mcp-Name", "fetch-users"), 200, 0},
		{"encoded name", call, all("Mcp-Method", "tools/call", "Mcp-Name", encoded("fetch-users")), 200, 0},
		{"encoded other name", call, all("Mcp-Method", "tools/call", "Mcp-Name", encoded("update-user")), 400, -32020},
		{"badly encoded name", call, all("Mcp-Method", "tools/call", "Mcp-Name", "=?base64?%%%?="), 400, -32020},
		{"encoding marker in another case", call, all("Mcp-Method", "tools/call", "Mcp-Name", "=?BASE64?ZmV0Y2gtdXNlcnM=?="), 400, -32020},
		{"no version header", list, all("Mcp-Protocol-Version", ""), 400, -32020},
		{"another version in the header", list, all("Mcp-Protocol-Version", "2025-11-25"), 400, -32020},
		{"no method header", list, all("Mcp-Method", ""), 400, -32020},
		{"another method in the header", list, all("Mcp-Method", "tools/call"), 400, -32020},
		{"method header in another case", list, all("Mcp-Method", "Tools/List"), 400, -32020},
		{"no name header", call, all("Mcp-Method", "tools/call"), 400, -32020},
		{"another name in the header", call, all("Mcp-Method", "tools/call", "Mcp-Name", "update-user"), 400, -32020},
		{"name missing in the body", strings.Replace(call, `"name":"fetch-users",`, "", 1), all("Mcp-Method", "tools/call", "Mcp-Name", "fetch-users"), 400, -32602},
		{"unknown version", strings.ReplaceAll(list, "2026-07-28", "2031-01-01"), all("Mcp-Protocol-Version", "2031-01-01"), 400, -32022},
		{"ancient version", strings.ReplaceAll(list, "2026-07-28", "1999-01-01"), all("Mcp-Protocol-Version", "1999-01-01"), 400, -32022},
		{"unknown version, nothing else", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, all("Mcp-Protocol-Version", "2031-01-01"), 400, -32022},
		{"no _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, all(), 400, -32602},
		{"no version in _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}}`, all(), 400, -32602},
		{"version in _meta no string", strings.Replace(list, `"2026-07-28"`, "1", 1), all(), 400, -32602},
		{"no capabilities", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, all(), 400, -32602},
		{"capabilities no object", strings.Replace(list, `{}`, `[]`, 1), all(), 400, -32602},
		{"client info no object", strings.Replace(list, `"_meta":{`, `"_meta":{"io.modelcontextprotocol/clientInfo":"x",`, 1), all(), 400, -32602},
		{"unknown method", strings.Replace(list, "tools/list", "no/such", 1), all("Mcp-Method", "no/such"), 404, -32601},
		{"removed method", strings.Replace(list, "tools/list", "ping", 1), all("Mcp-Method", "ping"), 404, -32601},
		{"handshake", strings.Replace(list, "tools/list", "initialize", 1), all("Mcp-Method", "initialize"), 404, -32601},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := w.post(c.body, c.header)
			if rec.Code != c.status || errorCode(rec) != c.code {
				t.Errorf("%d %s; want %d, %d", rec.Code, rec.Body, c.status, c.code)
			}
			if c.code == -32022 && !strings.Contains(rec.Body.String(), `"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]`) {
				t.Errorf("supported versions are missing: %s", rec.Body)
			}
		})
	}
	r := request{token: "reader", body: list, header: all()}.build(t.Context())
	r.Header.Add("Mcp-Method", "tools/call")
	if rec := serve(w, r); rec.Code != 400 || errorCode(rec) != -32020 {
		t.Errorf("method header twice: %d %s", rec.Code, rec.Body)
	}
}

// R-RS-25: notifications are taken, in every era, with 202 and nothing else.
func TestNotifications(t *testing.T) {
	w := newWorld(t, nil)
	for _, header := range []map[string]string{nil, {"Mcp-Protocol-Version": "2025-06-18"}, {"Mcp-Protocol-Version": "2026-07-28"}, {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "notifications/initialized"}} {
		rec := w.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, header)
		if rec.Code != http.StatusAccepted || rec.Body.Len() != 0 {
			t.Errorf("%v: %d %s", header, rec.Code, rec.Body)
		}
	}
	rec := w.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "notifications/other"})
	if rec.Code != 400 || errorCode(rec) != -32020 {
		t.Errorf("lying header: %d %s", rec.Code, rec.Body)
	}
}
