package grant

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/oauth"
)

// ErrGap: the events after a position are not all known. It is of another
// epoch, ahead of the feed, or so old that what followed was removed.
var ErrGap = errors.New("the revocation feed does not reach back to this position")

// EventLifetime is how long an event is kept for readers that were away.
const EventLifetime = 24 * time.Hour

// Feed is what was ended or narrowed, numbered in the order in which it was
// committed: whoever has seen number n has missed nothing up to n (security.md
// 10).
type Feed interface {
	// Events returns events after a position, oldest first and at most limit,
	// and the feed's own position, both of one moment. ErrGap still comes with
	// the position.
	Events(ctx context.Context, after oauth.FeedPosition, limit int) ([]oauth.FeedEvent, oauth.FeedPosition, error)
	// Closed returns what Stops have closed of each API, by resource; what is open
	// is not in it. It is at least as new as any event that was read before.
	Closed(ctx context.Context) (map[string]*oauth.Closed, error)
}
