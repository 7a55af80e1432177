package audit

import (
	"context"
	"time"
)

// Outbox is the log of a gateway that is a process of its own: what it has
// recorded goes to the authorization server, where all entries are.
type Outbox interface {
	// Unshipped returns the oldest entries that are still to be sent, at most
	// limit: those that have ended, and once each those that began before a time
	// and have not.
	Unshipped(ctx context.Context, began time.Time, limit int) ([]Entry, error)
	// Shipped marks entries as received, as far as they are still what was sent.
	Shipped(ctx context.Context, entries []Entry) error
	// PruneShipped removes entries from before a time that were received whole.
	PruneShipped(ctx context.Context, before time.Time) error
}

// Inbox takes the entries of gateways.
type Inbox interface {
	// Receive stores entries under the IDs that they have, all or none. One that
	// is there already is left alone, unless it had begun and has ended now:
	// whoever gets no answer sends again.
	Receive(ctx context.Context, entries []Entry) error
}
