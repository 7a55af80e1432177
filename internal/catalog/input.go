package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gatehouse/internal/openapi"
)

// input gathers the parameters and body of an operation into one object.
type input struct {
	properties  map[string]any
	required    []string
	definitions map[string]any
	arguments   []Argument
	additional  any // schema of arguments that no name is given for
}

// takeInput makes the tool's input schema and remembers how each argument
// travels.
func (t *Tool) takeInput(op openapi.Operation, c compiler) error {
	if err := checkPath(op.Path); err != nil {
		return err
	}
	in := &input{properties: map[string]any{}, definitions: map[string]any{}, additional: false}
	for _, location := range []string{"path", "query", "header", "cookie"} {
		for _, p := range op.Parameters {
			if p.In != location {
				continue
			}
			if err := in.parameter(op.Path, p); err != nil {
				return err
			}
		}
	}
	for _, name := range templateNames(op.Path) {
		if !slices.ContainsFunc(in.arguments, func(a Argument) bool { return a.In == "path" && a.Field == name }) {
			return fmt.Errorf("its path has {%s}, which no parameter describes", name)
		}
	}
	if err := t.takeBody(op, in, c); err != nil {
		return err
	}
	t.Arguments = in.arguments
	slices.SortFunc(t.Arguments, func(a, b Argument) int { return cmp.Compare(a.Name, b.Name) })
	var err error
	if t.InputSchema, err = in.schema(); err != nil {
		return err
	}
	t.input, err = c.compile(t.InputSchema)
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
	// Some servers read an underscore as a hyphen.
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
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

// styles are the ways of writing a value that are served, by location.
func styles(location string) []string {
	if location == "query" {
		return []string{"form", "spaceDelimited", "pipeDelimited", "deepObject"}
	}
	return []string{"simple"}
}

func (in *input) parameter(path string, p openapi.Parameter) error {
	switch {
	case !travels(p) && p.Required:
		return fmt.Errorf("it needs %s %q, which an agent cannot send", p.In, clip(p.Name, maxEcho))
	case !travels(p):
		return nil
	case !p.JSON && !slices.Contains(styles(p.In), p.Style):
		return fmt.Errorf("parameter %s has style %q, which is not served", clip(p.Name, maxEcho), clip(p.Style, maxEcho))
	case p.In == "header" && !httpguts.ValidHeaderFieldName(p.Name):
		return fmt.Errorf("parameter %q cannot be the name of a header", clip(p.Name, maxEcho))
	case p.In == "path" && !slices.Contains(templateNames(path), p.Name):
		return fmt.Errorf("its path has no {%s}, which a parameter describes", clip(p.Name, maxEcho))
	}
	name, err := in.add(p.Name, p.In, described(p.Schema.Root, p.Description), p.Schema.Definitions, p.Required)
	if err != nil {
		return err
	}
	in.arguments = append(in.arguments, Argument{Name: name, In: p.In, Field: p.Name, Style: p.Style, Explode: p.Explode, JSON: p.JSON})
	return nil
}

// described returns schema with what its parameter or body says of itself,
// which is closer to the call than what a shared schema says.
func described(schema map[string]any, description string) map[string]any {
	if description == "" {
		return schema
	}
	schema = maps.Clone(schema)
	schema["description"] = description
	return schema
}

// add puts an argument under a name that is free: its own as far as models
// accept it, or with the location behind it, since an id in the path and an id
// in the body are two.
func (in *input) add(field, location string, schema, definitions map[string]any, required bool) (string, error) {
	base := cmp.Or(fitName(field), location)
	name := base
	for i := 1; in.properties[name] != nil; i++ {
		suffix := "_" + location
		if i > 1 {
			suffix = fmt.Sprintf("_%s_%d", location, i)
		}
		name = base[:min(len(base), maxName-len(suffix))] + suffix
	}
	in.properties[name] = schema
	if required {
		in.required = append(in.required, name)
	}
	return name, in.define(definitions)
}

// define adds definitions that schemas of the input refer to.
func (in *input) define(definitions map[string]any) error {
	for name, content := range definitions {
		if old, ok := in.definitions[name]; ok {
			a, errA := json.Marshal(old)
			b, errB := json.Marshal(content)
			if errA != nil || errB != nil || string(a) != string(b) {
				return fmt.Errorf("two recursive schemas are both named %s", clip(name, maxEcho))
			}
		}
		in.definitions[name] = content
	}
	return nil
}

// schema returns the input schema; equal inputs give equal bytes, since
// encoding/json sorts members. Its top level has no allOf, anyOf, oneOf or
// $ref, which some models refuse there.
func (in *input) schema() (json.RawMessage, error) {
	root := map[string]any{"type": "object", "properties": in.properties, "additionalProperties": in.additional}
	if len(in.required) > 0 {
		slices.Sort(in.required)
		root["required"] = in.required
	}
	if len(in.definitions) > 0 {
		root["$defs"] = in.definitions
	}
	return encode(root)
}

// checkPath refuses templates that are more than a path, or not the path that
// they look like.
func checkPath(path string) error {
	if strings.ContainsAny(path, "?#\\ ") || strings.ContainsFunc(path, control) {
		return errors.New("its path has characters that no path can have")
	}
	if _, err := url.PathUnescape(path); err != nil {
		return errors.New("its path is not encoded correctly")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if dots(segment) {
			return errors.New("its path has a dot segment")
		}
	}
	for _, name := range templateNames(path) {
		path = strings.ReplaceAll(path, "{"+name+"}", "")
	}
	if strings.ContainsAny(path, "{}") {
		return errors.New("its path has a brace without its partner")
	}
	return nil
}

// templateNames lists the names in braces of a path template.
func templateNames(path string) []string {
	var names []string
	for {
		_, after, ok := strings.Cut(path, "{")
		if !ok {
			return names
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			return names
		}
		names = append(names, name)
		path = rest
	}
}
