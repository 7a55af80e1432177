// Package scale_test shows that what people look at costs the same however
// much there is: each page of the administration console, on both engines,
// over a store with a thousand rows of each kind and over one with 100,000
// clients and accounts and 1,000,000 audit entries.
package scale_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/admin"
	"gatehouse/internal/catalog"
	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

const consoleHost = "http://admin.example"

// world is a console over a store of a size.
type world struct {
	parties, entries int // parties: accounts, clients and grants, each

	db       *sqlstore.DB
	raw      *sql.DB // past the store
	postgres bool
	handler  http.Handler
	cookie   string
}

// newWorld fills a new database. An administrator is signed in.
func newWorld(t *testing.T, dsn string, parties, entries int) *world {
	t.Helper()
	ctx := t.Context()
	db, err := sqlstore.Open(ctx, dsn, sqlstore.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	w := &world{parties: parties, entries: entries, db: db, postgres: !strings.HasPrefix(dsn, "sqlite:")}
	driver, address := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, address = "sqlite", "file:"+path+"?_pragma=synchronous(0)&_pragma=busy_timeout(5000)&_pragma=cache_size(-200000)&_pragma=temp_store(2)"
	}
	w.raw, err = sql.Open(driver, address)
	must(t, err)
	t.Cleanup(func() { must(t, w.raw.Close()) })
	w.raw.SetMaxOpenConns(1)
	w.fill(t)
	s := &admin.Server{
		URL: consoleHost, Key: secret.New(""), AuthServer: &resource.AuthorizationServer{Issuer: "http://login.example"}, Keys: &jose.RemoteKeySet{},
		Accounts: db, Pulse: db, Agents: db, Log: db,
		Acts: &admin.Acts{
			Clients: db, Accounts: db, People: db, Keys: db, Stops: db, Audit: db,
			APIs: []*catalog.API{{Name: "customers", Title: "Customer API", Resource: "https://mcp.example/", Tools: []*catalog.Tool{{Name: "fetch-users"}}}},
		},
	}
	w.handler, err = s.Handler()
	must(t, err)
	w.cookie = secret.New("")
	must(t, db.AddAccount(ctx, account.Account{ID: "root", Name: "root", Role: account.Administrator}))
	must(t, db.SetRole(ctx, "root", account.Administrator))
	must(t, db.StartSession(ctx, account.Session{
		Hash: secret.Sum("console " + w.cookie), AccountID: "root", AMR: []string{"pwd"}, AuthTime: time.Now().Unix(), ExpiresAt: time.Now().Unix() + 3600,
	}, ""))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// numbers is a table i of the numbers from 1 to n, in the engine's own words.
func (w *world) numbers(n int) string {
	if w.postgres {
		return fmt.Sprintf("generate_series(1, %d) AS numbers(i)", n)
	}
	return fmt.Sprintf("(WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %d) SELECT i FROM numbers) AS numbers", n)
}

// began is when the oldest entry was, in Unix milliseconds; one followed each
// twentieth of a second.
const began = 1_700_000_000_000

// fill stores parties and what they did: a tenth of all is by one of them, the
// rest by each in turn, of twenty tools; every fifth is no call, every tenth
// was refused. What is rare is in the oldest thousandth alone.
func (w *world) fill(t *testing.T) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO accounts (id, name, password_hash, claims, created_at)
			SELECT 'account' || i, 'person' || i, '', '', 1700000000 + i FROM ` + w.numbers(w.parties),
		`INSERT INTO clients (id, origin, name, uri, application_type, redirect_uris, grant_types, response_types, auth_method, secret_hash, jwks, jwks_uri, scope, created_at, shape, host)
			SELECT 'client' || i, 'registered', CASE WHEN i <= 4 THEN 'Scout ' ELSE 'Agent ' END || i, '', 'native', '["http://127.0.0.1/callback"]', '["authorization_code"]', '["code"]', 'none', '', '', '', '', 1700000000 + i,
				CASE WHEN i % 10 = 0 THEN 'same' ELSE 'shape' || i END, CASE WHEN i % 100 = 0 THEN 'localhost' ELSE 'host' || i END FROM ` + w.numbers(w.parties),
		`INSERT INTO pauses (subject, id, reason, since) VALUES ('client', 'client2', 'why', 1700000000), ('account', 'account3', 'why', 1700000001)`,
		`INSERT INTO grants (id, account_id, client_id, resource, scopes, agreed, created_at, expires_at)
			SELECT 'grant' || i, 'account' || i, 'client' || i, 'https://mcp.example/', 'users:read', '', 1700000000 + i, 4000000000 FROM ` + w.numbers(w.parties),
	} {
		_, err := w.raw.ExecContext(t.Context(), statement)
		must(t, err)
	}
	// Indexes are built faster after than during.
	indexes := w.dropIndexes(t, "audit")
	party := fmt.Sprintf(`CASE WHEN i %% 10 = 3 THEN 1 ELSE 1 + (CAST(i AS BIGINT) * 7919) %% %d END`, w.parties)
	_, err := w.raw.ExecContext(t.Context(), `INSERT INTO audit (id, at, kind, outcome, account_id, client_id, grant_id, api, tool, reason, request_id, detail, result, shipped)
		SELECT 'entry' || substr(CAST(100000000 + i AS TEXT), 2), `+strconv.Itoa(began)+` + CAST(i AS BIGINT) * 50,
			CASE WHEN i % 5 > 0 THEN 'call' WHEN i % 25 = 20 THEN 'admin' WHEN i % 25 = 0 THEN 'sign-in' WHEN i % 25 = 5 THEN 'consent' WHEN i % 25 = 10 THEN 'token' ELSE 'exchange' END,
			CASE WHEN i % 20 = 1 THEN 'denied' WHEN i % 20 = 2 THEN 'failed' ELSE 'done' END, 'account' || party, 'client' || party, 'grant' || party,
			CASE WHEN i <= n / 1000 THEN 'rare' ELSE 'customers' END, CASE WHEN i <= n / 1000 THEN 'rare' WHEN i % 5 > 0 THEN 'tool' || i % 20 ELSE '' END,
			CASE WHEN i % 20 IN (1, 2) THEN 'it was not allowed' ELSE '' END, 'request' || (i / 2), '{"arguments":"limit region","scope":"users:read","gateway":"client1"}', '{"status":"200"}', 2
		FROM (SELECT i, `+strconv.Itoa(w.entries)+` AS n, `+party+` AS party FROM `+w.numbers(w.entries)+`) AS things`)
	must(t, err)
	for _, index := range indexes {
		_, err := w.raw.ExecContext(t.Context(), index)
		must(t, err)
	}
	after := []string{`INSERT INTO audit_refused (outcome, at, seq) SELECT outcome, at, seq FROM audit WHERE outcome IN ('denied', 'failed')`}
	if w.postgres {
		after = append(after, `VACUUM ANALYZE`) // as its autovacuum does in time
	} else {
		after = append(after, `PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	for _, statement := range after {
		_, err := w.raw.ExecContext(t.Context(), statement)
		must(t, err)
	}
}

// dropIndexes removes those of a table that are not part of it and returns what
// makes them again.
func (w *world) dropIndexes(t *testing.T, table string) (statements []string) {
	t.Helper()
	query := `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '` + table + `' AND sql IS NOT NULL`
	if w.postgres {
		query = `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '` + table + `' AND indexdef NOT LIKE 'CREATE UNIQUE%'`
	}
	rows, err := w.raw.QueryContext(t.Context(), query)
	must(t, err)
	var names []string
	for rows.Next() {
		var name, statement string
		must(t, rows.Scan(&name, &statement))
		names, statements = append(names, name), append(statements, statement)
	}
	must(t, rows.Err())
	must(t, rows.Close())
	for _, name := range names {
		_, err := w.raw.ExecContext(t.Context(), `DROP INDEX `+name)
		must(t, err)
	}
	return statements
}

// get asks for a page as the administrator.
func (w *world) get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, consoleHost+path, nil)
	r.AddCookie(&http.Cookie{Name: "gatehouse-console", Value: w.cookie})
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

// spent is the processor time so far of this process, and of the database's
// where it is another that can be looked at.
func (w *world) spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	total := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if !w.postgres {
		return total
	}
	rows, err := w.raw.QueryContext(context.WithoutCancel(t.Context()), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var pid int
		must(t, rows.Scan(&pid))
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)); err == nil {
			ns, _, _ := strings.Cut(string(text), " ")
			n, _ := strconv.ParseInt(ns, 10, 64)
			total += time.Duration(n)
		}
	}
	must(t, rows.Err())
	return total
}

// onBoth runs f on each engine with what makes addresses of empty databases.
func onBoth(t *testing.T, f func(t *testing.T, dsn func() string)) {
	t.Run("sqlite", func(t *testing.T) {
		f(t, func() string { return "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db") })
	})
	t.Run("postgres", func(t *testing.T) { f(t, func() string { return webtest.Postgres(t) }) })
}
