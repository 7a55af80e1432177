package sqlstore

import (
	"context"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
)

const (
	sweepBatch = 500 // rows that one transaction removes, so that nobody waits long for it
	// codeKept is how long a code outlives its expiry, for replays to be told
	// apart from unknown codes. No token that was issued for it lives longer.
	codeKept = time.Hour
	// unusedKept is how long a client that registered itself stays while nobody
	// allows it anything.
	unusedKept = 7 * 24 * time.Hour
)

// Sweep removes what expired and returns how many rows. Nothing depends on it
// but the size of the database. Grants stay: the audit log names them.
func (d *DB) Sweep(ctx context.Context, now time.Time) (removed int, err error) {
	// Of the one table whose times are microseconds; at most MaxMessages rows.
	if _, err := d.exec(ctx, "sweep", `DELETE FROM messages WHERE at <= $1`, now.Add(-inspect.MaxAge).UnixMicro()); err != nil {
		return 0, err
	}
	for _, s := range []struct {
		query string
		until time.Time
	}{
		{`DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE expires_at <= $1 LIMIT $2)`, now},
		{`DELETE FROM codes WHERE hash IN (SELECT hash FROM codes WHERE expires_at <= $1 LIMIT $2)`, now.Add(-codeKept)},
		{`DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at <= $1 LIMIT $2)`, now},
		{`DELETE FROM refresh_tokens WHERE hash IN (SELECT r.hash FROM refresh_tokens r JOIN families f ON f.id = r.family
			WHERE f.expires_at <= $1 LIMIT $2)`, now},
		{`DELETE FROM families WHERE id IN (SELECT f.id FROM families f WHERE f.expires_at <= $1
			AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.family = f.id) LIMIT $2)`, now},
		{`DELETE FROM missing_scopes WHERE grant_id IN (SELECT grant_id FROM missing_scopes WHERE noted_at <= $1 LIMIT $2)
			AND noted_at <= $1`, now.Add(-grant.MissingLifetime)},
		{`DELETE FROM clients WHERE id IN (SELECT c.id FROM clients c WHERE c.origin = 'registered' AND c.created_at <= $1
			AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.client_id = c.id) LIMIT $2)`, now.Add(-unusedKept)},
		{`DELETE FROM events WHERE number IN (SELECT number FROM events WHERE at <= $1 ORDER BY number LIMIT $2)`, now.Add(-grant.EventLifetime)},
		{`DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at <= $1 LIMIT $2)`, now},
		{`DELETE FROM invitations WHERE account_id IN (SELECT account_id FROM invitations WHERE expires_at <= $1 LIMIT $2)`, now},
		{`DELETE FROM inspections WHERE until <= $1 AND id IN (SELECT id FROM inspections WHERE until <= $1 LIMIT $2)`, now},
		{`DELETE FROM assertions WHERE hash IN (SELECT hash FROM assertions WHERE expires_at <= $1 LIMIT $2)`, now},
	} {
		for {
			n, err := d.exec(ctx, "sweep", s.query, s.until.Unix(), sweepBatch)
			removed += int(n)
			if err != nil {
				return removed, err
			}
			if n < sweepBatch {
				break
			}
		}
	}
	return removed, nil
}
