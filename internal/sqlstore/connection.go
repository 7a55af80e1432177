package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	// Of each grant the newest call, by the index audit_grant: few of its entries are others.
	selectConnections = `SELECT coalesce(a.tool, ''), coalesce(a.at, 0), coalesce(a.outcome, ''), ` + grantColumns + `
		FROM grants g LEFT JOIN audit a ON a.seq = (SELECT seq FROM audit WHERE kind = 'call'
			AND grant_id = g.id AND grant_id <> '' ORDER BY at DESC, seq DESC LIMIT 1)
		WHERE g.account_id = $1 AND ` + grantLive + ` ORDER BY g.created_at DESC, g.id`
	// lockOwn changes nothing, but locks the row until the transaction ends.
	lockOwn     = `UPDATE grants SET scopes = scopes WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND account_id = $3 RETURNING scopes`
	narrowGrant = `UPDATE grants SET scopes = $2 WHERE id = $1`
)

// Connections implements grant.Connections.
func (d *DB) Connections(ctx context.Context, accountID string, now time.Time) ([]grant.Connection, error) {
	var list []grant.Connection
	err := d.each(ctx, "list connections", func(rows *sql.Rows) (err error) {
		var c grant.Connection
		var at int64
		var outcome string
		if c.Grant, err = scanGrant(rows, &c.LastTool, &at, &outcome); err != nil {
			return err
		}
		if at != 0 {
			c.LastTime, c.LastWell = time.UnixMilli(at), audit.Outcome(outcome) == audit.Done
		}
		list = append(list, c)
		return nil
	}, selectConnections, accountID, now.Unix())
	return list, err
}

// Narrow implements grant.Connections.
func (d *DB) Narrow(ctx context.Context, accountID, grantID string, keep []string, now time.Time) error {
	return d.own(ctx, "narrow connection", accountID, grantID, now, func(q runner, scopes []string) error {
		left := oauth.Intersect(scopes, keep)
		if len(left) == 0 {
			return grant.ErrNotFound
		}
		if _, err := q.ExecContext(ctx, narrowGrant, grantID, toWords(left)); err != nil {
			return err
		}
		return announce(ctx, q, oauth.SubjectGrant, grantID, now)
	})
}

// EndConnection implements grant.Connections.
func (d *DB) EndConnection(ctx context.Context, accountID, grantID string, now time.Time) error {
	return d.own(ctx, "end connection", accountID, grantID, now, func(q runner, _ []string) error {
		return endOneGrant(ctx, q, grantID, now)
	})
}

// own runs act on a live grant of an account, which nobody else changes
// meanwhile.
func (d *DB) own(ctx context.Context, what, accountID, grantID string, now time.Time, act func(q runner, scopes []string) error) error {
	missing := false
	err := d.do(ctx, what, func(ctx context.Context, q runner) error {
		var scopes string
		err := q.QueryRowContext(ctx, lockOwn, grantID, now.Unix(), accountID).Scan(&scopes)
		if missing = errors.Is(err, sql.ErrNoRows); missing {
			return nil
		}
		if err != nil {
			return err
		}
		return act(q, fromWords(scopes))
	})
	if err == nil && missing {
		err = grant.ErrNotFound
	}
	return err
}
