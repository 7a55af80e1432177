package openapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// mode says which direction a schema is for: members that are readOnly are not
// sent, members that are writeOnly not received.
type mode int

const (
	request mode = iota
	response
)

// errSize is in the chain of errors about schemas that are too large.
var errSize = errors.New("cut the document down to what agents need")

// schema resolves a schema into JSON Schema 2020-12 without references, except
// where it contains itself: those parts become definitions.
func (r *reader) schema(v any, m mode, limit int) (*Schema, error) {
	c := &converter{reader: r, mode: m, limit: limit, definitions: map[string]any{}, names: map[string]string{}}
	root, err := c.convert(v, nil, 0)
	if err == nil && c.parts > c.limit {
		err = c.tooLarge()
	}
	r.work -= c.parts
	if err == nil {
		r.left -= c.parts
	}
	if r.exhausted() {
		return nil, fmt.Errorf("all schemas together have more than %d parts once references are resolved: %w", maxResolved, errSize)
	}
	if err != nil {
		return nil, err
	}
	object, ok := root.(map[string]any)
	if !ok { // true or false: 2020-12 §4.3.2
		object = map[string]any{}
		if root == false {
			object["not"] = map[string]any{}
		}
	}
	return &Schema{Root: object, Definitions: c.definitions}, nil
}

type converter struct {
	*reader
	mode        mode
	parts       int // so far, at most limit
	limit       int
	definitions map[string]any
	names       map[string]string // reference → name of its definition
}

// holds says what the value of a keyword is made of.
type holds int

const (
	nothing holds = iota // that could be kept
	plain
	oneSchema
	schemaList
	schemaMap
)

// content tells the keywords of JSON Schema from everything else, which belongs
// to OpenAPI or changes what references mean, and is left out.
func content(keyword string) holds {
	switch keyword {
	case "type", "enum", "const", "default", "format", "deprecated", "required", "dependentRequired",
		"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
		"maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties",
		"contentMediaType", "contentEncoding":
		return plain
	case "not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties":
		return oneSchema
	case "allOf", "anyOf", "oneOf", "prefixItems":
		return schemaList
	case "properties", "patternProperties", "dependentSchemas":
		return schemaMap
	}
	return nothing
}

// describes reports whether a keyword only describes. Beside a reference it can
// then lie over the target's.
func describes(keyword string) bool {
	switch keyword {
	case "title", "description", "default", "examples", "deprecated":
		return true
	}
	return false
}

// convert resolves one schema; stack are the references that it is inside of.
func (c *converter) convert(v any, stack []string, depth int) (any, error) {
	if c.parts++; c.parts > c.limit {
		return nil, c.tooLarge()
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("its schema is nested more than %d deep", maxDepth)
	}
	if _, ok := v.(bool); ok {
		return v, nil
	}
	s, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a schema is no object")
	}
	if ref, ok := s["$ref"].(string); ok {
		return c.reference(ref, s, stack, depth)
	}
	return c.keywords(s, stack, depth)
}

func (c *converter) tooLarge() error {
	return fmt.Errorf("its schema has more than %d parts once references are resolved: %w", c.limit, errSize)
}

func (c *converter) keywords(s map[string]any, stack []string, depth int) (map[string]any, error) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		var err error
		switch content(name) {
		case plain:
			out[name] = s[name]
		case oneSchema:
			out[name], err = c.convert(s[name], stack, depth+1)
		case schemaList:
			out[name], err = c.list(s[name], stack, depth)
		case schemaMap:
			out[name], err = c.members(s[name], stack, depth)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"title", "description"} {
		if said := text(s, name); said != "" {
			out[name] = said
		}
	}
	if examples, ok := s["examples"].([]any); ok {
		out["examples"] = examples
	}
	if example, ok := s["example"]; ok && out["examples"] == nil {
		out["examples"] = []any{example}
	}
	strip(out, c.hidden(s, 0))
	if c.old {
		return modernise(out, s), nil
	}
	return out, nil
}

func (c *converter) list(v any, stack []string, depth int) (any, error) {
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("a list of schemas is no list")
	}
	var out []any
	for _, item := range items {
		converted, err := c.convert(item, stack, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, converted)
	}
	return out, nil
}

func (c *converter) members(v any, stack []string, depth int) (any, error) {
	members, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("properties is no object")
	}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		converted, err := c.convert(members[name], stack, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%.60s: %w", name, err)
		}
		out[name] = converted
	}
	return out, nil
}

// hidden names the members of s, and of what it combines, that do not travel
// in this direction.
func (c *converter) hidden(s map[string]any, depth int) []string {
	if depth > 0 { // at 0 it is counted already
		c.parts++
	}
	if c.parts > c.limit || depth > maxReferences {
		return nil // conversion fails before long
	}
	var names []string
	properties, _ := s["properties"].(map[string]any)
	for name, member := range properties {
		if c.flagged(member) {
			names = append(names, name)
		}
	}
	combined, _ := s["allOf"].([]any)
	for _, part := range combined {
		if o, err := c.object(part); err == nil {
			names = append(names, c.hidden(o, depth+1)...)
		}
	}
	return names
}

// flagged reports whether a member, or what it refers to, is marked as one
// that does not travel in this direction.
func (c *converter) flagged(member any) bool {
	flag := "readOnly"
	if c.mode == response {
		flag = "writeOnly"
	}
	for range maxReferences {
		o, ok := member.(map[string]any)
		if !ok {
			return false
		}
		if o[flag] == true {
			return true
		}
		ref, ok := o["$ref"].(string)
		if !ok {
			return false
		}
		var err error
		if member, err = c.resolve(ref); err != nil {
			return false
		}
	}
	return false
}

// strip leaves members out, and out of what is required.
func strip(out map[string]any, names []string) {
	if len(names) == 0 {
		return
	}
	properties, _ := out["properties"].(map[string]any)
	for _, name := range names {
		delete(properties, name)
	}
	if required, ok := out["required"].([]any); ok {
		required = slices.DeleteFunc(slices.Clone(required), func(v any) bool {
			name, ok := v.(string)
			return ok && slices.Contains(names, name)
		})
		if out["required"] = required; len(required) == 0 {
			delete(out, "required")
		}
	}
	combined, _ := out["allOf"].([]any)
	for _, part := range combined {
		if o, ok := part.(map[string]any); ok {
			strip(o, names)
		}
	}
}

// modernise turns what only OpenAPI 3.0 has into JSON Schema 2020-12.
func modernise(out, s map[string]any) map[string]any {
	for exclusive, bound := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		flag, ok := out[exclusive].(bool)
		if !ok {
			continue
		}
		delete(out, exclusive)
		if flag && out[bound] != nil {
			out[exclusive] = out[bound]
			delete(out, bound)
		}
	}
	if s["nullable"] != true {
		return out
	}
	if values, ok := out["enum"].([]any); ok && !slices.Contains(values, nil) {
		out["enum"] = append(slices.Clone(values), nil)
	}
	if kind, ok := out["type"].(string); ok {
		out["type"] = []any{kind, "null"}
		return out
	}
	// 3.0.3 gives nullable a meaning only beside type, but generators write it
	// beside allOf, and mean it.
	for _, name := range []string{"allOf", "anyOf", "oneOf"} {
		if out[name] != nil {
			return map[string]any{"anyOf": []any{out, map[string]any{"type": "null"}}}
		}
	}
	return out
}

// Object returns the whole schema, definitions included, as one object.
func (s *Schema) Object() map[string]any {
	all := maps.Clone(s.Root)
	if len(s.Definitions) > 0 {
		all["$defs"] = s.Definitions
	}
	return all
}
