package openapi

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	if r.left -= c.parts; r.left < 0 {
		return nil, fmt.Errorf("all schemas together have more than %d parts once references are resolved: %w", maxResolved, errSize)
	}
	if err == nil && c.parts > c.limit {
		err = c.tooLarge()
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

// Keywords that are kept as they are, and those whose value is or contains
// schemas. Everything else belongs to OpenAPI or changes what references mean,
// and is left out.
var (
	plainKeywords = words(`type enum const default format multipleOf maximum exclusiveMaximum minimum
		exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties
		minProperties required dependentRequired deprecated contentMediaType contentEncoding`)
	schemaKeywords = words(`not items additionalProperties contains propertyNames if then else unevaluatedItems unevaluatedProperties`)
	listKeywords   = words(`allOf anyOf oneOf prefixItems`)
	mapKeywords    = words(`properties patternProperties dependentSchemas`)
	// Beside a reference these only describe, so they can lie over its target.
	describing = words(`title description default examples deprecated`)
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
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
		switch {
		case name == "title" || name == "description":
			if s := text(s, name); s != "" {
				out[name] = s
			}
		case name == "examples":
			if list, ok := s[name].([]any); ok {
				out[name] = list
			}
		case plainKeywords[name]:
			out[name] = s[name]
		case schemaKeywords[name]:
			out[name], err = c.convert(s[name], stack, depth+1)
		case listKeywords[name]:
			out[name], err = c.list(s[name], stack, depth)
		case mapKeywords[name]:
			out[name], err = c.members(s[name], stack, depth)
		}
		if err != nil {
			return nil, err
		}
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

// reference puts the target in place of the reference, or refers to a
// definition where the target is being resolved already.
func (c *converter) reference(ref string, s map[string]any, stack []string, depth int) (any, error) {
	target, err := c.resolve(ref)
	if err != nil {
		return nil, err
	}
	if slices.Contains(stack, ref) {
		return c.recursive(ref, target, depth)
	}
	if len(stack) > maxReferences {
		return nil, fmt.Errorf("more than %d references lead from one to the next", maxReferences)
	}
	converted, err := c.convert(target, append(slices.Clone(stack), ref), depth+1)
	if err != nil {
		return nil, err
	}
	base, ok := converted.(map[string]any)
	if !ok || c.old { // 3.0: siblings of $ref are ignored
		return converted, nil
	}
	siblings, err := c.keywords(s, stack, depth)
	if err != nil || len(siblings) == 0 {
		return base, err
	}
	for name := range siblings {
		if !describing[name] {
			return map[string]any{"allOf": []any{base, siblings}}, nil
		}
	}
	maps.Copy(base, siblings)
	return base, nil
}

// recursive returns a reference to the definition of ref, which it makes the
// first time.
func (c *converter) recursive(ref string, target any, depth int) (any, error) {
	name, made := c.names[ref]
	if !made {
		name = ref[strings.LastIndexByte(ref, '/')+1:]
		for i := 2; c.definitions[name] != nil; i++ {
			name = ref[strings.LastIndexByte(ref, '/')+1:] + strconv.Itoa(i)
		}
		c.names[ref] = name
		c.definitions[name] = map[string]any{} // holds the name while its content is made
		content, err := c.convert(target, []string{ref}, depth+1)
		if err != nil {
			return nil, err
		}
		c.definitions[name] = content
	}
	return map[string]any{"$ref": "#/$defs/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)}, nil
}

// hidden names the members of s, and of what it combines, that do not travel
// in this direction.
func (c *converter) hidden(s map[string]any, depth int) []string {
	if c.parts++; c.parts > c.limit || depth > maxReferences {
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
	for name := range listKeywords {
		if out[name] != nil {
			return map[string]any{"anyOf": []any{out, map[string]any{"type": "null"}}}
		}
	}
	return out
}

// resolve finds what a reference means inside of the document (RFC 6901).
func (r *reader) resolve(ref string) (any, error) {
	pointer, local := strings.CutPrefix(ref, "#/")
	if !local {
		return nil, fmt.Errorf("$ref %.80q leads out of the document; nothing is fetched, so put it into the document", ref)
	}
	var v any = r.root
	for step := range strings.SplitSeq(pointer, "/") {
		unescaped, err := url.PathUnescape(step)
		if err != nil {
			return nil, fmt.Errorf("$ref %.80q is not encoded correctly", ref)
		}
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(unescaped)
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return nil, fmt.Errorf("$ref %.80q leads nowhere", ref)
			}
			v = in[i]
		default:
			v = nil
		}
		if v == nil {
			return nil, fmt.Errorf("$ref %.80q leads nowhere", ref)
		}
	}
	return v, nil
}

// Types returns the types that a schema's root names; nil if it names none.
func (s *Schema) Types() []string {
	switch t := s.Root["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var types []string
		for _, v := range t {
			if name, ok := v.(string); ok {
				types = append(types, name)
			}
		}
		return types
	}
	return nil
}

// Object returns the whole schema, definitions included, as one object.
func (s *Schema) Object() map[string]any {
	all := maps.Clone(s.Root)
	if len(s.Definitions) > 0 {
		all["$defs"] = s.Definitions
	}
	return all
}
