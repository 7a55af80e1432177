package main

import (
	"context"
	"database/sql"
)

// group commits the writes that are waiting as one transaction, so that one
// fsync serves many callers.
type group struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	queue chan write
}

type write struct {
	query string
	args  []any
	done  chan error
}

// The statements that are written; each is prepared once.
const (
	addEntry    = `INSERT INTO entries (id, detail, outcome) VALUES ($1, $2, 'started')`
	finishEntry = `UPDATE entries SET outcome = $2 WHERE id = $1`
	addClient   = `INSERT INTO clients (id, metadata) VALUES ($1, $2)`
	begin       = `BEGIN IMMEDIATE`
	commit      = `COMMIT`
)

func newGroup(db *sql.DB) (*group, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	g := &group{conn: conn, stmts: map[string]*sql.Stmt{}, queue: make(chan write, 1024)}
	for _, query := range []string{addEntry, finishEntry, addClient, begin, commit} {
		if g.stmts[query], err = conn.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
	}
	go g.loop()
	return g, nil
}

// do returns when the write is committed.
func (g *group) do(query string, args ...any) error {
	w := write{query, args, make(chan error, 1)}
	g.queue <- w
	return <-w.done
}

func (g *group) loop() {
	for first := range g.queue {
		batch := []write{first}
		for len(g.queue) > 0 && len(batch) < 256 {
			batch = append(batch, <-g.queue)
		}
		err := g.commit(batch)
		for _, w := range batch {
			w.done <- err
		}
	}
}

func (g *group) commit(batch []write) error {
	if _, err := g.stmts[begin].Exec(); err != nil {
		return err
	}
	for _, w := range batch {
		if _, err := g.stmts[w.query].Exec(w.args...); err != nil {
			return err
		}
	}
	_, err := g.stmts[commit].Exec()
	return err
}
