package grant

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrAPIClosed: an administrator has paused or ended the API that this is
	// about. It is an ErrPaused.
	ErrAPIClosed = fmt.Errorf("%w: the whole API", ErrPaused)
	// ErrEnded: it was ended, so that it can neither be paused nor resumed.
	ErrEnded = errors.New("ended by an administrator")
	// ErrTooManyClosed: gateways cannot keep more single tools apart.
	ErrTooManyClosed = errors.New("too many tools are closed one by one")
)

// MaxClosedTools is how many tools can be closed one by one; each gateway is
// told of all of them with every answer of the feed.
const MaxClosedTools = 1000

// Stop is what an administrator has paused, or ended and thereby closed.
type Stop struct {
	Subject string // one of the feed's
	ID      string // its identifier there; empty for everything
	Reason  string
	Since   int64 // Unix seconds
	Ended   bool  // for good: only Reopen opens it
}

// Stops are the acts of an administrator who stops something, by the subjects of
// the feed: grant, client, account, api, tool, everything. Each is one atomic
// step that also tells the Feed, and none looks whether there is such an API or
// tool. An API is named by the resource of its MCP endpoint, a tool by
// oauth.ToolID, and everything by "".
type Stops interface {
	// Pause stops all that hangs off a subject until Resume, consuming nothing. It
	// reports whether it was not paused before. ErrEnded, ErrTooManyClosed.
	Pause(ctx context.Context, subject, id, reason string, now time.Time) (paused bool, err error)
	// Resume takes a pause back, and reports whether there was one. What was ended
	// or expired meanwhile stays so. ErrEnded.
	Resume(ctx context.Context, subject, id string) (resumed bool, err error)
	// EndAll ends all that hangs off a subject, for good, and returns how many
	// grants that were. An API, a tool and everything are closed besides, until
	// they are opened anew. ErrNotFound if there is no such grant or client,
	// ErrEnded if it is closed already, ErrTooManyClosed.
	EndAll(ctx context.Context, subject, id, reason string, now time.Time) (grants int, err error)
	// Reopen opens an API, a tool or everything that EndAll closed, and reports
	// whether it was. Nothing that was ended comes back: people have to allow anew.
	Reopen(ctx context.Context, subject, id string, now time.Time) (reopened bool, err error)
	// Stops returns what is stopped, newest first.
	Stops(ctx context.Context) ([]Stop, error)
}
