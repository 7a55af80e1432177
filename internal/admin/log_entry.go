package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
)

const (
	shownSameRequest = 20
	shownAfter       = 10
)

// fact is one of an entry's further facts.
type fact struct{ Name, Value string }

// step is one in how an entry came to be: who let whom do what.
type step struct {
	What    string // "signed in", in the page's words
	Entry   string // its audit entry; empty if none was found
	At      time.Time
	Outcome string
	Scopes  []string
	Here    bool  // it is the entry itself
	Gone    bool  // there is none among the entries that were looked at
	To      party // of an agent that took over,
	From    party // and of the one from which
}

// connection is the grant that an entry belongs to.
type connection struct {
	ID, Resource string
	Scopes       []string
	Since, Until time.Time
	Ended        time.Time // zero: it was not ended
	Live         bool
}

type entryView struct {
	frame
	Entry      line
	Gateway    party
	Began      party // the agent that was allowed to act, or acts for itself
	Delegated  bool  // another acts for it
	By         party // the administrator
	ByClient   party
	Request    string
	Facts      []fact
	Connection *connection
	Steps      []step
	Same       []line // of the same request
	After      []line // what followed, newest first
	Around     string // the list from this entry back
}

// showEntry tells what one entry is about: who acted for whom, what allowed it,
// and what followed.
func (s *Server) showEntry(w http.ResponseWriter, r *http.Request, v visit) error {
	ctx := r.Context()
	e, at, err := s.Log.Entry(ctx, r.PathValue("id"))
	if errors.Is(err, audit.ErrNotFound) {
		return errNothing
	}
	if err != nil {
		return err
	}
	c := &chain{s: s, ctx: ctx, entry: e, at: at}
	c.read()
	if c.err != nil {
		return c.err
	}
	names, err := s.names(ctx, slices.Concat([]audit.Entry{e, {ClientID: c.client}}, c.same, c.after, c.found()))
	if err != nil {
		return err
	}
	view := entryView{
		frame: s.frame(v, auditPath), Entry: newLine(e, names), Request: e.RequestID,
		By: party{e.Detail["by"], names.Accounts[e.Detail["by"]]}, ByClient: party{e.Detail["by_client"], names.Clients[e.Detail["by_client"]]},
		Connection: c.connection, Steps: c.steps(names), Began: party{c.began(), names.Clients[c.began()]}, Delegated: len(c.actors()) > 1, Same: lines(c.same, names), After: lines(c.after, names),
		Around: sieve{}.address(auditPath, audit.Position{Time: at.Time, Seq: at.Seq + 1}),
	}
	if gateway := c.gateway(); gateway != "" {
		view.Gateway = party{gateway, names.Clients[gateway]}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
		if name != "by" && name != "by_client" {
			view.Facts = append(view.Facts, fact{factName(name), e.Detail[name]})
		}
	}
	return s.pages.Render(w, http.StatusOK, "entry.html", view)
}

// factName is what a detail of an entry is called; others stand as they are.
func factName(name string) string {
	return nameOf([]choice{
		{"arguments", "Arguments given"}, {"arguments_hmac", "Mark of the arguments"}, {"status", "HTTP status of the API"}, {"scope", "Scopes"},
		{"redirect_host", "Answers go to"}, {"client_name", "Calls itself"}, {"document", "Described at"}, {"grant_type", "Grant type"},
		{"jti", "Token (jti)"}, {"gateway", "Gateway"}, {"actors", "Who acted, the last first"}, {"name", "Name"}, {"kid", "Key"}, {"alg", "Algorithm"}, {"entries", "Entries"}, {"filter", "Filter"},
	}, name)
}

func lines(entries []audit.Entry, names audit.Names) []line {
	var list []line
	for _, e := range entries {
		list = append(list, newLine(e, names))
	}
	return list
}

// chain reads what belongs to an entry, each by an index and few of each. The
// first error is kept.
type chain struct {
	s     *Server
	ctx   context.Context
	entry audit.Entry
	at    audit.Position
	err   error

	connection                       *connection
	client                           string        // of the connection
	signIn, consent, token, exchange []audit.Entry // the last before the entry, or none
	same, after                      []audit.Entry
}

// read reads in the order of what happened.
func (c *chain) read() {
	e := c.entry
	if e.GrantID != "" {
		c.readConnection(e.GrantID)
	}
	if e.AccountID != "" && e.Kind != audit.Admin {
		if e.Kind != audit.SignIn {
			c.signIn = c.last(audit.Filter{AccountID: e.AccountID, Kind: audit.SignIn, Outcome: audit.Done})
		}
		if e.ClientID != "" && e.Kind != audit.SignIn && e.Kind != audit.Consent {
			c.consent = c.last(audit.Filter{AccountID: e.AccountID, ClientIDs: []string{c.began()}, Kind: audit.Consent, Outcome: audit.Done})
		}
	}
	if e.GrantID != "" && (e.Kind == audit.Call || e.Kind == audit.Exchange) {
		f := audit.Filter{GrantID: e.GrantID, Kind: audit.TokenIssued}
		if len(c.actors()) > 1 { // of one connection several agents have tokens
			f.ClientIDs = []string{e.ClientID}
		}
		c.token = c.last(f)
	}
	if e.GrantID != "" && e.Kind == audit.Call && e.Outcome != audit.Denied {
		c.exchange = c.last(audit.Filter{GrantID: e.GrantID, Kind: audit.Exchange, API: e.API})
	}
	if e.RequestID != "" {
		c.same = c.without(c.find(audit.Filter{RequestID: e.RequestID}, audit.Position{}, shownSameRequest+1))
	}
	c.readAfter()
}

// readAfter reads what ended or changed what the entry belongs to, since.
func (c *chain) readAfter() {
	e := c.entry
	add := func(f audit.Filter) {
		f.From = e.Time
		c.after = append(c.after, c.find(f, audit.Position{}, shownAfter)...)
	}
	if e.GrantID != "" {
		add(audit.Filter{GrantID: e.GrantID, Kind: audit.Revocation})
	}
	if e.ClientID != "" {
		add(audit.Filter{ClientIDs: []string{e.ClientID}, Kind: audit.Admin})
	}
	if e.AccountID != "" {
		add(audit.Filter{AccountID: e.AccountID, Kind: audit.Admin})
	}
	slices.SortStableFunc(c.after, func(a, b audit.Entry) int { return strings.Compare(b.ID, a.ID) })
	slices.SortStableFunc(c.after, func(a, b audit.Entry) int { return int(b.Time - a.Time) })
	c.after = c.without(slices.CompactFunc(c.after, func(a, b audit.Entry) bool { return a.ID == b.ID }))
	c.after = c.after[:min(len(c.after), shownAfter)]
}

func (c *chain) find(f audit.Filter, before audit.Position, limit int) []audit.Entry {
	if c.err != nil {
		return nil
	}
	found, err := c.s.Log.Find(c.ctx, f, before, limit)
	c.err = err
	return found.Entries
}

// last returns the newest entry before this one, alone, or none.
func (c *chain) last(f audit.Filter) []audit.Entry { return c.find(f, c.at, 1) }

func (c *chain) without(list []audit.Entry) []audit.Entry {
	return slices.DeleteFunc(list, func(e audit.Entry) bool { return e.ID == c.entry.ID })
}

func (c *chain) readConnection(id string) {
	g, ended, err := c.s.Log.GrantOf(c.ctx, id)
	if errors.Is(err, grant.ErrNotFound) { // of another authorization server
		return
	}
	if err != nil {
		c.err = err
		return
	}
	c.client = g.ClientID
	c.connection = &connection{
		ID: g.ID, Resource: g.Resource, Scopes: g.Scopes, Since: time.Unix(g.CreatedAt, 0), Until: time.Unix(g.ExpiresAt, 0),
		Live: ended == 0 && time.Now().Unix() < g.ExpiresAt,
	}
	if ended != 0 {
		c.connection.Ended = time.Unix(ended, 0)
	}
}

func (c *chain) found() []audit.Entry {
	return slices.Concat(c.signIn, c.consent, c.token, c.exchange)
}

// actors are the agents of a delegation, the last one first and the one that
// began at the end (RFC 8693 §4.1); none where an agent acts by itself.
func (c *chain) actors() []string {
	ids := strings.Fields(c.entry.Detail["actors"])
	if len(ids) > 0 && c.entry.AccountID == "" && c.client != "" {
		ids = append(ids, c.client)
	}
	return ids
}

// began is the agent with which it began.
func (c *chain) began() string {
	if ids := c.actors(); len(ids) > 0 {
		return ids[len(ids)-1]
	}
	return c.entry.ClientID
}

// gateway is the client that exchanged the agent's token for the API's.
func (c *chain) gateway() string {
	for _, e := range slices.Concat(c.exchange, []audit.Entry{c.entry}) {
		if id := e.Detail["gateway"]; id != "" {
			return id
		}
	}
	return ""
}

// steps are the chain of delegation, from the person to what was done.
func (c *chain) steps(names audit.Names) []step {
	e := c.entry
	if e.Kind == audit.Admin || e.Kind == audit.Registration {
		return nil
	}
	here := func(what string) step {
		st := newStep(what, e)
		st.Here = true
		return st
	}
	before := func(what string, list []audit.Entry) step {
		if len(list) == 0 {
			return step{What: what, Gone: true}
		}
		return newStep(what, list[0])
	}
	var steps []step
	if e.AccountID != "" && e.Kind != audit.SignIn {
		steps = append(steps, before("signed-in", c.signIn))
	}
	if e.AccountID != "" && e.ClientID != "" && e.Kind != audit.SignIn && e.Kind != audit.Consent {
		steps = append(steps, before("allowed", c.consent))
	}
	ids := c.actors()
	for i := len(ids) - 2; i >= 0; i-- {
		steps = append(steps, step{What: "took-over", To: party{ids[i], names.Clients[ids[i]]}, From: party{ids[i+1], names.Clients[ids[i+1]]}})
	}
	if e.Kind == audit.Call || e.Kind == audit.Exchange {
		steps = append(steps, before("token", c.token))
	}
	if e.Kind == audit.Call && e.Outcome != audit.Denied {
		steps = append(steps, before("exchanged", c.exchange))
	}
	return append(steps, here(string(e.Kind)))
}

func newStep(what string, e audit.Entry) step {
	return step{What: what, Entry: e.ID, At: time.UnixMilli(e.Time), Outcome: string(e.Outcome), Scopes: strings.Fields(e.Detail["scope"])}
}
