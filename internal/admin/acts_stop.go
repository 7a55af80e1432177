package admin

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

// Stops is what stopping needs from a database.
type Stops interface {
	grant.Stops
	// Stop returns whether a subject is paused or closed now, and how.
	Stop(ctx context.Context, subject, id string) (s grant.Stop, stopped bool, err error)
	// NewestStops returns what is stopped, newest first, at most limit.
	NewestStops(ctx context.Context, limit int) ([]grant.Stop, error)
	// CountGrants returns how many live grants hang off a subject, at most limit.
	CountGrants(ctx context.Context, subject, id string, now time.Time, limit int) (int, error)
	// Grant returns a grant, ended or not, else grant.ErrNotFound.
	Grant(ctx context.Context, id string) (grant.Grant, error)
}

// Subject is what can be stopped.
type Subject struct {
	Kind string // of the revocation feed
	ID   string // in addresses: API or API/TOOL by name, others by their ID
	key  string // in the store
	Name string // as people know it; what an agent calls itself is its own word
	grant.Parties
	API, Tool string
}

// Entry names the subject in the audit.
func (s Subject) entry() audit.Entry {
	return audit.Entry{AccountID: s.Account, ClientID: s.Client, GrantID: s.Parties.Grant, API: s.API, Tool: s.Tool}
}

// What is the word for the kind of thing that it is.
func (s Subject) What() string {
	switch s.Kind {
	case oauth.SubjectClient:
		return "agent"
	case oauth.SubjectAccount:
		return "person"
	case oauth.SubjectGrant:
		return "connection"
	case oauth.SubjectAPI:
		return "API"
	case oauth.SubjectTool:
		return "tool"
	}
	return "everything"
}

// Path is where it is stopped.
func (s Subject) Path() string { return s.To("stop") }

// To is where one of the acts on it is: pause, resume, end, or stop for all.
func (s Subject) To(act string) string {
	if s.ID == "" {
		return "/admin/" + act + "/" + s.Kind
	}
	return "/admin/" + act + "/" + s.Kind + "/" + url.PathEscape(s.ID)
}

// Find returns the subject of an address, which must exist.
func (a *Acts) Find(ctx context.Context, kind, id string) (Subject, error) {
	s := Subject{Kind: kind, ID: id, key: id, Name: id}
	switch kind {
	case oauth.SubjectEverything:
		s.Name = "everything"
		if id != "" {
			return s, errNothing
		}
		return s, nil
	case oauth.SubjectClient:
		c, err := a.Clients.Client(ctx, id)
		if errors.Is(err, client.ErrUnknown) {
			return s, errNothing
		}
		if err == nil && (c.Origin == client.Gateway || c.Origin == client.Console) {
			return s, refuse("this client is a part of this installation; stop that instead")
		}
		s.Name, s.Client = c.Name, id
		return s, err
	case oauth.SubjectAccount:
		acc, err := a.Accounts.Account(ctx, id)
		if errors.Is(err, account.ErrNotFound) { // terminals know people by name
			name, wrong := account.Normalize(id)
			if wrong != nil {
				return s, errNothing
			}
			acc, err = a.Accounts.AccountByName(ctx, name)
		}
		if errors.Is(err, account.ErrNotFound) {
			return s, errNothing
		}
		s.ID, s.key, s.Name, s.Account = acc.ID, acc.ID, acc.Name, acc.ID
		return s, err
	case oauth.SubjectGrant:
		return a.findGrant(ctx, s)
	}
	return a.findTool(s)
}

func (a *Acts) findGrant(ctx context.Context, s Subject) (Subject, error) {
	g, err := a.Stops.Grant(ctx, s.ID)
	if errors.Is(err, grant.ErrNotFound) {
		return s, errNothing
	}
	if err != nil {
		return s, err
	}
	s.Parties = grant.Parties{Grant: g.ID, Client: g.ClientID, Account: g.AccountID}
	c, err := a.Clients.Client(ctx, g.ClientID)
	if err != nil && !errors.Is(err, client.ErrUnknown) {
		return s, err
	}
	s.Name = c.Name
	if g.AccountID != "" {
		acc, err := a.Accounts.Account(ctx, g.AccountID)
		if err != nil && !errors.Is(err, account.ErrNotFound) {
			return s, err
		}
		s.Name = acc.Name + " with " + c.Name
	}
	return s, nil
}

// findTool finds an API, or a tool by API/TOOL.
func (a *Acts) findTool(s Subject) (Subject, error) {
	name, tool, isTool := strings.Cut(s.ID, "/")
	for _, api := range a.APIs {
		if api.Name != name {
			continue
		}
		s.API, s.Name, s.key = api.Name, api.Title, api.Resource
		switch {
		case s.Kind == oauth.SubjectAPI && !isTool:
			return s, nil
		case s.Kind == oauth.SubjectTool && isTool:
			t, ok := api.Tool(tool)
			if !ok {
				return s, errNothing
			}
			s.Tool, s.Name, s.key = t.Name, t.Name, oauth.ToolID(api.Resource, t.Name)
			return s, nil
		}
	}
	return s, errNothing
}

// Pause stops all that hangs off a subject until Resume: within a second
// nothing of it works, and nothing of it is lost (security.md 12).
func (a *Acts) Pause(ctx context.Context, by Actor, s Subject, reason string) (entry string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", refuse("a reason is missing; say in a few words why")
	}
	return a.record(ctx, by, s.What()+" paused", reason, s.entry(), func() error {
		paused, err := a.Stops.Pause(ctx, s.Kind, s.key, strings.TrimSpace(reason), time.Now())
		if err == nil && !paused {
			err = refuse("it is paused already")
		}
		return stopRefusal(err)
	})
}

// Resume takes a pause back, or opens what was ended for good: an API, a tool,
// everything. What was ended, expired or revoked meanwhile stays so.
func (a *Acts) Resume(ctx context.Context, by Actor, s Subject, reason string) (entry string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", refuse("a reason is missing; say in a few words why")
	}
	now := time.Now()
	return a.record(ctx, by, s.What()+" resumed", reason, s.entry(), func() error {
		resumed, err := a.Stops.Resume(ctx, s.Kind, s.key)
		if errors.Is(err, grant.ErrEnded) {
			resumed, err = a.Stops.Reopen(ctx, s.Kind, s.key, now)
		}
		if err == nil && !resumed {
			err = refuse("it is not stopped")
		}
		return err
	})
}

// End ends all that hangs off a subject, for good. It returns how many
// connections were live.
func (a *Acts) End(ctx context.Context, by Actor, s Subject, reason string) (entry string, ended int, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", 0, refuse("a reason is missing; say in a few words why")
	}
	entry, err = a.record(ctx, by, s.What()+" ended", reason, s.entry(), func() error {
		ended, err = a.Stops.EndAll(ctx, s.Kind, s.key, strings.TrimSpace(reason), time.Now())
		return stopRefusal(err)
	})
	return entry, ended, err
}

// stopRefusal puts what the store refuses into words.
func stopRefusal(err error) error {
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return refuse("it is over already")
	case errors.Is(err, account.ErrLastAdministrator):
		return refuse("this is the last administrator who can sign in; make somebody else one first")
	case errors.Is(err, grant.ErrEnded):
		return refuse("it was ended for good already")
	case errors.Is(err, grant.ErrTooManyClosed):
		return refuse("%d tools are stopped one by one, and gateways keep no more apart; stop their whole API instead", grant.MaxClosedTools)
	}
	return err
}
