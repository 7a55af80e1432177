package catalog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/openapi"
)

// input gathers the parameters and body of an operation into one object.
type input struct {
	properties  map[string]any
	required    []string
	definitions map[string]any
	arguments   []Argument
}

// takeInput makes the tool's input schema and remembers how each argument
// travels.
func (t *Tool) takeInput(op openapi.Operation) error {
	in := &input{properties: map[string]any{}, definitions: map[string]any{}}
	for _, p := range op.Parameters {
		if !travels(p) {
			if p.Required {
				return fmt.Errorf("it needs %s %q, which an agent cannot send", p.In, p.Name)
			}
			continue
		}
		if err := in.parameter(p); err != nil {
			return err
		}
	}
	for _, name := range templateNames(op.Path) {
		if !slices.ContainsFunc(in.arguments, func(a Argument) bool { return a.In == "path" && a.Field == name }) {
			return fmt.Errorf("its path has {%s}, which no parameter describes", name)
		}
	}
	if op.Body != nil {
		t.media = op.Body.MediaType
		if err := in.body(op.Body); err != nil {
			return err
		}
	}
	t.Arguments = in.arguments
	slices.SortFunc(t.Arguments, func(a, b Argument) int { return cmp.Compare(a.Name, b.Name) })
	var err error
	if t.InputSchema, err = in.schema(); err != nil {
		return err
	}
	t.input, err = compile(t.InputSchema)
	return err
}

// travels reports whether a parameter may come from an agent's arguments.
// Cookies, and headers that are about the connection, the sender or the body,
// are this gateway's alone (OpenAPI itself ignores Accept, Content-Type and
// Authorization).
func travels(p openapi.Parameter) bool {
	switch p.In {
	case "cookie":
		return false
	case "header":
		return !reservedHeader(p.Name)
	}
	return true
}

func reservedHeader(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{"proxy-", "sec-", "x-forwarded-", "mcp-", "content-", "access-control-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"accept", "accept-encoding", "authorization", "connection", "cookie", "cookie2", "date", "dpop", "expect", "forwarded", "host",
		"http2-settings", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
		"via", "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-real-ip", "x-request-id", "x-rewrite-url",
	}, name)
}

func (in *input) parameter(p openapi.Parameter) error {
	if !slices.Contains([]string{"simple", "form", "spaceDelimited", "pipeDelimited", "deepObject"}, p.Style) {
		return fmt.Errorf("parameter %s has style %s, which is not served", p.Name, p.Style)
	}
	schema := maps.Clone(p.Schema.Root)
	if p.Description != "" && schema["description"] == nil {
		schema["description"] = plain(p.Description, maxDescription)
	}
	name, err := in.add(p.Name, p.In, schema, p.Schema.Definitions, p.Required)
	if err != nil {
		return err
	}
	in.arguments = append(in.arguments, Argument{Name: name, In: p.In, Field: p.Name, Style: p.Style, Explode: p.Explode, JSON: p.JSON})
	return nil
}

// body adds the members of an object to the arguments, and any other body as
// one argument named body.
func (in *input) body(b *openapi.Body) error {
	root := b.Schema.Root
	properties, mergeable := mergeable(b)
	if !mergeable {
		schema := maps.Clone(root)
		if b.Description != "" && schema["description"] == nil {
			schema["description"] = plain(b.Description, maxDescription)
		}
		name, err := in.add("body", "body", schema, b.Schema.Definitions, b.Required)
		if err != nil {
			return err
		}
		in.arguments = append(in.arguments, Argument{Name: name, In: "body"})
		return nil
	}
	var required []string
	list, _ := root["required"].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			required = append(required, s)
		}
	}
	for _, member := range slices.Sorted(maps.Keys(properties)) {
		schema, ok := properties[member].(map[string]any)
		if !ok { // true or false
			schema = map[string]any{}
			if properties[member] == false {
				continue
			}
		}
		name, err := in.add(member, "body", schema, b.Schema.Definitions, b.Required && slices.Contains(required, member))
		if err != nil {
			return err
		}
		in.arguments = append(in.arguments, Argument{Name: name, In: "body", Field: member})
	}
	return nil
}

// mergeable returns the properties of a body whose meaning survives being
// spread among other arguments: an object that says nothing beyond what its
// members are. Anything else (oneOf, minProperties, open maps, optional bodies
// with required members) stays one argument, validated as it is.
func mergeable(b *openapi.Body) (map[string]any, bool) {
	types := b.Schema.Types()
	properties, ok := b.Schema.Root["properties"].(map[string]any)
	if !ok || len(properties) == 0 || len(types) != 1 || types[0] != "object" {
		return nil, false
	}
	for keyword, v := range b.Schema.Root {
		switch keyword {
		case "type", "properties", "title", "description", "examples", "default", "deprecated":
		case "required":
			if !b.Required {
				return nil, false
			}
		case "additionalProperties":
			// false is what an input has anyway; true or absent promises nothing
			// that an agent could know of, so unknown members are refused too.
			if _, is := v.(bool); !is {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return properties, true
}

// add puts an argument under a name that is free: its own, or with the
// location behind it, since an id in the path and an id in the body are two.
func (in *input) add(field, location string, schema, definitions map[string]any, required bool) (string, error) {
	name := field
	if in.properties[name] != nil {
		name = field + "_" + location
	}
	for i := 2; in.properties[name] != nil; i++ {
		name = fmt.Sprintf("%s_%s_%d", field, location, i)
	}
	in.properties[name] = schema
	if required {
		in.required = append(in.required, name)
	}
	for definition, content := range definitions {
		if old, ok := in.definitions[definition]; ok {
			a, errA := json.Marshal(old)
			b, errB := json.Marshal(content)
			if errA != nil || errB != nil || string(a) != string(b) {
				return "", fmt.Errorf("two recursive schemas are both named %s", definition)
			}
		}
		in.definitions[definition] = content
	}
	return name, nil
}

// schema returns the input schema; equal inputs give equal bytes, since
// encoding/json sorts members.
func (in *input) schema() (json.RawMessage, error) {
	root := map[string]any{"type": "object", "properties": in.properties, "additionalProperties": false}
	if len(in.required) > 0 {
		slices.Sort(in.required)
		root["required"] = in.required
	}
	if len(in.definitions) > 0 {
		root["$defs"] = in.definitions
	}
	return encode(root)
}
