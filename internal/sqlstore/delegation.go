package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	// holdParent changes nothing, but makes whoever ends the parent wait, and then
	// see what was made of it.
	holdParent = `UPDATE tokens SET issued_at = issued_at WHERE hash = $1 AND expires_at > $2 RETURNING grant_id`
	holdLive   = `UPDATE grants SET expires_at = expires_at WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 RETURNING id`
	// Each round ends what was made of what the one before ended.
	endOrphans = `DELETE FROM tokens WHERE actors <> '' AND grant_id = $1 AND NOT EXISTS (SELECT 1 FROM tokens p WHERE p.hash = tokens.parent)`
	endActs    = `DELETE FROM tokens WHERE actors <> '' AND ' ' || actors || ' ' LIKE $1 ESCAPE '\'`
	knownActor = `SELECT 1 FROM clients WHERE id = $1`
)

// Delegate implements grant.Store.
func (d *DB) Delegate(ctx context.Context, t grant.Token, now time.Time) error {
	gone := false // apart from the step's error, which would name the step
	err := d.do(ctx, "delegate", func(ctx context.Context, q runner) error {
		grantID, err := t.GrantID, error(nil)
		if t.Parent == "" {
			err = q.QueryRowContext(ctx, holdLive, grantID, now.Unix()).Scan(&grantID)
		} else if err = q.QueryRowContext(ctx, holdParent, string(t.Parent), now.Unix()).Scan(&grantID); err == nil {
			err = holdOwner(ctx, q, t.Actors[0])
		}
		if gone = errors.Is(err, sql.ErrNoRows) || errors.Is(err, client.ErrUnknown); gone {
			return nil
		}
		if err != nil {
			return err
		}
		return putAccess(ctx, q, t, grantID)
	})
	if err == nil && gone {
		err = grant.ErrNotFound
	}
	return err
}

// actorsLive returns sql.ErrNoRows if one of the actors is ended or paused.
func (d *DB) actorsLive(ctx context.Context, actors []string) error {
	for _, id := range actors {
		var known int
		if err := d.reader.QueryRowContext(ctx, knownActor, id).Scan(&known); err != nil {
			return err
		}
		switch err := d.Paused(ctx, grant.Parties{Client: id}); {
		case errors.Is(err, grant.ErrPaused):
			return sql.ErrNoRows
		case err != nil:
			return err
		}
	}
	return nil
}

// endDelegated ends tokens of a grant whose parent is gone, with all that was made
// of them. Gateways are told by the grant: whoever else has a token of it is
// asked about anew.
func endDelegated(ctx context.Context, q runner, grantID string, now time.Time) error {
	any := false
	for {
		n, err := changed(q.ExecContext(ctx, endOrphans, grantID))
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		any = true
	}
	if !any {
		return nil
	}
	return announce(ctx, q, oauth.SubjectGrant, grantID, now)
}

// endActor ends the tokens with which a client acts for others. The client's own
// end, which is announced, tells gateways.
func endActor(ctx context.Context, q runner, clientID string) error {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(clientID)
	_, err := q.ExecContext(ctx, endActs, "% "+escaped+" %")
	return err
}

// Allow implements grant.Connections.
func (d *DB) Allow(ctx context.Context, g grant.Grant, now time.Time) error {
	return d.do(ctx, "allow an agent to act later", func(ctx context.Context, q runner) error {
		if err := holdOwner(ctx, q, g.ClientID); err != nil {
			return err
		}
		held, err := scanGrant(q.QueryRowContext(ctx, selectGrant, g.AccountID, now.Unix(), g.ClientID, g.Resource))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if held.ID != "" {
			if held.Agreed != g.Agreed {
				return grant.ErrChanged
			}
			if n, err := changed(q.ExecContext(ctx, holdGrant, held.ID, now.Unix(), toWords(held.Scopes))); err != nil || n == 0 {
				return errors.Join(err, grant.ErrChanged)
			}
		}
		if _, _, err := putGrant(ctx, q, replaceGrant, g, now); err != nil || held.ID == "" || !narrows(g, held) {
			return err
		}
		return announce(ctx, q, oauth.SubjectGrant, held.ID, now)
	})
}
