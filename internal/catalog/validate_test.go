package catalog_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// R-RS-35; issue 2, bad input: arguments that break the schema are refused with
// a sentence for each problem.
func TestValidateSaysWhatIsWrong(t *testing.T) {
	secret := strings.Repeat("hush", 100)
	customers, pets, trees := file(t, "customers.yaml"), file(t, "petstore.yaml"), file(t, "tree.yaml")
	for _, c := range []struct{ tool, arguments, want string }{
		{"fetch-users", ``, ""},
		{"fetch-users", `null`, ""},
		{"fetch-users", `{"limit": 100}`, ""},
		{"fetch-users", `{"limit": 5000}`, "limit: must be at most 100 (got 5000)"},
		{"fetch-users", `{"limit": 0}`, "limit: must be at least 1 (got 0)"},
		{"fetch-users", `{"limit": 1.5}`, "limit: must be integer (got number)"},
		{"fetch-users", `{"limit": "` + secret + `"}`, "limit: must be integer (got string)"},
		{"fetch-users", `{"limit": 1` + strings.Repeat("0", 60) + `}`, "limit: must be at most 100 (got 1" + strings.Repeat("0", 38) + "…)"},
		{"fetch-users", `{"status": ["gone", "active"]}`, "status.0: must be one of active, paused, closed"},
		{"fetch-users", `{"Limit": 1}`, "Limit: is not known here"},
		{"fetch-users", `{"` + secret + `": 1}`, secret[:39] + "…: is not known here"},
		{"fetch-users", `[]`, "they must be an object"},
		{"fetch-users", `{"limit": `, "they are not valid JSON"},
		{"create-user", `{"name": "", "email": "` + secret + `"}`, "email: must be a valid email; name: must have at least 1 character (got 0)"},
		{"create-user", `{"email": "a@b.example"}`, "name: is missing"},
		{"create-user", `{"id": 1, "email": "a@b.example", "name": "a"}`, "id: is not known here"},
		{"create-user", `{"email": "a@b.example", "name": "a", "password": "` + secret[:8] + `"}`, "password: must have at least 12 characters (got 8)"},
		{"create-user", `{"email": "a@b.example", "name": "a", "company": 1}`, "company: must be null or string (got number)"},
		{"update-user", `{"id": 1}`, "the arguments for the body: must have at least 1 member (got 0)"},
		{"update-user", `{"id": 1, "company": null}`, ""},
		{"update-user", `{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}`,
			"a: is not known here; b: is not known here; c: is not known here; d: is not known here; e: is not known here; and more"},
		{"addPet", `{"name": "Rex", "breed": null, "age": 30}`, "age: must be less than 30 (got 30)"},
		{"addPet", `{"name": "Rex", "breed": null, "owner": null}`, ""},
		{"addPet", `{"name": "Rex", "breed": null, "owner": {"name": 1}}`, "owner.name: must be string (got number)"},
		{"addPet", `{"name": "Rex", "breed": null, "owner": 1}`, "owner: must be object or null"},
		{"addPet_2", `{"id": "a", "id_body": "b", "more": 1}`, ""},
		{"addPet_2", `{"id": "a", "id_body": "b", "more": "x"}`, "more: must be integer (got string)"},
		{"add-node", `{"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}`, ""},
		{"add-node", `{"name": "a", "children": [{"name": "b", "children": [{"nome": "c"}]}]}`, "children.0.children.0.name: is missing; children.0.children.0.nome: is not known here"},
	} {
		a := customers
		if _, ok := a.Tool(c.tool); !ok {
			a = pets
		}
		if _, ok := a.Tool(c.tool); !ok {
			a = trees
		}
		got := ""
		if _, err := tool(t, a, c.tool).Validate(json.RawMessage(c.arguments)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s %.80s:\ngot  %s\nwant %s", c.tool, c.arguments, got, c.want)
		}
	}
}

// A value is never repeated, whatever is wrong with it: it may be a secret.
func TestErrorsHoldNoTexts(t *testing.T) {
	for _, schema := range []string{
		"{enum: [a]}", "{const: a}", "{type: integer}", "{pattern: '^a$'}", "{format: uuid, type: string}", "{maxLength: 1}", "{minLength: 99}", "{not: {}}", "false",
		"{anyOf: [{enum: [a]}, {pattern: b}]}", "{oneOf: [{type: string}, {minLength: 1}]}", "{allOf: [{maxLength: 1}]}", "{if: true, then: {maxLength: 1}}",
	} {
		a := api(t, operation("get", "/a", "parameters: [{name: p, in: query, schema: "+schema+"}]"), nil)
		_, err := a.Tools[0].Validate(json.RawMessage(`{"p": "hunter2"}`))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "p: ") {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// The validator computes with exact numbers; a short text must not cost it
// hours, and must not make it panic.
func TestNumbersAreBounded(t *testing.T) {
	a := api(t, operation("post", "/a", `requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {n: {type: number, multipleOf: 3}, a: {type: array, uniqueItems: true, items: {type: integer}}}}}}},
		responses: {"200": {content: {application/json: {schema: {type: object, properties: {n: {type: integer}}}}}}}`), nil)
	start := time.Now()
	for _, n := range []string{"1e999999", "1e9999999999", "-1E+5000", "1e-999999", strings.Repeat("9", 200), "0." + strings.Repeat("1", 200)} {
		for _, arguments := range []string{`{"n": ` + n + `}`, `{"a": [` + strings.Repeat(n+",", 200) + `1]}`} {
			if _, err := a.Tools[0].Validate(json.RawMessage(arguments)); err == nil || err.Error() != "a number has too many digits" {
				t.Errorf("%.40s: %v", arguments, err)
			}
		}
		if _, err := a.Tools[0].Structure([]byte(`{"n": ` + n + `}`)); err == nil {
			t.Errorf("answer with %.40s is taken", n)
		}
	}
	for _, n := range []string{"3", "3.0", "3e0", "-0", "0", "0.3e1", "9007199254740993", "3e20"} {
		if _, err := a.Tools[0].Validate(json.RawMessage(`{"n": ` + n + `}`)); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %s", d)
	}
	// A document cannot do it either.
	b := api(t, operation("get", "/a", "parameters: [{name: p, in: query, schema: {minLength: "+strings.Repeat("1", 200)+"}}]")+"  /b: {get: {}}\n", nil)
	if len(b.Skipped) != 1 || !strings.Contains(b.Skipped[0].Reason, "too many digits") {
		t.Errorf("%+v", b.Skipped)
	}
}

// Structured content is an object, which is what the output schema says.
func TestStructure(t *testing.T) {
	customers, trees := file(t, "customers.yaml"), file(t, "tree.yaml")
	for _, c := range []struct{ tool, answer, want, err string }{
		{"fetch-user", `{"id": 1, "name": "a", "email": "a@b.example"}`, `{"id": 1, "name": "a", "email": "a@b.example"}`, ""},
		{"fetch-user", `{"id": 1, "name": "a"}`, "", "email: is missing"},
		{"fetch-user", `[]`, "", "the answer: must be object (got array)"},
		{"fetch-user", `{`, "", "it is not valid JSON"},
		{"fetch-orders", `[{"id": 1}]`, `{"result":[{"id": 1}]}`, ""},
		{"fetch-orders", `[{"id": "1"}]`, "", "result.0.id: must be integer (got string)"},
		{"refund-order", `{"any": "thing"}`, `{"any": "thing"}`, ""},
		{"refund-order", `[1]`, "", ""},
		{"list-nodes", `[{"name": "a", "children": []}]`, `{"result":[{"name": "a", "children": []}]}`, ""},
	} {
		a := customers
		if _, ok := a.Tool(c.tool); !ok {
			a = trees
		}
		got, err := tool(t, a, c.tool).Structure([]byte(c.answer))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if string(got) != c.want || text != c.err {
			t.Errorf("%s %s: %s %q; want %s %q", c.tool, c.answer, got, text, c.want, c.err)
		}
	}
}
