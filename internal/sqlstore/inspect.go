package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/internal/inspect"
)

var _ inspect.Store = (*DB)(nil)

const (
	insertMessage = `INSERT INTO messages (at, kind, client_id, grant_id, account_id, request, peer, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	// The newest of messages number maxSeq; those that far behind it go.
	dropOldest     = `DELETE FROM messages WHERE seq <= (SELECT max(seq) FROM messages) - $1`
	selectMessages = `SELECT at, kind, client_id, grant_id, account_id, request, peer, detail FROM messages WHERE at > $1 `
	byTime         = ` ORDER BY at, seq`
	// What has no account yet may be of the same request or client; which of it
	// is, package inspect decides.
	ofAccount = `AND (account_id = $2 OR account_id = '' AND (client_id = '' OR client_id IN
		(SELECT client_id FROM messages WHERE account_id = $2)))`
	ofClient = `AND (client_id = $2 OR client_id = '')`

	selectInspections = `SELECT subject, id, since, until, reason FROM inspections WHERE until > $1 ORDER BY subject, id`
	putInspection     = `INSERT INTO inspections (subject, id, since, until, reason) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (subject, id) DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason`
	deleteInspection = `DELETE FROM inspections WHERE subject = $1 AND id = $2`
)

// SaveMessages implements inspect.Store.
func (d *DB) SaveMessages(ctx context.Context, list []inspect.Message) error {
	details := make([]string, len(list))
	for i, m := range list {
		text, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("save messages: %w", err)
		}
		details[i] = string(text)
	}
	// Nobody waits for these, and nothing is lost that matters: no fsync of their own.
	err := d.writer.do(ctx, &job{relaxed: true, wait: true, run: func(ctx context.Context, q runner) error {
		for i, m := range list {
			if _, err := q.ExecContext(ctx, insertMessage, m.Time, string(m.Kind), m.ClientID, m.GrantID, m.AccountID, m.AuthRequest, m.Peer, details[i]); err != nil {
				return err
			}
		}
		_, err := q.ExecContext(ctx, dropOldest, inspect.MaxMessages)
		return err
	}})
	if err != nil {
		return fmt.Errorf("save messages: %w", err)
	}
	return nil
}

// Messages implements inspect.Store.
func (d *DB) Messages(ctx context.Context, f inspect.Filter) ([]inspect.Message, error) {
	query, args := selectMessages, []any{f.Since.UnixMicro()}
	switch {
	case f.AccountID != "":
		query, args = query+ofAccount, append(args, f.AccountID)
	case f.ClientID != "":
		query, args = query+ofClient, append(args, f.ClientID)
	}
	var list []inspect.Message
	err := d.each(ctx, "read messages", func(rows *sql.Rows) error {
		var m inspect.Message
		var detail string
		if err := rows.Scan(&m.Time, (*string)(&m.Kind), &m.ClientID, &m.GrantID, &m.AccountID, &m.AuthRequest, &m.Peer, &detail); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(detail), &m); err != nil {
			return err
		}
		list = append(list, m)
		return nil
	}, query+byTime, args...)
	return list, err
}

// Switches implements inspect.Store.
func (d *DB) Switches(ctx context.Context, now time.Time) ([]inspect.Switch, error) {
	var list []inspect.Switch
	err := d.each(ctx, "read what is recorded", func(rows *sql.Rows) error {
		var s inspect.Switch
		err := rows.Scan(&s.Subject, &s.ID, &s.Since, &s.Until, &s.Reason)
		list = append(list, s)
		return err
	}, selectInspections, now.Unix())
	return list, err
}

// TurnOn implements inspect.Store.
func (d *DB) TurnOn(ctx context.Context, s inspect.Switch) error {
	_, err := d.exec(ctx, "turn recording on", putInspection, s.Subject, s.ID, s.Since, s.Until, s.Reason)
	return err
}

// TurnOff implements inspect.Store.
func (d *DB) TurnOff(ctx context.Context, subject, id string) (bool, error) {
	n, err := d.exec(ctx, "turn recording off", deleteInspection, subject, id)
	return n > 0, err
}
