package scale_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	_ "modernc.org/sqlite"             // registers "sqlite"

	"gatehouse/internal/account"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

// crowd is a store with many people: of every hundred one is an auditor, one
// paused, one invited; each is called by their number.
func crowd(t *testing.T, driver, dsn string, many int) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	raw, err := sql.Open(driver, strings.TrimPrefix(dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	numbers := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, many)
	for _, statement := range []string{
		`INSERT INTO accounts (id, name, password_hash, claims, created_at, role) ` + numbers +
			`SELECT 'a' || i, 'person' || (1000000 + i), 'x', '', i, CASE WHEN i % 100 = 1 THEN 'auditor' ELSE '' END FROM n`,
		`INSERT INTO invitations (account_id, hash, name, expires_at) ` + numbers +
			`SELECT 'a' || i, 'h' || i, 'person' || (1000000 + i), 4000000000 FROM n WHERE i % 100 = 3`,
		`INSERT INTO sessions (hash, account_id, amr, auth_time, expires_at) ` + numbers + `SELECT 's' || i, 'a' || i, 'pwd', i, 4000000000 FROM n`,
		`INSERT INTO grants (id, account_id, client_id, resource, scopes, agreed, created_at, expires_at) ` + numbers +
			`SELECT 'g' || i, 'a' || i, 'c', 'r', 's', '', i, 4000000000 FROM n`,
		`INSERT INTO audit (id, at, kind, outcome, account_id, client_id, grant_id, api, tool, reason, request_id, detail, result) ` + numbers +
			`SELECT 'e' || i, i, 'call', 'done', 'a' || i, '', '', '', '', '', '', '', '' FROM n`,
		`INSERT INTO pauses (subject, id, reason, since) VALUES ('account', 'a2', 'why', 1), ('account', 'a902', 'why', 1)`,
		`ANALYZE`,
	} {
		if _, err := raw.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return db
}

// Issue 4: the list of people, its search and its filters, and the page of one
// person cost at most 3 times with 100,000 people what they do with 1,000.
func TestPeopleCostTheSameHoweverMany(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store with 100,000 people")
	}
	now := time.Now()
	list := func(f account.Filter) func(context.Context, *sqlstore.DB) (int, error) {
		return func(ctx context.Context, db *sqlstore.DB) (int, error) {
			l, err := db.ListPeople(ctx, f, 51, now)
			return len(l), err
		}
	}
	looks := map[string]func(context.Context, *sqlstore.DB) (int, error){
		"list":           list(account.Filter{}),
		"a later page":   list(account.Filter{After: "person1000500"}),
		"search":         list(account.Filter{Prefix: "person10009"}),
		"search nothing": list(account.Filter{Prefix: "zzz"}),
		"auditors":       list(account.Filter{Only: account.OnlyAuditors}),
		"administrators": list(account.Filter{Only: account.OnlyAdministrators}),
		"paused":         list(account.Filter{Only: account.OnlyPaused}),
		"invited":        list(account.Filter{Only: account.OnlyInvited}),
		"one person": func(ctx context.Context, db *sqlstore.DB) (int, error) {
			if _, err := db.Person(ctx, "a500", now); err != nil {
				return 0, err
			}
			s, err := db.SessionsOf(ctx, "a500", 100, now)
			if err != nil {
				return 0, err
			}
			g, err := db.GrantsOf(ctx, "a500", 100, now)
			if err != nil {
				return 0, err
			}
			e, err := db.EntriesOf(ctx, "a500", 20)
			return len(s) + len(g) + len(e), err
		},
	}
	stores := map[string]func(*testing.T, string) (string, string){
		"sqlite": func(t *testing.T, name string) (string, string) {
			return "sqlite", "sqlite:" + filepath.Join(t.TempDir(), name)
		},
		"postgres": func(t *testing.T, _ string) (string, string) { return "pgx", webtest.Postgres(t) },
	}
	for engine, dsn := range stores {
		t.Run(engine, func(t *testing.T) {
			var dbs []*sqlstore.DB
			for _, many := range []int{1_000, 100_000} {
				driver, at := dsn(t, fmt.Sprint(many))
				dbs = append(dbs, crowd(t, driver, at, many))
			}
			for name, look := range looks {
				var few, many time.Duration
				for range 4 { // what else the machine does makes a cheap look dear for once, but no dear look cheap
					few, many = cost(t, dbs[0], look), cost(t, dbs[1], look)
					if many <= 3*few {
						break
					}
				}
				t.Logf("%-16s %8v with 1,000, %8v with 100,000", name, few, many)
				if many > 3*few {
					t.Errorf("%s: %v with 1,000 people, %v with 100,000", name, few, many)
				}
			}
		})
	}
}

// cost is the median time of a look.
func cost(t *testing.T, db *sqlstore.DB, look func(context.Context, *sqlstore.DB) (int, error)) time.Duration {
	t.Helper()
	var times []time.Duration
	for range 25 {
		start := time.Now()
		if _, err := look(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2]
}
