package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	// anyClosed tells whether looking into closures is worth while.
	anyClosed    = `EXISTS (SELECT 1 FROM pauses p WHERE p.subject IN ('api', 'tool'))`
	selectClosed = `SELECT subject, id, ended FROM pauses WHERE subject IN ('api', 'tool')`
	countTools   = `SELECT count(*) FROM pauses WHERE subject = 'tool' AND id <> $1`
	selectStops  = `SELECT subject, id, reason, since, ended FROM pauses ORDER BY since DESC, subject, id`
	onlyPaused   = ` AND ended = 0`
	onlyEnded    = ` AND ended = 1`
	selectEnded  = `SELECT ended FROM pauses WHERE subject = $1 AND id = $2`
	insertEnd    = `INSERT INTO pauses (subject, id, reason, since, ended) VALUES ($1, $2, $3, $4, 1)
		ON CONFLICT (subject, id) DO UPDATE SET reason = excluded.reason, since = excluded.since, ended = 1 WHERE pauses.ended = 0`
)

// EndAll implements grant.Stops.
func (d *DB) EndAll(ctx context.Context, subject, id, reason string, now time.Time) (grants int, err error) {
	switch subject {
	case oauth.SubjectClient:
		return d.EndClient(ctx, id, now)
	case oauth.SubjectAccount:
		return d.EndAccount(ctx, id, now)
	case oauth.SubjectAPI, oauth.SubjectTool, oauth.SubjectEverything, oauth.SubjectGrant:
	default:
		return 0, fmt.Errorf("end %s %s: there is no such subject", subject, id)
	}
	var refusal error // apart from the step's error, which would name the step
	err = d.do(ctx, "end "+subject, func(ctx context.Context, q runner) error {
		if subject != oauth.SubjectGrant {
			if refusal, err = shut(ctx, q, subject, id, reason, now); refusal != nil || err != nil {
				return err
			}
		}
		n, err := endGrantsUnder(ctx, q, subject, id, now)
		if err != nil {
			return err
		}
		if grants = int(n); n == 0 && subject == oauth.SubjectGrant {
			refusal = grant.ErrNotFound
			return nil
		}
		return announce(ctx, q, subject, id, now)
	})
	return grants, errors.Join(err, refusal)
}

// shut closes an API, a tool or everything for good.
func shut(ctx context.Context, q runner, subject, id, reason string, now time.Time) (refusal, err error) {
	if refusal, err = roomFor(ctx, q, subject, id); refusal != nil || err != nil {
		return refusal, err
	}
	n, err := changed(q.ExecContext(ctx, insertEnd, subject, id, reason, now.Unix()))
	if err == nil && n == 0 {
		refusal = grant.ErrEnded
	}
	return refusal, err
}

// endGrantsUnder ends what hangs off a subject and returns how many grants.
func endGrantsUnder(ctx context.Context, q runner, subject, id string, now time.Time) (int64, error) {
	switch subject {
	case oauth.SubjectGrant:
		return changed(q.ExecContext(ctx, endGrant, id, now.Unix()))
	case oauth.SubjectAPI:
		if _, err := q.ExecContext(ctx, `DELETE FROM requests WHERE resource = $1`, id); err != nil {
			return 0, err
		}
		return changed(q.ExecContext(ctx, endGrantsOf+`resource = $1`, id, now.Unix()))
	case oauth.SubjectEverything:
		for _, query := range []string{`DELETE FROM requests`, `DELETE FROM sessions`} {
			if _, err := q.ExecContext(ctx, query); err != nil {
				return 0, err
			}
		}
		return changed(q.ExecContext(ctx, `UPDATE grants SET ended_at = $1 WHERE ended_at IS NULL`, now.Unix()))
	}
	return 0, nil // under a tool there are none: grants are for an API
}

// Reopen implements grant.Stops. A grant that was on its way into the store
// while its API was ended ends now.
func (d *DB) Reopen(ctx context.Context, subject, id string, now time.Time) (reopened bool, err error) {
	err = d.do(ctx, "reopen "+subject, func(ctx context.Context, q runner) error {
		n, err := changed(q.ExecContext(ctx, deletePause+onlyEnded, subject, id))
		if reopened = n > 0; err != nil || !reopened {
			return err
		}
		if _, err := endGrantsUnder(ctx, q, subject, id, now); err != nil {
			return err
		}
		return announce(ctx, q, subject, id, now)
	})
	return reopened, err
}

// roomFor refuses more single tools than gateways can be told of.
func roomFor(ctx context.Context, q runner, subject, id string) (refusal, err error) {
	if subject != oauth.SubjectTool {
		return nil, nil
	}
	var n int
	err = q.QueryRowContext(ctx, countTools, id).Scan(&n)
	if err == nil && n >= grant.MaxClosedTools {
		refusal = grant.ErrTooManyClosed
	}
	return refusal, err
}

// endedRefusal is grant.ErrEnded if a subject was ended.
func endedRefusal(ctx context.Context, q runner, subject, id string) (refusal, err error) {
	var ended int
	err = q.QueryRowContext(ctx, selectEnded, subject, id).Scan(&ended)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err == nil && ended == 1:
		refusal = grant.ErrEnded
	}
	return refusal, err
}

// Stops implements grant.Stops.
func (d *DB) Stops(ctx context.Context) ([]grant.Stop, error) {
	var list []grant.Stop
	err := d.each(ctx, "list stops", func(rows *sql.Rows) error {
		var s grant.Stop
		var ended int
		err := rows.Scan(&s.Subject, &s.ID, &s.Reason, &s.Since, &ended)
		s.Ended = ended == 1
		list = append(list, s)
		return err
	}, selectStops)
	return list, err
}

// Closed implements grant.Feed.
func (d *DB) Closed(ctx context.Context) (map[string]*oauth.Closed, error) {
	var closed map[string]*oauth.Closed
	// Mostly nothing is, and each poll of the feed wants to know.
	var some bool
	err := d.reader.QueryRowContext(ctx, `SELECT `+anyClosed).Scan(&some)
	if err != nil {
		return nil, fmt.Errorf("read what is closed: %w", err)
	}
	if !some {
		return nil, nil
	}
	err = d.each(ctx, "read what is closed", func(rows *sql.Rows) error {
		var subject, id string
		var ended int
		if err := rows.Scan(&subject, &id, &ended); err != nil {
			return err
		}
		how := oauth.Paused
		if ended == 1 {
			how = oauth.Ended
		}
		resource, tool := oauth.CutTool(id)
		if closed == nil {
			closed = map[string]*oauth.Closed{}
		}
		c := closed[resource]
		if c == nil {
			c = &oauth.Closed{}
			closed[resource] = c
		}
		if subject == oauth.SubjectAPI {
			c.API = how
			return nil
		}
		if c.Tools == nil {
			c.Tools = map[string]oauth.Closure{}
		}
		c.Tools[tool] = how
		return nil
	}, selectClosed)
	return closed, err
}
