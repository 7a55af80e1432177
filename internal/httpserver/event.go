package httpserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// event collects what the log will say about one request. It is also the
// response writer, to learn status and size.
type event struct {
	http.ResponseWriter
	id     string
	start  time.Time
	status int // 0 until the header is written
	bytes  int64

	mu    sync.Mutex
	notes []slog.Attr
	quiet bool
}

type eventKey struct{}

const (
	maxNotes   = 32  // attributes that handlers may add
	maxLogText = 200 // bytes of what a client chose
)

func newEvent(w http.ResponseWriter) *event {
	return &event{ResponseWriter: w, id: rand.Text(), start: time.Now()}
}

// Note adds an attribute to the request's log event; the last value of a key
// counts. Never pass a token, a secret, a claim or a query string. Outside of a
// request it does nothing.
func Note(ctx context.Context, key string, value any) {
	e, ok := ctx.Value(eventKey{}).(*event)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.notes {
		if e.notes[i].Key == key {
			e.notes[i] = slog.Any(key, value)
			return
		}
	}
	if len(e.notes) < maxNotes {
		e.notes = append(e.notes, slog.Any(key, value))
	}
}

// Quiet makes the event of a request that succeeds one for debugging: for what
// machines ask several times a second.
func Quiet(ctx context.Context) {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.quiet = true
	}
}

// RequestID returns the identifier of the request that ctx belongs to, or "".
// The server makes it; one in the request is ignored.
func RequestID(ctx context.Context) string {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		return e.id
	}
	return ""
}

// WriteHeader notes the status.
func (e *event) WriteHeader(status int) {
	if e.status == 0 && status >= 200 { // 1xx are not the answer
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

// Write counts bytes.
func (e *event) Write(b []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	n, err := e.ResponseWriter.Write(b)
	e.bytes += int64(n)
	return n, err
}

// Flush sends what is written, for event streams.
func (e *event) Flush() {
	// Without support below there is nothing to do better.
	_ = http.NewResponseController(e.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (e *event) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// finish is deferred around the handler: it answers for one that panicked, and
// logs the event.
func (e *event) finish(log *slog.Logger, r *http.Request) {
	cause := recover()
	level := slog.LevelInfo
	if cause != nil {
		level = slog.LevelError
		Note(r.Context(), "panic", fmt.Sprint(cause))
		Note(r.Context(), "stack", string(debug.Stack()))
	}
	begun := e.status != 0
	if cause != nil && !begun && !aborted(cause) {
		WriteProblem(e, Problem{
			Title: "Internal error", Status: http.StatusInternalServerError,
			Detail: "The request failed. Try again; if it fails again, tell the operator its request_id.",
			Extra:  map[string]any{"request_id": e.id},
		})
	}
	if e.status == 0 {
		e.status = http.StatusOK // net/http's answer for a handler that wrote nothing
	}
	if e.status >= 500 {
		level = slog.LevelError
	}
	e.log(log, level, r)
	if cause != nil && (begun || aborted(cause)) {
		// Half an answer must not look like a whole one: cut the connection.
		panic(http.ErrAbortHandler)
	}
}

func aborted(cause any) bool {
	err, ok := cause.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

func (e *event) log(log *slog.Logger, level slog.Level, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quiet && level == slog.LevelInfo {
		level = slog.LevelDebug
	}
	attrs := append([]slog.Attr{
		slog.String("request_id", e.id),
		slog.String("method", cut(r.Method)),
		slog.String("host", cut(r.Host)),
		slog.String("path", cut(r.URL.Path)), // no query: it may hold codes and tokens
		slog.Int("status", e.status),
		slog.Int64("bytes", e.bytes),
		slog.Duration("duration", time.Since(e.start)),
	}, e.notes...)
	log.LogAttrs(r.Context(), level, "request", attrs...)
}

func cut(s string) string {
	return s[:min(len(s), maxLogText)]
}

// Status returns the status that has been answered so far to the request that
// ctx belongs to; 0 before, and outside of one.
func Status(ctx context.Context) int {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		return e.status
	}
	return 0
}
