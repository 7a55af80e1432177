package webtest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/internal/webtest"
)

func TestPostgresIsFreshAndDropped(t *testing.T) {
	var dsn string
	t.Run("use", func(t *testing.T) {
		dsn = webtest.Postgres(t)
		if other := webtest.Postgres(t); other == dsn {
			t.Error("two tests share a database")
		}
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		// Left open on purpose: dropping must not wait for it.
		if _, err := conn.Exec(t.Context(), "CREATE TABLE a (b TEXT)"); err != nil {
			t.Fatal(err)
		}
	})
	if dsn == "" {
		t.Skip("no PostgreSQL")
	}
	if conn, err := pgx.Connect(context.Background(), dsn); err == nil {
		_ = conn.Close(context.Background())
		t.Error("the database is still there")
	}
}

// TestPostgresIsNotForgottenInCI: without a cluster, a test is skipped on a
// developer's machine and fails in CI.
func TestPostgresIsNotForgottenInCI(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_POSTGRES", "")
	for ci, skipped := range map[string]bool{"": true, "true": false} {
		t.Setenv("CI", ci)
		r := told(t, func(r *recorder) { webtest.Postgres(r) })
		if r.skipped != skipped || len(r.told) != 1 || !strings.Contains(r.told[0], "make test") {
			t.Errorf("CI=%q: skipped %t, told %q", ci, r.skipped, r.told)
		}
	}
}
