package grant

import (
	"context"
	"time"
)

// MissingLifetime is how long a scope that was found missing is offered.
const MissingLifetime = 15 * time.Minute

// Missing is a scope that a tool call needed and its grant did not have.
type Missing struct {
	Scope string
	At    int64 // Unix seconds
}

// StepUp remembers what gateways found missing, so that the next consent can
// offer it to clients that do not ask for it themselves (security.md 3).
type StepUp interface {
	// NoteMissing records that a call under a live grant needed scopes.
	NoteMissing(ctx context.Context, grantID string, scopes []string, now time.Time) error
	// Missing returns what was noted within MissingLifetime, in the order of scopes.
	Missing(ctx context.Context, grantID string, now time.Time) ([]Missing, error)
	// ForgetMissing ends the offer: it is good for one consent, whatever the answer.
	ForgetMissing(ctx context.Context, grantID string) error
}
