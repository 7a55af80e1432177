package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/sqlstore"
)

// GrantLine is a live grant as an operator sees it. Times are Unix seconds.
type GrantLine struct {
	ID         string `json:"id"`
	Person     string `json:"person,omitempty"` // absent: the client acts for itself
	ClientID   string `json:"client_id"`
	ClientName string `json:"client_name,omitempty"`
	Resource   string `json:"resource"`
	Scope      string `json:"scope"`
	CreatedAt  int64  `json:"created_at"`
	ExpiresAt  int64  `json:"expires_at"`
}

// ClientLine is a client as an operator sees it.
type ClientLine struct {
	ID        string `json:"client_id"`
	Name      string `json:"client_name"`
	Origin    string `json:"origin"`
	Grants    int    `json:"grants"` // live ones
	CreatedAt int64  `json:"created_at"`
}

// PersonLine is an account as an operator sees it.
type PersonLine struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Grants    int    `json:"grants"` // live ones
	CreatedAt int64  `json:"created_at"`
}

// Grants lists live grants, those of a person or a client if named.
func Grants(ctx context.Context, cfg Config, person, clientID string) (lines []GrantLine, err error) {
	f := sqlstore.GrantFilter{ClientID: clientID}
	if person != "" {
		if f.Person, err = account.Normalize(person); err != nil {
			return nil, fmt.Errorf("grants of %q: %w", person, err)
		}
	}
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		list, err := db.ListGrants(ctx, f, time.Now())
		for _, g := range list {
			lines = append(lines, GrantLine{g.ID, g.Person, g.ClientID, g.Client, g.Resource, oauth.FormatScope(g.Scopes), g.CreatedAt, g.ExpiresAt})
		}
		return err
	})
	return lines, err
}

// Clients lists all clients.
func Clients(ctx context.Context, cfg Config) (lines []ClientLine, err error) {
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		list, err := db.ListClients(ctx, time.Now())
		for _, c := range list {
			lines = append(lines, ClientLine{c.ID, c.Name, string(c.Origin), c.Grants, c.CreatedAt})
		}
		return err
	})
	return lines, err
}

// People lists all accounts.
func People(ctx context.Context, cfg Config) (lines []PersonLine, err error) {
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		list, err := db.ListAccounts(ctx, time.Now())
		for _, a := range list {
			lines = append(lines, PersonLine{a.ID, a.Name, a.Grants, a.CreatedAt})
		}
		return err
	})
	return lines, err
}

// EndGrant ends a grant with all that hangs off it, for good. Gateways of
// running servers follow within a second: what ends is in the database.
func EndGrant(ctx context.Context, cfg Config, id, reason string) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		now := time.Now()
		live, err := db.ListGrants(ctx, sqlstore.GrantFilter{ID: id}, now)
		if err != nil {
			return err
		}
		if id == "" || len(live) == 0 {
			return fmt.Errorf("end grant %s: it is unknown or over already; see `gatehouse grant list`", id)
		}
		entry := audit.Entry{GrantID: id, AccountID: live[0].AccountID, ClientID: live[0].ClientID, Reason: "grant ended from the terminal: " + reason}
		return recorded(ctx, db, entry, func() error { return db.Revoke(ctx, id, now) })
	})
}

// EndClient ends every grant of a client and forgets the client, for good. It
// returns how many grants were live.
func EndClient(ctx context.Context, cfg Config, id, reason string) (grants int, err error) {
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		c, err := db.Client(ctx, id)
		if err != nil && !errors.Is(err, client.ErrUnknown) {
			return err
		}
		if c.Origin == client.Gateway {
			return fmt.Errorf("end client %s: it is this installation's gateway; stop that instead", id)
		}
		entry := audit.Entry{ClientID: id, Reason: "client ended from the terminal: " + reason}
		err = recorded(ctx, db, entry, func() error {
			grants, err = db.EndClient(ctx, id, time.Now())
			return err
		})
		if errors.Is(err, grant.ErrNotFound) {
			return fmt.Errorf("end client %s: there is no such client; see `gatehouse client list`", id)
		}
		return err
	})
	return grants, err
}

// EndPerson ends every grant and session of a person, for good. The person can
// sign in again. It returns how many grants were live.
func EndPerson(ctx context.Context, cfg Config, name, reason string) (grants int, err error) {
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		normal, err := account.Normalize(name)
		if err != nil {
			return fmt.Errorf("end %q: %w", name, err)
		}
		a, err := db.AccountByName(ctx, normal)
		if errors.Is(err, account.ErrNotFound) {
			return fmt.Errorf("end %s: nobody has this name; see `gatehouse person list`", normal)
		}
		if err != nil {
			return err
		}
		entry := audit.Entry{AccountID: a.ID, Reason: "person ended from the terminal: " + reason}
		return recorded(ctx, db, entry, func() error {
			grants, err = db.EndAccount(ctx, a.ID, time.Now())
			return err
		})
	})
	return grants, err
}

// inStore runs act on the configured store.
func inStore(ctx context.Context, cfg Config, act func(*sqlstore.DB) error) error {
	db, err := OpenStore(ctx, cfg, Options{})
	if err != nil {
		return err
	}
	return errors.Join(act(db), db.Close())
}
