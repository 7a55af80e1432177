package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/sqlstore"
)

// Target is what an operator stops: one of the names, or none of them for
// everything.
type Target struct {
	Grant, Client, Person string
	API                   string // name in the configuration
	Tool                  string // API/NAME
}

// StopLine is what is paused, or ended and closed, as an operator sees it.
type StopLine struct {
	Subject string `json:"subject"`
	Name    string `json:"name,omitempty"` // absent: everything
	State   string `json:"state"`          // paused or ended
	Reason  string `json:"reason"`
	Since   int64  `json:"since"` // Unix seconds
}

// Pause stops what hangs off it within a second, until Resume (security.md 12).
func Pause(ctx context.Context, cfg Config, what Target, reason string) error {
	return stop(ctx, cfg, "pause", "paused", what, reason, func(db *sqlstore.DB, subject, id string) error {
		paused, err := db.Pause(ctx, subject, id, reason, time.Now())
		if err == nil && !paused {
			err = errors.New("it is paused already")
		}
		return err
	})
}

// Resume takes a pause back.
func Resume(ctx context.Context, cfg Config, what Target, reason string) error {
	return stop(ctx, cfg, "resume", "resumed", what, reason, func(db *sqlstore.DB, subject, id string) error {
		resumed, err := db.Resume(ctx, subject, id)
		if err == nil && !resumed {
			err = errors.New("it is not paused")
		}
		return err
	})
}

// End ends what hangs off it for good, and closes an API, a tool or everything
// until Reopen. It returns how many grants ended.
func End(ctx context.Context, cfg Config, what Target, reason string) (grants int, err error) {
	err = stop(ctx, cfg, "end", "ended", what, reason, func(db *sqlstore.DB, subject, id string) (err error) {
		grants, err = db.EndAll(ctx, subject, id, reason, time.Now())
		return err
	})
	return grants, err
}

// Reopen opens what End closed. Nothing that was ended comes back.
func Reopen(ctx context.Context, cfg Config, what Target, reason string) error {
	return stop(ctx, cfg, "reopen", "reopened", what, reason, func(db *sqlstore.DB, subject, id string) error {
		reopened, err := db.Reopen(ctx, subject, id, time.Now())
		if err == nil && !reopened {
			err = errors.New("it was not ended")
		}
		return err
	})
}

// stop does one of the acts above on record.
func stop(ctx context.Context, cfg Config, verb, done string, what Target, reason string, act func(db *sqlstore.DB, subject, id string) error) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		subject, id, entry, err := what.find(ctx, &cfg, db)
		if err == nil {
			entry.Reason = done + " from the terminal: " + reason
			err = recorded(ctx, db, entry, func() error { return act(db, subject, id) })
		}
		switch {
		case errors.Is(err, grant.ErrEnded):
			err = errors.New("it was ended for good; `gatehouse reopen` opens it anew, without what was ended")
		case errors.Is(err, grant.ErrTooManyClosed):
			err = fmt.Errorf("%w; pause their API instead", err)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", verb, what, err)
		}
		return nil
	})
}

// Stops lists what is paused or closed, newest first.
func Stops(ctx context.Context, cfg Config) (lines []StopLine, err error) {
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		list, err := db.Stops(ctx)
		for _, s := range list {
			line := StopLine{s.Subject, cfg.nameOf(ctx, db, s), "paused", s.Reason, s.Since}
			if s.Ended {
				line.State = "ended"
			}
			lines = append(lines, line)
		}
		return err
	})
	return lines, err
}

// nameOf is what an operator calls the subject of a stop; its identifier, if it
// has no name any more.
func (c *Config) nameOf(ctx context.Context, db *sqlstore.DB, s grant.Stop) string {
	switch s.Subject {
	case oauth.SubjectAccount:
		if a, err := db.Account(ctx, s.ID); err == nil {
			return a.Name
		}
	case oauth.SubjectAPI, oauth.SubjectTool:
		at, tool := oauth.CutTool(s.ID)
		for _, a := range c.APIs {
			if resource, err := c.resource(a); err == nil && resource == at {
				return strings.TrimSuffix(a.Name+"/"+tool, "/")
			}
		}
	}
	return s.ID
}

// String names it as an operator did.
func (t Target) String() string {
	switch {
	case t.Grant != "":
		return "grant " + t.Grant
	case t.Client != "":
		return "client " + t.Client
	case t.Person != "":
		return t.Person
	case t.API != "":
		return "API " + t.API
	case t.Tool != "":
		return "tool " + t.Tool
	}
	return "everything"
}

// Named returns the subject and ID by which the administration of another
// computer's installation knows it.
func (t Target) Named() (subject, id string) {
	switch {
	case t.Grant != "":
		return oauth.SubjectGrant, t.Grant
	case t.Client != "":
		return oauth.SubjectClient, t.Client
	case t.Person != "":
		return oauth.SubjectAccount, t.Person
	case t.API != "":
		return oauth.SubjectAPI, t.API
	case t.Tool != "":
		return oauth.SubjectTool, t.Tool
	}
	return oauth.SubjectEverything, ""
}

// find returns the subject of an act, which must exist, and the parties for the
// audit.
func (t Target) find(ctx context.Context, cfg *Config, db *sqlstore.DB) (subject, id string, entry audit.Entry, err error) {
	if x := cfg.AuthorizationServer; x != nil && t.API == "" && t.Tool == "" {
		return "", "", entry, fmt.Errorf("agents and people are known at %s alone; stop them there, or an API or a tool here", x.Issuer)
	}
	switch {
	case t.API != "":
		a, err := cfg.api(t.API)
		if err == nil {
			id, err = cfg.resource(a)
		}
		return oauth.SubjectAPI, id, audit.Entry{API: t.API}, err
	case t.Tool != "":
		return t.findTool(cfg)
	case t.Grant != "":
		live, err := db.ListGrants(ctx, sqlstore.GrantFilter{ID: t.Grant}, time.Now())
		if err != nil {
			return "", "", entry, err
		}
		if len(live) == 0 {
			return "", "", entry, errors.New("it is unknown or over; see `gatehouse grant list`")
		}
		return oauth.SubjectGrant, t.Grant, audit.Entry{GrantID: t.Grant, AccountID: live[0].AccountID, ClientID: live[0].ClientID}, nil
	case t.Client != "":
		c, err := db.Client(ctx, t.Client)
		if errors.Is(err, client.ErrUnknown) {
			return "", "", entry, errors.New("there is no such client; see `gatehouse client list`")
		}
		if err == nil && c.Origin == client.Gateway {
			err = errors.New("it is this installation's gateway; stop that instead")
		}
		return oauth.SubjectClient, t.Client, audit.Entry{ClientID: t.Client}, err
	case t.Person != "":
		normal, err := account.Normalize(t.Person)
		if err != nil {
			return "", "", entry, err
		}
		a, err := db.AccountByName(ctx, normal)
		if errors.Is(err, account.ErrNotFound) {
			return "", "", entry, errors.New("nobody has this name; see `gatehouse person list`")
		}
		return oauth.SubjectAccount, a.ID, audit.Entry{AccountID: a.ID}, err
	}
	return oauth.SubjectEverything, "", entry, nil
}

// findTool is find for a tool, which must be one that agents know.
func (t Target) findTool(cfg *Config) (subject, id string, entry audit.Entry, err error) {
	name, tool, _ := strings.Cut(t.Tool, "/")
	a, err := cfg.api(name)
	if err != nil {
		return "", "", entry, err
	}
	made, err := cfg.catalogAPI(a)
	if err != nil {
		return "", "", entry, err
	}
	if _, ok := made.Tool(tool); !ok {
		return "", "", entry, fmt.Errorf("API %s has no such tool; `gatehouse tools` with its document shows those it has", name)
	}
	return oauth.SubjectTool, oauth.ToolID(made.Resource, tool), audit.Entry{API: name, Tool: tool}, nil
}

// api returns a configured API by its name.
func (c *Config) api(name string) (API, error) {
	var names []string
	for _, a := range c.APIs {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return API{}, fmt.Errorf("there is no API %q; the configuration has %s", name, strings.Join(names, ", "))
}
