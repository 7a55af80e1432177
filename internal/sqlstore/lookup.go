package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
)

const (
	// named finds names by how they begin, in the order of their bytes.
	named = ` WHERE search_name >= $1 AND search_name < $2 ORDER BY search_name, id LIMIT $3`
	// lastRune follows whatever a name may go on with.
	lastRune     = "\U0010ffff"
	namedAccount = `SELECT id, name FROM accounts` + named
	namedClient  = `SELECT id, name FROM clients` + named
	anyGrant     = `SELECT coalesce(g.ended_at, 0), ` + grantColumns + ` FROM grants g WHERE g.id = $1`
)

// AccountsNamed returns the first accounts, by name, whose names begin so.
func (d *DB) AccountsNamed(ctx context.Context, prefix string, limit int) ([]audit.Party, error) {
	return d.named(ctx, namedAccount, prefix, limit)
}

// ClientsNamed returns the first clients, by name, whose names begin so.
func (d *DB) ClientsNamed(ctx context.Context, prefix string, limit int) ([]audit.Party, error) {
	return d.named(ctx, namedClient, prefix, limit)
}

func (d *DB) named(ctx context.Context, query, prefix string, limit int) ([]audit.Party, error) {
	prefix = lowerASCII(prefix)
	var list []audit.Party
	err := d.each(ctx, "look up a name", func(rows *sql.Rows) error {
		var p audit.Party
		err := rows.Scan(&p.ID, &p.Name)
		list = append(list, p)
		return err
	}, query, prefix, prefix+lastRune, limit)
	return list, err
}

// lowerASCII does what both engines do for search_name: only to ASCII letters,
// since they do not agree on others.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// GrantOf returns a grant, live or not, and when it was ended, in Unix seconds;
// 0 if it was not. ErrNotFound if there never was one.
func (d *DB) GrantOf(ctx context.Context, id string) (g grant.Grant, ended int64, err error) {
	g, err = scanGrant(d.reader.QueryRowContext(ctx, anyGrant, id), &ended)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return g, 0, grant.ErrNotFound
	case err != nil:
		return g, 0, fmt.Errorf("read a grant: %w", err)
	}
	return g, ended, nil
}
