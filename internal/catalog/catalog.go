// Package catalog knows the APIs that agents may use and the tools derived
// from their operations: names, schemas, scopes, and how a call's arguments
// become a request.
//
// It calls nothing and decides nothing about anybody: who may use a tool
// follows from its scopes, which the gateway holds against a token.
package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"gatehouse/internal/openapi"
)

// API is one configured API and the tools that its document yields. It does
// not change once made and is safe for concurrent use.
type API struct {
	Name          string // short, stable
	Title         string // as people read it
	Resource      string // resource identifier of its MCP endpoint (RFC 8707), canonical
	MCPPath       string
	URL           string // base URL of calls
	Audience      string // aud of the tokens made for it
	Tools         []*Tool
	DefaultScopes []string
	Scopes        map[string]Scope // every scope that a tool needs or the configuration names
	Claims        []string         // that tokens for it carry
	// SigningAlgorithm is that of the tokens made for it: ES256, or RS256 for
	// APIs whose libraries know nothing newer.
	SigningAlgorithm string
	OpenListing      bool // tools may be listed, not called, without a token
	Administration   bool // it is this installation's own, for people with a role alone
	Skipped          []Skipped

	byName map[string]*Tool
}

// Scope is what a scope implies and how people read it.
type Scope struct {
	Name    string
	Text    string // completes "will be able to …"; may be empty
	Implies []string
}

// Skipped is an operation that became no tool.
type Skipped struct {
	Operation string // method and path
	Reason    string
}

// Options are what an API is made of.
type Options struct {
	Name, Title, Resource, MCPPath, URL, Audience string
	Document                                      *openapi.Document
	DefaultScopes                                 []string         // default: what the reading tools need
	Scopes                                        map[string]Scope // texts and hierarchy; others are added
	Claims                                        []string
	OpenListing, Administration                   bool
	SigningAlgorithm                              string   // default ES256
	Withheld                                      []string // scopes whose operations are for nobody that acts for another, and so no tools
}

// New derives the tools of an API. What cannot be a tool is in Skipped; a
// configuration that contradicts the document is an error.
func New(o Options) (*API, error) {
	if err := checkBase(o.URL); err != nil {
		return nil, err
	}
	if o.Document == nil {
		return nil, errors.New("there is no OpenAPI document")
	}
	a := &API{
		Name: o.Name, Title: cmp.Or(o.Title, line(o.Document.Title), o.Name), Resource: o.Resource, MCPPath: o.MCPPath,
		URL: o.URL, Audience: o.Audience, Claims: slices.Clone(o.Claims), OpenListing: o.OpenListing, Administration: o.Administration,
		SigningAlgorithm: cmp.Or(o.SigningAlgorithm, "ES256"), Scopes: map[string]Scope{}, byName: map[string]*Tool{},
	}
	for name, s := range o.Scopes {
		s.Name = name
		a.Scopes[name] = s
	}
	c := compiler{}
	for _, op := range o.Document.Operations {
		if err := a.add(op, c, o.Withheld); err != nil {
			a.Skipped = append(a.Skipped, Skipped{op.Method + " " + op.Path, err.Error()})
		}
	}
	if len(a.Tools) == 0 {
		if len(a.Skipped) == 0 {
			return nil, errors.New("the document yields no tool; it has no operation")
		}
		return nil, fmt.Errorf("the document yields no tool; %s for example is left out because %s", a.Skipped[0].Operation, a.Skipped[0].Reason)
	}
	slices.SortFunc(a.Tools, func(x, y *Tool) int { return cmp.Compare(x.Name, y.Name) })
	a.addScopes()
	for _, s := range o.DefaultScopes {
		if _, ok := a.Scopes[s]; !ok {
			return nil, fmt.Errorf("default_scopes: no tool needs %q; scopes are %s", s, listed(a.Scopes))
		}
	}
	if a.DefaultScopes = slices.Clone(o.DefaultScopes); len(a.DefaultScopes) == 0 {
		a.DefaultScopes = a.readingScopes()
	}
	return a, nil
}

// checkBase checks the address that paths of operations are put behind.
func checkBase(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("url %q must be an http or https URL", base)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return fmt.Errorf("url %q must have no credentials, query or fragment", u.Redacted())
	}
	return nil
}

// addScopes completes Scopes with what the tools need and what is implied.
func (a *API) addScopes() {
	know := func(name string) {
		if _, ok := a.Scopes[name]; !ok {
			a.Scopes[name] = Scope{Name: name}
		}
	}
	for _, t := range a.Tools {
		for _, set := range t.Scopes {
			for _, s := range set {
				know(s)
			}
		}
	}
	for _, s := range a.Scopes {
		for _, implied := range s.Implies {
			know(implied)
		}
	}
}

// readingScopes are what the tools need that only read: a sensible first ask.
// An API that only writes asks for what its first tool needs.
func (a *API) readingScopes() []string {
	var scopes []string
	for _, t := range a.Tools {
		if t.ReadOnly {
			scopes = append(scopes, t.Needed()...)
		}
	}
	if len(scopes) == 0 {
		scopes = slices.Clone(a.Tools[0].Needed())
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// Tool returns the tool of that name.
func (a *API) Tool(name string) (*Tool, bool) {
	t, ok := a.byName[name]
	return t, ok
}

// Expand returns scopes and everything that they imply, transitively (R-RS-14).
// Scopes that this API does not have are left out.
func (a *API) Expand(scopes []string) []string {
	var all []string
	queue := slices.Clone(scopes)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		s, known := a.Scopes[name]
		if !known || slices.Contains(all, name) {
			continue
		}
		all = append(all, name)
		queue = append(queue, s.Implies...)
	}
	return all
}
