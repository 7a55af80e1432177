package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	grantColumns = `g.id, g.account_id, g.client_id, g.resource, g.scopes, g.agreed, g.created_at, g.expires_at`
	grantLive    = `g.ended_at IS NULL AND g.expires_at > $2` // $2 is now, wherever this is used
	ofParties    = `account_id = $1 AND client_id = $3 AND resource = $4`
	selectGrant  = `SELECT ` + grantColumns + ` FROM grants g WHERE ` + ofParties + ` AND ` + grantLive
	// An expired grant ends for good before a new one takes its place: renewing
	// it would bring what hangs off it back to life.
	endExpired  = `UPDATE grants SET ended_at = $2 WHERE ` + ofParties + ` AND ended_at IS NULL AND expires_at <= $2`
	insertGrant = `INSERT INTO grants (id, account_id, client_id, resource, scopes, agreed, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (account_id, client_id, resource) WHERE ended_at IS NULL DO UPDATE SET expires_at = `
	replaceGrant = insertGrant + `excluded.expires_at, scopes = excluded.scopes,
		agreed = excluded.agreed RETURNING id, scopes`
	// joinGrant leaves the row locked, so that its scopes can be widened after.
	joinGrant = insertGrant + `CASE WHEN excluded.expires_at > grants.expires_at THEN excluded.expires_at
		ELSE grants.expires_at END WHERE grants.agreed = excluded.agreed RETURNING id, scopes`
	// holdGrant changes nothing, but locks the row if it is as it was read.
	holdGrant  = `UPDATE grants SET expires_at = expires_at WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND scopes = $3`
	holdClient = `UPDATE clients SET name = name WHERE id = $1`
	widenGrant = `UPDATE grants SET scopes = $2 WHERE id = $1`
	endGrant   = `UPDATE grants SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL`
)

// Approve implements grant.Store. A request in which somebody else is signed in
// by now counts as gone, and so does one of another client or resource.
func (d *DB) Approve(ctx context.Context, requestID string, held, g grant.Grant, c grant.Code, now time.Time) error {
	return d.do(ctx, "approve authorization request", func(ctx context.Context, q runner) error {
		n, err := changed(q.ExecContext(ctx, answerRequest, requestID, now.Unix(), g.AccountID, g.ClientID, g.Resource))
		if err != nil {
			return err
		}
		if n == 0 {
			return grant.ErrNotFound
		}
		if err := unchanged(ctx, q, held, g, now); err != nil {
			return err
		}
		ended := held.ID != "" && held.Agreed != g.Agreed
		if ended {
			// What came of an agreement with something else ends with it.
			if _, err := q.ExecContext(ctx, endGrant, held.ID, now.Unix()); err != nil {
				return err
			}
		}
		id, _, err := putGrant(ctx, q, replaceGrant, g, now)
		if err != nil {
			return err
		}
		_, err = q.ExecContext(ctx, insertCode, string(c.Hash), id, c.ClientID, c.RedirectURI, c.RedirectGiven,
			c.Challenge, toWords(c.Scopes), c.Resource, toWords(c.AMR), c.AuthTime, c.ExpiresAt, c.Nonce)
		if err != nil || held.ID == "" || !ended && !narrows(g, held) {
			return err
		}
		return announce(ctx, q, oauth.SubjectGrant, held.ID, now)
	})
}

// narrows reports whether g, in the place of held, takes something away.
func narrows(g, held grant.Grant) bool {
	return !oauth.Subset(held.Scopes, g.Scopes) || g.ExpiresAt < held.ExpiresAt
}

// unchanged checks, and holds until the transaction ends, that held is still the
// live grant of its parties, or that there is none where nothing was held.
func unchanged(ctx context.Context, q runner, held, g grant.Grant, now time.Time) error {
	if held.ID == "" {
		_, err := scanGrant(q.QueryRowContext(ctx, selectGrant, g.AccountID, now.Unix(), g.ClientID, g.Resource))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = grant.ErrChanged
		}
		return err
	}
	n, err := changed(q.ExecContext(ctx, holdGrant, held.ID, now.Unix(), toWords(held.Scopes)))
	if err == nil && n == 0 {
		err = grant.ErrChanged
	}
	return err
}

// putGrant stores g, or does what query says to the live grant of its parties,
// and returns the ID and the scopes of the one that lives then.
func putGrant(ctx context.Context, q runner, query string, g grant.Grant, now time.Time) (id string, scopes []string, err error) {
	if _, err := q.ExecContext(ctx, endExpired, g.AccountID, now.Unix(), g.ClientID, g.Resource); err != nil {
		return "", nil, err
	}
	var words string
	err = q.QueryRowContext(ctx, query, g.ID, g.AccountID, g.ClientID, g.Resource, toWords(g.Scopes), g.Agreed,
		g.CreatedAt, g.ExpiresAt).Scan(&id, &words)
	return id, fromWords(words), err
}

// Remembered implements grant.Store.
func (d *DB) Remembered(ctx context.Context, accountID, clientID, resource string, now time.Time) (grant.Grant, error) {
	g, err := scanGrant(d.reader.QueryRowContext(ctx, selectGrant, accountID, now.Unix(), clientID, resource))
	if err != nil {
		return grant.Grant{}, found("read grant", err, grant.ErrNotFound)
	}
	return g, nil
}

// Issue implements grant.Store. A grant that is reused keeps the scopes it has
// and gets g's besides, so that no token that is out loses any. It returns
// client.ErrUnknown if the client was ended meanwhile, and grant.ErrChanged if
// the live grant is by another agreement that does not cover the token.
func (d *DB) Issue(ctx context.Context, g grant.Grant, t grant.Token, now time.Time) error {
	return d.do(ctx, "issue token", func(ctx context.Context, q runner) error {
		live, err := scanGrant(q.QueryRowContext(ctx, selectGrant, g.AccountID, now.Unix(), g.ClientID, g.Resource))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		id := live.ID
		switch {
		case id != "" && live.Agreed != g.Agreed:
			// What was agreed to in another way stays as it is, and bounds the token.
			if !oauth.Subset(t.Scopes, live.Scopes) || t.ExpiresAt > live.ExpiresAt {
				return grant.ErrChanged
			}
		case live.ExpiresAt < t.ExpiresAt || !oauth.Subset(g.Scopes, live.Scopes):
			if err := holdOwner(ctx, q, g.ClientID); err != nil {
				return err
			}
			if id, err = joinedGrant(ctx, q, g, now); err != nil {
				return err
			}
		}
		return putToken(ctx, q, t, id)
	})
}

// holdOwner makes sure, until the transaction ends, that a client is not ended:
// a grant made beside that would live on.
func holdOwner(ctx context.Context, q runner, clientID string) error {
	n, err := changed(q.ExecContext(ctx, holdClient, clientID))
	if err == nil && n == 0 {
		err = client.ErrUnknown
	}
	return err
}

// joinedGrant returns the ID of the live grant of g's parties, which has g's
// scopes and lasts at least as long as g.
func joinedGrant(ctx context.Context, q runner, g grant.Grant, now time.Time) (string, error) {
	id, scopes, err := putGrant(ctx, q, joinGrant, g, now)
	if errors.Is(err, sql.ErrNoRows) { // somebody agreed in another way at this moment
		err = grant.ErrChanged
	}
	if err != nil || oauth.Subset(g.Scopes, scopes) {
		return id, err
	}
	_, err = q.ExecContext(ctx, widenGrant, id, toWords(oauth.Union(scopes, g.Scopes)))
	return id, err
}

// Revoke implements grant.Store.
func (d *DB) Revoke(ctx context.Context, grantID string, now time.Time) error {
	return d.do(ctx, "revoke grant", func(ctx context.Context, q runner) error { return endOneGrant(ctx, q, grantID, now) })
}

// endOneGrant ends a grant, if it has not ended yet, and says so in the feed.
func endOneGrant(ctx context.Context, q runner, grantID string, now time.Time) error {
	n, err := changed(q.ExecContext(ctx, endGrant, grantID, now.Unix()))
	if err != nil || n == 0 {
		return err
	}
	return announce(ctx, q, oauth.SubjectGrant, grantID, now)
}

// scanGrant reads grantColumns after what else was selected.
func scanGrant(row scanner, before ...any) (grant.Grant, error) {
	var g grant.Grant
	var scopes string
	err := row.Scan(append(before, &g.ID, &g.AccountID, &g.ClientID, &g.Resource, &scopes, &g.Agreed, &g.CreatedAt, &g.ExpiresAt)...)
	if err != nil {
		return grant.Grant{}, err
	}
	g.Scopes = fromWords(scopes)
	return g, nil
}
