package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/sqlstore"
)

// Pausable is what an operator pauses and resumes: one of the three names, or
// none of them for everything.
type Pausable struct{ Grant, Client, Person string }

// Pause stops what hangs off it within a second, until Resume (security.md 12).
func Pause(ctx context.Context, cfg Config, what Pausable, reason string) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		subject, id, entry, err := what.find(ctx, db)
		if err != nil {
			return fmt.Errorf("pause %s: %w", what, err)
		}
		entry.Reason = "paused from the terminal: " + reason
		return recorded(ctx, db, entry, func() error {
			paused, err := db.Pause(ctx, subject, id, reason, time.Now())
			if err == nil && !paused {
				err = fmt.Errorf("pause %s: it is paused already", what)
			}
			return err
		})
	})
}

// Resume takes a pause back.
func Resume(ctx context.Context, cfg Config, what Pausable, reason string) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		subject, id, entry, err := what.find(ctx, db)
		if err != nil {
			return fmt.Errorf("resume %s: %w", what, err)
		}
		entry.Reason = "resumed from the terminal: " + reason
		return recorded(ctx, db, entry, func() error {
			resumed, err := db.Resume(ctx, subject, id)
			if err == nil && !resumed {
				err = fmt.Errorf("resume %s: it is not paused", what)
			}
			return err
		})
	})
}

// String names it as an operator did.
func (p Pausable) String() string {
	switch {
	case p.Grant != "":
		return "grant " + p.Grant
	case p.Client != "":
		return "client " + p.Client
	case p.Person != "":
		return p.Person
	}
	return "everything"
}

// find returns the subject of a pause, which must exist, and the parties for the
// audit.
func (p Pausable) find(ctx context.Context, db *sqlstore.DB) (subject, id string, entry audit.Entry, err error) {
	switch {
	case p.Grant != "":
		live, err := db.ListGrants(ctx, sqlstore.GrantFilter{ID: p.Grant}, time.Now())
		if err != nil {
			return "", "", entry, err
		}
		if len(live) == 0 {
			return "", "", entry, errors.New("it is unknown or over; see `gatehouse grant list`")
		}
		return oauth.SubjectGrant, p.Grant, audit.Entry{GrantID: p.Grant, AccountID: live[0].AccountID, ClientID: live[0].ClientID}, nil
	case p.Client != "":
		c, err := db.Client(ctx, p.Client)
		if errors.Is(err, client.ErrUnknown) {
			return "", "", entry, errors.New("there is no such client; see `gatehouse client list`")
		}
		if err == nil && c.Origin == client.Gateway {
			err = errors.New("it is this installation's gateway; stop that instead")
		}
		return oauth.SubjectClient, p.Client, audit.Entry{ClientID: p.Client}, err
	case p.Person != "":
		normal, err := account.Normalize(p.Person)
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
