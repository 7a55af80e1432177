package sqlstore

import (
	"context"
	"time"

	"gatehouse/internal/grant"
)

const (
	requestColumns = `id, browser_hash, client_id, redirect_uri, state, challenge, scopes, resource, redirect_given,
		force_sign_in, force_consent, account_id, amr, auth_time, expires_at, nonce`
	insertRequest = `INSERT INTO requests (` + requestColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
	selectRequest = `SELECT ` + requestColumns + ` FROM requests WHERE id = $1 AND expires_at > $2`
	signIn        = `UPDATE requests SET account_id = $3, amr = $4, auth_time = $5, force_sign_in = $6
		WHERE id = $1 AND expires_at > $2`
	signOut       = `UPDATE requests SET account_id = $3, amr = $4, auth_time = $5 WHERE id = $1 AND expires_at > $2`
	denyRequest   = `DELETE FROM requests WHERE id = $1 AND expires_at > $2`
	answerRequest = denyRequest + ` AND account_id = $3 AND client_id = $4 AND resource = $5`
)

// SaveRequest implements grant.Store.
func (d *DB) SaveRequest(ctx context.Context, r grant.Request) error {
	_, err := d.exec(ctx, "save authorization request", insertRequest, r.ID, string(r.BrowserHash), r.ClientID,
		r.RedirectURI, r.State, r.Challenge, toWords(r.Scopes), r.Resource, r.RedirectGiven, r.ForceSignIn,
		r.ForceConsent, r.AccountID, toWords(r.AMR), r.AuthTime, r.ExpiresAt, r.Nonce)
	return err
}

// Request implements grant.Store.
func (d *DB) Request(ctx context.Context, id string, now time.Time) (grant.Request, error) {
	var r grant.Request
	var scopes, amr string
	err := d.reader.QueryRowContext(ctx, selectRequest, id, now.Unix()).Scan(&r.ID, (*string)(&r.BrowserHash),
		&r.ClientID, &r.RedirectURI, &r.State, &r.Challenge, &scopes, &r.Resource, &r.RedirectGiven,
		&r.ForceSignIn, &r.ForceConsent, &r.AccountID, &amr, &r.AuthTime, &r.ExpiresAt, &r.Nonce)
	if err != nil {
		return grant.Request{}, found("read authorization request", err, grant.ErrNotFound)
	}
	r.Scopes, r.AMR = fromWords(scopes), fromWords(amr)
	return r, nil
}

// SignIn implements grant.Store.
func (d *DB) SignIn(ctx context.Context, id, accountID string, amr []string, authTime int64, now time.Time) error {
	return d.onRequest(ctx, "sign in", signIn, id, now.Unix(), accountID, toWords(amr), authTime, false)
}

// SignOut implements grant.Store.
func (d *DB) SignOut(ctx context.Context, id string, now time.Time) error {
	return d.onRequest(ctx, "sign out", signOut, id, now.Unix(), "", "", 0)
}

// Deny implements grant.Store.
func (d *DB) Deny(ctx context.Context, requestID string, now time.Time) error {
	return d.onRequest(ctx, "deny authorization request", denyRequest, requestID, now.Unix())
}

// onRequest runs a statement that changes one live request.
func (d *DB) onRequest(ctx context.Context, what, query string, args ...any) error {
	n, err := d.exec(ctx, what, query, args...)
	if err == nil && n == 0 {
		return grant.ErrNotFound
	}
	return err
}
