package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

const (
	clientColumns = `id, origin, name, uri, application_type, redirect_uris, grant_types, response_types,
		auth_method, secret_hash, jwks, jwks_uri, scope, created_at, post_logout_redirect_uris, claims, certificate_subject`
	clientValues = `($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	insertClient = `INSERT INTO clients (` + clientColumns + `, shape, host)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`
	addClient = insertClient + ` ON CONFLICT DO NOTHING`
	putClient = insertClient + ` ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, name = excluded.name,
		uri = excluded.uri, application_type = excluded.application_type, redirect_uris = excluded.redirect_uris,
		grant_types = excluded.grant_types, response_types = excluded.response_types,
		auth_method = excluded.auth_method, secret_hash = excluded.secret_hash, jwks = excluded.jwks,
		jwks_uri = excluded.jwks_uri, scope = excluded.scope, created_at = excluded.created_at,
		post_logout_redirect_uris = excluded.post_logout_redirect_uris, claims = excluded.claims, certificate_subject = excluded.certificate_subject, shape = excluded.shape, host = excluded.host`
	selectClient = `SELECT ` + clientColumns + ` FROM clients WHERE id = $1`
	// holdUnchanged changes nothing, but locks the row if it is as it was read.
	holdUnchanged = `UPDATE clients SET name = name WHERE (` + clientColumns + `) = ` + clientValues
	// An assertion that was swept too late does not count as used.
	useAssertion = `INSERT INTO assertions (hash, expires_at) VALUES ($1, $2)
		ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE assertions.expires_at <= $3`
)

// assertionSlack is how much longer than its life an assertion is remembered,
// since verifiers accept it a little past its expiry for clocks that differ.
const assertionSlack = 2 * time.Minute

// AddClient implements client.Store.
func (d *DB) AddClient(ctx context.Context, c client.Client) error {
	row, err := newRow(c)
	if err != nil {
		return fmt.Errorf("add client: %w", err)
	}
	n, err := d.exec(ctx, "add client", addClient, row...)
	if err == nil && n == 0 {
		return client.ErrExists
	}
	return err
}

// PutClient implements client.Store.
func (d *DB) PutClient(ctx context.Context, c client.Client) error {
	row, err := newRow(c)
	if err != nil {
		return fmt.Errorf("put client: %w", err)
	}
	_, err = d.exec(ctx, "put client", putClient, row...)
	return err
}

// ReplaceClient implements client.Store.
func (d *DB) ReplaceClient(ctx context.Context, old, c client.Client, now time.Time) error {
	was, errOld := clientRow(old)
	row, err := newRow(c)
	if err = errors.Join(errOld, err); err != nil {
		return fmt.Errorf("replace client: %w", err)
	}
	return d.do(ctx, "replace client", func(ctx context.Context, q runner) error {
		if n, err := changed(q.ExecContext(ctx, holdUnchanged, was...)); err != nil || n == 0 {
			return err
		}
		if _, err := q.ExecContext(ctx, putClient, row...); err != nil {
			return err
		}
		// An answer on a page that showed the old one must not make a grant beside this.
		if _, err := q.ExecContext(ctx, `DELETE FROM requests WHERE client_id = $1`, c.ID); err != nil {
			return err
		}
		n, err := changed(q.ExecContext(ctx, endGrantsOf+"client_id = $1", c.ID, now.Unix()))
		if err != nil || n == 0 {
			return err
		}
		return announce(ctx, q, oauth.SubjectClient, c.ID, now)
	})
}

// Client implements client.Store.
func (d *DB) Client(ctx context.Context, id string) (client.Client, error) {
	var c client.Client
	var redirects, grants, responses, keys, returns, claims string
	err := d.reader.QueryRowContext(ctx, selectClient, id).Scan(&c.ID, (*string)(&c.Origin), &c.Name, &c.URI,
		&c.ApplicationType, &redirects, &grants, &responses, &c.AuthMethod, (*string)(&c.SecretHash), &keys,
		&c.KeysURI, &c.Scope, &c.CreatedAt, &returns, &claims, &c.CertificateSubject)
	if err != nil {
		return client.Client{}, found("read client", err, client.ErrUnknown)
	}
	if keys != "" {
		c.Keys = []byte(keys)
	}
	c.GrantTypes, c.ResponseTypes = fromWords(grants), fromWords(responses)
	if err := errors.Join(fromJSON(redirects, &c.RedirectURIs), fromJSON(returns, &c.PostLogoutRedirectURIs), fromJSON(claims, &c.Claims)); err != nil {
		return client.Client{}, fmt.Errorf("read client: %w", err)
	}
	if len(c.Claims) == 0 {
		c.Claims = nil
	}
	return c, nil
}

// SetGateways makes these the installation's gateways, and no others.
func (d *DB) SetGateways(ctx context.Context, gateways []client.Client) error {
	rows := make([][]any, len(gateways))
	for i, g := range gateways {
		row, err := newRow(g)
		if err != nil {
			return fmt.Errorf("set gateways: %w", err)
		}
		rows[i] = row
	}
	return d.do(ctx, "set gateways", func(ctx context.Context, q runner) error {
		// Of two servers that start at once, one comes after the other.
		if _, err := q.ExecContext(ctx, `DELETE FROM clients WHERE origin = $1`, string(client.Gateway)); err != nil {
			return err
		}
		for _, row := range rows {
			if _, err := q.ExecContext(ctx, putClient, row...); err != nil {
				return err
			}
		}
		return nil
	})
}

// UseAssertion implements client.Store.
func (d *DB) UseAssertion(ctx context.Context, clientID, jti string, expires, now time.Time) error {
	// Hashed, because its length is the client's choice. No client ID holds a NUL.
	h := secret.Sum(clientID + "\x00" + jti)
	n, err := d.exec(ctx, "use assertion", useAssertion, string(h), expires.Add(assertionSlack).Unix(), now.Unix())
	if err == nil && n == 0 {
		return client.ErrReplayed
	}
	return err
}

// newRow returns the values of a row that is written. What is a part of the
// installation itself is no agent, and has no shape.
func newRow(c client.Client) ([]any, error) {
	row, err := clientRow(c)
	shape := c.Shape()
	if c.Origin == client.Gateway || c.Origin == client.Console {
		shape = ""
	}
	return append(row, shape, c.Host()), err
}

// clientRow returns the values of clientColumns.
func clientRow(c client.Client) ([]any, error) {
	redirects, err := toJSON(c.RedirectURIs)
	if err != nil {
		return nil, err
	}
	returns, err := toJSON(append([]string{}, c.PostLogoutRedirectURIs...)) // never null: see holdUnchanged
	if err != nil {
		return nil, err
	}
	claims := "{}" // for none, in one way only: see holdUnchanged
	if len(c.Claims) > 0 {
		if claims, err = toJSON(c.Claims); err != nil {
			return nil, err
		}
	}
	return []any{c.ID, string(c.Origin), c.Name, c.URI, c.ApplicationType, redirects, toWords(c.GrantTypes),
		toWords(c.ResponseTypes), c.AuthMethod, string(c.SecretHash), string(c.Keys), c.KeysURI, c.Scope, c.CreatedAt, returns, claims, c.CertificateSubject}, nil
}
