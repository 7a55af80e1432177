package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// parse reads YAML, of which JSON is a part, into JSON's own types: maps,
// slices, strings, json.Number, booleans and nil. It goes by the nodes instead
// of decoding into Go values, because a date must stay the text that it was,
// a response code the name 200, and aliases must not multiply without bound.
func parse(data []byte) (map[string]any, error) {
	// The YAML reader keeps some 200 bytes for each value and has no bound of
	// its own, so first count whatever can stand before one.
	separators := 0
	for _, c := range data {
		switch c {
		case ',', ':', '-', '[', '{', '\n':
			separators++
		}
	}
	if separators > 3*maxNodes {
		return nil, fmt.Errorf("it has more than %d values", maxNodes)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("it is neither YAML nor JSON: %w", err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	p := parser{left: maxNodes}
	v, err := p.value(document.Content[0], 0)
	if err != nil {
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is no object")
	}
	return root, nil
}

type parser struct{ left int }

func (p *parser) value(n *yaml.Node, depth int) (any, error) {
	if p.left--; p.left < 0 {
		return nil, fmt.Errorf("it has more than %d values", maxNodes)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: nested more than %d deep", n.Line, maxDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return p.value(n.Alias, depth+1)
	case yaml.ScalarNode:
		return scalar(n)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := p.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return p.object(n, depth)
	}
	return nil, fmt.Errorf("line %d: unexpected content", n.Line)
}

func (p *parser) object(n *yaml.Node, depth int) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a member name is no text", key.Line)
		}
		if key.Tag == "!!merge" {
			return nil, fmt.Errorf("line %d: merge keys (<<) are not served; write the members out", key.Line)
		}
		if _, twice := object[key.Value]; twice {
			return nil, fmt.Errorf("line %d: member %.60q is given twice", key.Line, key.Value)
		}
		v, err := p.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		object[key.Value] = v
	}
	return object, nil
}

func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var f float64 // octal, underscores and other forms that JSON lacks
		if err := n.Decode(&f); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
		text, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("line %d: number %s cannot be used: %w", n.Line, strconv.Quote(n.Value), err)
		}
		return json.Number(text), nil
	}
	return n.Value, nil
}
