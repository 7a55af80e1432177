// Package openapi reads an OpenAPI 3.0 or 3.1 document as a list of operations
// with resolved schemas in JSON Schema 2020-12.
//
// It knows nothing of tools: names, merged arguments and scopes are package
// catalog's. References stay inside the document: nothing is ever fetched.
// Whatever the document is, reading it takes bounded time and memory.
package openapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a document.
const (
	MaxSize       = 8 << 20 // bytes
	maxNodes      = 500_000 // values, aliases expanded
	maxDepth      = 200     // of nested values
	maxOperations = 2000
	maxSchema     = 20_000 // values of one resolved schema
	maxReferences = 50     // that lead from one to the next
)

// ErrDocument is in the chain of every error of Load.
var ErrDocument = errors.New("not a usable OpenAPI document")

// Document is a read document.
type Document struct {
	Title      string
	Operations []Operation // by path, then method
}

// Operation is one method of one path.
type Operation struct {
	ID          string // operationId; may be empty
	Method      string // upper case
	Path        string // template: /users/{id}
	Summary     string
	Description string
	Parameters  []Parameter // the path's and its own, in the order written
	Body        *Body       // nil if it takes none
	Response    *Schema     // of the first 2xx answer in JSON; nil if there is none
	// Security are the scopes it needs, as alternatives of sets: its own
	// requirements or else the document's. Alternatives that name no scope are
	// left out, so it is empty where nothing names any.
	Security [][]string
	// Problem says why the operation cannot be used; the rest is then unset
	// from Parameters on.
	Problem string
}

// Parameter is a value outside of the body.
type Parameter struct {
	Name        string
	In          string // path, query, header or cookie
	Required    bool
	Description string
	Style       string // of serialisation, with its default filled in
	Explode     bool
	JSON        bool // the value travels as JSON text (content instead of schema)
	Schema      *Schema
}

// Body is a JSON request body.
type Body struct {
	Required    bool
	Description string
	MediaType   string
	Schema      *Schema
}

// Schema is a resolved schema. Definitions are what its recursive parts refer
// to as #/$defs/NAME; they belong beside it in the schema's root.
type Schema struct {
	Root        map[string]any
	Definitions map[string]any
}

// Load reads a document in YAML or JSON. Its errors say where the problem is.
// An operation that cannot be used does not spoil the others: see Problem.
func Load(data []byte) (*Document, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrDocument, MaxSize)
	}
	root, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	version, _ := root["openapi"].(string)
	switch {
	case strings.HasPrefix(version, "3.0"), strings.HasPrefix(version, "3.1"):
	case root["swagger"] != nil:
		return nil, fmt.Errorf("%w: it is Swagger 2.0; convert it to OpenAPI 3", ErrDocument)
	default:
		return nil, fmt.Errorf("%w: openapi: must be 3.0 or 3.1 (it is %.20q)", ErrDocument, version)
	}
	paths, ok := root["paths"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: paths: is missing or no object", ErrDocument)
	}
	r := &reader{root: root, old: strings.HasPrefix(version, "3.0")}
	d := &Document{}
	if info, ok := root["info"].(map[string]any); ok {
		d.Title, _ = info["title"].(string)
	}
	for path, item := range paths {
		if !strings.HasPrefix(path, "/") {
			if strings.HasPrefix(path, "x-") {
				continue
			}
			return nil, fmt.Errorf("%w: paths: %.60q does not begin with a slash", ErrDocument, path)
		}
		operations, err := r.pathItem(path, item)
		if err != nil {
			return nil, fmt.Errorf("%w: paths: %s: %w", ErrDocument, path, err)
		}
		d.Operations = append(d.Operations, operations...)
		if len(d.Operations) > maxOperations {
			return nil, fmt.Errorf("%w: it has more than %d operations; cut it down to what agents need", ErrDocument, maxOperations)
		}
	}
	slices.SortFunc(d.Operations, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return d, nil
}

// MarshalJSON puts the definitions where the root refers to them.
func (s *Schema) MarshalJSON() ([]byte, error) {
	if len(s.Definitions) == 0 {
		return json.Marshal(s.Root)
	}
	all := map[string]any{"$defs": s.Definitions}
	for k, v := range s.Root {
		all[k] = v
	}
	return json.Marshal(all)
}
