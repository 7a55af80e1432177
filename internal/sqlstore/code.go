package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/secret"
)

const (
	insertCode = `INSERT INTO codes (hash, grant_id, client_id, redirect_uri, redirect_given, challenge, scopes,
		resource, amr, auth_time, expires_at, nonce) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	// A used code is found after its expiry too, so that its replay is noticed.
	selectCode = `SELECT c.client_id, c.redirect_uri, c.redirect_given, c.challenge, c.scopes, c.resource, c.amr,
		c.auth_time, c.expires_at, c.nonce, ` + grantColumns + ` FROM codes c JOIN grants g ON g.id = c.grant_id
		WHERE c.hash = $1 AND (c.expires_at > $2 OR c.used_at IS NOT NULL) AND ` + grantLive + notPaused
	redeemCode = `UPDATE codes SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
		AND EXISTS (SELECT 1 FROM grants g WHERE g.id = codes.grant_id AND ` + grantLive + `) RETURNING grant_id`
	usedCode    = `SELECT grant_id, used_at FROM codes WHERE hash = $1 AND used_at IS NOT NULL`
	insertToken = `INSERT INTO tokens (hash, grant_id, family, scopes, issued_at, expires_at, amr, auth_time, certificate, actors, parent)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	// The feed's position is of the same moment as the token (security.md 10).
	selectToken = `SELECT t.scopes, t.issued_at, t.expires_at, t.amr, t.auth_time, t.certificate, t.actors, t.family, f.epoch, f.number, ` + anyClosed + `, ` + grantColumns + `
		FROM tokens t JOIN grants g ON g.id = t.grant_id CROSS JOIN feed f WHERE t.hash = $1 AND t.expires_at > $2 AND ` + grantLive + notPaused
)

// Code implements grant.Store. A redeemed code is returned past its expiry as
// long as its grant lives, so that RedeemCode can tell a late replay.
func (d *DB) Code(ctx context.Context, h secret.Hash, now time.Time) (grant.Code, grant.Grant, error) {
	c := grant.Code{Hash: h}
	var scopes, amr string
	g, err := scanGrant(d.reader.QueryRowContext(ctx, selectCode, string(h), now.Unix()), &c.ClientID, &c.RedirectURI,
		&c.RedirectGiven, &c.Challenge, &scopes, &c.Resource, &amr, &c.AuthTime, &c.ExpiresAt, &c.Nonce)
	if err != nil {
		return grant.Code{}, grant.Grant{}, found("read code", err, grant.ErrNotFound)
	}
	c.GrantID, c.Scopes, c.AMR = g.ID, fromWords(scopes), fromWords(amr)
	return c, g, nil
}

// RedeemCode implements grant.Store. The token hangs off the code's grant,
// whatever issued.GrantID says.
func (d *DB) RedeemCode(ctx context.Context, h secret.Hash, issued grant.Token, now time.Time) error {
	var replay error // apart from the step's error, since the grant's end must be committed
	err := d.do(ctx, "redeem code", func(ctx context.Context, q runner) error {
		var grantID string
		err := q.QueryRowContext(ctx, redeemCode, string(h), now.Unix()).Scan(&grantID)
		if err == nil {
			return putToken(ctx, q, issued, grantID)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		replay, err = refuseReplay(ctx, q, h, now)
		return err
	})
	if err != nil {
		return err
	}
	return replay
}

// refuseReplay tells why a code could not be redeemed, and ends its grant if
// it was redeemed longer ago than the window (RFC 9700 §4.5).
func refuseReplay(ctx context.Context, q runner, h secret.Hash, now time.Time) (replay, err error) {
	var grantID string
	var usedAt int64
	err = q.QueryRowContext(ctx, usedCode, string(h)).Scan(&grantID, &usedAt)
	if err != nil {
		return nil, found("read code", err, grant.ErrNotFound)
	}
	if now.Unix()-usedAt <= int64(grant.ReplayWindow/time.Second) {
		return grant.ErrUsed, nil
	}
	return grant.ErrReplayed, endOneGrant(ctx, q, grantID, now)
}

// Token implements grant.Store.
func (d *DB) Token(ctx context.Context, h secret.Hash, now time.Time) (grant.Token, grant.Grant, error) {
	t := grant.Token{Hash: h}
	var scopes, amr, actors string
	var closed bool
	g, err := scanGrant(d.reader.QueryRowContext(ctx, selectToken, string(h), now.Unix()), &scopes, &t.IssuedAt,
		&t.ExpiresAt, &amr, &t.AuthTime, &t.Certificate, &actors, &t.Family, &t.Position.Epoch, &t.Position.Number, &closed)
	if err != nil {
		return grant.Token{}, grant.Grant{}, found("read token", err, grant.ErrNotFound)
	}
	t.Actors = fromWords(actors)
	// What is read after the token is at least as new.
	if err := d.actorsLive(ctx, t.Actors); err != nil {
		return grant.Token{}, grant.Grant{}, found("read token", err, grant.ErrNotFound)
	}
	if closed { // hardly ever; what is read after the token is at least as new
		all, err := d.Closed(ctx)
		if err != nil {
			return grant.Token{}, grant.Grant{}, err
		}
		t.Closed = all[g.Resource]
	}
	t.GrantID, t.Scopes, t.AMR = g.ID, fromWords(scopes), fromWords(amr)
	return t, g, nil
}

// putToken stores a token, and the family and refresh token that begin with it.
func putToken(ctx context.Context, q runner, t grant.Token, grantID string) error {
	if r := t.Refresh; r != nil {
		if _, err := q.ExecContext(ctx, insertFamily, r.Family, grantID, t.IssuedAt, r.ExpiresAt); err != nil {
			return err
		}
		if err := putRefresh(ctx, q, *r); err != nil {
			return err
		}
	}
	return putAccess(ctx, q, t, grantID)
}

func putAccess(ctx context.Context, q runner, t grant.Token, grantID string) error {
	family := ""
	if t.Refresh != nil {
		family = t.Refresh.Family
	}
	_, err := q.ExecContext(ctx, insertToken, string(t.Hash), grantID, family, toWords(t.Scopes), t.IssuedAt, t.ExpiresAt,
		toWords(t.AMR), t.AuthTime, t.Certificate, toWords(t.Actors), string(t.Parent))
	return err
}
