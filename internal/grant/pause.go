package grant

import (
	"context"
	"errors"
)

// ErrPaused: an administrator has paused what this concerns. Nothing was
// consumed, and it works again once it is resumed (security.md 12).
var ErrPaused = errors.New("paused by an administrator")

// Parties are whom a pause may concern; empty ones do not apply.
type Parties struct {
	Grant, Client, Account string
	// Administration is not stopped by a pause of everything: somebody must be
	// there to resume it.
	Administration bool
}

// Pauses tells what is paused. Stores honour pauses by themselves where they
// read codes, tokens and sessions; this is for what comes before those.
type Pauses interface {
	// Paused returns ErrPaused if one of the parties is, or everything.
	Paused(ctx context.Context, p Parties) error
}
