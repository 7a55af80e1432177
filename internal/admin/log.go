package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const auditPath = "/admin/audit"

// Log is what the audit pages and the search read, and where an export is
// recorded.
type Log interface {
	audit.Searcher
	audit.Store
	// AccountsNamed and ClientsNamed return the first parties, by name, whose
	// names begin so, whatever the case of ASCII letters.
	AccountsNamed(ctx context.Context, prefix string, limit int) ([]audit.Party, error)
	ClientsNamed(ctx context.Context, prefix string, limit int) ([]audit.Party, error)
	// GrantOf returns a grant, live or not, and when it was ended, in Unix
	// seconds; else grant.ErrNotFound.
	GrantOf(ctx context.Context, id string) (g grant.Grant, ended int64, err error)
}

const (
	rowsPerPage   = 50
	maxFilterText = 2048 // bytes: a client_id may be an address
)

func (s *Server) logRoutes() []Route {
	return []Route{
		{"GET /admin/audit", Reading, s.showLog},
		{"GET /admin/audit.jsonl", Reading, s.exportLog},
		{"GET /admin/audit/{id}", Reading, s.showEntry},
		{"GET /admin/search", Reading, s.showSearch},
	}
}

// entryKinds and entryOutcomes are the words for what entries hold, in the order
// in which they are offered.
var (
	entryKinds = []choice{
		{string(audit.Call), "Call"}, {string(audit.Consent), "Consent"}, {string(audit.SignIn), "Sign-in"}, {string(audit.Registration), "Registration"},
		{string(audit.TokenIssued), "Token"}, {string(audit.Exchange), "Token exchange"}, {string(audit.Revocation), "Revocation"}, {string(audit.Admin), "Administration"},
	}
	entryOutcomes = []choice{
		{string(audit.Done), "done"}, {string(audit.Denied), "denied"}, {string(audit.Failed), "failed"}, {string(audit.Started), "not ended"},
	}
)

// choice is one of a list.
type choice struct{ Value, Name string }

func nameOf(list []choice, value string) string {
	if i := slices.IndexFunc(list, func(c choice) bool { return c.Value == value }); i >= 0 {
		return list[i].Name
	}
	return value
}

// sieve is a filter as it stands in an address and in the form.
type sieve struct {
	Person, Agent, API, Tool, Kind, Outcome, From, To, Request, Grant string
	before                                                            audit.Position
}

// fields are what a sieve has in an address.
func (f *sieve) fields() map[string]*string {
	return map[string]*string{
		"person": &f.Person, "agent": &f.Agent, "api": &f.API, "tool": &f.Tool, "kind": &f.Kind, "outcome": &f.Outcome,
		"from": &f.From, "to": &f.To, "request": &f.Request, "grant": &f.Grant,
	}
}

// Any reports whether anything is filtered.
func (f sieve) Any() bool {
	f.before = audit.Position{}
	return f != sieve{}
}

// More reports whether anything is filtered that is folded away otherwise.
func (f sieve) More() bool {
	return f.API != "" || f.Tool != "" || f.From != "" || f.To != "" || f.Request != ""
}

// query writes a sieve as an address has it, without the place.
func (f sieve) query() url.Values {
	q := url.Values{}
	for name, value := range f.fields() {
		if *value != "" {
			q.Set(name, *value)
		}
	}
	return q
}

// address is where a page of the list is.
func (f sieve) address(path string, before audit.Position) string {
	q := f.query()
	if !before.IsZero() {
		q.Set("before", fmt.Sprintf("%d-%d", before.Time, before.Seq))
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// readSieve reads what an address asks for.
func readSieve(r *http.Request) (sieve, error) {
	q, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return sieve{}, &problem{http.StatusBadRequest, "This address cannot be read", "A filter in it is given twice, or is no text.", "Start from the audit's first page."}
	}
	var f sieve
	for name, value := range f.fields() {
		if *value = strings.TrimSpace(q.Get(name)); len(*value) > maxFilterText {
			return sieve{}, &problem{http.StatusBadRequest, "This filter is too long", "The text for " + name + " has more than 2,048 bytes.", "Write a shorter one."}
		}
	}
	if at, seq, ok := strings.Cut(q.Get("before"), "-"); ok {
		f.before.Time, _ = strconv.ParseInt(at, 10, 64) // what is no place is the first page
		f.before.Seq, _ = strconv.ParseInt(seq, 10, 64)
	}
	return f, nil
}

// unclear is what a person asked for that means nothing here, as a sentence.
type unclear string

func (u unclear) Error() string { return string(u) }

// filter finds out what a sieve means. The error is unclear if it means nothing.
func (s *Server) filter(ctx context.Context, f sieve) (audit.Filter, error) {
	filter := audit.Filter{GrantID: f.Grant, API: f.API, Tool: f.Tool, Kind: audit.Kind(f.Kind), Outcome: audit.Outcome(f.Outcome), RequestID: f.Request}
	var err error
	if filter.AccountID, err = s.accountID(ctx, f.Person); err != nil {
		return filter, err
	}
	if filter.ClientIDs, err = s.clientIDs(ctx, f.Agent); err != nil {
		return filter, err
	}
	if filter.From, err = parseTime(f.From, false); err != nil {
		return filter, err
	}
	filter.To, err = parseTime(f.To, true)
	return filter, err
}

// accountID returns the account of a name; what names nobody is an ID, since the
// log may know more accounts than there are.
func (s *Server) accountID(ctx context.Context, person string) (string, error) {
	name, err := account.Normalize(person)
	if err != nil {
		return person, nil
	}
	a, err := s.Accounts.AccountByName(ctx, name)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return person, nil
	case err != nil:
		return "", err
	}
	return a.ID, nil
}

// clientIDs returns the clients of an ID, or of the beginning of a name.
func (s *Server) clientIDs(ctx context.Context, agent string) ([]string, error) {
	if agent == "" {
		return nil, nil
	}
	known, err := s.Log.Names(ctx, nil, []string{agent})
	if err != nil {
		return nil, err
	}
	if _, ok := known.Clients[agent]; ok {
		return []string{agent}, nil
	}
	parties, err := s.Log.ClientsNamed(ctx, agent, audit.MaxClients+1)
	if err != nil {
		return nil, err
	}
	if len(parties) > audit.MaxClients {
		return nil, unclear(fmt.Sprintf("More than %d agents have names that begin with “%s”. Write more of the name, or the client ID of one.", audit.MaxClients, agent))
	}
	var ids []string
	for _, p := range parties {
		ids = append(ids, p.ID)
	}
	if len(ids) == 0 { // one that is gone, and in the log still
		ids = []string{agent}
	}
	return ids, nil
}

// parseTime reads a time as a form or a program writes it, in UTC, to Unix
// milliseconds. A day alone is its beginning, or its end.
func parseTime(text string, end bool) (int64, error) {
	if text == "" {
		return 0, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return max(1, t.UnixMilli()), nil
		}
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, unclear(fmt.Sprintf("“%s” is no time. Write one as 2026-03-31T14:05, in UTC.", text))
	}
	if end {
		t = t.AddDate(0, 0, 1)
	}
	return max(1, t.UnixMilli()), nil
}

// formTime writes a time as the form's field has it, whatever it was given as.
func formTime(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05")
}

// party is an account or a client on a page.
type party struct{ ID, Name string } // Name is empty if it is not known any more

// line is an entry in a list.
type line struct {
	ID, Kind, API, Tool, Outcome, Reason string
	At                                   time.Time
	Person, Agent                        party
}

type logView struct {
	frame
	Sieve           sieve
	Kinds, Outcomes []choice
	APIs            []string
	Problem         string
	Lines           []line
	Short           time.Time // older entries were not looked at
	Examined        int
	First, Next     string
	Export          string
}

// showLog lists entries, newest first.
func (s *Server) showLog(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := readSieve(r)
	if err != nil {
		return err
	}
	view := logView{frame: s.frame(v, auditPath), Sieve: f, Kinds: entryKinds, Outcomes: entryOutcomes, Examined: audit.Examined, Export: f.address("/admin/audit.jsonl", audit.Position{})}
	filter, err := s.filter(r.Context(), f)
	if problem, ok := errors.AsType[unclear](err); ok {
		view.Problem = string(problem)
		for _, at := range []*string{&view.Sieve.From, &view.Sieve.To} {
			if _, err := parseTime(*at, false); err != nil {
				*at = "" // what is no time has no place in its field
			}
		}
		return s.pages.Render(w, http.StatusBadRequest, "audit.html", view)
	}
	if err != nil {
		return err
	}
	view.Sieve.From, view.Sieve.To = formTime(filter.From), formTime(filter.To)
	found, err := s.Log.Find(r.Context(), filter, f.before, rowsPerPage)
	if err != nil {
		return err
	}
	names, err := s.names(r.Context(), found.Entries)
	if err != nil {
		return err
	}
	for _, e := range found.Entries {
		view.Lines = append(view.Lines, newLine(e, names))
	}
	if !f.before.IsZero() {
		view.First = f.address(auditPath, audit.Position{})
	}
	if !found.Next.IsZero() {
		view.Next = f.address(auditPath, found.Next)
	}
	if found.Short {
		view.Short = time.UnixMilli(found.Next.Time)
	}
	return s.pages.Render(w, http.StatusOK, "audit.html", view)
}

func newLine(e audit.Entry, names audit.Names) line {
	return line{
		ID: e.ID, Kind: nameOf(entryKinds, string(e.Kind)), API: e.API, Tool: e.Tool, Outcome: string(e.Outcome), Reason: e.Reason,
		At: time.UnixMilli(e.Time), Person: party{e.AccountID, names.Accounts[e.AccountID]}, Agent: party{e.ClientID, names.Clients[e.ClientID]},
	}
}

// names looks up what the parties of entries are called, all at once.
func (s *Server) names(ctx context.Context, entries []audit.Entry) (audit.Names, error) {
	var accounts, clients []string
	for _, e := range entries {
		accounts = append(accounts, e.AccountID, e.Detail["by"])
		clients = append(clients, e.ClientID, e.Detail["gateway"], e.Detail["by_client"])
		clients = append(clients, strings.Fields(e.Detail["actors"])...)
	}
	return s.Log.Names(ctx, distinct(accounts), distinct(clients))
}

// distinct returns what is in a list, each once, without the empty text.
func distinct(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}
