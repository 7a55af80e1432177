package catalog

import (
	"fmt"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/internal/openapi"
)

// body says how a request body is made from arguments.
type body struct {
	media    string
	required bool
	whole    *jsonschema.Schema // of the body, where its members' own schemas do not say everything
}

// takeBody adds the members of an object to the arguments, and any other body
// as one argument named body.
func (t *Tool) takeBody(op openapi.Operation, in *input, c compiler) error {
	b := op.Body
	if b == nil {
		return nil
	}
	if t.ReadOnly { // RFC 9110 §9.3.1: a body has no meaning in GET and HEAD
		if b.Required {
			return fmt.Errorf("it is a %s that needs a body", op.Method)
		}
		return nil
	}
	t.body = &body{media: b.MediaType, required: b.Required}
	s := members{properties: map[string]any{}}
	// An optional body with required members cannot be told apart from its
	// members' absence once they lie beside other arguments.
	if !s.take(b.Schema.Root) || len(s.properties) == 0 || !b.Required && len(s.required) > 0 {
		name, err := in.add("body", "body", described(b.Schema.Root, b.Description), b.Schema.Definitions, b.Required)
		if err != nil {
			return err
		}
		in.arguments = append(in.arguments, Argument{Name: name, In: "body"})
		return nil
	}
	for _, name := range s.required { // without being described
		if _, ok := s.properties[name]; !ok {
			s.properties[name] = map[string]any{}
		}
	}
	for _, member := range slices.Sorted(maps.Keys(s.properties)) {
		schema, ok := s.properties[member].(map[string]any)
		if !ok { // true or false
			schema = map[string]any{}
			if s.properties[member] == false {
				continue
			}
		}
		name, err := in.add(member, "body", schema, b.Schema.Definitions, slices.Contains(s.required, member))
		if err != nil {
			return err
		}
		in.arguments = append(in.arguments, Argument{Name: name, In: "body", Field: member})
	}
	if s.additional != nil {
		in.additional = s.additional
	}
	if !s.whole {
		return nil
	}
	schema, err := encode(b.Schema.Object())
	if err != nil {
		return err
	}
	t.body.whole, err = c.compile(schema)
	return err
}

// members are those of an object schema and of the objects that it combines.
type members struct {
	properties map[string]any
	required   []string
	// additional is the schema of members without a name, where the document
	// says that there can be some. Where it says nothing they are refused:
	// an agent cannot know of them, and an API might take more than it tells.
	additional any
	whole      bool // the schema says more than its members do and must be checked itself
}

// take adds what schema says. It reports false for what is more than an object
// (oneOf, null, maps of patterns), whose meaning would not survive being spread
// among other arguments.
func (m *members) take(schema map[string]any) bool {
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		v := schema[keyword]
		switch keyword {
		case "title", "description", "examples", "default", "deprecated":
		case "type":
			if v != "object" {
				return false
			}
		case "properties":
			m.add(v)
		case "required":
			list, _ := v.([]any)
			for _, name := range list {
				if s, ok := name.(string); ok {
					m.required = append(m.required, s)
				}
			}
		case "additionalProperties":
			if v != false {
				m.additional, m.whole = v, true
			}
		case "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "propertyNames":
			m.whole = true
		case "allOf":
			m.whole = true
			list, _ := v.([]any)
			for _, part := range list {
				o, ok := part.(map[string]any)
				if !ok || !m.take(o) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

// add adds properties; what two schemas say of one member holds together.
func (m *members) add(v any) {
	properties, _ := v.(map[string]any)
	for name, schema := range properties {
		if old, ok := m.properties[name]; ok {
			schema = map[string]any{"allOf": []any{old, schema}}
		}
		m.properties[name] = schema
	}
}

// bodyOf puts the body together from arguments. send is false if there is none
// to send.
func (t *Tool) bodyOf(arguments map[string]any) (value any, send bool) {
	if t.body == nil {
		return nil, false
	}
	object := map[string]any{}
	elsewhere := map[string]bool{}
	for _, a := range t.Arguments {
		v, given := arguments[a.Name]
		elsewhere[a.Name] = true
		switch {
		case a.In != "body" || !given:
		case a.Field == "":
			return v, true
		default:
			object[a.Field] = v
		}
	}
	for name, v := range arguments { // those that no name is given for
		if _, taken := object[name]; !elsewhere[name] && !taken {
			object[name] = v
		}
	}
	return object, len(object) > 0 || t.body.required
}
