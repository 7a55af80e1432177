package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/internal/oauth"
	"gatehouse/internal/openapi"
)

// Limits of what tools say of themselves. Agents read every word of it on
// every turn.
const (
	maxName  = 64 // characters; what clients accept
	maxTitle = 100
)

// Tool is one operation as an MCP tool.
type Tool struct {
	Name, Title, Description string
	InputSchema              json.RawMessage
	OutputSchema             json.RawMessage // nil: the result has no declared structure
	// Annotations of MCP. A tool is destructive if it may change or remove what
	// is there (MCP, ToolAnnotations: "destructive updates", as opposed to
	// additive ones): PUT, PATCH and DELETE do, POST adds. Idempotent follows
	// RFC 9110 §9.2.2.
	ReadOnly, Destructive, Idempotent bool
	Scopes                            [][]string // alternatives of sets; never empty
	Method, Path                      string
	Arguments                         []Argument // by name

	wrapped bool // the API's answer is no object and becomes {"result": …}
	input   *jsonschema.Schema
	output  *jsonschema.Schema // nil if there is no OutputSchema
	body    *body              // nil if none is sent
}

// Argument says how an argument travels.
type Argument struct {
	Name    string // in the tool's input
	In      string // path, query, header or body
	Field   string // name there; empty: the whole body
	Style   string
	Explode bool
	JSON    bool // travels as JSON text
}

// add derives the tool of one operation.
func (a *API) add(op openapi.Operation, c compiler, withheld []string) error {
	if op.Problem != "" {
		return errors.New(op.Problem)
	}
	if op.Method == "OPTIONS" || op.Method == "TRACE" {
		return fmt.Errorf("%s is for HTTP itself", op.Method)
	}
	for _, set := range op.Security {
		if len(oauth.Intersect(set, withheld)) > 0 {
			return fmt.Errorf("it takes %s, which no agent is given", oauth.FormatScope(oauth.Intersect(set, withheld)))
		}
	}
	t := &Tool{
		Name: a.freeName(op), Title: line(op.Summary), Description: describe(op), Method: op.Method, Path: op.Path,
		ReadOnly:    op.Method == "GET" || op.Method == "HEAD",
		Destructive: op.Method == "PUT" || op.Method == "PATCH" || op.Method == "DELETE",
		Idempotent:  slices.Contains([]string{"GET", "HEAD", "PUT", "DELETE"}, op.Method),
		Scopes:      op.Security,
	}
	if len(t.Scopes) == 0 { // none named: never public
		scope := a.Name + ":write"
		if t.ReadOnly {
			scope = a.Name + ":read"
		}
		t.Scopes = [][]string{{scope}}
	}
	if err := t.takeInput(op, c); err != nil {
		return err
	}
	if op.Method != "HEAD" { // whose answers have no content
		if err := t.takeOutput(op.Response, c); err != nil {
			return err
		}
	}
	a.Tools = append(a.Tools, t)
	a.byName[t.Name] = t
	return nil
}

// freeName makes the operationId a tool name, or else method and path, and
// numbers it if another operation has it already.
func (a *API) freeName(op openapi.Operation) string {
	base := fitName(op.ID)
	if base == "" {
		base = fitName(strings.ToLower(op.Method) + strings.NewReplacer("{", "", "}", "").Replace(op.Path))
	}
	name := base
	for i := 2; a.byName[name] != nil; i++ {
		suffix := "_" + strconv.Itoa(i)
		name = base[:min(len(base), maxName-len(suffix))] + suffix
	}
	return name
}

// fitName keeps what clients accept in a tool name.
func fitName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, s)
	s = strings.Trim(s, "_")
	return s[:min(len(s), maxName)]
}

// line makes a title of a text.
func line(s string) string { return clip(strings.Join(strings.Fields(s), " "), maxTitle) }

func describe(op openapi.Operation) string {
	text := cmp.Or(op.Description, op.Summary, op.Method+" "+op.Path)
	if op.Deprecated {
		text = "Deprecated. " + text
	}
	return text
}

// Needed are the scopes that a challenge names: all of the first alternative.
func (t *Tool) Needed() []string { return t.Scopes[0] }

// Allowed reports whether scopes, which must be expanded, suffice for the
// tool, and returns the alternative that they satisfy.
func (t *Tool) Allowed(expanded []string) ([]string, bool) {
	for _, set := range t.Scopes {
		if !slices.ContainsFunc(set, func(s string) bool { return !slices.Contains(expanded, s) }) {
			return set, true
		}
	}
	return nil, false
}

// Risk says in a word what the tool can do: read, change or delete.
func (t *Tool) Risk() string {
	switch {
	case t.ReadOnly:
		return "read"
	case t.Method == "DELETE":
		return "delete"
	}
	return "change"
}

func listed(scopes map[string]Scope) string {
	return strings.Join(slices.Sorted(maps.Keys(scopes)), ", ")
}
