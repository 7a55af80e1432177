package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

const (
	// listedColumns use $1, which is now.
	listedColumns = accountColumns + `,
		(SELECT count(*) FROM pauses p WHERE p.subject = 'account' AND p.id = a.id),
		(SELECT count(*) FROM invitations i WHERE i.account_id = a.id AND i.expires_at > $1)`
	selectListed = `SELECT ` + listedColumns + ` FROM accounts a WHERE a.id = $2`
	// Names from $2 up to $3, after $4, at most $5: a range of an index.
	inNames   = ` a.name >= $2 AND a.name < $3 AND a.name > $4 `
	byName    = ` ORDER BY a.name LIMIT $5`
	listNamed = `SELECT ` + listedColumns + ` FROM accounts a WHERE` + inNames + byName
	listRole  = `SELECT ` + listedColumns + ` FROM accounts a WHERE a.role = $6 AND a.role <> '' AND` + inNames + byName
	// What is paused is little: it is sorted, so that no engine looks through
	// all names for it.
	listPaused = `SELECT ` + listedColumns + ` FROM pauses q CROSS JOIN accounts a WHERE q.subject = 'account' AND a.id = q.id AND` +
		inNames + `ORDER BY a.name || '' LIMIT $5`
	listInvited = `SELECT ` + listedColumns + ` FROM invitations n CROSS JOIN accounts a WHERE a.id = n.account_id AND n.expires_at > $1
		AND n.name >= $2 AND n.name < $3 AND n.name > $4 ORDER BY n.name LIMIT $5`

	listSessions = `SELECT hash, amr, auth_time, expires_at FROM sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY auth_time DESC, hash LIMIT $3`
	listGrantsOf = `SELECT coalesce(c.name, ''), ` + grantColumns + ` FROM grants g LEFT JOIN clients c ON c.id = g.client_id
		WHERE g.account_id = $1 AND ` + grantLive + ` ORDER BY g.created_at DESC, g.id LIMIT $3`
	listEntriesOf = `SELECT id, at, kind, outcome, account_id, client_id, grant_id, api, tool, reason, request_id,
		detail, result FROM audit WHERE account_id = $1 AND account_id <> '' ORDER BY at DESC LIMIT $2`

	// lockAdministrators makes those wait for one another who take an
	// administrator away.
	lockAdministrators = `UPDATE meta SET value = value WHERE name = 'administrators'`
	isAdministrator    = `SELECT count(*) FROM accounts WHERE id = $1 AND role = 'admin'`
	otherAdministrator = `SELECT count(*) FROM (SELECT 1 FROM accounts a WHERE a.role = 'admin' AND a.id <> $1 AND a.password_hash NOT IN ('', '` + account.Unset + `')
		AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.subject = 'account' AND p.id = a.id) LIMIT 1) o`
	putInvitation = `INSERT INTO invitations (account_id, hash, name, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at`
	selectInvitation = `SELECT ` + accountColumns + ` FROM invitations i JOIN accounts a ON a.id = i.account_id
		WHERE i.hash = $1 AND i.expires_at > $2 AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.subject = 'account' AND p.id = a.id)`
	takeInvitation = `DELETE FROM invitations WHERE hash = $1 AND expires_at > $2
		AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.subject = 'account' AND p.id = account_id) RETURNING account_id`
	deleteInvitation = `DELETE FROM invitations WHERE account_id = $1`
)

// ListPeople returns at most limit accounts by name.
func (d *DB) ListPeople(ctx context.Context, f account.Filter, limit int, now time.Time) ([]account.Listed, error) {
	args := []any{now.Unix(), f.Prefix, f.Prefix + string(utf8.MaxRune), f.After, limit}
	query := listNamed
	switch f.Only {
	case account.OnlyAdministrators, account.OnlyAuditors:
		query, args = listRole, append(args, f.Only)
	case account.OnlyPaused:
		query = listPaused
	case account.OnlyInvited:
		query = listInvited
	}
	var list []account.Listed
	err := d.each(ctx, "list people", func(rows *sql.Rows) error {
		l, err := scanListed(rows)
		list = append(list, l)
		return err
	}, query, args...)
	return list, err
}

// Person returns an account as lists have it, else account.ErrNotFound.
func (d *DB) Person(ctx context.Context, id string, now time.Time) (account.Listed, error) {
	l, err := scanListed(d.reader.QueryRowContext(ctx, selectListed, now.Unix(), id))
	return l, found("read account", err, account.ErrNotFound)
}

func scanListed(row scanner) (account.Listed, error) {
	var l account.Listed
	var claims string
	var paused, invited int
	err := row.Scan(&l.ID, &l.Name, &l.PasswordHash, &claims, (*string)(&l.Role), &l.CreatedAt, &paused, &invited)
	if err != nil {
		return account.Listed{}, err
	}
	l.PasswordHash, l.Paused, l.Invited = "", paused > 0, invited > 0
	return l, fromJSON(claims, &l.Claims)
}

// SessionsOf returns an account's live sessions, the newest first.
func (d *DB) SessionsOf(ctx context.Context, accountID string, limit int, now time.Time) ([]account.Session, error) {
	var list []account.Session
	err := d.each(ctx, "list sessions", func(rows *sql.Rows) error {
		s := account.Session{AccountID: accountID}
		var amr string
		err := rows.Scan((*string)(&s.Hash), &amr, &s.AuthTime, &s.ExpiresAt)
		s.AMR = fromWords(amr)
		list = append(list, s)
		return err
	}, listSessions, accountID, now.Unix(), limit)
	return list, err
}

// GrantsOf returns an account's live grants with the names of their clients,
// the newest first.
func (d *DB) GrantsOf(ctx context.Context, accountID string, limit int, now time.Time) ([]grant.Listed, error) {
	var list []grant.Listed
	err := d.each(ctx, "list grants", func(rows *sql.Rows) (err error) {
		var l grant.Listed
		l.Grant, err = scanGrant(rows, &l.Client)
		list = append(list, l)
		return err
	}, listGrantsOf, accountID, now.Unix(), limit)
	return list, err
}

// EntriesOf returns the newest audit entries of an account, newest first.
func (d *DB) EntriesOf(ctx context.Context, accountID string, limit int) ([]audit.Entry, error) {
	var list []audit.Entry
	err := d.each(ctx, "list audit entries", func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		list = append(list, e)
		return err
	}, listEntriesOf, accountID, limit)
	return list, err
}

// ChangeRole gives an account another role, and announces it: what it may do
// here is judged anew. account.ErrLastAdministrator if nobody else is left,
// account.ErrNotFound if there is no such account.
func (d *DB) ChangeRole(ctx context.Context, id string, was, r account.Role, now time.Time) error {
	var refusal error // apart from the step's error, which would name the step
	err := d.do(ctx, "change role", func(ctx context.Context, q runner) (err error) {
		if r != account.Administrator {
			if refusal, err = leavesAdministrator(ctx, q, id); refusal != nil || err != nil {
				return err
			}
		}
		n, err := changed(q.ExecContext(ctx, updateRole+` AND role = $3`, id, string(r), string(was)))
		if err == nil && n == 0 {
			refusal = account.ErrChanged
			if _, gone := d.Account(ctx, id); errors.Is(gone, account.ErrNotFound) {
				refusal = gone
			}
			return nil
		}
		if err != nil {
			return err
		}
		return announce(ctx, q, oauth.SubjectAccount, id, now)
	})
	return errors.Join(err, refusal)
}

// leavesAdministrator refuses to take away an account without which no
// administrator could sign in. Whoever asks is the first, until its transaction
// ends.
func leavesAdministrator(ctx context.Context, q runner, id string) (refusal, err error) {
	if _, err := q.ExecContext(ctx, lockAdministrators); err != nil {
		return nil, err
	}
	var n int
	if err := q.QueryRowContext(ctx, isAdministrator, id).Scan(&n); err != nil || n == 0 {
		return nil, err
	}
	if err := q.QueryRowContext(ctx, otherAdministrator, id).Scan(&n); err != nil || n > 0 {
		return nil, err
	}
	return account.ErrLastAdministrator, nil
}

// Invite stores an invitation in place of any other of its account. The account
// is stored with it if fresh; account.ErrExists if its name is taken. That of
// one that exists is signed out everywhere, and its password is none any more.
func (d *DB) Invite(ctx context.Context, a account.Account, fresh bool, i account.Invitation) error {
	claims, err := toJSON(a.Claims)
	if err != nil {
		return fmt.Errorf("invite: %w", err)
	}
	var refusal error // apart from the step's error, which would name the step
	err = d.do(ctx, "invite", func(ctx context.Context, q runner) error {
		if fresh {
			n, err := changed(q.ExecContext(ctx, insertAccount, a.ID, a.Name, account.Unset, claims, string(a.Role), a.CreatedAt))
			if err == nil && n == 0 {
				refusal = account.ErrExists
			}
			if err != nil || n == 0 {
				return err
			}
		} else if n, err := setPassword(ctx, q, a.ID, account.Unset); err != nil || n == 0 {
			refusal = account.ErrNotFound
			return err
		}
		_, err := q.ExecContext(ctx, putInvitation, a.ID, string(i.Hash), a.Name, i.ExpiresAt)
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}

// ResetPassword sets a password, ends the account's sessions and takes back its
// invitation; account.ErrNotFound if there is no such account.
func (d *DB) ResetPassword(ctx context.Context, id, hash string) error {
	var n int64
	err := d.do(ctx, "set password", func(ctx context.Context, q runner) (err error) {
		if n, err = setPassword(ctx, q, id, hash); err != nil {
			return err
		}
		_, err = q.ExecContext(ctx, deleteInvitation, id)
		return err
	})
	if err == nil && n == 0 {
		err = account.ErrNotFound
	}
	return err
}

// setPassword replaces a password: whoever signed in by the old one is out.
func setPassword(ctx context.Context, q runner, id, hash string) (int64, error) {
	n, err := changed(q.ExecContext(ctx, updatePassword, id, hash))
	if err != nil {
		return 0, err
	}
	_, err = q.ExecContext(ctx, deleteSessions, id)
	return n, err
}

// Invitation implements account.Invitations.
func (d *DB) Invitation(ctx context.Context, h secret.Hash, now time.Time) (account.Account, error) {
	a, err := scanAccount(d.reader.QueryRowContext(ctx, selectInvitation, string(h), now.Unix()))
	return a, found("read invitation", err, account.ErrNotFound)
}

// UseInvitation implements account.Invitations.
func (d *DB) UseInvitation(ctx context.Context, h secret.Hash, passwordHash string, now time.Time) error {
	missing := false
	err := d.do(ctx, "use invitation", func(ctx context.Context, q runner) error {
		var id string
		err := q.QueryRowContext(ctx, takeInvitation, string(h), now.Unix()).Scan(&id)
		if missing = errors.Is(err, sql.ErrNoRows); missing {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = setPassword(ctx, q, id, passwordHash)
		return err
	})
	if err == nil && missing {
		err = account.ErrNotFound
	}
	return err
}
