package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueBound = 1024                  // steps that wait for the writer
	batchBound = 256                   // steps that share a transaction
	syncDelay  = 50 * time.Millisecond // from a relaxed commit to its fsync: half of what audit.Store promises
)

// writer runs steps one after the other on its own connection and commits what
// is waiting as one transaction. One fsync then serves many callers, which makes
// durability as fast as its absence (performance.md).
type writer struct {
	pool    *sql.DB // where its connection comes from
	begin   string  // starts a transaction that may write
	sqlite  bool    // keeps its connection, whose commits may be relaxed
	latency time.Duration

	queue    chan *job
	stopping chan struct{} // closed by stop
	stopped  chan struct{} // closed when no step runs any more
	stopOnce sync.Once

	// The rest belongs to the goroutine.
	conn   *sql.Conn
	stmts  runner           // on conn
	full   bool             // conn waits for the disk at each commit
	due    <-chan time.Time // when relaxed commits must be synced; nil if there are none
	behind bool             // an fsync that was due failed
}

// job is a step on its way through the writer.
type job struct {
	run     step
	wait    bool // for room in the queue, instead of errFull
	relaxed bool // answered once the operating system has it; on the disk within 2 × syncDelay
	state   atomic.Int32
	done    chan error
}

// States of a job. Only one of writer and caller moves it on.
const (
	waiting int32 = iota
	taken
	abandoned
)

// errFull means that the writer is behind its bound.
var errFull = fmt.Errorf("%d writes are waiting already", queueBound)

// startWriter starts the goroutine, which stop ends.
func startWriter(pool *sql.DB, begin string, sqlite bool, latency time.Duration) *writer {
	w := &writer{
		pool: pool, begin: begin, sqlite: sqlite, latency: latency,
		queue:    make(chan *job, queueBound),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	go w.loop()
	return w
}

// stop runs what was handed over and ends the goroutine.
func (w *writer) stop() error {
	w.stopOnce.Do(func() { close(w.stopping) })
	<-w.stopped
	return nil
}

// do hands j over and returns its outcome after the commit. If it returns the
// error of ctx, j was not run.
func (w *writer) do(ctx context.Context, j *job) error {
	j.done = make(chan error, 1)
	if err := w.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
	case <-w.stopped:
		if j.state.CompareAndSwap(waiting, abandoned) {
			return errClosed
		}
	}
	return <-j.done
}

func (w *writer) enqueue(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.stopping:
		return errClosed
	default:
	}
	select {
	case w.queue <- j:
		return nil
	default:
	}
	if !j.wait {
		return errFull
	}
	select {
	case w.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopping:
		return errClosed
	}
}

func (w *writer) loop() {
	defer close(w.stopped)
	defer func() {
		if w.due != nil {
			w.sync()
		}
		w.disconnect(nil)
	}()
	for {
		select {
		case j := <-w.queue:
			w.commit(w.batch(j))
		case <-w.due:
			w.sync()
		case <-w.stopping:
			for len(w.queue) > 0 {
				w.commit(w.batch(<-w.queue))
			}
			return
		}
	}
}

// batch returns first and what else is waiting, without what was abandoned.
func (w *writer) batch(first *job) []*job {
	var jobs []*job
	for j := first; ; {
		if j.state.CompareAndSwap(waiting, taken) {
			jobs = append(jobs, j)
		}
		if len(jobs) == batchBound {
			return jobs
		}
		select {
		case j = <-w.queue:
		default:
			return jobs
		}
	}
}

// commit runs jobs in one transaction and answers each.
func (w *writer) commit(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	// After a failed fsync nobody is told that it went well before it did.
	full := !w.sqlite || w.behind
	for _, j := range jobs {
		full = full || !j.relaxed
	}
	outcomes := make([]error, len(jobs))
	err := w.transact(full, func(ctx context.Context) error {
		for i, j := range jobs {
			var err error
			if outcomes[i], err = w.runOne(ctx, j.run, len(jobs) > 1); err != nil {
				return err
			}
		}
		if len(jobs) == 1 {
			return outcomes[0]
		}
		return nil
	})
	for i, j := range jobs {
		if err != nil {
			outcomes[i] = err
		}
		j.done <- outcomes[i]
	}
}

// runOne runs one step of the open transaction, so that its failure undoes it
// alone. broken means that the transaction cannot go on.
func (w *writer) runOne(ctx context.Context, run step, shared bool) (outcome, broken error) {
	q := slowed(w.stmts, w.latency)
	if !shared {
		return run(ctx, q), nil
	}
	if _, err := w.stmts.ExecContext(ctx, "SAVEPOINT step"); err != nil {
		return nil, fmt.Errorf("set savepoint: %w", err)
	}
	if outcome = run(ctx, q); outcome != nil {
		// A full disk, for one, makes SQLite undo the whole transaction; then this fails.
		if _, err := w.stmts.ExecContext(ctx, "ROLLBACK TO SAVEPOINT step"); err != nil {
			return nil, fmt.Errorf("%w (and undoing it: %w)", outcome, err)
		}
	}
	if _, err := w.stmts.ExecContext(ctx, "RELEASE SAVEPOINT step"); err != nil {
		return nil, fmt.Errorf("release savepoint: %w", err)
	}
	return outcome, nil
}

// transact runs f in a transaction. Steps run to their end once begun, so the
// context is nobody's.
func (w *writer) transact(full bool, f func(context.Context) error) error {
	ctx := context.Background()
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	if err := w.setFull(ctx, full); err != nil {
		return w.disconnect(fmt.Errorf("set synchronous: %w", err))
	}
	if _, err := w.stmts.ExecContext(ctx, w.begin); err != nil {
		return w.disconnect(fmt.Errorf("begin: %w", err))
	}
	if err := f(ctx); err != nil {
		if _, undo := w.stmts.ExecContext(ctx, "ROLLBACK"); undo != nil {
			return w.disconnect(err)
		}
		return err
	}
	if _, err := w.stmts.ExecContext(ctx, "COMMIT"); err != nil {
		return w.disconnect(fmt.Errorf("commit: %w", err))
	}
	if !full && w.due == nil {
		w.due = time.After(syncDelay)
	}
	if !w.sqlite {
		// The pool finds out whether it still works before it is used again.
		w.conn.Close()
		w.conn, w.stmts = nil, nil
	}
	return nil
}

// sync puts on the disk what relaxed commits left with the operating system. A
// later full commit did that already if it wrote anything, but only this one is
// sure to write.
func (w *writer) sync() {
	err := w.transact(true, func(ctx context.Context) error {
		_, err := w.stmts.ExecContext(ctx, putMeta, "synced", strconv.FormatInt(time.Now().UnixMilli(), 10))
		return err
	})
	w.due, w.behind = nil, err != nil
	if w.behind {
		w.due = time.After(syncDelay)
	}
}

// connect takes a connection unless there is one.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.pool.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn, w.stmts, w.full = conn, conn, true
	if w.sqlite {
		w.stmts = newPrepared(conn) // PostgreSQL's driver does that itself
	}
	return nil
}

// disconnect closes the connection, whose state is unknown after err, so that
// the next transaction begins with a new one. It returns err.
func (w *writer) disconnect(err error) error {
	if w.conn == nil {
		return err
	}
	// The pool drops a connection of which this is said.
	w.conn.Raw(func(any) error { return driver.ErrBadConn })
	w.conn.Close()
	w.conn, w.stmts = nil, nil
	return err
}

// setFull switches whether SQLite waits for the disk at each commit. In WAL mode
// NORMAL writes without fsync and FULL's fsync covers all that was written
// before. The pragma acts when it is compiled and only outside a transaction, so
// it is no prepared statement.
func (w *writer) setFull(ctx context.Context, full bool) error {
	if !w.sqlite || w.full == full {
		return nil
	}
	pragma := "PRAGMA synchronous = NORMAL"
	if full {
		pragma = "PRAGMA synchronous = FULL"
	}
	if _, err := w.conn.ExecContext(ctx, pragma); err != nil {
		return err
	}
	w.full = full
	return nil
}
