package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"
)

// sqliteSettings hold for every connection. A writer that meets another
// process's transaction waits up to five seconds for it.
const sqliteSettings = "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
	"&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_dqs=0&_txlock=immediate"

// openSQLite opens the database file at path, which it creates for this user
// alone if there is none.
func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	path, err := filepath.Abs(strings.TrimPrefix(path, "//"))
	if err != nil {
		return nil, fmt.Errorf("database file %s: %w", path, err)
	}
	if err := prepareFile(path, o.NoMigrate); err != nil {
		return nil, err
	}
	// url.URL escapes what would end the path in SQLite's file names.
	address := (&url.URL{Scheme: "file", Path: path}).String() + "?" + sqliteSettings
	pool, err := sqlitePool(address, 1)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := migrate(ctx, pool, sqliteSchema(), path, o.NoMigrate); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	readers, err := sqlitePool(address+"&_query_only=1", max(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	w := startWriter(pool, "BEGIN IMMEDIATE", true, o.Latency)
	return &DB{
		reader: slowed(uninterrupted{newPrepared(readers)}, o.Latency),
		pool:   readers,
		writer: w,
		// The writing connection is the last to close: it tidies the log away.
		closers: []func() error{w.stop, readers.Close, pool.Close},
	}, nil
}

// uninterrupted reads to the end even if the context ends meanwhile: the driver
// starts a goroutine for each statement that could be interrupted, which costs
// a third of a look-up (BenchmarkToken).
type uninterrupted struct{ runner }

// QueryRowContext runs query without a way to stop it.
func (u uninterrupted) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return u.runner.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

func sqlitePool(address string, size int) (*sql.DB, error) {
	c, err := sqlite.NewConnector(address)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

// prepareFile makes sure that path can be a database: SQLite itself would say
// "unable to open database file" to everything, and let others read it. It never
// opens an existing file, since closing it again would drop the locks that this
// process holds on it (fcntl(2)).
func prepareFile(path string, mustExist bool) error {
	folder := filepath.Dir(path)
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return fmt.Errorf("database %s is a folder; name a file in it", path)
	case err == nil:
		return writable(folder)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("database %s: %w", path, reason(err))
	case mustExist:
		return fmt.Errorf("database %s does not exist; create it with gatehouse migrate", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return writable(folder)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("database folder %s does not exist; create it or name another", folder)
	case err != nil:
		return unwritable(folder, err)
	}
	return f.Close()
}

// writable checks that SQLite can put its log beside the database.
func writable(folder string) error {
	f, err := os.CreateTemp(folder, ".gatehouse-*")
	if err != nil {
		return unwritable(folder, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func unwritable(folder string, err error) error {
	return fmt.Errorf("database folder %s cannot be written to (%w); make it writable for this user or name another", folder, reason(err))
}

// reason drops the operation and path, which the message names already.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
