package agent

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/secret"
)

//go:embed schema.sql
var schema string

// schemaVersion is written into the database as its user_version.
const schemaVersion = 1

// Limits of what one person may have here.
const (
	maxServers = 20
	maxTools   = 200 // of one server
	maxChats   = 200
	maxEntries = 1000 // of one chat
)

// Errors of the store that a person can do something about.
var (
	errUnknown = errors.New("there is no such thing of this person")
	errTaken   = errors.New("it is there already")
	errFull    = errors.New("there are as many as there can be")
)

// Prepare makes an empty SQLite database ready; one that is ready stays as it
// is, and one of a newer version is refused.
func Prepare(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return fmt.Errorf("read the version of the agent's database: %w", err)
	}
	switch {
	case version == schemaVersion:
		return nil
	case version > schemaVersion:
		return fmt.Errorf("the agent's database has version %d and this program knows %d at most; use a newer program, or another folder", version, schemaVersion)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create the agent's database: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, schema+fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)); err != nil {
		return fmt.Errorf("create the agent's database: %w", err)
	}
	return tx.Commit()
}

// store is the agent's own database. Each method is one step.
type store struct {
	db  *sql.DB
	key string // seals what must not be read from the file
}

// account is a person of this organization; nobody of Gatehouse's.
type account struct{ ID, Name, password string }

func (s store) addAccount(ctx context.Context, a account) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO accounts (id, name, password, created_at) VALUES ($1, $2, $3, $4)`, a.ID, a.Name, a.password, time.Now().Unix())
	if err != nil && strings.Contains(err.Error(), "UNIQUE") {
		return errTaken
	}
	return err
}

func (s store) accountByName(ctx context.Context, name string) (account, error) {
	a := account{Name: name}
	err := s.db.QueryRowContext(ctx, `SELECT id, password FROM accounts WHERE name = $1`, name).Scan(&a.ID, &a.password)
	return a, known(err)
}

// known makes errUnknown of a missing row.
func known(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errUnknown
	}
	return err
}

const sessionLifetime = 12 * time.Hour

// startSession returns the value for the browser's cookie.
func (s store) startSession(ctx context.Context, account string) (value string, err error) {
	value, now := secret.New(""), time.Now()
	if _, err := s.db.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, now.Unix()); err != nil {
		return "", err
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO sessions (hash, account_id, expires_at) VALUES ($1, $2, $3)`, secret.Sum(value), account, now.Add(sessionLifetime).Unix())
	return value, err
}

func (s store) session(ctx context.Context, value string) (account, error) {
	var a account
	err := s.db.QueryRowContext(ctx, `SELECT accounts.id, accounts.name FROM sessions JOIN accounts ON accounts.id = account_id
		WHERE hash = $1 AND expires_at > $2`, secret.Sum(value), time.Now().Unix()).Scan(&a.ID, &a.Name)
	return a, known(err)
}

func (s store) endSession(ctx context.Context, value string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM sessions WHERE hash = $1`, secret.Sum(value))
	return err
}

// endSessions signs a person out everywhere.
func (s store) endSessions(ctx context.Context, account string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM sessions WHERE account_id = $1`, account)
	return err
}

// model is the language model that a person chose; the zero value is the
// planner.
type model struct{ BaseURL, Name, key string }

func (s store) model(ctx context.Context, account string) (model, error) {
	var m model
	var sealed string
	err := s.db.QueryRowContext(ctx, `SELECT base_url, name, sealed_key FROM models WHERE account_id = $1`, account).Scan(&m.BaseURL, &m.Name, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return model{}, nil
	}
	if err == nil && sealed != "" {
		var key []byte
		key, err = secret.Open(s.key, "model key of "+account, sealed)
		m.key = string(key)
	}
	return m, err
}

// setModel replaces the model. A key is bound to the address that it was given
// for: without a new one it stays only if that stays too.
func (s store) setModel(ctx context.Context, account string, m model) error {
	if m.BaseURL == "" {
		_, err := s.db.ExecContext(ctx, `DELETE FROM models WHERE account_id = $1`, account)
		return err
	}
	sealed := ""
	if m.key != "" {
		var err error
		if sealed, err = secret.Seal(s.key, "model key of "+account, []byte(m.key)); err != nil {
			return err
		}
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO models (account_id, base_url, name, sealed_key) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET
			sealed_key = CASE WHEN excluded.sealed_key = '' AND base_url = excluded.base_url THEN sealed_key ELSE excluded.sealed_key END,
			base_url = excluded.base_url, name = excluded.name`, account, m.BaseURL, m.Name, sealed)
	return err
}
