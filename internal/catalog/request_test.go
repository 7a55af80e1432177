package catalog_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/internal/catalog"
)

// send validates arguments and makes the request of a tool, as the gateway does.
func send(t testing.TB, tool *catalog.Tool, base, arguments string) (*http.Request, string, error) {
	t.Helper()
	valid, err := tool.Validate(json.RawMessage(arguments))
	if err != nil {
		return nil, "", errors.Join(errInvalid, err)
	}
	req, err := tool.Request(t.Context(), base, valid)
	if err != nil {
		return nil, "", err
	}
	if req.Body == nil {
		return req, "", nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return req, string(body), nil
}

var errInvalid = errors.New("invalid arguments")

func TestRequestPutsArgumentsInTheirPlaces(t *testing.T) {
	customers, pets, trees := file(t, "customers.yaml"), file(t, "petstore.yaml"), file(t, "tree.yaml")
	for _, c := range []struct{ tool, arguments, request, body string }{
		{"fetch-users", `{}`, "GET /users", ""},
		{"fetch-users", `{"limit": 5, "status": ["active", "closed"]}`, "GET /users?limit=5&status=active,closed", ""},
		{"fetch-users", `{"status": []}`, "GET /users", ""},
		{"fetch-user", `{"id": 12345678901234567890}`, "GET /users/12345678901234567890", ""},
		{"create-user", `{"name": "<a>", "email": "a@b.example"}`, "POST /users", `{"email":"a@b.example","name":"\u003ca\u003e"}`},
		{"update-user", `{"id": 7, "company": null}`, "PATCH /users/7", `{"company":null}`},
		{"delete-user", `{"id": 7}`, "DELETE /users/7", ""},
		{"refund-order", `{"id": 7, "orderId": 8}`, "POST /users/7/orders/8/refunds", ""},
		{"refund-order", `{"id": 7, "orderId": 8, "amount": 1e2}`, "POST /users/7/orders/8/refunds", `{"amount":1e2}`},
		{"get_pets", `{"filter": {"b": "x y", "a": "1&2=3"}, "tags": ["p", "q"], "top": 3}`, "GET /pets?%24top=3&filter%5Ba%5D=1%262%3D3&filter%5Bb%5D=x%20y&tags=p%7Cq", ""},
		{"addPet_2", `{"id": "a b", "id_query": "q", "id_body": null, "more": 1}`, "PUT /pets/a%20b?id=q", `{"id":null,"more":1}`},
		{"F_ge_hinzu____ndere__ein_Tier_mit_einem_sehr_langen_Namen__der_n", `{"id": "a", "body": ["x"]}`, "PATCH /pets/a", `["x"]`},
		{"F_ge_hinzu____ndere__ein_Tier_mit_einem_sehr_langen_Namen__der_n", `{"id": "a"}`, "PATCH /pets/a", ""},
		{"add-person", `{}`, "POST /people", `{}`},
	} {
		a := customers
		for _, other := range []*catalog.API{pets, trees} {
			if _, ok := a.Tool(c.tool); !ok {
				a = other
			}
		}
		for _, base := range []string{base, base + "/", base + "/v1"} {
			req, body, err := send(t, tool(t, a, c.tool), base, c.arguments)
			if err != nil {
				t.Errorf("%s %s: %v", c.tool, c.arguments, err)
				continue
			}
			method, path, _ := strings.Cut(c.request, " ")
			if want := strings.TrimSuffix(base, "/") + path; req.Method != method || req.URL.String() != want || body != c.body {
				t.Errorf("%s %s:\ngot  %s %s %s\nwant %s %s %s", c.tool, c.arguments, req.Method, req.URL, body, method, want, c.body)
			}
			if typed := req.Header.Get("Content-Type") != ""; typed != (c.body != "") {
				t.Errorf("%s: Content-Type %q with body %q", c.tool, req.Header.Get("Content-Type"), body)
			}
		}
	}
	req, _, err := send(t, tool(t, customers, "update-user"), base, `{"id": 7, "name": "a"}`)
	if err != nil || req.Header.Get("Content-Type") != "application/merge-patch+json" {
		t.Errorf("%v %v", req, err)
	}
}

func TestStylesOfParameters(t *testing.T) {
	for _, c := range []struct{ place, arguments, want string }{
		{"in: query", `{"p": [1, "a,b"]}`, "?p=1&p=a%2Cb"},
		{"in: query, explode: false", `{"p": [1, 2]}`, "?p=1,2"},
		{"in: query, explode: false", `{"p": ["a,b"]}`, `its items must not contain ","`},
		{"in: query, explode: false", `{"p": "a,b"}`, "?p=a%2Cb"},
		{"in: query, explode: false", `{"p": {"b": 1, "a": true}}`, "?p=a,true,b,1"},
		{"in: query, explode: false", `{"p": {}}`, ""},
		{"in: query", `{"p": {"b": 1, "a": "x&y"}}`, "?a=x%26y&b=1"},
		{"in: query", `{"p": {"q": 1}}`, `its member "q" has the name of another parameter`},
		{"in: query", `{"p": null}`, ""},
		{"in: query", `{"p": ""}`, "?p="},
		{"in: query", `{"p": [[1]]}`, "is nested more deeply than its place can carry"},
		{"in: query, style: spaceDelimited, explode: false", `{"p": ["a", "b"]}`, "?p=a%20b"},
		{"in: query, style: spaceDelimited, explode: false", `{"p": ["a b"]}`, `its items must not contain " "`},
		{"in: query, style: pipeDelimited, explode: false", `{"p": ["a", "b,c"]}`, "?p=a%7Cb%2Cc"},
		{"in: query, style: pipeDelimited, explode: false", `{"p": ["a|b"]}`, `its items must not contain "|"`},
		{"in: query, style: deepObject", `{"p": {"a": 1, "b c": "d"}}`, "?p%5Ba%5D=1&p%5Bb%20c%5D=d"},
		{"in: query, style: deepObject", `{"p": {"a][q": 1}}`, "its member names must not contain brackets"},
		{"in: query, style: deepObject", `{"p": {"a": {"b": 1}}}`, "is nested more deeply than its place can carry"},
		{"in: header", `{"p": [1, 2]}`, "P: 1,2"},
		{"in: header", `{"p": ["1,2"]}`, `its items must not contain ","`},
		{"in: header, explode: true", `{"p": {"b": 1, "a": 2}}`, "P: a=2,b=1"},
		{"in: header, explode: true", `{"p": {"b": "1=2"}}`, `its items must not contain ","`},
	} {
		a := api(t, operation("get", "/a", "parameters: [{name: p, schema: {}, "+c.place+"}, {name: q, in: query, schema: {}}]"), nil)
		req, _, err := send(t, a.Tools[0], base, c.arguments)
		got := ""
		switch {
		case err != nil:
			got = strings.TrimPrefix(err.Error(), "argument p: ")
		case req.Header["P"] != nil:
			got = "P: " + req.Header["P"][0]
		default:
			got = strings.TrimPrefix(req.URL.String(), base+"/a")
		}
		if got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.place, c.arguments, got, c.want)
		}
	}
	json := api(t, operation("get", "/a", "parameters: [{name: p, in: query, content: {application/json: {}}}]"), nil)
	if req, _, err := send(t, json.Tools[0], base, `{"p": {"a": ["&", 1]}}`); err != nil || req.URL.RawQuery != "p=%7B%22a%22%3A%5B%22%5Cu0026%22%2C1%5D%7D" {
		t.Errorf("%v %v", req, err)
	}
}

// A body that may be left out although it has required members is one
// argument: only so can it be left out.
func TestOptionalBodyStaysWhole(t *testing.T) {
	a := api(t, operation("post", "/a", "requestBody: {content: {application/json: {schema: {type: object, required: [n], properties: {n: {type: integer}, m: {}}}}}}"), nil).Tools[0]
	for arguments, want := range map[string]string{`{}`: "", `{"body": {"n": 1}}`: `{"n":1}`} {
		if _, body, err := send(t, a, base, arguments); err != nil || body != want {
			t.Errorf("%s: %s %v", arguments, body, err)
		}
	}
	if _, _, err := send(t, a, base, `{"body": {"m": 1}}`); !errors.Is(err, errInvalid) || !strings.Contains(err.Error(), "body.n: is missing") {
		t.Error(err)
	}
}

// Argument injection: no value leaves its segment, its parameter or its header,
// and none reaches what is the gateway's alone.
func TestArgumentsCannotReachElsewhere(t *testing.T) {
	paths := api(t, operation("get", "/a/{x}/b", "parameters: [{name: x, in: path, schema: {}}]"), nil).Tools[0]
	for _, x := range []string{"", ".", "..", "/", "../..", "a/b", `a\b`, `..\..`, "a\x00", "a\r\nb", "a\x7f", "\t"} {
		if req, _, err := send(t, paths, base, quote(t, "x", x)); err == nil {
			t.Errorf("path argument %q makes %s", x, req.URL)
		}
	}
	for x, want := range map[string]string{
		"?a=b#c": "%3Fa=b%23c", "%2e%2e": "%252e%252e", "%2F": "%252F", "..;": "..%3B", "...": "...", ".a": ".a", "{x}": "%7Bx%7D", "a b": "a%20b", "@evil.example": "@evil.example", "ü": "%C3%BC",
	} {
		req, _, err := send(t, paths, base, quote(t, "x", x))
		if err != nil || req.URL.String() != base+"/a/"+want+"/b" {
			t.Errorf("path argument %q: %v %v", x, req, err)
		}
	}
	for _, x := range []string{`{"x": null}`, `{"x": [".", "."]}`, `{"x": []}`, `{"x": {}}`, `{"x": ["a/b"]}`} {
		if req, _, err := send(t, paths, base, x); err == nil && req.URL.Path != "/a/.,./b" {
			t.Errorf("path argument %s makes %s", x, req.URL)
		}
	}
	two := api(t, operation("get", "/a/{x}{y}/b", "parameters: [{name: x, in: path, schema: {}}, {name: y, in: path, schema: {}}]"), nil).Tools[0]
	if req, _, err := send(t, two, base, `{"x": "..", "y": ""}`); err == nil {
		t.Errorf("two arguments make %s", req.URL)
	}
	half := api(t, operation("get", "/a/.{x}/b", "parameters: [{name: x, in: path, schema: {}}]"), nil).Tools[0]
	if req, _, err := send(t, half, base, `{"x": "."}`); err == nil {
		t.Errorf("half an argument makes %s", req.URL)
	}
	queries := api(t, operation("get", "/a", "parameters: [{name: x, in: query, schema: {}}, {name: admin, in: query, schema: {enum: [no]}}]"), nil).Tools[0]
	req, _, err := send(t, queries, base, quote(t, "x", "1&admin=yes#;\r\n +"))
	if err != nil || req.URL.RawQuery != "x=1%26admin%3Dyes%23%3B%0D%0A%20%2B" {
		t.Errorf("%v %v", req, err)
	}
	if req, _, err := send(t, queries, base, `{"x": {"admin": "yes"}}`); err == nil {
		t.Errorf("a member became a parameter with a schema of its own: %s", req.URL)
	}
	headers := api(t, operation("get", "/a", "parameters: [{name: X-A, in: header, schema: {type: string}}]"), nil).Tools[0]
	for _, x := range []string{"a\r\nAuthorization: b", "a\nb", "a\rb", "a\x00", "\x7f", "a\tb"} {
		if req, _, err := send(t, headers, base, quote(t, "X-A", x)); err == nil {
			t.Errorf("header argument %q makes %v", x, req.Header)
		}
	}
}

// security.md 13 and issue 2: the document's parameters for these headers and
// for cookies are no arguments, in any spelling.
func TestReservedHeadersAreNoArguments(t *testing.T) {
	for _, name := range []string{
		"Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "Host", "Cookie", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection",
		"Keep-Alive", "TE", "Trailer", "Upgrade", "Expect", "DPoP", "Forwarded", "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Host", "X-Real-IP", "X-HTTP-Method-Override",
		"X-Original-URL", "Mcp-Session-Id", "Origin", "Accept",
	} {
		a := api(t, operation("get", "/a", "parameters: [{name: "+name+", in: header, schema: {}}]"), nil)
		if len(a.Tools[0].Arguments) != 0 {
			t.Errorf("%s is an argument", name)
		}
		if _, _, err := send(t, a.Tools[0], base, quote(t, name, "x")); !errors.Is(err, errInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, parameter := range []string{`{name: "a b", in: header}`, `{name: "a:b", in: header}`, `{name: "a\r\nb", in: header}`} {
		a := api(t, operation("get", "/a", "parameters: ["+parameter+"]")+"  /b: {get: {}}\n", nil)
		if len(a.Skipped) != 1 || !strings.Contains(a.Skipped[0].Reason, "cannot be the name of a header") {
			t.Errorf("%s: %+v", parameter, a.Skipped)
		}
	}
	cookie := api(t, operation("get", "/a", "parameters: [{name: session, in: cookie, schema: {}}]"), nil)
	if len(cookie.Tools[0].Arguments) != 0 {
		t.Error("a cookie is an argument")
	}
}

// Members that a body takes without naming them go there, but neither around
// the schema of a member that has one nor to another place.
func TestAdditionalMembersGoToTheBody(t *testing.T) {
	const content = `parameters: [{name: id, in: query, schema: {type: string}}], requestBody: {required: true, content: {application/json: {schema: {
		type: object, properties: {id: {type: integer}, $top: {type: integer}}, additionalProperties: true}}}}`
	a := api(t, operation("post", "/a", content), nil).Tools[0]
	for _, c := range []struct{ arguments, query, body, err string }{
		{`{"id": "q", "id_body": 1, "x": {"y": 2}}`, "id=q", `{"id":1,"x":{"y":2}}`, ""},
		{`{"id": "q"}`, "id=q", `{}`, ""},
		{`{"top": 1, "$top": "around"}`, "", `{"$top":1}`, ""},
		{`{"$top": "around"}`, "", "", "$top: must be integer (got string)"},
	} {
		req, body, err := send(t, a, base, c.arguments)
		switch {
		case c.err != "":
			if !errors.Is(err, errInvalid) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.arguments, err)
			}
		case err != nil || req.URL.RawQuery != c.query || body != c.body:
			t.Errorf("%s: %v %s %v", c.arguments, req, body, err)
		}
	}
}

func quote(t testing.TB, name, value string) string {
	t.Helper()
	b, err := json.Marshal(map[string]string{name: value})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// No arguments take a request out of its base, its path or its header fields.
func FuzzRequest(f *testing.F) {
	document := `openapi: 3.1.0
info: {title: T, version: '1'}
paths:
  /a/{x}/b/{y}:
    post:
      operationId: op
      parameters:
        - {name: x, in: path, schema: {}}
        - {name: y, in: path, schema: {}}
        - {name: q, in: query, schema: {}}
        - {name: l, in: query, explode: false, schema: {}}
        - {name: d, in: query, style: deepObject, schema: {}}
        - {name: X-H, in: header, schema: {}}
      requestBody: {content: {application/json: {schema: {type: object, properties: {b: {}}, additionalProperties: true}}}}
`
	tool := api(f, document, nil).Tools[0]
	f.Add(`{"x": "a", "y": 1, "q": {"a": 1}, "l": [1, 2], "d": {"e": "f"}, "X-H": "h", "b": null, "c": 1}`)
	f.Add(`{"x": "..", "y": "."}`)
	f.Add(`{"x": "%2e%2e", "y": "\u0000/"}`)
	f.Add(`{"x": ["a", "b"], "y": {"c": "d"}, "X-H": "a\r\nb"}`)
	f.Fuzz(func(t *testing.T, arguments string) {
		req, body, err := send(t, tool, base+"/v1", arguments)
		if err != nil {
			return
		}
		segments := strings.Split(req.URL.EscapedPath(), "/")
		if req.URL.Scheme+"://"+req.URL.Host != base || req.URL.User != nil || req.URL.Fragment != "" || req.Host != strings.TrimPrefix(base, "http://") ||
			len(segments) != 6 || segments[1] != "v1" || segments[2] != "a" || segments[4] != "b" || req.URL.JoinPath().EscapedPath() != req.URL.EscapedPath() {
			t.Fatalf("%s leads to %s", arguments, req.URL)
		}
		for _, s := range []string{segments[3], segments[5]} {
			if value, err := url.PathUnescape(s); err != nil || value == "" || value == "." || value == ".." || strings.ContainsAny(value, "/\\\r\n\x00") {
				t.Fatalf("%s makes segment %q", arguments, s)
			}
		}
		if _, err := url.ParseQuery(req.URL.RawQuery); err != nil {
			t.Fatalf("%s makes query %q", arguments, req.URL.RawQuery)
		}
		for name, values := range req.Header {
			if name != "X-H" && name != "Content-Type" || len(values) != 1 || strings.ContainsAny(values[0], "\r\n\x00") {
				t.Fatalf("%s makes header %s: %q", arguments, name, values)
			}
		}
		if body != "" && (!json.Valid([]byte(body)) || !utf8.ValidString(body)) {
			t.Fatalf("%s makes body %q", arguments, body)
		}
	})
}
