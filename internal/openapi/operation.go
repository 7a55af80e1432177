package openapi

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// reader resolves parts of one document.
type reader struct {
	root map[string]any
	old  bool // OpenAPI 3.0
	left int  // parts of schemas that may still be resolved
	work int  // parts that may still be looked at
}

func (r *reader) exhausted() bool { return r.left < 0 || r.work < 0 }

func (r *reader) pathItem(path string, v any) ([]Operation, error) {
	item, err := r.object(v)
	if err != nil {
		return nil, err
	}
	var operations []Operation
	for _, method := range []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"} {
		if item[method] == nil {
			continue
		}
		o, ok := item[method].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: is no object", method)
		}
		op := Operation{
			ID: text(o, "operationId"), Method: strings.ToUpper(method), Path: path,
			Summary: text(o, "summary"), Description: text(o, "description"), Deprecated: o["deprecated"] == true,
		}
		usable := op
		if err := r.fill(&usable, item, o); err != nil {
			if r.exhausted() {
				return nil, fmt.Errorf("%s: %w", method, err)
			}
			op.Problem = err.Error()
		} else {
			op = usable
		}
		operations = append(operations, op)
	}
	return operations, nil
}

// fill reads what can be wrong; its errors concern this operation alone.
func (r *reader) fill(op *Operation, item, o map[string]any) (err error) {
	if op.Security, err = r.security(o); err != nil {
		return fmt.Errorf("security: %w", err)
	}
	for _, v := range []any{item["parameters"], o["parameters"]} {
		list, ok := v.([]any)
		if !ok && v != nil {
			return fmt.Errorf("parameters: is no list")
		}
		for i, p := range list {
			parameter, err := r.parameter(p)
			if err != nil {
				return fmt.Errorf("parameter %d: %w", i+1, err)
			}
			same := func(q Parameter) bool { return q.Name == parameter.Name && q.In == parameter.In }
			if i := slices.IndexFunc(op.Parameters, same); i >= 0 {
				op.Parameters[i] = parameter // the operation's replaces the path's
			} else {
				op.Parameters = append(op.Parameters, parameter)
			}
		}
	}
	if op.Body, err = r.body(o["requestBody"]); err != nil {
		return fmt.Errorf("request body: %w", err)
	}
	if op.Response, err = r.response(o["responses"]); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}

func (r *reader) parameter(v any) (Parameter, error) {
	o, err := r.object(v)
	if err != nil {
		return Parameter{}, err
	}
	p := Parameter{Description: text(o, "description")}
	p.Name, _ = o["name"].(string)
	p.In, _ = o["in"].(string)
	p.Style, _ = o["style"].(string)
	if p.Name == "" {
		return Parameter{}, fmt.Errorf("name: is missing")
	}
	p.Required, _ = o["required"].(bool)
	switch p.In {
	case "path":
		p.Required = true
		p.Style = orElse(p.Style, "simple")
	case "header":
		p.Style = orElse(p.Style, "simple")
	case "query", "cookie":
		p.Style = orElse(p.Style, "form")
	default:
		return Parameter{}, fmt.Errorf("%s: in: must be path, query, header or cookie", p.Name)
	}
	p.Explode = p.Style == "form"
	if explode, ok := o["explode"].(bool); ok {
		p.Explode = explode
	}
	schema := o["schema"]
	if content, ok := o["content"].(map[string]any); ok && schema == nil {
		_, media, found := jsonContent(content)
		if !found {
			return Parameter{}, fmt.Errorf("%s: its content is not JSON", p.Name)
		}
		schema, p.JSON = media["schema"], true
	}
	if schema == nil {
		schema = map[string]any{}
	}
	p.Schema, err = r.schema(schema, request, maxSchema)
	if err != nil {
		return Parameter{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	if example, ok := o["example"]; ok && p.Schema.Root["examples"] == nil {
		p.Schema.Root["examples"] = []any{example}
	}
	return p, nil
}

func (r *reader) body(v any) (*Body, error) {
	if v == nil {
		return nil, nil
	}
	o, err := r.object(v)
	if err != nil {
		return nil, err
	}
	content, _ := o["content"].(map[string]any)
	media, definition, found := jsonContent(content)
	required, _ := o["required"].(bool)
	if !found {
		if !required && len(content) == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("only JSON can be sent; it takes %s", strings.Join(slices.Sorted(maps.Keys(content)), ", "))
	}
	b := &Body{Required: required, Description: text(o, "description"), MediaType: media}
	schema := definition["schema"]
	if schema == nil {
		schema = map[string]any{}
	}
	b.Schema, err = r.schema(schema, request, maxSchema)
	return b, err
}

// response returns the schema that all 2xx answers share, if any.
func (r *reader) response(v any) (*Schema, error) {
	responses, _ := v.(map[string]any)
	var schemas []any
	for _, code := range slices.Sorted(maps.Keys(responses)) {
		n, err := strconv.Atoi(code)
		if (err != nil || n < 200 || n > 299) && !strings.EqualFold(code, "2XX") {
			continue
		}
		o, err := r.object(responses[code])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", code, err)
		}
		content, _ := o["content"].(map[string]any)
		_, media, ok := jsonContent(content)
		if !ok || media["schema"] == nil {
			return nil, nil
		}
		schemas = append(schemas, media["schema"])
	}
	for _, schema := range schemas {
		if !reflect.DeepEqual(schema, schemas[0]) {
			return nil, nil
		}
	}
	if len(schemas) == 0 {
		return nil, nil
	}
	schema, err := r.schema(schemas[0], response, maxResponse)
	if errors.Is(err, errSize) && !r.exhausted() {
		return nil, nil
	}
	return schema, err
}

// jsonContent finds the JSON form among media types.
func jsonContent(content map[string]any) (string, map[string]any, bool) {
	for _, name := range slices.Sorted(maps.Keys(content)) {
		base, _, _ := strings.Cut(name, ";")
		base = strings.ToLower(strings.TrimSpace(base))
		if base != "application/json" && !strings.HasSuffix(base, "+json") && base != "*/*" && base != "application/*" {
			continue
		}
		media, ok := content[name].(map[string]any)
		if strings.Contains(base, "*") {
			name = "application/json"
		}
		return name, media, ok
	}
	return "", nil, false
}

// security returns the scopes of an operation's requirements, else of the
// document's. Each scheme's list counts: since 3.1 every scheme may name roles.
func (r *reader) security(o map[string]any) ([][]string, error) {
	v, given := o["security"]
	if !given {
		v, given = r.root["security"]
	}
	if !given {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("is no list")
	}
	var alternatives [][]string
	for _, item := range list {
		requirement, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("a requirement is no object")
		}
		var set []string
		for _, scheme := range slices.Sorted(maps.Keys(requirement)) {
			scopes, ok := requirement[scheme].([]any)
			if !ok && requirement[scheme] != nil {
				return nil, fmt.Errorf("%s: is no list of scopes", scheme)
			}
			for _, scope := range scopes {
				s, ok := scope.(string)
				if !ok || !scopeToken(s) {
					return nil, fmt.Errorf("%s: %.60q cannot be a scope (RFC 6749 section 3.3)", scheme, fmt.Sprint(scope))
				}
				if !slices.Contains(set, s) {
					set = append(set, s)
				}
			}
		}
		if len(set) > 0 {
			alternatives = append(alternatives, set)
		}
	}
	return alternatives, nil
}

// object returns v, or what it refers to, as an object.
func (r *reader) object(v any) (map[string]any, error) {
	for range maxReferences {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("is no object")
		}
		ref, ok := o["$ref"].(string)
		if !ok {
			return o, nil
		}
		var err error
		if v, err = r.resolve(ref); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("its references lead in a circle")
}

// scopeToken is RFC 6749 §3.3: 1*( %x21 / %x23-5B / %x5D-7E ).
func scopeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e || r == '"' || r == '\\' })
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
