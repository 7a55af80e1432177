package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/catalog"
	"gatehouse/internal/oauth"
)

const apisPath = "/admin/apis"

func (s *Server) apiRoutes() []Route {
	return []Route{
		{"GET /admin/apis", Reading, s.showAPIs},
		{"GET /admin/apis/{api}", Reading, s.showAPI},
		{"GET /admin/apis/{api}/tools/{tool}", Reading, s.showTool},
	}
}

// apiLine is an API in the list.
type apiLine struct {
	Name, Title, URL, Resource, Audience string
	Tools, Off, Skipped                  int
	State                                oauth.Closure
}

// toolLine is a tool in an API's list.
type toolLine struct {
	API, Name, Title, Method, Path, Risk string
	Scopes                               []string // alternatives, each a set
	State                                oauth.Closure
}

type apisView struct {
	frame
	APIs []apiLine
}

// stateOf says whether something is stopped, and how.
func (s *Server) stateOf(r *http.Request, kind, key string) (oauth.Closure, error) {
	p, stopped, err := s.Acts.Stops.Stop(r.Context(), kind, key)
	switch {
	case err != nil || !stopped:
		return "", err
	case p.Ended:
		return oauth.Ended, nil
	}
	return oauth.Paused, nil
}

func (s *Server) showAPIs(w http.ResponseWriter, r *http.Request, v visit) error {
	view := apisView{frame: s.frame(v, apisPath)}
	for _, a := range s.Acts.APIs {
		line, _, err := s.apiLine(r, a)
		if err != nil {
			return err
		}
		view.APIs = append(view.APIs, line)
	}
	return s.pages.Render(w, http.StatusOK, "apis.html", view)
}

func (s *Server) apiLine(r *http.Request, a *catalog.API) (apiLine, []toolLine, error) {
	line := apiLine{Name: a.Name, Title: a.Title, URL: a.URL, Resource: a.Resource, Audience: a.Audience, Tools: len(a.Tools), Skipped: len(a.Skipped)}
	var err error
	if line.State, err = s.stateOf(r, oauth.SubjectAPI, a.Resource); err != nil {
		return line, nil, err
	}
	var tools []toolLine
	for _, t := range a.Tools {
		tool := newToolLine(a, t)
		if tool.State, err = s.stateOf(r, oauth.SubjectTool, oauth.ToolID(a.Resource, t.Name)); err != nil {
			return line, nil, err
		}
		if tool.State != "" {
			line.Off++
		}
		tools = append(tools, tool)
	}
	return line, tools, nil
}

func newToolLine(a *catalog.API, t *catalog.Tool) toolLine {
	line := toolLine{API: a.Name, Name: t.Name, Title: t.Title, Method: t.Method, Path: t.Path, Risk: t.Risk()}
	for _, set := range t.Scopes {
		line.Scopes = append(line.Scopes, strings.Join(set, " + "))
	}
	return line
}

type apiView struct {
	frame
	API     apiLine
	Tools   []toolLine
	Scopes  []scopeLine
	Default []string
	Claims  []string
	Alg     string
	Open    bool
	Own     bool // it is the administration itself
	Skipped []catalog.Skipped
}

// scopeLine is a scope with what it opens.
type scopeLine struct {
	Name, Text string
	Implies    []string
	Tools      []string
}

func (s *Server) api(name string) (*catalog.API, error) {
	for _, a := range s.Acts.APIs {
		if a.Name == name {
			return a, nil
		}
	}
	return nil, errNothing
}

func (s *Server) showAPI(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := s.api(r.PathValue("api"))
	if err != nil {
		return err
	}
	view := apiView{frame: s.frame(v, apisPath), Default: a.DefaultScopes, Claims: a.Claims, Alg: a.SigningAlgorithm, Open: a.OpenListing, Own: a.Administration, Skipped: a.Skipped, Scopes: scopeLines(a)}
	if view.API, view.Tools, err = s.apiLine(r, a); err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "api.html", view)
}

type toolView struct {
	frame
	API         apiLine
	Tool        toolLine
	Description string
	Input       string
	Output      string // empty: no declared structure
	Texts       []scopeLine
}

func (s *Server) showTool(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := s.api(r.PathValue("api"))
	if err != nil {
		return err
	}
	t, ok := a.Tool(r.PathValue("tool"))
	if !ok {
		return errNothing
	}
	view := toolView{frame: s.frame(v, apisPath), Tool: newToolLine(a, t), Description: t.Description, Input: indented(t.InputSchema), Output: indented(t.OutputSchema)}
	if view.Tool.State, err = s.stateOf(r, oauth.SubjectTool, oauth.ToolID(a.Resource, t.Name)); err != nil {
		return err
	}
	view.API = apiLine{Name: a.Name, Title: a.Title}
	for _, line := range scopeLines(a) {
		if _, ok := t.Allowed(a.Expand([]string{line.Name})); ok {
			view.Texts = append(view.Texts, line)
		}
	}
	return s.pages.Render(w, http.StatusOK, "tool.html", view)
}

func indented(schema json.RawMessage) string {
	if len(schema) == 0 {
		return ""
	}
	var v any
	if err := json.Unmarshal(schema, &v); err != nil {
		return string(schema)
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(schema)
	}
	return string(text)
}

// scopeLines are an API's scopes by name, with the tools that each alone opens.
func scopeLines(a *catalog.API) []scopeLine {
	var lines []scopeLine
	for _, name := range slices.Sorted(maps.Keys(a.Scopes)) {
		line := scopeLine{Name: name, Text: a.Scopes[name].Text, Implies: a.Scopes[name].Implies}
		expanded := a.Expand([]string{name})
		for _, t := range a.Tools {
			if _, ok := t.Allowed(expanded); ok {
				line.Tools = append(line.Tools, t.Name)
			}
		}
		lines = append(lines, line)
	}
	return lines
}
