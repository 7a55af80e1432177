package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

const agentsPath = "/admin/agents"

// Agents is what the pages of agents read.
type Agents interface {
	// ListAgents returns agents that fit, by name where names are looked for, else
	// the newest first.
	ListAgents(ctx context.Context, f client.AgentFilter, limit int) ([]client.Agent, error)
	// AgentOf returns the agent that a client is a registration of, else
	// client.ErrUnknown.
	AgentOf(ctx context.Context, clientID string) (client.Agent, error)
	// Registrations returns clients of an agent, newest first, after one of them.
	Registrations(ctx context.Context, shape, after string, limit int) ([]client.Client, error)
	// GrantsOfClient returns live grants, newest first, before one.
	GrantsOfClient(ctx context.Context, clientID string, before grant.Grant, limit int, now time.Time) ([]grant.Listed, error)
}

func (s *Server) agentRoutes() []Route {
	return []Route{
		{"GET /admin/agents", Reading, s.showAgents},
		{"GET /admin/agents/{id...}", Reading, s.showAgent},
	}
}

// agentLine is an agent in a list.
type agentLine struct {
	client.Agent
	Since, Lately time.Time
}

// Trust says how an agent came to be known.
func (l agentLine) Trust() string { return trustOf(l.Origin) }

// trustOf is how far an origin is trusted, in words.
func trustOf(o client.Origin) string {
	switch o {
	case client.Document:
		return "described at its address"
	case client.Registered:
		return "registered itself"
	}
	return "added by an administrator"
}

type agentsView struct {
	frame
	Query, Only string
	Agents      []agentLine
	More        struct{ First, Next string }
	Done        string // audit entry of the end of an agent; empty if none was just ended
}

// showAgents lists agents; identical registrations are one (security.md 2).
func (s *Server) showAgents(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	view := agentsView{frame: s.frame(v, agentsPath), Query: clipped(q.Get("q")), Only: q.Get("only")}
	if done := q.Get("done"); isID.MatchString(done) {
		view.Done = done
	}
	f := client.AgentFilter{After: readAgentPosition(q.Get("after"))}
	switch view.Only {
	case "paused":
		f.Paused = true
	case string(client.Registered), string(client.Document), string(client.Administrated):
		f.Origin = client.Origin(view.Only)
	}
	list, err := s.findAgents(r.Context(), view.Query, f)
	if err != nil {
		return err
	}
	link := url.Values{}
	for name, value := range map[string]string{"q": view.Query, "only": view.Only} {
		if value != "" {
			link.Set(name, value)
		}
	}
	if q.Get("after") != "" {
		view.More.First = agentsPath + "?" + link.Encode()
	}
	if len(list) > pageRows {
		list = list[:pageRows]
		last := list[pageRows-1]
		link.Set("after", writeAgentPosition(client.AgentPosition{Last: last.Last, Name: strings.ToLower(last.Name), Shape: last.Shape}))
		view.More.Next = agentsPath + "?" + link.Encode()
	}
	for _, a := range list {
		view.Agents = append(view.Agents, agentLine{a, time.Unix(a.First, 0), time.Unix(a.Last, 0)})
	}
	return s.pages.Render(w, http.StatusOK, "agents.html", view)
}

// findAgents looks for what a person typed: a client ID, where answers go, or
// how a name begins.
func (s *Server) findAgents(ctx context.Context, query string, f client.AgentFilter) ([]client.Agent, error) {
	if query == "" {
		return s.Agents.ListAgents(ctx, f, pageRows+1)
	}
	if a, err := s.Agents.AgentOf(ctx, query); err == nil {
		return []client.Agent{a}, nil
	} else if !errors.Is(err, client.ErrUnknown) {
		return nil, err
	}
	byHost := f
	byHost.Host = strings.ToLower(query)
	if list, err := s.Agents.ListAgents(ctx, byHost, pageRows+1); err != nil || len(list) > 0 {
		return list, err
	}
	f.Name, f.Paused, f.Origin = query, false, ""
	return s.Agents.ListAgents(ctx, f, pageRows+1)
}

// clipped is a text of an address as it is looked for.
func clipped(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(strings.TrimSpace(s), ""), "\x00", "")
	if len(s) > maxFilterText {
		return ""
	}
	return s
}

// A position travels in an address as two numbers' worth of text.
func writeAgentPosition(p client.AgentPosition) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.Last, 10) + "\n" + p.Shape + "\n" + p.Name))
}

func readAgentPosition(s string) (p client.AgentPosition) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.SplitN(clipped(string(text)), "\n", 3)
	if err != nil || len(parts) != 3 {
		return p
	}
	last, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return p
	}
	return client.AgentPosition{Last: last, Shape: parts[1], Name: parts[2]}
}

// agentView tells an agent's story.
type agentView struct {
	frame
	client.Client
	Agent         client.Agent
	Since         time.Time
	Trust         string
	State         oauth.Closure
	Redirects     []redirectLine
	Keys          string
	KeyNames      []string // of keys that are here
	Vouched       bool     // by the platform that it runs on; see trust
	Attributes    []string
	Connections   []allowedLine
	More          struct{ First, Next string }
	Registrations []registration // others that say the same
	MoreOthers    bool
	Entries       []entryLine
}

type redirectLine struct {
	URI, Host string
	Local     bool
}

type registration struct {
	ID    string
	Since time.Time
}

// allowedLine is what one person allowed.
type allowedLine struct {
	grant.Listed
	API          string
	Texts        []string
	Since, Until time.Time
}

func (s *Server) showAgent(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.Acts.Clients.Client(r.Context(), r.PathValue("id"))
	if errors.Is(err, client.ErrUnknown) {
		return errNothing
	}
	if err != nil {
		return err
	}
	view := agentView{frame: s.frame(v, agentsPath), Client: c, Since: time.Unix(c.CreatedAt, 0), Trust: trustOf(c.Origin)}
	for _, uri := range c.RedirectURIs {
		view.Redirects = append(view.Redirects, redirectLine{uri, client.RedirectHost(uri), client.IsLoopback(uri)})
	}
	switch {
	case c.AuthMethod == oauth.AuthTLS:
		view.Keys = "a certificate with the subject " + c.CertificateSubject
	case c.KeysURI != "":
		view.Keys = "keys at " + c.KeysURI
	case len(c.Keys) > 0:
		view.Keys = "a key of its own"
		if c.AuthMethod == oauth.AuthSelfSignedTLS {
			view.Keys = "a certificate of its own"
		}
		if set, err := jose.ParseKeySet(c.Keys); err == nil {
			view.KeyNames = set.Names()
		}
	case c.AuthMethod == client.AuthWorkload:
		view.Keys, view.Vouched = "nothing of its own", true
	case c.SecretHash != "":
		view.Keys = "a secret"
	}
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		view.Attributes = append(view.Attributes, name+"="+c.Claims[name])
	}
	for _, read := range []func(*http.Request, *agentView) error{s.readState, s.readOthers, s.readConnections, s.readLately} {
		if err := read(r, &view); err != nil {
			return err
		}
	}
	return s.pages.Render(w, http.StatusOK, "agent.html", view)
}

func (s *Server) readState(r *http.Request, view *agentView) (err error) {
	view.State, err = s.stateOf(r, oauth.SubjectClient, view.ID)
	return err
}

const shownOthers = 20

// readOthers finds registrations that say the same of themselves.
func (s *Server) readOthers(r *http.Request, view *agentView) (err error) {
	view.Agent, err = s.Agents.AgentOf(r.Context(), view.ID)
	if errors.Is(err, client.ErrUnknown) { // a part of this installation
		view.Agent.Registrations = 1
		return nil
	}
	if err != nil || view.Agent.Registrations < 2 {
		return err
	}
	others, err := s.Agents.Registrations(r.Context(), view.Agent.Shape, clipped(r.URL.Query().Get("others")), shownOthers+1)
	if view.MoreOthers = len(others) > shownOthers; view.MoreOthers {
		others = others[:shownOthers]
	}
	for _, o := range others {
		view.Registrations = append(view.Registrations, registration{o.ID, time.Unix(o.CreatedAt, 0)})
	}
	return err
}

// readConnections finds what people allowed.
func (s *Server) readConnections(r *http.Request, view *agentView) error {
	var before grant.Grant
	if at, id, ok := strings.Cut(clipped(r.URL.Query().Get("before")), "-"); ok {
		if n, err := strconv.ParseInt(at, 10, 64); err == nil {
			before.CreatedAt, before.ID = n, id
		}
	}
	list, err := s.Agents.GrantsOfClient(r.Context(), view.ID, before, pageRows+1, time.Now())
	if err != nil {
		return err
	}
	here := agentsPath + "/" + url.PathEscape(view.ID)
	if before.ID != "" {
		view.More.First = here
	}
	if len(list) > pageRows {
		list = list[:pageRows]
		last := list[pageRows-1]
		view.More.Next = here + "?" + url.Values{"before": {strconv.FormatInt(last.CreatedAt, 10) + "-" + last.ID}}.Encode()
	}
	for _, g := range list {
		view.Connections = append(view.Connections, s.allowedLine(g))
	}
	return nil
}

// allowedLine puts a grant into words.
func (s *Server) allowedLine(g grant.Listed) allowedLine {
	line := allowedLine{Listed: g, API: g.Resource, Since: time.Unix(g.CreatedAt, 0), Until: time.Unix(g.ExpiresAt, 0)}
	if g.Resource == s.AuthServer.Issuer {
		line.API = "signing in"
	}
	for _, api := range s.Acts.APIs {
		if api.Resource != g.Resource {
			continue
		}
		line.API = api.Title
		for _, name := range g.Scopes {
			if text := api.Scopes[name].Text; text != "" {
				line.Texts = append(line.Texts, text)
			}
		}
	}
	return line
}

// readLately finds what the agent last did.
func (s *Server) readLately(r *http.Request, view *agentView) error {
	found, err := s.Log.Find(r.Context(), audit.Filter{ClientIDs: []string{view.ID}}, audit.Position{}, shownLast)
	for _, e := range found.Entries {
		view.Entries = append(view.Entries, entryLine{e, time.UnixMilli(e.Time)})
	}
	return err
}
