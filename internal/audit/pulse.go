package audit

import "context"

// Beat is an entry as far as it takes to see what goes on.
type Beat struct {
	ID      string
	Time    int64 // Unix milliseconds
	Kind    Kind
	Outcome Outcome
	Parties
	Reason string
}

// Parties are whom an entry concerns, as in Entry.
type Parties struct{ AccountID, ClientID, API, Tool string }

// Pulse is what tells what happens now.
type Pulse interface {
	// Pulse returns the newest entries, newest first, at most limit.
	Pulse(ctx context.Context, limit int) ([]Beat, error)
}
