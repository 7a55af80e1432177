package catalog

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Change is one difference between two versions of an API.
type Change struct {
	Kind          string // "added", "removed" or "changed"
	Tool          string // name; empty for a scope
	Scope         string // name; empty for a tool
	What          string // of a tool: "scopes", "operation", "risk", "title", "description", "arguments", "result"
	Before, After string
	Opens         bool // an agent can do more by it, or needs less for it
}

// Diff returns what changes for agents and people from one version of an API to
// another: tools by name, then scopes.
func Diff(before, after *API) []Change {
	var changes []Change
	for _, name := range names(before.byName, after.byName) {
		was, is := before.byName[name], after.byName[name]
		switch {
		case was == nil:
			changes = append(changes, Change{Kind: "added", Tool: name, What: "tool", After: is.Method + " " + is.Path, Opens: true})
		case is == nil:
			changes = append(changes, Change{Kind: "removed", Tool: name, What: "tool", Before: was.Method + " " + was.Path})
		default:
			changes = append(changes, diffTool(name, was, is)...)
		}
	}
	for _, name := range names(before.Scopes, after.Scopes) {
		was, had := before.Scopes[name]
		is, has := after.Scopes[name]
		switch {
		case !had:
			changes = append(changes, Change{Kind: "added", Scope: name, What: "scope", After: is.Text})
		case !has:
			changes = append(changes, Change{Kind: "removed", Scope: name, What: "scope", Before: was.Text})
		}
	}
	return changes
}

func diffTool(name string, was, is *Tool) []Change {
	var changes []Change
	differ := func(what, before, after string, opens bool) {
		if before != after {
			changes = append(changes, Change{Kind: "changed", Tool: name, What: what, Before: before, After: after, Opens: opens})
		}
	}
	differ("operation", was.Method+" "+was.Path, is.Method+" "+is.Path, true)
	differ("risk", was.Risk(), is.Risk(), is.Risk() != "read")
	differ("scopes", alternatives(was.Scopes), alternatives(is.Scopes), opensMore(was, is))
	differ("title", was.Title, is.Title, false)
	differ("description", was.Description, is.Description, false)
	differ("arguments", pretty(was.InputSchema), pretty(is.InputSchema), false)
	differ("result", pretty(was.OutputSchema), pretty(is.OutputSchema), false)
	return changes
}

// opensMore reports whether some set of scopes suffices now that did not before.
func opensMore(was, is *Tool) bool {
	return slices.ContainsFunc(is.Scopes, func(set []string) bool {
		_, sufficed := was.Allowed(set)
		return !sufficed
	})
}

func alternatives(scopes [][]string) string {
	var sets []string
	for _, set := range scopes {
		sets = append(sets, strings.Join(set, " + "))
	}
	return strings.Join(sets, " or ")
}

func pretty(schema json.RawMessage) string {
	var b bytes.Buffer
	if len(schema) == 0 || json.Indent(&b, schema, "", "  ") != nil {
		return string(schema)
	}
	return b.String()
}

func names[V any](a, b map[string]V) []string {
	all := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(all)
	return slices.Compact(all)
}
