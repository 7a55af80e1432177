// Package audit records what happened: sign-ins, consents, registrations,
// tokens and tool calls, each with who, through which agent, and the outcome.
//
// An entry is written before the thing it tells of takes effect; if it cannot
// be written the thing does not happen. Entries hold identifiers, argument
// names and a keyed hash of arguments, never values, tokens or passwords
// (security.md 22).
package audit

import (
	"context"
	"errors"
)

// Kind is what an entry tells of.
type Kind string

// Kinds of entries.
const (
	SignIn       Kind = "sign-in"
	Consent      Kind = "consent"
	Registration Kind = "registration"
	TokenIssued  Kind = "token"
	Exchange     Kind = "exchange"
	Call         Kind = "call"
	Revocation   Kind = "revocation"
	Admin        Kind = "admin"
)

// Outcome is how it ended. A Call begins as Started and is finished.
type Outcome string

// Outcomes of entries.
const (
	Started Outcome = "started"
	Done    Outcome = "done"
	Denied  Outcome = "denied"
	Failed  Outcome = "failed"
)

// ErrUnavailable means that an entry cannot be taken now: the writer is
// stopped, or its queue is full. What the entry tells of must not happen.
var ErrUnavailable = errors.New("the audit log takes no entries now")

// Entry is one thing that happened. Empty members did not apply.
type Entry struct {
	ID        string            `json:"id"`   // unique; made by NewID
	Time      int64             `json:"time"` // Unix milliseconds
	Kind      Kind              `json:"kind"`
	Outcome   Outcome           `json:"outcome"`
	AccountID string            `json:"account_id,omitempty"`
	ClientID  string            `json:"client_id,omitempty"`
	GrantID   string            `json:"grant_id,omitempty"`
	API       string            `json:"api,omitempty"`
	Tool      string            `json:"tool,omitempty"`
	Reason    string            `json:"reason,omitempty"`     // in plain words, for Denied and Failed
	RequestID string            `json:"request_id,omitempty"` // of the request event it belongs to
	Detail    map[string]string `json:"detail,omitempty"`     // further facts, e.g. argument names, upstream status; no secrets
}

// Store is what this package needs from a database.
type Store interface {
	// Append returns once e is durable.
	Append(ctx context.Context, e Entry) error
	// Enqueue hands e to the writer and returns; e is durable within 100 ms. A
	// killed process loses none that was handed over to the operating system,
	// a power cut at most that window. ErrUnavailable if the writer is behind its bound.
	Enqueue(ctx context.Context, e Entry) error
	// Finish records the outcome of an entry that Append or Enqueue took.
	// It is queued like Enqueue.
	Finish(ctx context.Context, id string, o Outcome, reason string, detail map[string]string) error
	// Recent returns the newest entries, newest first, at most limit.
	Recent(ctx context.Context, limit int) ([]Entry, error)
}
