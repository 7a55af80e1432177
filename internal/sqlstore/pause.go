package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	// notPaused belongs to every statement that reads what works only while
	// nothing about its grant g is paused. The table is small.
	notPaused = ` AND NOT EXISTS (SELECT 1 FROM pauses p WHERE (p.subject = 'everything' AND g.client_id NOT IN ('` + client.ConsoleID + `', '` + client.TerminalID + `'))
		OR (p.subject = 'grant' AND p.id = g.id) OR (p.subject = 'client' AND p.id = g.client_id)
		OR (p.subject = 'account' AND p.id = g.account_id))`
	insertPause = `INSERT INTO pauses (subject, id, reason, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	deletePause = `DELETE FROM pauses WHERE subject = $1 AND id = $2`
	countPauses = `SELECT count(*) FROM pauses p WHERE (p.subject = 'everything' AND $4 = 0) OR (p.subject = 'grant' AND p.id = $1)
		OR (p.subject = 'client' AND p.id = $2) OR (p.subject = 'account' AND p.id = $3)`
)

// Pause implements grant.Stops: tokens are worth nothing, refresh tokens are
// refused without being consumed, and the sessions of an account are ended. What
// is paused of APIs and tools is for gateways to refuse.
// account.ErrLastAdministrator if nobody else could take the pause back.
func (d *DB) Pause(ctx context.Context, subject, id, reason string, now time.Time) (paused bool, err error) {
	var refusal error // apart from the step's error, which would name the step
	err = d.do(ctx, "pause", func(ctx context.Context, q runner) error {
		if subject == oauth.SubjectAccount {
			if refusal, err = leavesAdministrator(ctx, q, id); refusal != nil || err != nil {
				return err
			}
		}
		if refusal, err = roomFor(ctx, q, subject, id); refusal != nil || err != nil {
			return err
		}
		n, err := changed(q.ExecContext(ctx, insertPause, subject, id, reason, now.Unix()))
		if err == nil && n == 0 {
			refusal, err = endedRefusal(ctx, q, subject, id)
		}
		if paused = n > 0; err != nil || n == 0 {
			return err
		}
		if subject == oauth.SubjectAccount {
			if _, err := q.ExecContext(ctx, deleteSessions, id); err != nil {
				return err
			}
		}
		return announce(ctx, q, subject, id, now)
	})
	return paused, errors.Join(err, refusal)
}

// Resume implements grant.Stops.
func (d *DB) Resume(ctx context.Context, subject, id string) (resumed bool, err error) {
	n, err := d.exec(ctx, "resume", deletePause+onlyPaused, subject, id)
	if err != nil || n > 0 {
		return n > 0, err
	}
	refusal, err := endedRefusal(ctx, d.reader, subject, id)
	return false, errors.Join(err, refusal)
}

// Paused implements grant.Pauses.
func (d *DB) Paused(ctx context.Context, p grant.Parties) error {
	var n, exempt int
	if p.Administration {
		exempt = 1
	}
	if err := d.reader.QueryRowContext(ctx, countPauses, p.Grant, p.Client, p.Account, exempt).Scan(&n); err != nil {
		return fmt.Errorf("read pauses: %w", err)
	}
	if n > 0 {
		return grant.ErrPaused
	}
	return nil
}
