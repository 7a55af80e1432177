package grant

import (
	"context"
	"time"
)

// Connection is a live grant as the person sees it who gave it.
type Connection struct {
	Grant
	LastTool string    // that was called under it; empty if none was
	LastTime time.Time // when
	LastWell bool      // and whether the call was carried out
}

// Connections is what people do about what they allowed. Each method concerns
// one account's own grants; those of others are ErrNotFound, like grants that
// have ended.
type Connections interface {
	// Connections returns the account's live grants, newest first.
	Connections(ctx context.Context, accountID string, now time.Time) ([]Connection, error)
	// Allow stores a standing delegation, in the place of one of the same parties.
	// ErrChanged if the account allowed that client something there in another way;
	// client.ErrUnknown if the client is gone.
	Allow(ctx context.Context, g Grant, now time.Time) error
	// Narrow takes away what is not in keep. It never adds, and leaves at least
	// one scope: ErrNotFound if keep has none of the grant's.
	Narrow(ctx context.Context, accountID, grantID string, keep []string, now time.Time) error
	// EndConnection ends a grant and all that hangs off it.
	EndConnection(ctx context.Context, accountID, grantID string, now time.Time) error
}

// Listed is a live grant in a list.
type Listed struct {
	Grant
	Client string // its name; empty if it is gone, or the list is its own
	Person string // likewise
}
