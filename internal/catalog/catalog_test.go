package catalog_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/internal/catalog"
	"gatehouse/internal/openapi"
)

var update = flag.Bool("update", false, "write the golden files")

const base = "http://api.localhost:8080"

// api derives the tools of a document; change may be nil.
func api(t testing.TB, document string, change func(*catalog.Options)) *catalog.API {
	t.Helper()
	d, err := openapi.Load([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	o := catalog.Options{
		Name: "pets", Resource: "http://mcp.localhost:8080/pets", MCPPath: "/pets", URL: base, Audience: base, Document: d,
	}
	if change != nil {
		change(&o)
	}
	a, err := catalog.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func file(t testing.TB, name string) *catalog.API {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return api(t, string(document), nil)
}

func tool(t testing.TB, a *catalog.API, name string) *catalog.Tool {
	t.Helper()
	found, ok := a.Tool(name)
	if !ok {
		t.Fatalf("no tool %s", name)
	}
	return found
}

// operation is a document with one operation, of the name op. It ends inside of
// paths.
func operation(method, path, content string) string {
	return "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n  " + path + ": {" + method + ": {operationId: op, " + content + "}}\n"
}

// What tools a document yields, to the byte (issue 2 point 4). With -update the
// files are written anew; their difference is then what a review looks at.
func TestToolsOfDocuments(t *testing.T) {
	for _, name := range []string{"customers", "petstore", "tree"} {
		t.Run(name, func(t *testing.T) {
			got := encode(t, file(t, name+".yaml"))
			if again := encode(t, file(t, name+".yaml")); !bytes.Equal(got, again) { // R-RS-34
				t.Error("the same document yields other bytes the second time")
			}
			golden := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("tools changed; if that is meant, run go test ./internal/catalog -update\n%s", diff)
			}
		})
	}
}

func encode(t *testing.T, a *catalog.API) []byte {
	t.Helper()
	type view struct {
		*catalog.Tool
		Risk string
	}
	tools := []view{}
	for _, t := range a.Tools {
		tools = append(tools, view{t, t.Risk()})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"Title": a.Title, "DefaultScopes": a.DefaultScopes, "Scopes": a.Scopes, "Skipped": a.Skipped, "Tools": tools}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What models and clients accept at the top: names of tools and arguments of
// limited form, one object, no combination, no reference; and no x-mcp-header,
// which only a gateway that checks it may add (R-RS-27).
func TestInputSchemasSuitModels(t *testing.T) {
	fits := regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	for _, name := range []string{"customers.yaml", "petstore.yaml", "tree.yaml"} {
		for _, tool := range file(t, name).Tools {
			var schema map[string]json.RawMessage
			var properties map[string]json.RawMessage
			if err := json.Unmarshal(tool.InputSchema, &schema); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(schema["properties"], &properties); err != nil {
				t.Fatal(err)
			}
			for property := range properties {
				if !fits.MatchString(property) {
					t.Errorf("%s %s: argument %q", name, tool.Name, property)
				}
			}
			if !fits.MatchString(tool.Name) || string(schema["type"]) != `"object"` || strings.ContainsAny(tool.Title, "\n") {
				t.Errorf("%s: %+v", name, tool)
			}
			for _, keyword := range []string{"allOf", "anyOf", "oneOf", "not", "$ref", "enum"} {
				if schema[keyword] != nil {
					t.Errorf("%s %s: %s at the top", name, tool.Name, keyword)
				}
			}
			if bytes.Contains(tool.InputSchema, []byte("x-mcp-header")) {
				t.Errorf("%s %s: x-mcp-header", name, tool.Name)
			}
		}
	}
}

// Issue 2 point 4: what names no scope is not public.
func TestToolsWithoutScopesAreNotPublic(t *testing.T) {
	for method, want := range map[string]string{"get": "pets:read", "head": "pets:read", "post": "pets:write", "put": "pets:write", "patch": "pets:write", "delete": "pets:write"} {
		for _, security := range []string{"x-a: 1", "security: []", "security: [{}]", "security: [{key: []}]"} {
			a := api(t, operation(method, "/a", security), nil)
			if got := a.Tools[0].Scopes; !reflect.DeepEqual(got, [][]string{{want}}) {
				t.Errorf("%s with %s: %v", method, security, got)
			}
			if _, ok := a.Tools[0].Allowed(nil); ok {
				t.Errorf("%s with %s: allowed without any scope", method, security)
			}
		}
	}
}

// Alternatives are OR, members AND; a challenge names the first alternative.
func TestAllowed(t *testing.T) {
	refund := tool(t, file(t, "customers.yaml"), "refund-order")
	for _, c := range []struct {
		scopes, want []string
	}{
		{nil, nil},
		{[]string{"orders:read"}, nil},
		{[]string{"refunds:create"}, nil},
		{[]string{"refunds:create", "orders:read"}, []string{"orders:read", "refunds:create"}},
		{[]string{"admin"}, []string{"admin"}},
		{[]string{"admin", "orders:read"}, []string{"admin"}},
		{[]string{"ADMIN", "refunds:create orders:read", ""}, nil},
	} {
		got, ok := refund.Allowed(c.scopes)
		if ok != (c.want != nil) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q %t", c.scopes, got, ok)
		}
	}
	if got := refund.Needed(); !reflect.DeepEqual(got, []string{"orders:read", "refunds:create"}) {
		t.Errorf("needed %q", got)
	}
}

// R-RS-14: a broad scope satisfies the narrow one that it implies, however far.
func TestExpandFollowsImplications(t *testing.T) {
	a := api(t, operation("get", "/a", "security: [{o: [read]}]"), func(o *catalog.Options) {
		o.Scopes = map[string]catalog.Scope{
			"admin": {Implies: []string{"write", "audit"}}, "write": {Implies: []string{"read"}},
			"x": {Implies: []string{"y"}}, "y": {Implies: []string{"x"}}, "self": {Implies: []string{"self"}},
		}
	})
	for _, c := range []struct{ scopes, want []string }{
		{nil, nil},
		{[]string{"read"}, []string{"read"}},
		{[]string{"write"}, []string{"read", "write"}},
		{[]string{"admin", "read"}, []string{"admin", "audit", "read", "write"}},
		{[]string{"x"}, []string{"x", "y"}},
		{[]string{"self", "self"}, []string{"self"}},
		{[]string{"foreign"}, nil},
	} {
		got := a.Expand(c.scopes)
		if slices.Sort(got); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q; want %q", c.scopes, got, c.want)
		}
	}
	if _, ok := a.Tools[0].Allowed(a.Expand([]string{"admin"})); !ok {
		t.Error("admin does not suffice for read")
	}
	if s := a.Scopes["audit"]; s.Name != "audit" {
		t.Errorf("an implied scope is not known: %+v", a.Scopes)
	}
}

// Expanding is monotonous and changes nothing the second time, whatever the
// hierarchy.
func TestExpandIsAClosure(t *testing.T) {
	document, err := openapi.Load([]byte(operation("get", "/a", "x-a: 1")))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}))
		scopes := map[string]catalog.Scope{}
		for _, name := range names.Draw(t, "names") {
			scopes[name] = catalog.Scope{Implies: names.Draw(t, name+" implies")}
		}
		a, err := catalog.New(catalog.Options{Name: "n", URL: base, Document: document, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		asked := names.Draw(t, "asked")
		once := a.Expand(asked)
		twice := a.Expand(once)
		slices.Sort(once)
		slices.Sort(twice)
		if !slices.Equal(once, twice) || len(slices.Compact(slices.Clone(once))) != len(once) {
			t.Fatalf("%q then %q", once, twice)
		}
		for _, s := range once {
			for _, implied := range a.Scopes[s].Implies {
				if !slices.Contains(once, implied) {
					t.Fatalf("%q lacks %q, which %q implies", once, implied, s)
				}
			}
		}
	})
}

func TestNewRefusesWhatCannotBeServed(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		change   func(*catalog.Options)
		want     string
	}{
		"no document":        {"", func(o *catalog.Options) { o.Document = nil }, "no OpenAPI document"},
		"no operation":       {"openapi: 3.1.0\npaths: {}", nil, "it has no operation"},
		"no usable one":      {operation("options", "/a", "x-a: 1"), nil, "OPTIONS /a for example is left out because OPTIONS is for HTTP itself"},
		"unknown default":    {"", func(o *catalog.Options) { o.DefaultScopes = []string{"typo"} }, `default_scopes: no tool needs "typo"; scopes are pets:read`},
		"no URL":             {"", func(o *catalog.Options) { o.URL = "api" }, "must be an http or https URL"},
		"other scheme":       {"", func(o *catalog.Options) { o.URL = "file://host/x" }, "must be an http or https URL"},
		"URL with query":     {"", func(o *catalog.Options) { o.URL = base + "?a=b" }, "no credentials, query or fragment"},
		"URL with fragment":  {"", func(o *catalog.Options) { o.URL = base + "#a" }, "no credentials, query or fragment"},
		"URL with a secret":  {"", func(o *catalog.Options) { o.URL = "http://u:hush@host" }, "no credentials, query or fragment"},
		"URL not even parse": {"", func(o *catalog.Options) { o.URL = "http://[" }, "must be an http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.document == "" {
				c.document = operation("get", "/a", "x-a: 1")
			}
			d, err := openapi.Load([]byte(c.document))
			if err != nil {
				t.Fatal(err)
			}
			o := catalog.Options{Name: "pets", URL: base, Document: d}
			if c.change != nil {
				c.change(&o)
			}
			a, err := catalog.New(o)
			if a != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

// Tools with the same operationId are told apart the same way every time, and
// names stay within their limit.
func TestNamesAreUniqueAndBounded(t *testing.T) {
	document := "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n"
	long := strings.Repeat("x", 80)
	for _, path := range []string{"/a", "/b", "/c"} {
		document += "  " + path + ": {get: {operationId: same}, post: {operationId: " + long + "}, put: {}}\n"
	}
	a := api(t, document, nil)
	var names []string
	for _, t := range a.Tools {
		names = append(names, t.Name+" "+t.Method+" "+t.Path)
	}
	x := strings.Repeat("x", 62)
	want := []string{
		"put_a PUT /a", "put_b PUT /b", "put_c PUT /c", "same GET /a", "same_2 GET /b", "same_3 GET /c",
		x + "_2 POST /b", x + "_3 POST /c", x + "xx POST /a",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// No document makes New panic, or yields a tool whose schemas are not valid or
// which is public.
func FuzzNew(f *testing.F) {
	for _, name := range []string{"customers.yaml", "petstore.yaml", "tree.yaml"} {
		document, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Add([]byte(operation("post", "/a/{b}", "parameters: [{name: b, in: path, schema: {}}], requestBody: {content: {application/json: {schema: {properties: {c: {multipleOf: 1e300}}}}}}")))
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := openapi.Load(document)
		if err != nil {
			return
		}
		a, err := catalog.New(catalog.Options{Name: "n", URL: base, Document: d})
		if err != nil {
			return
		}
		for _, tool := range a.Tools {
			if _, ok := tool.Allowed(nil); ok || len(tool.Needed()) == 0 || !json.Valid(tool.InputSchema) || tool.OutputSchema != nil && !json.Valid(tool.OutputSchema) {
				t.Errorf("%+v", tool)
			}
			_, _ = tool.Validate(json.RawMessage(`{"id": 1e3, "body": {"name": [1, "a", null]}, "name": "a"}`))
			_, _ = tool.Structure([]byte(`{"id": 1e3, "children": [1, "a", {"name": "b"}]}`))
		}
	})
}
