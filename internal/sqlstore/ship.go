package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gatehouse/internal/audit"
)

// What a gateway of its own process has sent of an entry.
const (
	shippedNothing = iota
	shippedBegin
	shippedAll
)

const (
	// A call that has not ended is sent after a while all the same: its process
	// may be gone.
	selectUnshipped = `SELECT ` + entryColumns + ` FROM audit WHERE shipped < 2 AND (outcome <> 'started' OR shipped = 0 AND at < $1) ORDER BY seq LIMIT $2`
	// An entry that has ended meanwhile is sent again.
	markShipped  = `UPDATE audit SET shipped = $2 WHERE id = $1 AND outcome = $3`
	pruneShipped = `DELETE FROM audit WHERE shipped = 2 AND at < $1`
	pruneRefused = `DELETE FROM audit_refused WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.seq = audit_refused.seq)`
	// An entry that is there is one that was sent again, or its end.
	receiveEntry = `INSERT INTO audit (id, at, kind, outcome, account_id, client_id, grant_id, api, tool, reason,
		request_id, detail, result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '')
		ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason, detail = excluded.detail
		WHERE audit.outcome = 'started' AND excluded.outcome <> 'started'`
)

// Unshipped implements audit.Outbox.
func (d *DB) Unshipped(ctx context.Context, began time.Time, limit int) ([]audit.Entry, error) {
	var entries []audit.Entry
	err := d.each(ctx, "read what is to be sent of the audit log", func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		entries = append(entries, e)
		return err
	}, selectUnshipped, began.UnixMilli(), limit)
	return entries, err
}

// Shipped implements audit.Outbox.
func (d *DB) Shipped(ctx context.Context, entries []audit.Entry) error {
	return d.do(ctx, "mark audit entries as sent", func(ctx context.Context, q runner) error {
		for _, e := range entries {
			how := shippedAll
			if e.Outcome == audit.Started {
				how = shippedBegin
			}
			if _, err := q.ExecContext(ctx, markShipped, e.ID, how, string(e.Outcome)); err != nil {
				return err
			}
		}
		return nil
	})
}

// PruneShipped implements audit.Outbox. In a store that ships nothing it would
// remove everything, so there it does nothing.
func (d *DB) PruneShipped(ctx context.Context, before time.Time) error {
	if d.shipped == shippedAll {
		return nil
	}
	return d.do(ctx, "remove audit entries that were sent", func(ctx context.Context, q runner) error {
		if _, err := q.ExecContext(ctx, pruneShipped, before.UnixMilli()); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, pruneRefused, before.UnixMilli())
		return err
	})
}

// Receive implements audit.Inbox.
func (d *DB) Receive(ctx context.Context, entries []audit.Entry) error {
	rows := make([][]any, len(entries))
	for i, e := range entries {
		detail, err := toJSON(e.Detail)
		if err != nil {
			return fmt.Errorf("receive audit entries: %w", err)
		}
		rows[i] = []any{e.ID, e.Time, string(e.Kind), string(e.Outcome), e.AccountID, e.ClientID, e.GrantID, e.API, e.Tool, e.Reason, e.RequestID, detail}
	}
	return d.do(ctx, "receive audit entries", func(ctx context.Context, q runner) error {
		for i, row := range rows {
			if _, err := q.ExecContext(ctx, receiveEntry, row...); err != nil {
				return err
			}
			if err := refused(ctx, q, entries[i].ID, entries[i].Outcome); err != nil {
				return err
			}
		}
		return nil
	})
}
