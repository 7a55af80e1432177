package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/admin"
	"gatehouse/internal/audit"
	"gatehouse/internal/sqlstore"
)

// terminal is who acts there: whoever may read the configuration.
func terminal() admin.Actor { return admin.Actor{From: "the terminal"} }

// inActs runs what an administrator does on the configured store. What is
// refused is named with what was tried.
func inActs(ctx context.Context, cfg Config, what string, act func(*admin.Acts) error) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		err := act(cfg.acts(db, nil))
		if told := admin.Refusal(err); told != "" {
			return fmt.Errorf("%s: %s", what, told)
		}
		return err
	})
}

// NewPerson is somebody who shall be able to sign in.
type NewPerson struct {
	Name   string
	Role   string            // admin, auditor or none, the default
	Claims map[string]string // attributes that APIs may be told
}

func (n NewPerson) newcomer() admin.Newcomer {
	return admin.Newcomer{Name: n.Name, Role: roleNamed(n.Role), Claims: n.Claims}
}

// roleNamed is a role as operators name it.
func roleNamed(name string) account.Role {
	if name == "none" {
		return account.NoRole
	}
	return account.Role(name)
}

// InvitationLine is an invitation as an operator sees it, who passes it on. The
// link is a secret.
type InvitationLine struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Link  string `json:"link"`
	Until int64  `json:"expires_at"` // Unix seconds
}

// LogValue keeps the link out of logs.
func (InvitationLine) LogValue() slog.Value { return slog.StringValue("redacted") }

// AddPerson creates an account with a password, and returns its ID.
func AddPerson(ctx context.Context, cfg Config, n NewPerson, password string) (id string, err error) {
	err = inActs(ctx, cfg, "add "+displayed(n.Name), func(acts *admin.Acts) error {
		id, err = acts.AddPerson(ctx, terminal(), n.newcomer(), password)
		return err
	})
	return id, err
}

// InvitePerson creates an account and returns the link by which its person
// chooses a password.
func InvitePerson(ctx context.Context, cfg Config, n NewPerson) (line InvitationLine, err error) {
	if cfg.URLs.AuthServer == "" {
		return line, errors.New("people sign in elsewhere: there is no urls.authserver for the link to lead to")
	}
	err = inActs(ctx, cfg, "invite "+displayed(n.Name), func(acts *admin.Acts) error {
		invited, err := acts.Invite(ctx, terminal(), n.newcomer())
		line = InvitationLine{invited.ID, invited.Name, invited.Link, invited.Until.Unix()}
		return err
	})
	return line, err
}

// SetRole changes what a person may do in the administration.
func SetRole(ctx context.Context, cfg Config, name, role, reason string) error {
	return onPerson(ctx, cfg, "change the role of", name, func(acts *admin.Acts, a account.Account) error {
		_, err := acts.SetRole(ctx, terminal(), a.ID, a.Role, roleNamed(role), reason)
		return err
	})
}

// SetAttributes replaces what APIs may be told of a person.
func SetAttributes(ctx context.Context, cfg Config, name string, claims map[string]string, reason string) error {
	return onPerson(ctx, cfg, "change the attributes of", name, func(acts *admin.Acts, a account.Account) error {
		_, err := acts.SetClaims(ctx, terminal(), a.ID, a.Claims, claims, reason)
		return err
	})
}

// SetPassword gives a person a password, and signs them out everywhere.
func SetPassword(ctx context.Context, cfg Config, name, password string) error {
	return onPerson(ctx, cfg, "set the password of", name, func(acts *admin.Acts, a account.Account) error {
		_, err := acts.SetPassword(ctx, terminal(), a.ID, password)
		return err
	})
}

// onPerson runs an act on the account of a name.
func onPerson(ctx context.Context, cfg Config, what, name string, act func(acts *admin.Acts, a account.Account) error) error {
	what += " " + displayed(name)
	return inActs(ctx, cfg, what, func(acts *admin.Acts) error {
		normal, err := account.Normalize(name)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		a, err := acts.Accounts.AccountByName(ctx, normal)
		if errors.Is(err, account.ErrNotFound) {
			return fmt.Errorf("%s: nobody has this name; see `gatehouse person list`", what)
		}
		if err != nil {
			return err
		}
		return act(acts, a)
	})
}

// displayed is a name as it is stored, or as it was typed if it cannot be.
func displayed(name string) string {
	if normal, err := account.Normalize(name); err == nil {
		return normal
	}
	return fmt.Sprintf("%.100q", name)
}

// recorded performs an act of an administrator between its two audit entries:
// what cannot be recorded does not happen.
func recorded(ctx context.Context, db *sqlstore.DB, entry audit.Entry, act func() error) error {
	now := time.Now()
	entry.ID, entry.Time, entry.Kind, entry.Outcome = audit.NewID(now), now.UnixMilli(), audit.Admin, audit.Started
	if err := db.Append(ctx, entry); err != nil {
		return err
	}
	err := act()
	outcome, reason := audit.Done, entry.Reason
	if err != nil {
		outcome, reason = audit.Failed, err.Error()
	}
	return errors.Join(err, db.Finish(ctx, entry.ID, outcome, reason, entry.Detail))
}

// Migrate brings the database up to date.
func Migrate(ctx context.Context, cfg Config) error {
	db, err := OpenStore(ctx, cfg, Options{Migrate: true})
	if err != nil {
		return err
	}
	return db.Close()
}
