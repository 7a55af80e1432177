package openapi

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

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
		name := strings.ReplaceAll(strings.ReplaceAll(unescaped, "~1", "/"), "~0", "~")
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
		if !describes(name) {
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
		if o, ok := content.(map[string]any); ok && o["$ref"] == pointer(name) {
			return nil, fmt.Errorf("$ref %.80q means only itself", ref)
		}
		c.definitions[name] = content
	}
	return map[string]any{"$ref": pointer(name)}, nil
}

// pointer refers to a definition beside the root (RFC 6901).
func pointer(name string) string {
	return "#/$defs/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
