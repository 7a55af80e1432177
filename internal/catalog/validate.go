package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/internal/openapi"
)

// compiler makes validators of schemas. Equal schemas share one, since the
// operations of an API answer with the same few.
type compiler map[string]*jsonschema.Schema

// compile makes a validator: dialect 2020-12, formats asserted, nothing loaded
// from anywhere (R-RS-43).
func (known compiler) compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	if compiled, ok := known[string(schema)]; ok {
		return compiled, nil
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("its schema: %w", err)
	}
	if !bounded(v) {
		return nil, fmt.Errorf("its schema: %w", errDigits)
	}
	const here = "urn:gatehouse:schema"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(nothing{})
	if err := c.AddResource(here, v); err != nil {
		return nil, fmt.Errorf("its schema: %w", err)
	}
	compiled, err := c.Compile(here)
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		return nil, fmt.Errorf("its schema is not valid: %w", explain(invalid.Err, "it"))
	}
	if err != nil {
		return nil, fmt.Errorf("its schema is not valid: %w", err)
	}
	known[string(schema)] = compiled
	return compiled, nil
}

// nothing is a loader that loads nothing.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema %.80q is not fetched", url)
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("its schema cannot be written as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// takeOutput makes the output schema. MCP wants an object; an API that answers
// with anything else has its answer wrapped.
func (t *Tool) takeOutput(s *openapi.Schema, c compiler) error {
	if s == nil {
		return nil
	}
	root := s.Object()
	if isObject(root) {
		root["type"] = "object"
	} else {
		t.wrapped = true
		root = map[string]any{"type": "object", "required": []string{"result"}, "properties": map[string]any{"result": s.Root}}
		if len(s.Definitions) > 0 {
			root["$defs"] = s.Definitions
		}
	}
	schema, err := encode(root)
	if err != nil {
		return err
	}
	if t.output, err = c.compile(schema); err != nil {
		return err
	}
	t.OutputSchema = schema
	return nil
}

// isObject reports whether only objects are meant by a schema, which need not
// say so itself.
func isObject(schema map[string]any) bool {
	object := func(part any) bool {
		o, ok := part.(map[string]any)
		return ok && isObject(o)
	}
	if kind, typed := schema["type"]; typed {
		return kind == "object"
	}
	combined, _ := schema["allOf"].([]any)
	if schema["properties"] != nil || slices.ContainsFunc(combined, object) {
		return true
	}
	for _, choice := range []string{"anyOf", "oneOf"} {
		if forms, _ := schema[choice].([]any); len(forms) > 0 {
			return !slices.ContainsFunc(forms, func(form any) bool { return !object(form) })
		}
	}
	return false
}

// Validate checks a call's arguments, an object or nothing, against the input
// schema and returns them decoded. Numbers keep their digits. The error says in
// a sentence for each problem which argument it is and what was expected.
func (t *Tool) Validate(arguments json.RawMessage) (map[string]any, error) {
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(arguments))
	if err != nil {
		return nil, errors.New("they are not valid JSON")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("they must be an object")
	}
	if !bounded(v) {
		return nil, errDigits
	}
	if err := t.input.Validate(v); err != nil {
		return nil, explain(err, "")
	}
	if body, send := t.bodyOf(object); send && t.body.whole != nil {
		if err := t.body.whole.Validate(body); err != nil {
			return nil, explain(err, "the arguments for the body")
		}
	}
	return object, nil
}

// Structure returns the structured content of an answer of the API, which must
// be valid JSON: the answer itself, or wrapped where it is no object. It is nil
// if the tool declares no output and the answer is no object. The error says
// how the answer departs from what the document promises.
func (t *Tool) Structure(body []byte) (json.RawMessage, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	if t.wrapped {
		v = map[string]any{"result": v}
		body = slices.Concat([]byte(`{"result":`), body, []byte(`}`))
	}
	if t.output == nil {
		if _, ok := v.(map[string]any); !ok {
			return nil, nil
		}
		return body, nil
	}
	if !bounded(v) {
		return nil, errDigits
	}
	if err := t.output.Validate(v); err != nil {
		return nil, explain(err, "the answer")
	}
	return body, nil
}

var errDigits = errors.New("a number has too many digits")

// bounded reports whether every number can be compared at reasonable cost. The
// validator computes exactly: 1e1000000 would cost it a million digits, and a
// larger exponent its life.
func bounded(v any) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return err == nil && len(v) <= 100 && (f != 0 || !strings.ContainsAny(v.String(), "eE"))
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !bounded(item) })
	case map[string]any:
		for _, item := range v {
			if !bounded(item) {
				return false
			}
		}
	}
	return true
}
