package webtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresVariable names the cluster that tests may create databases in.
const postgresVariable = "GATEHOUSE_TEST_POSTGRES"

// Postgres creates a database for one test in the cluster that the environment
// variable GATEHOUSE_TEST_POSTGRES names by a connection string, and returns
// the connection string of the new one. It is dropped when the test ends. Close
// connections in a Cleanup registered later than this call, or before it ends.
//
// Without the variable the test is skipped, or fails where nothing may be
// skipped (CI=true).
func Postgres(t testing.TB) string {
	t.Helper()
	cluster := os.Getenv(postgresVariable)
	if cluster == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set; `make test` starts a cluster and sets it", postgresVariable)
		}
		t.Skipf("no PostgreSQL: %s is not set; `make test` starts a cluster and sets it", postgresVariable)
	}
	name := "gatehouse_" + strings.ToLower(rand.Text())
	administer(t, t.Context(), cluster, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		administer(t, context.WithoutCancel(t.Context()), cluster, "DROP DATABASE "+name+" WITH (FORCE)")
	})
	return withDatabase(cluster, name)
}

func administer(t testing.TB, ctx context.Context, cluster, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, cluster)
	if err != nil {
		t.Fatalf("connect to the cluster that %s names: %v", postgresVariable, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// withDatabase names another database in a connection string of either form.
func withDatabase(dsn, name string) string {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		u.Path = "/" + name
		return u.String()
	}
	return dsn + " dbname=" + name // of several, the last one counts
}
