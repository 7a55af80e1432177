package sampleapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"gatehouse/internal/sampleapi"
)

// A document is the API's OpenAPI document as a reader sees it who has only
// YAML and JSON Schema.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex // the compiler is not safe for concurrent use
}

var parseDocument = sync.OnceValues(func() (*document, error) {
	var root map[string]any
	if err := yaml.Unmarshal(sampleapi.Document, &root); err != nil {
		return nil, err
	}
	// Through JSON, so that numbers are what the validator expects.
	text, err := json.Marshal(root)
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d := &document{root: value.(map[string]any), compiler: jsonschema.NewCompiler()}
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource("mem:///openapi.json", value)
})

func loadDocument(t *testing.T) *document {
	t.Helper()
	d, err := parseDocument()
	if err != nil {
		t.Fatalf("read openapi.yaml: %v", err)
	}
	return d
}

// at follows names, and references on the way, and returns what is there and
// its JSON pointer.
func (d *document) at(names ...string) (value map[string]any, pointer string) {
	value = d.root
	for _, name := range names {
		next, ok := value[name].(map[string]any)
		if !ok {
			return nil, ""
		}
		value = next
		pointer += "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
		if ref, ok := value["$ref"].(string); ok && names[0] != "components" {
			return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return value, pointer
}

// validate checks JSON against the schema at a pointer.
func (d *document) validate(pointer string, body []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.compiler.Compile("mem:///openapi.json#" + pointer)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// template finds the documented path of a request.
func (d *document) template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	paths, _ := d.at("paths")
	for template := range paths {
		if fits(strings.Split(template, "/"), segments) {
			return template
		}
	}
	return ""
}

func fits(template, segments []string) bool {
	if len(template) != len(segments) {
		return false
	}
	for i, part := range template {
		if part != segments[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

// checkDocumented holds one exchange against the document: the status and the
// form of the answer, and the body of a request that was accepted. Every
// request of every test goes through it.
func (a *api) checkDocumented(method, path, body string, got answer) {
	a.t.Helper()
	d := loadDocument(a.t)
	operation := []string{"paths", d.template(path), strings.ToLower(method)}
	if op, _ := d.at(operation...); op == nil {
		return // no operation: other tests look at that
	}
	pointer := func(names ...string) (map[string]any, string) {
		return d.at(append(slices.Clone(operation), names...)...)
	}

	status := strconv.Itoa(got.status)
	response, where := pointer("responses", status)
	if response == nil {
		if response, where = pointer("responses", "default"); got.status < 400 {
			a.t.Errorf("%s %s answers %d, which is not documented", method, path, got.status)
		}
	}
	content, _ := response["content"].(map[string]any)
	mediaType := got.header.Get("Content-Type")
	switch {
	case content == nil && len(got.body) > 0:
		a.t.Errorf("%s %s answers %d with a body, which is not documented", method, path, got.status)
	case content != nil && content[mediaType] == nil:
		a.t.Errorf("%s %s answers %d with Content-Type %q, which is not documented", method, path, got.status, mediaType)
	case content != nil:
		where += "/content/" + strings.ReplaceAll(mediaType, "/", "~1") + "/schema"
		if err := d.validate(where, got.body); err != nil {
			a.t.Errorf("%s %s answers %d other than documented: %v\n%s", method, path, got.status, err, got.body)
		}
	}
	if request, where := pointer("requestBody", "content", "application/json", "schema"); request != nil && got.status < 300 {
		if err := d.validate(where, []byte(body)); err != nil {
			a.t.Errorf("%s %s accepts a body that the document forbids: %v", method, path, err)
		}
	}
}

// The document names every route with the scope that the route demands, and no
// other.
func TestDocumentAndRoutesAgree(t *testing.T) {
	a := start(t)
	d := loadDocument(t)
	want := map[string][2]string{ // operationId → request, scope
		"fetch-users":  {"GET /users", "users:read"},
		"create-user":  {"POST /users", "users:write"},
		"fetch-user":   {"GET /users/{id}", "users:read"},
		"update-user":  {"PATCH /users/{id}", "users:write"},
		"delete-user":  {"DELETE /users/{id}", "users:write"},
		"fetch-orders": {"GET /users/{id}/orders", "orders:read"},
		"refund-order": {"POST /users/{id}/orders/{orderId}/refunds", "refunds:create"},
	}
	paths, _ := d.at("paths")
	var documented int
	for path, item := range paths {
		var allow []string
		for method, value := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			documented++
			method = strings.ToUpper(method)
			allow = append(allow, method)
			op := value.(map[string]any)
			id, _ := op["operationId"].(string)
			scope := op["security"].([]any)[0].(map[string]any)["oauth2"].([]any)[0].(string)
			if want[id] != [2]string{method + " " + path, scope} {
				t.Errorf("operation %s is %s %s with scope %s, want %v", id, method, path, scope, want[id])
			}
			if op["summary"] == nil || op["description"] == nil {
				t.Errorf("operation %s lacks a summary or a description", id)
			}
			// The route exists, and its challenge names the documented scope.
			got := a.do("", method, strings.NewReplacer("{id}", "1", "{orderId}", "1007").Replace(path), "")
			if c := got.header.Get("WWW-Authenticate"); got.status != 401 || c != `Bearer scope="`+scope+`"` {
				t.Errorf("%s %s without token: %d with challenge %q", method, path, got.status, c)
			}
		}
		if slices.Contains(allow, http.MethodGet) {
			allow = append(allow, http.MethodHead)
		}
		allow = append(allow, http.MethodOptions)
		slices.Sort(allow)
		got := a.do("", "OPTIONS", strings.NewReplacer("{id}", "1", "{orderId}", "1007").Replace(path), "")
		if got.status != 204 || got.header.Get("Allow") != strings.Join(allow, ", ") {
			t.Errorf("OPTIONS %s: %d, Allow %q; documented are %v", path, got.status, got.header.Get("Allow"), allow)
		}
	}
	if documented != len(want) {
		t.Errorf("%d operations are documented, want %d", documented, len(want))
	}
}

// Every schema compiles, and its examples fit it.
func TestDocumentSchemasHoldTheirExamples(t *testing.T) {
	d := loadDocument(t)
	schemas, _ := d.at("components", "schemas")
	if len(schemas) == 0 {
		t.Fatal("the document has no schemas")
	}
	for name, value := range schemas {
		if err := d.validate("/components/schemas/"+name, []byte("null")); err == nil {
			t.Errorf("schema %s accepts null", name)
		}
		examples, _ := value.(map[string]any)["examples"].([]any)
		for _, example := range examples {
			text, err := json.Marshal(example)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.validate("/components/schemas/"+name, text); err != nil {
				t.Errorf("example of schema %s: %v", name, err)
			}
		}
	}
}

// The document is public and names the issuer that is configured, not the
// demonstration's.
func TestDocumentIsServedToEverybody(t *testing.T) {
	a := start(t)
	got := a.do("", "GET", "/openapi.yaml", "")
	if got.status != 200 || got.header.Get("Content-Type") != "application/yaml" {
		t.Fatalf("GET /openapi.yaml: %d %s", got.status, got.header.Get("Content-Type"))
	}
	if !bytes.Contains(got.body, []byte("authorizationUrl: "+issuer+"/authorize")) || bytes.Contains(got.body, []byte("localhost")) {
		t.Error("the document does not name the configured issuer")
	}
	if head := a.do("", "HEAD", "/openapi.yaml", ""); head.status != 200 || len(head.body) != 0 {
		t.Errorf("HEAD /openapi.yaml: %d with %d bytes", head.status, len(head.body))
	}
}
