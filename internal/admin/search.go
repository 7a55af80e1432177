package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	foundOfEach = 5
	maxSearch   = 200 // bytes
)

// toolFound is a tool whose name was looked for.
type toolFound struct{ API, Name, Title string }

type searchView struct {
	frame
	Query         string
	Agents        []audit.Party
	MoreAgents    bool
	People        []audit.Party
	MorePeople    bool
	Tools         []toolFound
	MoreTools     bool
	Entry         *line
	Request       []line
	Grant         string // a connection's ID
	AllOfRequest  string
	AllAgents     string
	AllPeople     string
	AllOfGrant    string
	Nothing, Long bool
}

// showSearch finds what one box is asked for: agents and people by how their
// names begin, tools by a part of theirs, and anything by its exact ID.
func (s *Server) showSearch(w http.ResponseWriter, r *http.Request, v visit) error {
	q, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &problem{http.StatusBadRequest, "This cannot be searched for", "It is no text.", "Type a name, or an ID."}
	}
	view := searchView{frame: s.frame(v, ""), Query: strings.TrimSpace(q.Get("q"))}
	switch view.Long = len(view.Query) > maxSearch; {
	case view.Long:
		view.Query = ""
	case view.Query != "":
		if err := s.search(r.Context(), &view); err != nil {
			return err
		}
	}
	return s.pages.Render(w, http.StatusOK, "search.html", view)
}

func (s *Server) search(ctx context.Context, v *searchView) error {
	of := func(path, name string) string { return path + "?" + url.Values{name: {v.Query}}.Encode() }
	known, err := s.Log.Names(ctx, []string{v.Query}, []string{v.Query})
	if err != nil {
		return err
	}
	if v.Agents, err = s.Log.ClientsNamed(ctx, v.Query, foundOfEach+1); err != nil {
		return err
	}
	if name, ok := known.Clients[v.Query]; ok {
		v.Agents = append([]audit.Party{{ID: v.Query, Name: name}}, v.Agents...)
	}
	if v.People, err = s.Log.AccountsNamed(ctx, strings.ToLower(v.Query), foundOfEach+1); err != nil {
		return err
	}
	if name, ok := known.Accounts[v.Query]; ok {
		v.People = append([]audit.Party{{ID: v.Query, Name: name}}, v.People...)
	}
	v.Agents, v.MoreAgents = few(v.Agents)
	v.People, v.MorePeople = few(v.People)
	v.Tools, v.MoreTools = few(toolsNamed(s.Acts.APIs, v.Query))
	v.AllAgents, v.AllPeople = of("/admin/agents", "q"), of("/admin/people", "q")
	v.AllOfRequest, v.AllOfGrant = of(auditPath, "request"), of(auditPath, "grant")
	if err := s.searchLog(ctx, v); err != nil {
		return err
	}
	v.Nothing = len(v.Agents)+len(v.People)+len(v.Tools)+len(v.Request) == 0 && v.Entry == nil && v.Grant == ""
	return nil
}

// searchLog finds what the query is the exact ID of.
func (s *Server) searchLog(ctx context.Context, v *searchView) error {
	var entries []audit.Entry
	e, _, err := s.Log.Entry(ctx, v.Query)
	if err != nil && !errors.Is(err, audit.ErrNotFound) {
		return err
	}
	exact := err == nil
	if exact {
		entries = append(entries, e)
	}
	found, err := s.Log.Find(ctx, audit.Filter{RequestID: v.Query}, audit.Position{}, foundOfEach)
	if err != nil {
		return err
	}
	names, err := s.names(ctx, append(entries, found.Entries...))
	if err != nil {
		return err
	}
	if exact {
		l := newLine(e, names)
		v.Entry = &l
	}
	v.Request = lines(found.Entries, names)
	switch _, _, err := s.Log.GrantOf(ctx, v.Query); {
	case err == nil:
		v.Grant = v.Query
	case !errors.Is(err, grant.ErrNotFound):
		return err
	}
	return nil
}

// toolsNamed returns tools whose name or title has a text in it, and all of an
// API that is called so.
func toolsNamed(apis []*catalog.API, text string) []toolFound {
	text = strings.ToLower(text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	var list []toolFound
	for _, api := range apis {
		for _, t := range api.Tools {
			if has(t.Name) || has(t.Title) || strings.EqualFold(api.Name, text) || strings.EqualFold(api.Title, text) {
				list = append(list, toolFound{api.Name, t.Name, t.Title})
			}
		}
	}
	return list
}

// few cuts a list to what is shown, and reports whether there was more.
func few[T any](list []T) ([]T, bool) {
	return list[:min(len(list), foundOfEach)], len(list) > foundOfEach
}
