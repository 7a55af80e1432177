package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	// nextEvent holds the counter's row until its transaction ends, so that the
	// one with the next number commits after it (security.md 10).
	nextEvent   = `UPDATE feed SET number = number + 1 RETURNING number`
	insertEvent = `INSERT INTO events (number, subject, id, at) VALUES ($1, $2, $3, $4)`

	selectPosition = `SELECT epoch, number FROM feed`
	selectEvents   = `SELECT f.number, e.number, e.subject, e.id FROM feed f JOIN events e
		ON e.number > $1 AND e.number <= f.number ORDER BY e.number LIMIT $2`

	endGrantsOf    = `UPDATE grants SET ended_at = $2 WHERE ended_at IS NULL AND `
	deleteSessions = `DELETE FROM sessions WHERE account_id = $1`
	deleteClient   = `DELETE FROM clients WHERE id = $1 AND origin NOT IN ('gateway', 'console')`
)

// announce appends an event to the feed. It comes last in its transaction:
// other transactions that revoke wait from here on, and none of them may hold
// what this one still needs.
func announce(ctx context.Context, q runner, subject, id string, now time.Time) error {
	var number int64
	if err := q.QueryRowContext(ctx, nextEvent).Scan(&number); err != nil {
		return fmt.Errorf("number a revocation: %w", err)
	}
	_, err := q.ExecContext(ctx, insertEvent, number, subject, id, now.Unix())
	return err
}

// Events implements grant.Feed.
func (d *DB) Events(ctx context.Context, after oauth.FeedPosition, limit int) ([]oauth.FeedEvent, oauth.FeedPosition, error) {
	var at oauth.FeedPosition
	// Most questions come when nothing has happened.
	if err := d.reader.QueryRowContext(ctx, selectPosition).Scan(&at.Epoch, &at.Number); err != nil {
		return nil, at, fmt.Errorf("read the revocation feed: %w", err)
	}
	switch {
	case after == at:
		return nil, at, nil
	case after.Epoch != at.Epoch, after.Number > at.Number, after.Number < 0:
		return nil, at, grant.ErrGap
	}
	rows, err := d.pool.QueryContext(ctx, selectEvents, after.Number, limit)
	if err != nil {
		return nil, at, fmt.Errorf("read the revocation feed: %w", err)
	}
	defer rows.Close()
	var events []oauth.FeedEvent
	for rows.Next() {
		var e oauth.FeedEvent
		if err := rows.Scan(&at.Number, &e.Number, &e.Subject, &e.ID); err != nil {
			return nil, at, fmt.Errorf("read the revocation feed: %w", err)
		}
		if e.Number != after.Number+1+int64(len(events)) {
			return nil, at, grant.ErrGap // swept meanwhile
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, at, fmt.Errorf("read the revocation feed: %w", err)
	}
	if len(events) == 0 {
		return nil, at, grant.ErrGap
	}
	return events, at, nil
}

// EndClient ends every grant of a client, with its codes and tokens and the
// requests that wait for an answer, and forgets the client itself: one that
// acts for itself could get a new token at once otherwise. It returns how many
// grants were live; grant.ErrNotFound if there is neither such a client nor a
// live grant. The gateways' own clients are left alone.
func (d *DB) EndClient(ctx context.Context, clientID string, now time.Time) (grants int, err error) {
	return d.endParty(ctx, "end client", oauth.SubjectClient, "client_id = $1", clientID, deleteClient, now)
}

// EndAccount ends every grant of an account, with its codes and tokens, and its
// sessions and the requests that wait for its answer. It returns how many grants
// were live. The account itself stays. account.ErrLastAdministrator if it is that.
func (d *DB) EndAccount(ctx context.Context, accountID string, now time.Time) (grants int, err error) {
	grants, err = d.endParty(ctx, "end account", oauth.SubjectAccount, "account_id = $1 AND account_id <> ''", accountID, deleteSessions, now)
	if errors.Is(err, grant.ErrNotFound) { // signed in nowhere and allowed nothing
		return 0, nil
	}
	return grants, err
}

func (d *DB) endParty(ctx context.Context, what, subject, whose, id, besides string, now time.Time) (grants int, err error) {
	var touched int64
	var refusal error // apart from the step's error, which would name the step
	err = d.do(ctx, what, func(ctx context.Context, q runner) error {
		if subject == oauth.SubjectAccount {
			if refusal, err = leavesAdministrator(ctx, q, id); refusal != nil || err != nil {
				return err
			}
		}
		if _, err := q.ExecContext(ctx, `DELETE FROM requests WHERE `+whose, id); err != nil {
			return err
		}
		other, err := changed(q.ExecContext(ctx, besides, id))
		if err != nil {
			return err
		}
		if subject == oauth.SubjectClient {
			// By what follows, gateways hear of it together with the client.
			if err := endActor(ctx, q, id); err != nil {
				return err
			}
		}
		n, err := changed(q.ExecContext(ctx, endGrantsOf+whose, id, now.Unix()))
		if err != nil {
			return err
		}
		grants, touched = int(n), n+other
		if touched == 0 {
			return nil
		}
		return announce(ctx, q, subject, id, now)
	})
	if refusal != nil {
		return 0, errors.Join(err, refusal)
	}
	if err == nil && touched == 0 {
		err = grant.ErrNotFound
	}
	return grants, err
}
