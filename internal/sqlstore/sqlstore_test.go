package sqlstore_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

// TestMain lets the test binary be the second process of a test; see process_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	os.Exit(m.Run())
}

// now is when most tests happen.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// onBoth runs f on each engine with the address of an empty database.
func onBoth(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, sqliteDSN(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, webtest.Postgres(t)) })
}

func sqliteDSN(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db")
}

func open(t testing.TB, dsn string, o sqlstore.Options) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// raw opens the database past the store.
func raw(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	driver, address := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, address = "sqlite", path
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// request, aGrant, aCode and aToken belong together.
func request(id string) grant.Request {
	return grant.Request{ID: id, BrowserHash: "b", ClientID: "cl", RedirectURI: "http://127.0.0.1:1/cb", State: "st",
		Challenge: "ch", Scopes: []string{"users:read", "orders:read"}, Resource: "https://mcp.example/",
		RedirectGiven: true, ForceSignIn: true, ForceConsent: true, ExpiresAt: now.Unix() + 900}
}

func aGrant(id string) grant.Grant {
	return grant.Grant{ID: id, AccountID: "ac", ClientID: "cl", Resource: "https://mcp.example/",
		Scopes: []string{"users:read", "orders:read"}, Agreed: "f", CreatedAt: now.Unix(), ExpiresAt: now.Unix() + 3600}
}

func aCode(hash secret.Hash) grant.Code {
	return grant.Code{Hash: hash, ClientID: "cl", RedirectURI: "http://127.0.0.1:1/cb", RedirectGiven: true,
		Challenge: "ch", Scopes: []string{"users:read"}, Resource: "https://mcp.example/", AMR: []string{"pwd"},
		AuthTime: now.Unix() - 5, ExpiresAt: now.Unix() + 60}
}

func aToken(hash secret.Hash) grant.Token {
	return grant.Token{Hash: hash, Scopes: []string{"users:read"}, IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 600,
		AMR: []string{"pwd"}, AuthTime: now.Unix() - 5}
}

// addClient stores a client, as every one is before it acts for itself.
func addClient(t testing.TB, db *sqlstore.DB, id string) {
	t.Helper()
	must(t, db.AddClient(t.Context(), client.Client{ID: id, Origin: client.Registered, AuthMethod: oauth.AuthNone}))
}

// approve brings a request to a grant and a code, as the pages do.
func approve(t testing.TB, db *sqlstore.DB, g grant.Grant, c grant.Code, at time.Time) {
	t.Helper()
	r := request(secret.ID())
	r.ClientID, r.ExpiresAt = g.ClientID, at.Unix()+900
	must(t, db.SaveRequest(t.Context(), r))
	must(t, db.SignIn(t.Context(), r.ID, g.AccountID, []string{"pwd"}, at.Unix(), at))
	for { // as the server does: what changed meanwhile is decided about anew
		held, err := db.Remembered(t.Context(), g.AccountID, g.ClientID, g.Resource, at)
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			t.Fatal(err)
		}
		if err = db.Approve(t.Context(), r.ID, held, g, c, at); !errors.Is(err, grant.ErrChanged) {
			must(t, err)
			return
		}
	}
}
