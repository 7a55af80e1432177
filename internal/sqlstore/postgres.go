package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresConnections bounds what one process takes of the server's connections.
const postgresConnections = 20

// openPostgres opens the database that dsn names. Every write but an audit entry
// is a transaction of its own through the pool; audit entries are many, small
// and alike, so the writer gathers them.
func openPostgres(ctx context.Context, dsn string, o Options) (*DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("store address is not understood: %w", err) // pgx leaves the password out
	}
	name := config.Host + "/" + config.Database
	pool := sql.OpenDB(stdlib.GetConnector(*config))
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresConnections)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach database %s: %w", name, err), pool.Close())
	}
	if err := migrate(ctx, pool, postgresSchema(), name, o.NoMigrate); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	w := startWriter(pool, "BEGIN", false, o.Latency)
	return &DB{
		reader:  slowed(pool, o.Latency), // the driver keeps statements prepared
		pool:    pool,
		writer:  w,
		viaPool: true,
		latency: o.Latency,
		closers: []func() error{w.stop, pool.Close},
	}, nil
}
