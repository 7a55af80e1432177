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
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Limits of a document.
const (
	MaxSize       = 8 << 20 // bytes
	maxNodes      = 500_000 // values, aliases expanded
	maxDepth      = 200     // of nested values
	maxOperations = 2000
	maxSchema     = 20_000   // parts of one resolved schema
	maxResponse   = 5_000    // parts of the schema of an answer
	maxResolved   = 500_000  // parts of all resolved schemas
	maxWork       = 10 << 20 // parts looked at, those of schemas included that come to nothing
	maxReferences = 50       // that lead from one to the next
	maxText       = 2000
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
	Deprecated  bool
	Parameters  []Parameter // the path's and its own, in the order written
	Body        *Body       // nil if it takes none
	// Response is what every 2xx answer is. It is nil where they differ, where
	// one has no JSON, and where the schema is too large to be of use.
	Response *Schema
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
	version := version(root["openapi"])
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
	r := &reader{root: root, old: strings.HasPrefix(version, "3.0"), left: maxResolved, work: maxWork}
	d := &Document{}
	if info, ok := root["info"].(map[string]any); ok {
		d.Title = text(info, "title")
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if !strings.HasPrefix(path, "/") {
			if strings.HasPrefix(path, "x-") {
				continue
			}
			return nil, fmt.Errorf("%w: paths: %.60q does not begin with a slash", ErrDocument, path)
		}
		operations, err := r.pathItem(path, paths[path])
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

// version reads the openapi member, which an unquoted 3.1 makes a number.
func version(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// text reads a member that people or models read: without control and
// invisible characters, in which instructions to a model can hide, and of
// bounded length.
func text(o map[string]any, name string) string {
	s, _ := o[name].(string)
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText-1]) + "…"
	}
	return s
}
