package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"gatehouse/internal/openapi"
)

// compile makes a validator of a schema: dialect 2020-12, formats asserted,
// nothing loaded from anywhere (R-RS-43).
func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("its schema: %w", err)
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
	if err != nil {
		return nil, fmt.Errorf("its schema is not valid: %w", err)
	}
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
func (t *Tool) takeOutput(s *openapi.Schema) error {
	if s == nil {
		return nil
	}
	var root any = s
	if types := s.Types(); len(types) != 1 || types[0] != "object" {
		t.wrapped = true
		wrapper := map[string]any{"type": "object", "required": []string{"result"}, "properties": map[string]any{"result": s.Root}}
		if len(s.Definitions) > 0 {
			wrapper["$defs"] = s.Definitions
		}
		root = wrapper
	}
	schema, err := encode(root)
	if err != nil {
		return err
	}
	if t.output, err = compile(schema); err != nil {
		return err
	}
	t.OutputSchema = schema
	return nil
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
	if err := t.input.Validate(v); err != nil {
		return nil, explain(err)
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
	if err := t.output.Validate(v); err != nil {
		return nil, explain(err)
	}
	return body, nil
}

// maxProblems bounds what one error lists, maxEcho what it repeats of a value.
const (
	maxProblems = 5
	maxEcho     = 40
)

// explain rewords a validation error: its leaves, each with the place where it
// is, in a bounded sentence.
func explain(err error) error {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return errors.New("they could not be checked")
	}
	printer := message.NewPrinter(language.English)
	var problems []string
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			visit(cause)
		}
		if len(e.Causes) > 0 || len(problems) > maxProblems {
			return
		}
		place := strings.Join(e.InstanceLocation, ".")
		text := clip(e.ErrorKind.LocalizedString(printer), 3*maxEcho)
		if place != "" {
			text = clip(place, maxEcho) + ": " + text
		}
		if !slices.Contains(problems, text) {
			problems = append(problems, text)
		}
	}
	visit(invalid)
	if len(problems) > maxProblems {
		problems = append(problems[:maxProblems], "and more")
	}
	return errors.New(strings.Join(problems, "; "))
}

func clip(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}
