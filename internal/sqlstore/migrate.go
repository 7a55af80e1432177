package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed schema
var schema embed.FS

// engineSchema is where an engine's migrations are.
type engineSchema struct {
	dialect goose.Dialect
	folder  string
}

func sqliteSchema() engineSchema   { return engineSchema{goose.DialectSQLite3, "schema/sqlite"} }
func postgresSchema() engineSchema { return engineSchema{goose.DialectPostgres, "schema/postgres"} }

const (
	versionTable    = "schema_version"
	migrateAttempts = 5
)

// migrate brings the database to the schema of this program, or only checks that
// it is there (and then leaves an empty version table at most). It never touches
// what a newer program wrote.
func migrate(ctx context.Context, pool *sql.DB, e engineSchema, name string, checkOnly bool) error {
	files, err := fs.Sub(schema, e.folder)
	if err != nil {
		return fmt.Errorf("read the embedded schema: %w", err)
	}
	options := []goose.ProviderOption{goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true)}
	if e.dialect == goose.DialectPostgres {
		// One process at a time: others would run into its locks, in any order.
		// SQLite has one writer at a time anyway.
		turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
		if err != nil {
			return fmt.Errorf("prepare the lock for migrating: %w", err)
		}
		options = append(options, goose.WithSessionLocker(turns))
	}
	p, err := goose.NewProvider(e.dialect, pool, files, options...)
	if err != nil {
		return fmt.Errorf("read the embedded schema: %w", err)
	}
	// Of several processes that start at once on an empty database one makes the
	// version table and the others fail; they look again.
	for attempt := 1; ; attempt++ {
		current, known, err := p.GetVersions(ctx)
		switch {
		case err != nil && attempt == migrateAttempts:
			return fmt.Errorf("read the schema version of database %s: %w", name, err)
		case err != nil:
			continue
		case current > known:
			return fmt.Errorf("database %s is at schema %d, this gatehouse knows %d; use the newer gatehouse", name, current, known)
		case current == known:
			return nil
		case checkOnly:
			return fmt.Errorf("database %s is at schema %d, this gatehouse needs %d; run gatehouse migrate", name, current, known)
		}
		if _, err := p.Up(ctx); err != nil && attempt == migrateAttempts {
			return fmt.Errorf("bring database %s from schema %d to %d: %w", name, current, known, err)
		}
	}
}
