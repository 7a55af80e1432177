package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// preparer is a pool or a connection.
type preparer interface {
	runner
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// prepared prepares each statement once. The texts are this package's
// constants, so what it keeps is bounded.
type prepared struct {
	on preparer

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

func newPrepared(on preparer) *prepared {
	return &prepared{on: on, stmts: map[string]*sql.Stmt{}}
}

func (p *prepared) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.RLock()
	s := p.stmts[query]
	p.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.stmts[query]; s != nil {
		return s, nil
	}
	s, err := p.on.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	p.stmts[query] = s
	return s, nil
}

// ExecContext runs query as a prepared statement.
func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryRowContext runs query as a prepared statement.
func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := p.stmt(ctx, query)
	if err != nil {
		// What could not be prepared fails again here, and the row carries the error.
		return p.on.QueryRowContext(ctx, query, args...)
	}
	return s.QueryRowContext(ctx, args...)
}
