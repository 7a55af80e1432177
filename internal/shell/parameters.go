package shell

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// parameters are the arguments that a tool's schema names.
type parameters struct {
	names    []string // required ones first
	schemas  map[string]map[string]any
	required []string
}

func parametersOf(t *mcp.Tool) parameters {
	p := parameters{schemas: map[string]map[string]any{}}
	schema, _ := t.InputSchema.(map[string]any)
	for _, name := range asList(schema["required"]) {
		if s, ok := name.(string); ok {
			p.required = append(p.required, s)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		p.schemas[name], _ = property.(map[string]any)
	}
	p.names = slices.SortedFunc(maps.Keys(p.schemas), func(a, b string) int {
		if x, y := slices.Contains(p.required, a), slices.Contains(p.required, b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return p
}

func asList(v any) []any { list, _ := v.([]any); return list }

// types are what a value may be; a schema without is of any type.
func (p parameters) types(name string) []string {
	switch t := p.schemas[name]["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var types []string
		for _, one := range t {
			if s, ok := one.(string); ok {
				types = append(types, s)
			}
		}
		return types
	}
	return nil
}

// kind describes the type for people.
func (p parameters) kind(name string) string {
	if values := p.values(name); len(values) > 0 && len(values) <= 6 {
		return strings.Join(values, "|")
	}
	kind := strings.Join(p.types(name), "|")
	if format, ok := p.schemas[name]["format"].(string); ok {
		kind += " (" + format + ")"
	}
	if kind == "" {
		return "any"
	}
	return kind
}

func (p parameters) needed(name string) string {
	if slices.Contains(p.required, name) {
		return "required"
	}
	if d, ok := p.schemas[name]["default"]; ok {
		text, _ := json.Marshal(d) // it came from JSON
		return "default " + string(text)
	}
	return ""
}

func (p parameters) text(name string) string {
	text, _ := p.schemas[name]["description"].(string)
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// values are the ones that can be chosen from, as they are typed.
func (p parameters) values(name string) []string {
	var values []string
	for _, v := range asList(p.schemas[name]["enum"]) {
		if s, ok := v.(string); ok {
			values = append(values, s)
		} else if text, err := json.Marshal(v); err == nil {
			values = append(values, string(text))
		}
	}
	if values == nil && slices.Contains(p.types(name), "boolean") {
		values = []string{"true", "false"}
	}
	return values
}

// example shows how the required arguments are given.
func (p parameters) example() string {
	var b strings.Builder
	for _, name := range p.names {
		if slices.Contains(p.required, name) {
			fmt.Fprintf(&b, " %s=…", clean(name))
		}
	}
	return b.String()
}

// parse makes arguments of words: one JSON object, or NAME=VALUE pairs whose
// types come from the schema. A name given several times makes a list.
func (p parameters) parse(words []string) (map[string]any, error) {
	if len(words) > 0 && strings.HasPrefix(strings.TrimSpace(words[0]), "{") {
		return object(strings.Join(words, " "))
	}
	arguments := map[string]any{}
	for _, word := range words {
		name, text, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, usageError(fmt.Sprintf("%q is neither NAME=VALUE nor a JSON object", clean(word)))
		}
		if _, known := p.schemas[name]; !known {
			return nil, usageError(fmt.Sprintf("there is no argument %q; there are: %s", clean(name), clean(strings.Join(p.names, ", "))))
		}
		value, err := p.value(name, text)
		if err != nil {
			return nil, err
		}
		arguments[name] = p.join(name, arguments[name], value)
	}
	return arguments, nil
}

// object reads a JSON object as it is, numbers digit by digit.
func object(text string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var arguments map[string]any
	err := d.Decode(&arguments)
	if err == nil && (arguments == nil || d.More()) {
		err = errors.New("it must be one object")
	}
	if err != nil {
		return nil, usageError(fmt.Sprintf("the arguments are no JSON object: %v", err))
	}
	return arguments, nil
}

// value reads text as one of the types that an argument may have.
func (p parameters) value(name, text string) (any, error) {
	types := p.types(name)
	for _, t := range types {
		switch t {
		case "integer":
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n, nil
			}
		case "number":
			var n json.Number
			if json.Unmarshal([]byte(text), &n) == nil {
				return n, nil
			}
		case "boolean":
			if text == "true" || text == "false" {
				return text == "true", nil
			}
		case "null":
			if text == "null" {
				return nil, nil
			}
		}
	}
	switch {
	case strings.HasPrefix(text, "[") && slices.Contains(types, "array"), strings.HasPrefix(text, "{") && slices.Contains(types, "object"):
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, usageError(fmt.Sprintf("%s: %v", clean(name), err))
		}
		return v, nil
	case slices.Contains(types, "array"):
		return p.item(name, text), nil
	case len(types) == 0 || slices.Contains(types, "string"):
		return text, nil
	}
	return nil, usageError(fmt.Sprintf("%s must be %s, not %q", clean(name), strings.Join(types, " or "), clean(text)))
}

// item reads one element of a list.
func (p parameters) item(name, text string) any {
	items, _ := p.schemas[name]["items"].(map[string]any)
	one := parameters{schemas: map[string]map[string]any{name: items}}
	if v, err := one.value(name, text); err == nil {
		return v
	}
	return text // the server says what is wrong with it
}

// join adds a value to those that were given under the same name.
func (p parameters) join(name string, before, value any) any {
	if !slices.Contains(p.types(name), "array") {
		return value
	}
	if list, ok := value.([]any); ok {
		return append(asList(before), list...)
	}
	return append(asList(before), value)
}
