package openapi_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/openapi"
)

// schemas is a document whose one operation sends and receives the schema S.
func schemas(version, s, more string) string {
	return "openapi: " + version + "\ninfo: {title: T, version: '1'}\n" + `
paths:
  /a:
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/S"}}}}
      responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/S"}}}}}
components:
  schemas:
    S: ` + s + "\n" + more
}

// Resolved schemas are JSON Schema 2020-12, whatever the document's version.
func TestSchemasBecomeJSONSchema(t *testing.T) {
	for name, c := range map[string]struct{ version, schema, want string }{
		"plain":                    {"3.1.0", `{type: string, minLength: 1, pattern: "^a$", format: uuid}`, `{"format":"uuid","minLength":1,"pattern":"^a$","type":"string"}`},
		"types":                    {"3.1.0", `{type: [string, "null"]}`, `{"type":["string","null"]}`},
		"true":                     {"3.1.0", `true`, `{}`},
		"false":                    {"3.1.0", `false`, `{"not":{}}`},
		"OpenAPI's own":            {"3.1.0", `{type: object, discriminator: {propertyName: a}, xml: {name: b}, externalDocs: {url: c}, x-mcp-header: Secret, x-y: 1}`, `{"type":"object"}`},
		"foreign identifiers":      {"3.1.0", `{$id: "http://evil.example", $schema: "http://evil.example", $anchor: a, $dynamicRef: "#b", type: string}`, `{"type":"string"}`},
		"example":                  {"3.1.0", `{type: string, example: a}`, `{"examples":["a"],"type":"string"}`},
		"examples no list":         {"3.1.0", `{type: string, examples: {a: {value: b}}}`, `{"type":"string"}`},
		"nullable":                 {"3.0.3", `{type: string, nullable: true}`, `{"type":["string","null"]}`},
		"nullable is 3.0's":        {"3.1.0", `{type: string, nullable: true}`, `{"type":"string"}`},
		"nullable enum":            {"3.0.3", `{type: string, nullable: true, enum: [a]}`, `{"enum":["a",null],"type":["string","null"]}`},
		"nullable enum with null":  {"3.0.3", `{type: string, nullable: true, enum: [a, null]}`, `{"enum":["a",null],"type":["string","null"]}`},
		"nullable beside allOf":    {"3.0.3", `{nullable: true, allOf: [{type: string}]}`, `{"anyOf":[{"allOf":[{"type":"string"}]},{"type":"null"}]}`},
		"exclusive":                {"3.0.3", `{type: number, minimum: 1, exclusiveMinimum: true, maximum: 5, exclusiveMaximum: false}`, `{"exclusiveMinimum":1,"maximum":5,"type":"number"}`},
		"exclusive in 3.1":         {"3.1.0", `{type: number, exclusiveMinimum: 1}`, `{"exclusiveMinimum":1,"type":"number"}`},
		"siblings of $ref in 3.0":  {"3.0.3", `{$ref: "#/components/schemas/Name", description: mine}`, `{"type":"string"}`},
		"description beside $ref":  {"3.1.0", `{$ref: "#/components/schemas/Name", description: mine}`, `{"description":"mine","type":"string"}`},
		"constraint beside $ref":   {"3.1.0", `{$ref: "#/components/schemas/Name", maxLength: 3}`, `{"allOf":[{"type":"string"},{"maxLength":3}]}`},
		"numbers keep their shape": {"3.1.0", `{enum: [1.10, 9007199254740993, 0x1F, 2019-01-01, yes, ~]}`, `{"enum":[1.10,9007199254740993,31,"2019-01-01","yes",null]}`},
		"nested":                   {"3.0.3", `{type: array, items: {type: object, properties: {a: {type: integer, nullable: true}}, additionalProperties: {type: string, nullable: true}}}`, `{"items":{"additionalProperties":{"type":["string","null"]},"properties":{"a":{"type":["integer","null"]}},"type":"object"},"type":"array"}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, schemas(c.version, c.schema, "    Name: {type: string}\n"))
			o := d.Operations[0]
			if o.Problem != "" {
				t.Fatal(o.Problem)
			}
			if got := encode(t, o.Body.Schema); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What is readOnly is not asked for, what is writeOnly not promised; neither
// where it is marked beside or behind a reference or in a combined schema.
func TestDirectionsOfMembers(t *testing.T) {
	for name, c := range map[string]struct{ schema, request, response string }{
		"marked": {
			`{type: object, required: [id, secret], properties: {id: {type: integer, readOnly: true}, secret: {type: string, writeOnly: true}}}`,
			`{"properties":{"secret":{"type":"string"}},"required":["secret"],"type":"object"}`,
			`{"properties":{"id":{"type":"integer"}},"required":["id"],"type":"object"}`,
		},
		"behind a reference": {
			`{required: [id], properties: {id: {$ref: "#/components/schemas/ID"}}}`,
			`{"properties":{}}`, `{"properties":{"id":{"type":"integer"}},"required":["id"]}`,
		},
		"beside a reference": {
			`{required: [id], properties: {id: {$ref: "#/components/schemas/Plain", readOnly: true}}}`,
			`{"properties":{}}`, `{"properties":{"id":{"type":"string"}},"required":["id"]}`,
		},
		"required elsewhere": {
			`{allOf: [{properties: {id: {$ref: "#/components/schemas/ID"}}}, {required: [id, a]}], required: [id]}`,
			`{"allOf":[{"properties":{}},{"required":["a"]}]}`,
			`{"allOf":[{"properties":{"id":{"type":"integer"}}},{"required":["id","a"]}],"required":["id"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := load(t, schemas("3.1.0", c.schema, "    ID: {type: integer, readOnly: true}\n    Plain: {type: string}\n"))
			o := d.Operations[0]
			if o.Problem != "" {
				t.Fatal(o.Problem)
			}
			if got := encode(t, o.Body.Schema); got != c.request {
				t.Errorf("request  %s\nwant     %s", got, c.request)
			}
			if got := encode(t, o.Response); got != c.response {
				t.Errorf("response %s\nwant     %s", got, c.response)
			}
		})
	}
}

// Issue 2, bad input: a recursive document keeps its recursion, in one place.
func TestRecursionBecomesDefinitions(t *testing.T) {
	for name, c := range map[string]struct{ schema, more, want string }{
		"direct": {
			`{type: object, properties: {child: {$ref: "#/components/schemas/S"}}}`, "",
			`{"$defs":{"S":{"properties":{"child":{"$ref":"#/$defs/S"}},"type":"object"}},"properties":{"child":{"$ref":"#/$defs/S"}},"type":"object"}`,
		},
		"through another": {
			`{properties: {b: {$ref: "#/components/schemas/B"}}}`, "    B: {properties: {s: {type: array, items: {$ref: '#/components/schemas/S'}}}}\n",
			`{"$defs":{"S":{"properties":{"b":{"properties":{"s":{"items":{"$ref":"#/$defs/S"},"type":"array"}}}}}},"properties":{"b":{"properties":{"s":{"items":{"$ref":"#/$defs/S"},"type":"array"}}}}}`,
		},
		"with a name that needs escapes": {
			`{items: {$ref: "#/components/schemas/a~1b~0c"}}`, "    a/b~c: {not: {$ref: '#/components/schemas/a~1b~0c'}}\n",
			`{"$defs":{"a~1b~0c":{"not":{"$ref":"#/$defs/a~01b~00c"}}},"items":{"not":{"$ref":"#/$defs/a~01b~00c"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := load(t, schemas("3.1.0", c.schema, c.more)).Operations[0]
			if o.Problem != "" {
				t.Fatal(o.Problem)
			}
			if got := encode(t, o.Body.Schema); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	for name, schema := range map[string]string{
		"itself alone": `{$ref: "#/components/schemas/S"}`,
		"a pair":       `{$ref: "#/components/schemas/T"}`,
	} {
		t.Run(name, func(t *testing.T) {
			o := load(t, schemas("3.1.0", schema, "    T: {$ref: '#/components/schemas/S'}\n")).Operations[0]
			if !strings.Contains(o.Problem, "means only itself") {
				t.Errorf("%+v", o)
			}
		})
	}
}

// No input makes Load panic, run long or return what JSON cannot hold.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(schemas("3.1.0", `{type: object, required: [a], properties: {a: {$ref: "#/components/schemas/S"}, b: {readOnly: true}}}`, "")))
	f.Add([]byte(schemas("3.0.3", `{nullable: true, allOf: [{type: string}], exclusiveMinimum: true, minimum: 1}`, "")))
	f.Add([]byte(`{"openapi":"3.1.0","paths":{"/a/{b}":{"get":{"security":[{"o":["s"]}],"parameters":[{"name":"b","in":"path"}]}}}}`))
	f.Add([]byte("openapi: 3.1\npaths: &p\n  /a: {$ref: '#/paths/~1a', get: *p}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := openapi.Load(data)
		if (d == nil) == (err == nil) || err != nil && !errors.Is(err, openapi.ErrDocument) {
			t.Fatalf("%v, %v", d, err)
		}
		if err != nil {
			return
		}
		for _, o := range d.Operations {
			if o.Body != nil {
				encode(t, o.Body.Schema)
			}
			encode(t, o.Response)
		}
	})
}
