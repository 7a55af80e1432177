package openapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"gatehouse/internal/openapi"
)

const head = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\n"

func load(t *testing.T, document string) *openapi.Document {
	t.Helper()
	d, err := openapi.Load([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Issue 2, bad input: a broken document yields one clear error.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ document, want string }{
		"empty":              {"", "it is empty"},
		"only spaces":        {" \n ", "it is empty"},
		"text":               {"hello", "it is no object"},
		"list":               {"[1]", "it is no object"},
		"not YAML":           {"a: [", "neither YAML nor JSON"},
		"bytes":              {"\x00\x01", "neither YAML nor JSON"},
		"cut JSON":           {`{"openapi": "3.1.0", "paths"`, "neither YAML nor JSON"},
		"no version":         {"paths: {}", "openapi: must be 3.0 or 3.1"},
		"other version":      {"openapi: 4.0.0\npaths: {}", `it is "4.0.0"`},
		"Swagger":            {"swagger: '2.0'\npaths: {}", "convert it to OpenAPI 3"},
		"no paths":           {head, "paths: is missing"},
		"paths a list":       {head + "paths: []", "paths: is missing or no object"},
		"relative path":      {head + "paths: {users: {}}", `"users" does not begin with a slash`},
		"item no object":     {head + "paths: {/a: 1}", "paths: /a: is no object"},
		"method no object":   {head + "paths: {/a: {get: 1}}", "paths: /a: get: is no object"},
		"item leads nowhere": {head + "paths: {/a: {$ref: '#/x'}}", `"#/x" leads nowhere`},
		"item in a circle":   {head + "paths: {/a: {$ref: '#/paths/~1a'}}", "references lead in a circle"},
		"member twice":       {head + "paths: {}\npaths: {}", `"paths" is given twice`},
		"member twice, JSON": {`{"openapi":"3.1.0","openapi":"3.0.0","paths":{}}`, `"openapi" is given twice`},
		"merge key":          {head + "a: &a {x: 1}\nb:\n  <<: *a\npaths: {}", "line 5: merge keys (<<) are not served"},
		"member no text":     {head + "paths: {}\n? [1]\n: 2", "a member name is no text"},
		"infinite":           {head + "paths: {}\nx: .inf", "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := openapi.Load([]byte(c.document))
			if d != nil || !errors.Is(err, openapi.ErrDocument) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %q", d, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

// Of several errors it is always the same that is told.
func TestErrorsAreDeterministic(t *testing.T) {
	document := head + "paths: {/d: 1, /c: 1, /b: 1, /a: 1}"
	for range 20 {
		if _, err := openapi.Load([]byte(document)); err == nil || !strings.Contains(err.Error(), "/a: is no object") {
			t.Fatal(err)
		}
	}
}

// Issue 2, bad input: a huge document is refused in bounded time (R-RS-43).
func TestLoadIsBounded(t *testing.T) {
	deep := strings.Repeat("{a: ", 300) + "1" + strings.Repeat("}", 300)
	bomb := "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10))
	}
	var operations, wide, fan strings.Builder
	for i := range 2001 {
		fmt.Fprintf(&operations, "  /a%d: {get: {}}\n", i)
	}
	for i := range 30 {
		fmt.Fprintf(&fan, "  S%d: {type: object, properties: {a: {$ref: '#/S%d'}, b: {$ref: '#/S%d'}}}\n", i, i+1, i+1)
	}
	body := "{requestBody: {content: {application/json: {schema: {$ref: '#/big'}}}}}"
	for i := range 60 {
		fmt.Fprintf(&wide, "  /a%d: {post: %s}\n", i, body)
	}
	big := "big: {properties: {"
	for i := range 19_000 {
		big += fmt.Sprintf("p%d: {},", i)
	}
	big += "}}\n"
	for name, c := range map[string]struct{ document, want string }{
		"bytes":               {strings.Repeat(" ", openapi.MaxSize+1), "more than 8388608 bytes"},
		"separators":          {"[" + strings.Repeat("0,", 2_000_000) + "]", "more than 500000 values"},
		"values":              {head + "paths: {}\nx: [" + strings.Repeat("0,", 600_000) + "]", "more than 500000 values"},
		"depth":               {head + "paths: {}\nx: " + deep, "nested more than 200 deep"},
		"aliases multiply":    {head + "paths: {}\n" + bomb, "more than 500000 values"},
		"alias of itself":     {head + "paths: {}\nx: &x [*x]", "nested more than 200 deep"},
		"operations":          {head + "paths:\n" + operations.String(), "more than 2000 operations; cut it down"},
		"all schemas at once": {head + "paths:\n" + wide.String() + big, "cut the document down to what agents need"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := openapi.Load([]byte(c.document)); !errors.Is(err, openapi.ErrDocument) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}

	// What cannot fit is not even parsed, for that would take a hundred times its size.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := openapi.Load([]byte("[" + strings.Repeat("0,", openapi.MaxSize/2-1) + "]")); err == nil {
		t.Error("a list of four million is read")
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 5*openapi.MaxSize {
		t.Errorf("%d bytes to refuse %d", used, openapi.MaxSize)
	}

	// Two references in each of thirty schemas are a thousand million parts.
	// Of an answer that only costs the schema, of a body the operation.
	d := load(t, head+`paths:
  /answer: {get: {responses: {"200": {content: {application/json: {schema: {$ref: "#/S0"}}}}}}}
  /body: {post: {requestBody: {content: {application/json: {schema: {$ref: "#/S0"}}}}}}
`+strings.TrimPrefix(strings.ReplaceAll("\n"+fan.String(), "\n  ", "\n"), "\n")+"S30: {type: string}\n")
	if o := d.Operations[0]; o.Problem != "" || o.Response != nil {
		t.Errorf("large answer: %+v", o)
	}
	if o := d.Operations[1]; !strings.Contains(o.Problem, "more than 20000 parts") {
		t.Errorf("large body: %+v", o)
	}
}

// R-RS-43: nothing is fetched, whatever a reference says.
func TestExternalReferencesAreNotFetched(t *testing.T) {
	for _, ref := range []string{
		"http://127.0.0.1:1/x.json", "https://example.com/x#/y", "file:///etc/passwd", "other.yaml", "other.yaml#/a", "//host/x", "#name", "", "#",
	} {
		d := load(t, head+`paths: {/a: {get: {parameters: [{name: p, in: query, schema: {$ref: "`+ref+`"}}]}}}`)
		if p := d.Operations[0].Problem; !strings.Contains(p, "leads out of the document; nothing is fetched") {
			t.Errorf("$ref %q: %q", ref, p)
		}
	}
}

// One broken operation does not spoil the others.
func TestProblemsConcernOneOperation(t *testing.T) {
	for name, c := range map[string]struct{ operation, want string }{
		"dangling":            {"{parameters: [{$ref: '#/x/y'}]}", "parameter 1: $ref"},
		"parameters no list":  {"{parameters: {a: 1}}", "parameters: is no list"},
		"no name":             {"{parameters: [{in: query}]}", "name: is missing"},
		"place":               {"{parameters: [{name: a, in: formData}]}", "in: must be path, query, header or cookie"},
		"parameter content":   {"{parameters: [{name: a, in: query, content: {text/csv: {}}}]}", "its content is not JSON"},
		"multipart":           {"{requestBody: {required: true, content: {multipart/form-data: {}, text/csv: {}}}}", "only JSON can be sent; it takes multipart/form-data, text/csv"},
		"schema no object":    {"{parameters: [{name: a, in: query, schema: 1}]}", "a schema is no object"},
		"response dangling":   {"{responses: {'200': {content: {application/json: {schema: {$ref: '#/x'}}}}}}", "response: $ref"},
		"security no list":    {"{security: {a: []}}", "security: is no list"},
		"security null":       {"{security: null}", "security: is no list"},
		"requirement no map":  {"{security: [a]}", "a requirement is no object"},
		"scopes no list":      {"{security: [{a: b}]}", "a: is no list of scopes"},
		"scope with a space":  {"{security: [{a: ['user admin']}]}", `"user admin" cannot be a scope`},
		"scope with a quote":  {`{security: [{a: ['x"y']}]}`, "cannot be a scope"},
		"scope that is empty": {"{security: [{a: ['']}]}", "cannot be a scope"},
		"scope no text":       {"{security: [{a: [1]}]}", "cannot be a scope"},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, head+"paths: {/a: {get: {summary: fine}, post: "+c.operation+"}}")
			if len(d.Operations) != 2 || d.Operations[0].Problem != "" || d.Operations[0].Summary != "fine" {
				t.Errorf("the other operation: %+v", d.Operations)
			}
			if o := d.Operations[1]; !strings.Contains(o.Problem, c.want) || o.Parameters != nil || o.Body != nil || o.Security != nil {
				t.Errorf("%+v; want %q", o, c.want)
			}
		})
	}
}

// Issue 2 point 4: alternatives are OR, members AND, the operation's own
// requirements replace the document's, and every scheme's list counts.
func TestSecurityIsTheOperationsElseTheDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		document, operation string
		want                [][]string
	}{
		"none":             {"", "{}", nil},
		"the document's":   {"security: [{o: [a]}]\n", "{}", [][]string{{"a"}}},
		"the operation's":  {"security: [{o: [a]}]\n", "{security: [{o: [b]}]}", [][]string{{"b"}}},
		"explicitly none":  {"security: [{o: [a]}]\n", "{security: []}", nil},
		"alternatives":     {"", "{security: [{o: [b, a]}, {o: [c]}]}", [][]string{{"b", "a"}, {"c"}}},
		"several schemes":  {"", "{security: [{o: [a], roles: [r, a]}]}", [][]string{{"a", "r"}}},
		"optional":         {"", "{security: [{}, {o: [a]}]}", [][]string{{"a"}}},
		"scheme alone":     {"", "{security: [{key: []}]}", nil},
		"scheme with null": {"", "{security: [{key: }]}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, head+c.document+"paths: {/a: {get: "+c.operation+"}}")
			if o := d.Operations[0]; o.Problem != "" || !reflect.DeepEqual(o.Security, c.want) {
				t.Errorf("%v %q; want %v", o.Security, o.Problem, c.want)
			}
		})
	}
}

func TestParametersOfThePathAndTheOperation(t *testing.T) {
	d := load(t, head+`
paths:
  /b/{id}:
    parameters:
      - {name: id, in: path, schema: {type: string}}
      - {name: page, in: query, schema: {type: integer}, description: the path's}
    put:
      operationId: put-b
      deprecated: true
      parameters:
        - {$ref: "#/components/parameters/Page"}
        - {name: f, in: query, style: deepObject, schema: {type: object}}
        - {name: X-A, in: header, explode: true}
        - {name: j, in: query, content: {application/json: {schema: {type: array}}}}
    get: {}
  /a:
    x-internal: true
    $ref: "#/components/pathItems/A"
components:
  parameters:
    Page: {name: page, in: query, required: true, description: the operation's, schema: {type: number}}
  pathItems:
    A: {get: {operationId: get-a}}
`)
	var order []string
	for _, o := range d.Operations {
		order = append(order, o.Method+" "+o.Path+" "+o.ID)
	}
	if want := []string{"GET /a get-a", "GET /b/{id} ", "PUT /b/{id} put-b"}; !reflect.DeepEqual(order, want) {
		t.Fatalf("%q; want %q", order, want)
	}
	put := d.Operations[2]
	var got []string
	for _, p := range put.Parameters {
		got = append(got, fmt.Sprint(p.In, " ", p.Name, " ", p.Style, " ", p.Explode, " ", p.Required, " ", p.JSON, " ", p.Description, p.Schema.Root["type"]))
	}
	want := []string{
		"path id simple false true false string",
		"query page form true true false the operation'snumber",
		"query f deepObject false false false object",
		"header X-A simple true false false <nil>",
		"query j form true false true array",
	}
	if !reflect.DeepEqual(got, want) || !put.Deprecated {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Only what holds for every good answer can be promised.
func TestResponseIsWhatEveryGoodAnswerIs(t *testing.T) {
	const user, other = `{content: {application/json: {schema: {type: object}}}}`, `{content: {application/json: {schema: {type: array}}}}`
	for name, c := range map[string]struct{ responses, want string }{
		"one":             {`{"200": ` + user + `, "404": ` + other + `, default: ` + other + `}`, `{"type":"object"}`},
		"range":           {`{2XX: ` + user + `}`, `{"type":"object"}`},
		"number":          {`{200: ` + user + `}`, `{"type":"object"}`},
		"two alike":       {`{"200": ` + user + `, "201": ` + user + `}`, `{"type":"object"}`},
		"two that differ": {`{"200": ` + user + `, "201": ` + other + `}`, `null`},
		"one is empty":    {`{"200": ` + user + `, "204": {description: nothing}}`, `null`},
		"problem+json":    {`{"200": {content: {application/vnd.x+json: {schema: {type: object}}}}}`, `{"type":"object"}`},
		"text":            {`{"200": {content: {text/plain: {schema: {type: string}}}}}`, `null`},
		"only errors":     {`{"400": ` + user + `}`, `null`},
		"shared":          {`{"200": {$ref: "#/r"}}`, `{"type":"object"}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, head+"paths: {/a: {get: {responses: "+c.responses+"}}}\nr: "+user)
			if o := d.Operations[0]; o.Problem != "" || encode(t, o.Response) != c.want {
				t.Errorf("%s %q; want %s", encode(t, o.Response), o.Problem, c.want)
			}
		})
	}
}

func encode(t testing.TB, s *openapi.Schema) string {
	t.Helper()
	if s == nil {
		return "null"
	}
	b, err := json.Marshal(s.Object())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A person reads titles, and a model descriptions: neither may hide anything.
func TestTextIsVisibleAndBounded(t *testing.T) {
	d := load(t, head+"paths: {/a: {get: {summary: \"a\\u202Eb\\u200B\\e[1m\", description: \""+strings.Repeat("ä", 3000)+
		"\", parameters: [{name: p, in: query, schema: {description: \"x\\U000E0041\\u0007y\"}}]}}}")
	o := d.Operations[0]
	if o.Summary != "ab[1m" || len([]rune(o.Description)) != 2000 || o.Parameters[0].Schema.Root["description"] != "xy" {
		t.Errorf("%q, %d runes, %q", o.Summary, len([]rune(o.Description)), o.Parameters[0].Schema.Root["description"])
	}
}
