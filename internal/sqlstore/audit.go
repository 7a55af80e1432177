package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"gatehouse/internal/audit"
)

const (
	insertEntry = `INSERT INTO audit (id, at, kind, outcome, account_id, client_id, grant_id, api, tool, reason,
		request_id, detail, result, shipped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	finishEntry = `UPDATE audit SET outcome = $2, reason = $3, result = $4 WHERE id = $1 AND outcome = $5`
	recent      = `SELECT ` + entryColumns + ` FROM audit ORDER BY seq DESC LIMIT $1`
	// noteRefused keeps what did not go well where it is found among all else.
	noteRefused = `INSERT INTO audit_refused (outcome, at, seq) SELECT outcome, at, seq FROM audit WHERE id = $1
		AND outcome IN ('denied', 'failed') ON CONFLICT DO NOTHING`
)

// Append implements audit.Store.
func (d *DB) Append(ctx context.Context, e audit.Entry) error { return d.insertEntry(ctx, e, false) }

// Enqueue implements audit.Store. It returns once the operating system has the
// entry, so that the end of this process cannot lose it; only the disk is not
// waited for. On PostgreSQL it is as durable as Append.
func (d *DB) Enqueue(ctx context.Context, e audit.Entry) error { return d.insertEntry(ctx, e, true) }

// Finish implements audit.Store. It adds detail to what the entry has, and
// fails if the entry is not there or was finished before.
func (d *DB) Finish(ctx context.Context, id string, o audit.Outcome, reason string, detail map[string]string) error {
	result, err := toJSON(detail)
	if err != nil {
		return fmt.Errorf("finish audit entry: %w", err)
	}
	return d.record(ctx, "finish audit entry", true, func(ctx context.Context, q runner) error {
		n, err := changed(q.ExecContext(ctx, finishEntry, id, string(o), reason, result, string(audit.Started)))
		if err == nil && n == 0 {
			return fmt.Errorf("entry %s is not there or finished already", id)
		}
		if err != nil {
			return err
		}
		return refused(ctx, q, id, o)
	})
}

// Recent implements audit.Store.
func (d *DB) Recent(ctx context.Context, limit int) ([]audit.Entry, error) {
	rows, err := d.pool.QueryContext(ctx, recent, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer rows.Close()
	var entries []audit.Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return entries, nil
}

func (d *DB) insertEntry(ctx context.Context, e audit.Entry, relaxed bool) error {
	detail, err := toJSON(e.Detail)
	if err != nil {
		return fmt.Errorf("append audit entry: %w", err)
	}
	return d.record(ctx, "append audit entry", relaxed, func(ctx context.Context, q runner) error {
		_, err := q.ExecContext(ctx, insertEntry, e.ID, e.Time, string(e.Kind), string(e.Outcome), e.AccountID,
			e.ClientID, e.GrantID, e.API, e.Tool, e.Reason, e.RequestID, detail, "", d.shipped)
		if err != nil {
			return err
		}
		return refused(ctx, q, e.ID, e.Outcome)
	})
}

// refused notes an entry of which this is the outcome, if it did not go well.
func refused(ctx context.Context, q runner, id string, o audit.Outcome) error {
	if o != audit.Denied && o != audit.Failed {
		return nil
	}
	_, err := q.ExecContext(ctx, noteRefused, id)
	return err
}

// record hands a step to the writer without waiting for room: what the entry
// tells of must not wait for a log that falls behind.
func (d *DB) record(ctx context.Context, what string, relaxed bool, s step) error {
	err := d.writer.do(ctx, &job{run: s, relaxed: relaxed})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errFull), errors.Is(err, errClosed):
		return fmt.Errorf("%s: %w: %w", what, audit.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// scanEntry reads entryColumns, behind what else the row begins with.
func scanEntry(row scanner, first ...any) (audit.Entry, error) {
	var e audit.Entry
	var detail, result string
	err := row.Scan(append(first, &e.ID, &e.Time, (*string)(&e.Kind), (*string)(&e.Outcome), &e.AccountID, &e.ClientID, &e.GrantID,
		&e.API, &e.Tool, &e.Reason, &e.RequestID, &detail, &result)...)
	if err != nil {
		return audit.Entry{}, err
	}
	var added map[string]string
	if err := errors.Join(fromJSON(detail, &e.Detail), fromJSON(result, &added)); err != nil {
		return audit.Entry{}, err
	}
	if e.Detail == nil {
		e.Detail = added
	} else {
		maps.Copy(e.Detail, added)
	}
	return e, nil
}
