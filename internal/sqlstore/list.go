package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
)

const (
	listGrants = `SELECT coalesce(a.name, ''), coalesce(c.name, ''), ` + grantColumns + ` FROM grants g
		LEFT JOIN accounts a ON a.id = g.account_id LEFT JOIN clients c ON c.id = g.client_id
		WHERE g.ended_at IS NULL AND g.expires_at > $1 AND ($2 = '' OR g.id = $2) AND ($3 = '' OR a.name = $3)
		AND ($4 = '' OR g.client_id = $4) ORDER BY g.created_at, g.id`
	listClients = `SELECT c.id, c.name, c.origin, c.created_at, (SELECT count(*) FROM grants g
		WHERE g.client_id = c.id AND g.ended_at IS NULL AND g.expires_at > $1) FROM clients c ORDER BY c.created_at, c.id`
	listAccounts = `SELECT a.id, a.name, a.created_at, (SELECT count(*) FROM grants g
		WHERE g.account_id = a.id AND g.ended_at IS NULL AND g.expires_at > $1) FROM accounts a ORDER BY a.name`
)

// GrantFilter picks grants; what is empty picks all.
type GrantFilter struct{ ID, Person, ClientID string }

// ListedGrant is a live grant with the names of its parties.
type ListedGrant struct {
	grant.Grant
	Person string // empty: the client acts for itself
	Client string
}

// ListedClient is a client with the number of its live grants.
type ListedClient struct {
	client.Client // without what it authenticates by
	Grants        int
}

// ListedAccount is an account with the number of its live grants.
type ListedAccount struct {
	account.Account // without its password
	Grants          int
}

// ListGrants returns live grants, oldest first.
func (d *DB) ListGrants(ctx context.Context, f GrantFilter, now time.Time) ([]ListedGrant, error) {
	var list []ListedGrant
	err := d.each(ctx, "list grants", func(rows *sql.Rows) (err error) {
		var l ListedGrant
		if l.Grant, err = scanGrant(rows, &l.Person, &l.Client); err == nil {
			list = append(list, l)
		}
		return err
	}, listGrants, now.Unix(), f.ID, f.Person, f.ClientID)
	return list, err
}

// ListClients returns all clients, oldest first.
func (d *DB) ListClients(ctx context.Context, now time.Time) ([]ListedClient, error) {
	var list []ListedClient
	err := d.each(ctx, "list clients", func(rows *sql.Rows) error {
		var l ListedClient
		err := rows.Scan(&l.ID, &l.Name, (*string)(&l.Origin), &l.CreatedAt, &l.Grants)
		list = append(list, l)
		return err
	}, listClients, now.Unix())
	return list, err
}

// ListAccounts returns all accounts by name.
func (d *DB) ListAccounts(ctx context.Context, now time.Time) ([]ListedAccount, error) {
	var list []ListedAccount
	err := d.each(ctx, "list accounts", func(rows *sql.Rows) error {
		var l ListedAccount
		err := rows.Scan(&l.ID, &l.Name, &l.CreatedAt, &l.Grants)
		list = append(list, l)
		return err
	}, listAccounts, now.Unix())
	return list, err
}

// each calls scan for each row of a query.
func (d *DB) each(ctx context.Context, what string, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := d.pool.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
