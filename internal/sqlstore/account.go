package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

const (
	insertAccount = `INSERT INTO accounts (id, name, password_hash, claims, role, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`
	accountColumns      = `a.id, a.name, a.password_hash, a.claims, a.role, a.created_at`
	selectAccount       = `SELECT ` + accountColumns + ` FROM accounts a WHERE a.id = $1`
	selectAccountByName = `SELECT ` + accountColumns + ` FROM accounts a WHERE a.name = $1`
	updatePassword      = `UPDATE accounts SET password_hash = $2 WHERE id = $1`
	updateClaims        = `UPDATE accounts SET claims = $2 WHERE id = $1 AND (claims = $3 OR $4 = 1 AND claims IN ('{}', 'null'))`
	updateRole          = `UPDATE accounts SET role = $2 WHERE id = $1`
	insertSession       = `INSERT INTO sessions (hash, account_id, amr, auth_time, expires_at) VALUES ($1, $2, $3, $4, $5)`
	deleteSession       = `DELETE FROM sessions WHERE hash = $1`
	selectSession       = `SELECT s.amr, s.auth_time, s.expires_at, ` + accountColumns + `
		FROM sessions s JOIN accounts a ON a.id = s.account_id WHERE s.hash = $1 AND s.expires_at > $2
		AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.subject = 'account' AND p.id = a.id)`
)

// AddAccount implements account.Store.
func (d *DB) AddAccount(ctx context.Context, a account.Account) error {
	claims, err := toJSON(a.Claims)
	if err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	n, err := d.exec(ctx, "add account", insertAccount, a.ID, a.Name, a.PasswordHash, claims, string(a.Role), a.CreatedAt)
	if err == nil && n == 0 {
		return account.ErrExists
	}
	return err
}

// EnsureAccount implements account.Store.
func (d *DB) EnsureAccount(ctx context.Context, a account.Account) (account.Account, error) {
	// Most names that sign in are known: then nothing is written.
	if known, err := d.AccountByName(ctx, a.Name); err == nil {
		return known, nil
	}
	claims, err := toJSON(a.Claims)
	if err != nil {
		return account.Account{}, fmt.Errorf("ensure account: %w", err)
	}
	var stored account.Account
	err = d.do(ctx, "ensure account", func(ctx context.Context, q runner) error {
		_, err := q.ExecContext(ctx, insertAccount, a.ID, a.Name, a.PasswordHash, claims, string(a.Role), a.CreatedAt)
		if err != nil {
			return err
		}
		stored, err = scanAccount(q.QueryRowContext(ctx, selectAccountByName, a.Name))
		return err
	})
	if err != nil {
		return account.Account{}, err
	}
	return stored, nil
}

// Account implements account.Store.
func (d *DB) Account(ctx context.Context, id string) (account.Account, error) {
	a, err := scanAccount(d.reader.QueryRowContext(ctx, selectAccount, id))
	return a, found("read account", err, account.ErrNotFound)
}

// AccountByName implements account.Store.
func (d *DB) AccountByName(ctx context.Context, name string) (account.Account, error) {
	a, err := scanAccount(d.reader.QueryRowContext(ctx, selectAccountByName, name))
	return a, found("read account", err, account.ErrNotFound)
}

// SetPassword implements account.Store.
func (d *DB) SetPassword(ctx context.Context, id, hash string) error {
	n, err := d.exec(ctx, "set password", updatePassword, id, hash)
	if err == nil && n == 0 {
		return account.ErrNotFound
	}
	return err
}

// SetClaims implements account.Store.
func (d *DB) SetClaims(ctx context.Context, id string, was, claims map[string]string, now time.Time) error {
	before, errWas := toJSON(was)
	text, err := toJSON(claims)
	if err = errors.Join(errWas, err); err != nil {
		return fmt.Errorf("set claims: %w", err)
	}
	none := 0
	if len(was) == 0 { // none are written in two ways
		none = 1
	}
	var n int64
	err = d.do(ctx, "set claims", func(ctx context.Context, q runner) (err error) {
		if n, err = changed(q.ExecContext(ctx, updateClaims, id, text, before, none)); err != nil || n == 0 {
			return err
		}
		return announce(ctx, q, oauth.SubjectAccount, id, now)
	})
	if err == nil && n == 0 {
		if _, err = d.Account(ctx, id); err == nil {
			err = account.ErrChanged
		}
	}
	return err
}

// SetRole implements account.Store.
func (d *DB) SetRole(ctx context.Context, id string, r account.Role) error {
	n, err := d.exec(ctx, "set role", updateRole, id, string(r))
	if err == nil && n == 0 {
		return account.ErrNotFound
	}
	return err
}

// StartSession implements account.Store.
func (d *DB) StartSession(ctx context.Context, s account.Session, replaced secret.Hash) error {
	amr := toWords(s.AMR)
	return d.do(ctx, "start session", func(ctx context.Context, q runner) error {
		if replaced != "" {
			if _, err := q.ExecContext(ctx, deleteSession, string(replaced)); err != nil {
				return err
			}
		}
		_, err := q.ExecContext(ctx, insertSession, string(s.Hash), s.AccountID, amr, s.AuthTime, s.ExpiresAt)
		return err
	})
}

// Session implements account.Store.
func (d *DB) Session(ctx context.Context, h secret.Hash, now time.Time) (account.Session, account.Account, error) {
	s := account.Session{Hash: h}
	var amr string
	a, err := scanAccount(d.reader.QueryRowContext(ctx, selectSession, string(h), now.Unix()), &amr, &s.AuthTime, &s.ExpiresAt)
	if err != nil {
		return account.Session{}, account.Account{}, found("read session", err, account.ErrNotFound)
	}
	s.AccountID, s.AMR = a.ID, fromWords(amr)
	return s, a, nil
}

// EndSession implements account.Store.
func (d *DB) EndSession(ctx context.Context, h secret.Hash) error {
	_, err := d.exec(ctx, "end session", deleteSession, string(h))
	return err
}

// EndSessions implements account.Store.
func (d *DB) EndSessions(ctx context.Context, accountID string) error {
	_, err := d.exec(ctx, "end sessions", deleteSessions, accountID)
	return err
}

// scanAccount reads accountColumns after what else was selected.
func scanAccount(row scanner, before ...any) (account.Account, error) {
	var a account.Account
	var claims string
	if err := row.Scan(append(before, &a.ID, &a.Name, &a.PasswordHash, &claims, (*string)(&a.Role), &a.CreatedAt)...); err != nil {
		return account.Account{}, err
	}
	if err := fromJSON(claims, &a.Claims); err != nil {
		return account.Account{}, err
	}
	return a, nil
}
