package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

// apiAgent is an agent in an answer: one or more registrations that say the same
// of themselves, by the newest of them.
type apiAgent struct {
	ClientID      string `json:"client_id"`
	Name          string `json:"client_name"` // its own word, unless an administrator wrote it
	Origin        string `json:"origin"`
	Host          string `json:"host,omitempty"` // where its answers go
	Registrations int    `json:"registrations"`
	Grants        int    `json:"grants"`     // live ones of the newest, counted as far as 1,000
	CreatedAt     int64  `json:"created_at"` // of the newest, Unix seconds
}

// query reads the parameters of a list.
func query(r *http.Request) (url.Values, error) {
	q, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &apiError{http.StatusBadRequest, "a parameter is there twice, or is no text"}
	}
	return q, nil
}

func (a *API) listAgents(r *http.Request, _ caller) (any, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	f := client.AgentFilter{Name: clipped(q.Get("name")), Host: strings.ToLower(clipped(q.Get("host"))), Origin: client.Origin(q.Get("origin")), Paused: q.Get("paused") == "true", After: readAgentPosition(q.Get("after"))}
	list, err := a.Server.Agents.ListAgents(r.Context(), f, pageRows+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(list) > pageRows {
		list = list[:pageRows]
		last := list[pageRows-1]
		next = writeAgentPosition(client.AgentPosition{Last: last.Last, Name: strings.ToLower(last.Name), Shape: last.Shape})
	}
	agents := []apiAgent{}
	for _, x := range list {
		grants, err := a.Acts.Stops.CountGrants(r.Context(), oauth.SubjectClient, x.ClientID, time.Now(), countedLive)
		if err != nil {
			return nil, err
		}
		agents = append(agents, apiAgent{x.ClientID, x.Name, string(x.Origin), x.Host, x.Registrations, grants, x.Last})
	}
	return onePage("agents", agents, next), nil
}

// onePage is a page of a list; next is absent on the last.
func onePage(name string, list any, next string) map[string]any {
	answer := map[string]any{name: list}
	if next != "" {
		answer["next"] = next
	}
	return answer
}

// apiPerson is a person in an answer.
type apiPerson struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	Paused    bool   `json:"paused"`
	Invited   bool   `json:"invited"`
	Grants    int    `json:"grants"`     // live ones, counted as far as 1,000
	CreatedAt int64  `json:"created_at"` // Unix seconds
}

func (a *API) listPeople(r *http.Request, _ caller) (any, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	f := account.Filter{Prefix: strings.ToLower(clipped(q.Get("name"))), Only: clipped(q.Get("only"))}
	if after, err := base64.RawURLEncoding.DecodeString(q.Get("after")); err == nil {
		f.After = clipped(string(after))
	}
	now := time.Now()
	list, err := a.Acts.People.ListPeople(r.Context(), f, pageRows+1, now)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(list) > pageRows {
		list = list[:pageRows]
		next = base64.RawURLEncoding.EncodeToString([]byte(list[pageRows-1].Name))
	}
	people := []apiPerson{}
	for _, l := range list {
		grants, err := a.Acts.Stops.CountGrants(r.Context(), oauth.SubjectAccount, l.ID, now, countedLive)
		if err != nil {
			return nil, err
		}
		people = append(people, apiPerson{l.ID, l.Name, roleName(l.Role), l.Paused, l.Invited, grants, l.CreatedAt})
	}
	return onePage("people", people, next), nil
}

// apiGrant is a connection in an answer.
type apiGrant struct {
	ID        string `json:"id"`
	Person    string `json:"person,omitempty"` // absent: the agent acts for itself
	ClientID  string `json:"client_id"`
	Client    string `json:"client_name,omitempty"`
	Resource  string `json:"resource"`
	Scope     string `json:"scope"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at"`
}

// listConnections lists what an agent may do, or what a person allowed.
func (a *API) listConnections(r *http.Request, _ caller) (any, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	person, agent := clipped(q.Get("person")), clipped(q.Get("agent"))
	switch {
	case (person == "") == (agent == ""):
		return nil, &apiError{http.StatusBadRequest, "name a person or an agent, one of the two"}
	case person != "":
		return a.connectionsOf(r, person)
	}
	c, err := a.Acts.Clients.Client(r.Context(), agent)
	if errors.Is(err, client.ErrUnknown) {
		return nil, errNothing
	}
	if err != nil {
		return nil, err
	}
	var before grant.Grant
	if at, id, ok := strings.Cut(clipped(q.Get("after")), "-"); ok {
		before.CreatedAt, _ = strconv.ParseInt(at, 10, 64) // what is no place is the first page
		before.ID = id
	}
	list, err := a.Server.Agents.GrantsOfClient(r.Context(), agent, before, pageRows+1, time.Now())
	if err != nil {
		return nil, err
	}
	next := ""
	if len(list) > pageRows {
		list = list[:pageRows]
		next = fmt.Sprintf("%d-%s", list[pageRows-1].CreatedAt, list[pageRows-1].ID)
	}
	grants := []apiGrant{}
	for _, g := range list {
		grants = append(grants, apiGrant{g.ID, g.Person, agent, c.Name, g.Resource, oauth.FormatScope(g.Scopes), g.CreatedAt, g.ExpiresAt})
	}
	return onePage("connections", grants, next), nil
}

// connectionsOf lists the newest connections of a person, by name or ID.
func (a *API) connectionsOf(r *http.Request, person string) (any, error) {
	subject, err := a.Acts.Find(r.Context(), oauth.SubjectAccount, person)
	if err != nil {
		return nil, err
	}
	list, err := a.Acts.People.GrantsOf(r.Context(), subject.ID, maxShown, time.Now())
	if err != nil {
		return nil, err
	}
	grants := []apiGrant{}
	for _, g := range list {
		grants = append(grants, apiGrant{g.ID, subject.Name, g.ClientID, g.Client, g.Resource, oauth.FormatScope(g.Scopes), g.CreatedAt, g.ExpiresAt})
	}
	return onePage("connections", grants, ""), nil
}

// listAudit searches the audit, with the filters of the console's page.
func (a *API) listAudit(r *http.Request, _ caller) (any, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	f, err := readSieve(r)
	if err != nil {
		return nil, err
	}
	if at, seq, ok := strings.Cut(q.Get("after"), "-"); ok {
		f.before.Time, _ = strconv.ParseInt(at, 10, 64)
		f.before.Seq, _ = strconv.ParseInt(seq, 10, 64)
	}
	filter, err := a.Server.filter(r.Context(), f)
	if sentence, ok := errors.AsType[unclear](err); ok {
		return nil, &apiError{http.StatusBadRequest, string(sentence)}
	}
	if err != nil {
		return nil, err
	}
	found, err := a.Server.Log.Find(r.Context(), filter, f.before, pageRows)
	if err != nil {
		return nil, err
	}
	next := ""
	if !found.Next.IsZero() {
		next = fmt.Sprintf("%d-%d", found.Next.Time, found.Next.Seq)
	}
	return onePage("entries", append([]audit.Entry{}, found.Entries...), next), nil
}

func (a *API) getEntry(r *http.Request, _ caller) (any, error) {
	e, _, err := a.Server.Log.Entry(r.Context(), r.PathValue("id"))
	if errors.Is(err, audit.ErrNotFound) {
		return nil, errNothing
	}
	return e, err
}
