package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

const (
	insertFamily  = `INSERT INTO families (id, grant_id, rotated_at, expires_at) VALUES ($1, $2, $3, $4)`
	insertRefresh = `INSERT INTO refresh_tokens (hash, family, scopes, expires_at, amr, auth_time, sealed, bound, successor)
		VALUES ($1, $2, $3, $4, $5, $6, '', '', '')`
	// A used refresh token is found too, so that its replay is noticed; one of an
	// ended family is not.
	selectRefresh = `SELECT r.family, r.scopes, r.expires_at, r.amr, r.auth_time, ` + grantColumns + `
		FROM refresh_tokens r JOIN families f ON f.id = r.family JOIN grants g ON g.id = f.grant_id
		WHERE r.hash = $1 AND (r.expires_at > $2 OR r.used_at IS NOT NULL) AND f.ended_at IS NULL AND ` + grantLive + notPaused
	// lockFamily is the first write of whatever concerns a family: the second
	// of two waits here, and then sees what the first has done.
	lockFamily = `UPDATE families SET rotated_at = $2 WHERE id = (SELECT family FROM refresh_tokens WHERE hash = $1)
		AND ended_at IS NULL AND EXISTS (SELECT 1 FROM grants g WHERE g.id = families.grant_id AND ` + grantLive + `)
		RETURNING id, grant_id`
	useRefresh = `UPDATE refresh_tokens SET used_at = $2, sealed = $3, bound = $4, successor = $5
		WHERE hash = $1 AND used_at IS NULL AND expires_at > $2`
	usedRefresh   = `SELECT used_at, sealed, bound FROM refresh_tokens WHERE hash = $1 AND used_at IS NOT NULL`
	unseal        = `UPDATE refresh_tokens SET sealed = '' WHERE successor = $1 AND sealed <> ''`
	lengthen      = `UPDATE families SET expires_at = $2 WHERE id = $1`
	endFamily     = `UPDATE families SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL`
	endAccess     = `DELETE FROM tokens WHERE family = $1`
	eraseSealed   = `UPDATE refresh_tokens SET sealed = '' WHERE sealed <> '' AND used_at <= $1`
	ownerOfToken  = `SELECT g.client_id, g.id, t.actors FROM tokens t JOIN grants g ON g.id = t.grant_id WHERE t.hash = $1`
	ownerOfFamily = `SELECT g.client_id FROM refresh_tokens r JOIN families f ON f.id = r.family JOIN grants g ON g.id = f.grant_id
		WHERE r.hash = $1`
	grantOfFamily = `SELECT grant_id FROM families WHERE id = $1`
	deleteToken   = `DELETE FROM tokens WHERE hash = $1`
)

// Refresh implements grant.Store.
func (d *DB) Refresh(ctx context.Context, h secret.Hash, now time.Time) (grant.Refresh, grant.Grant, error) {
	r := grant.Refresh{Hash: h}
	var scopes, amr string
	g, err := scanGrant(d.reader.QueryRowContext(ctx, selectRefresh, string(h), now.Unix()), &r.Family, &scopes, &r.ExpiresAt,
		&amr, &r.AuthTime)
	if err != nil {
		return grant.Refresh{}, grant.Grant{}, found("read refresh token", err, grant.ErrNotFound)
	}
	r.Scopes, r.AMR = fromWords(scopes), fromWords(amr)
	return r, g, nil
}

// Rotate implements grant.Store.
func (d *DB) Rotate(ctx context.Context, old secret.Hash, r grant.Rotation, now time.Time) (sealed string, err error) {
	var replay error // apart from the step's error, since the family's end must be committed
	err = d.do(ctx, "rotate refresh token", func(ctx context.Context, q runner) error {
		var family, grantID string
		err := q.QueryRowContext(ctx, lockFamily, string(old), now.Unix()).Scan(&family, &grantID)
		if err != nil {
			return found("read refresh token", err, grant.ErrNotFound)
		}
		next := r.Issued.Refresh
		n, err := changed(q.ExecContext(ctx, useRefresh, string(old), now.Unix(), r.Sealed, r.Bound, string(next.Hash)))
		if err != nil {
			return err
		}
		if n == 0 {
			sealed, replay, err = repeated(ctx, q, old, family, r.Bound, now)
			return err
		}
		return follow(ctx, q, old, family, grantID, r.Issued)
	})
	if err != nil {
		return "", err
	}
	return sealed, replay
}

// follow stores what takes the place of old. The answer by which old itself was
// handed out is not needed any more: its owner has proven to have it.
func follow(ctx context.Context, q runner, old secret.Hash, family, grantID string, t grant.Token) error {
	if _, err := q.ExecContext(ctx, unseal, string(old)); err != nil {
		return err
	}
	next := *t.Refresh
	next.Family = family
	if _, err := q.ExecContext(ctx, lengthen, family, next.ExpiresAt); err != nil {
		return err
	}
	if err := putRefresh(ctx, q, next); err != nil {
		return err
	}
	t.Refresh = &next
	return putAccess(ctx, q, t, grantID)
}

// repeated answers for a token that could not be used: with what was sealed
// for it, or by ending its family.
func repeated(ctx context.Context, q runner, old secret.Hash, family, bound string, now time.Time) (sealed string, replay, err error) {
	var usedAt int64
	var kept, boundTo string
	err = q.QueryRowContext(ctx, usedRefresh, string(old)).Scan(&usedAt, &kept, &boundTo)
	if errors.Is(err, sql.ErrNoRows) { // never used, so it has expired
		return "", nil, grant.ErrNotFound
	}
	if err != nil {
		return "", nil, err
	}
	if kept != "" && now.Unix()-usedAt <= int64(grant.ReplayWindow/time.Second) {
		if bound != boundTo {
			return "", grant.ErrUsed, nil
		}
		return kept, nil, nil
	}
	return "", grant.ErrReplayed, endWholeFamily(ctx, q, family, now)
}

func endWholeFamily(ctx context.Context, q runner, family string, now time.Time) error {
	if _, err := q.ExecContext(ctx, endFamily, family, now.Unix()); err != nil {
		return err
	}
	if _, err := q.ExecContext(ctx, endAccess, family); err != nil {
		return err
	}
	var grantID string
	if err := q.QueryRowContext(ctx, grantOfFamily, family).Scan(&grantID); err != nil {
		return err
	}
	if err := endDelegated(ctx, q, grantID, now); err != nil {
		return err
	}
	return announce(ctx, q, oauth.SubjectFamily, family, now)
}

// End implements grant.Store.
func (d *DB) End(ctx context.Context, h secret.Hash, clientID string, now time.Time) error {
	return d.do(ctx, "revoke token", func(ctx context.Context, q runner) error {
		var owner, grantID, actors string
		err := q.QueryRowContext(ctx, ownerOfToken, string(h)).Scan(&owner, &grantID, &actors)
		if actors != "" {
			owner = fromWords(actors)[0]
		}
		switch {
		case err == nil && owner != clientID:
			return grant.ErrForeign
		case err == nil:
			n, err := changed(q.ExecContext(ctx, deleteToken, string(h)))
			if err != nil || n == 0 {
				return err
			}
			if err := endDelegated(ctx, q, grantID, now); err != nil {
				return err
			}
			return announce(ctx, q, oauth.SubjectToken, string(h), now)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := q.QueryRowContext(ctx, ownerOfFamily, string(h)).Scan(&owner); err != nil {
			return found("read refresh token", err, grant.ErrNotFound)
		}
		if owner != clientID {
			return grant.ErrForeign
		}
		var family string
		err = q.QueryRowContext(ctx, lockFamily, string(h), now.Unix()).Scan(&family, &grantID)
		if err != nil {
			return found("read refresh token", err, grant.ErrNotFound)
		}
		return endWholeFamily(ctx, q, family, now)
	})
}

// EraseSealed forgets the sealed answers whose window has passed.
func (d *DB) EraseSealed(ctx context.Context, now time.Time) error {
	_, err := d.exec(ctx, "erase sealed answers", eraseSealed, now.Add(-grant.ReplayWindow).Unix()-1)
	return err
}

func putRefresh(ctx context.Context, q runner, r grant.Refresh) error {
	_, err := q.ExecContext(ctx, insertRefresh, string(r.Hash), r.Family, toWords(r.Scopes), r.ExpiresAt, toWords(r.AMR), r.AuthTime)
	return err
}
