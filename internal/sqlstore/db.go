// Package sqlstore keeps what the domain packages must remember, in SQLite or
// in PostgreSQL: it implements the Store of account, client, grant and audit
// and keeps the installation's signing keys and secrets.
//
// It owns the schema, its migrations and the SQL, one text for both engines.
// It decides nothing: which scopes, lifetimes or clients are right is the
// domain's. Each method is one atomic step, and whatever may happen only once is
// one conditional statement, never a read followed by a write.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
)

var (
	_ account.Store       = (*DB)(nil)
	_ account.Invitations = (*DB)(nil)
	_ client.Store        = (*DB)(nil)
	_ grant.Requests      = (*DB)(nil)
	_ grant.Store         = (*DB)(nil)
	_ grant.StepUp        = (*DB)(nil)
	_ grant.Feed          = (*DB)(nil)
	_ audit.Store         = (*DB)(nil)
	_ audit.Outbox        = (*DB)(nil)
	_ audit.Inbox         = (*DB)(nil)
	_ grant.Stops         = (*DB)(nil)
	_ audit.Searcher      = (*DB)(nil)
)

// DB is an open database. Its methods may be used by many goroutines.
type DB struct {
	reader  runner  // outside any transaction
	pool    *sql.DB // behind reader, for what returns many rows
	writer  *writer // every write of SQLite; PostgreSQL's audit entries
	viaPool bool    // writes other than audit entries take a transaction of pool: PostgreSQL
	latency time.Duration
	shipped int            // what new audit entries are marked as; see Options.Ships
	closers []func() error // in the order in which Close calls them
}

// Options adjusts Open. The zero value is what production uses.
type Options struct {
	// NoMigrate refuses a database whose schema is not up to date instead of
	// bringing it there.
	NoMigrate bool
	// Ships marks audit entries as still to be sent to the authorization server:
	// the store is that of a gateway which is a process of its own.
	Ships bool
	// Latency is waited before each statement, inside its transaction. Tests
	// use it to bring races about.
	Latency time.Duration
}

// errClosed means that Close was called.
var errClosed = errors.New("the database is closed")

// Open opens "sqlite:/path/to/file.db" or "postgres://user@host/database" and
// brings its schema up to date unless o forbids it. A database that a newer
// gatehouse wrote is refused and left as it is. The error is one line for the
// person who started the program and never holds a password.
func Open(ctx context.Context, dsn string, o Options) (*DB, error) {
	db, err := open(ctx, dsn, o)
	if err == nil && !o.Ships {
		db.shipped = shippedAll
	}
	return db, err
}

func open(ctx context.Context, dsn string, o Options) (*DB, error) {
	switch scheme, rest, _ := strings.Cut(dsn, ":"); scheme {
	case "sqlite":
		return openSQLite(ctx, rest, o)
	case "postgres", "postgresql":
		return openPostgres(ctx, dsn, o)
	}
	return nil, errors.New("store is neither sqlite:/path/to/file.db nor postgres://user@host/database")
}

// Close finishes what was handed over and closes the database.
func (d *DB) Close() error {
	var errs []error
	for _, c := range d.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// runner runs single statements: a pool, a transaction, or either with its
// statements prepared.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// step is the body of a transaction. It may run on another goroutine, so it
// reports only through what it captured for that. An error undoes all it did; it
// runs at most once.
type step func(ctx context.Context, q runner) error

// do runs s as one atomic step and returns when it is durable. what names it in
// errors. If ctx ends before its turn, s is not run.
func (d *DB) do(ctx context.Context, what string, s step) error {
	var err error
	if d.viaPool {
		err = d.transact(ctx, s)
	} else {
		err = d.writer.do(ctx, &job{run: s, wait: true})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// transact runs s in a transaction of its own, at the isolation level READ
// COMMITTED: a conditional statement that waited for another transaction looks
// at the row again, so that only one of two can win.
func (d *DB) transact(ctx context.Context, s step) error {
	tx, err := d.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	if err := s(ctx, slowed(tx, d.latency)); err != nil {
		return err
	}
	return tx.Commit()
}

// exec runs a single statement durably and returns how many rows it changed.
func (d *DB) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	var n int64
	s := func(ctx context.Context, q runner) (err error) {
		n, err = changed(q.ExecContext(ctx, query, args...))
		return err
	}
	if !d.viaPool {
		err := d.do(ctx, what, s)
		return n, err
	}
	// One statement is a transaction already: this saves two round trips.
	if err := s(ctx, d.reader); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return n, nil
}

// changed returns how many rows a statement changed.
func changed(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// found translates the absence of a row to what the domain calls it, and names
// what was attempted otherwise.
func found(what string, err, absent error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return absent
	}
	return fmt.Errorf("%s: %w", what, err)
}

// slow waits before each statement.
type slow struct {
	runner
	latency time.Duration
}

func slowed(q runner, latency time.Duration) runner {
	if latency == 0 {
		return q
	}
	return slow{q, latency}
}

func (s slow) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	time.Sleep(s.latency)
	return s.runner.ExecContext(ctx, query, args...)
}

func (s slow) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	time.Sleep(s.latency)
	return s.runner.QueryRowContext(ctx, query, args...)
}
