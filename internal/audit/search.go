package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
)

// ErrNotFound means that there is no such entry.
var ErrNotFound = errors.New("there is no such audit entry")

// NewID returns the ID of an entry of this time, in the alphabet of secret.ID. It
// begins with the time, so that a database adds to the end of its index and
// does not change some page of it for each entry: that is a third of what an entry
// costs there.
func NewID(t time.Time) string {
	var id [12]byte
	for i, ms := len(id)-1, t.UnixMilli(); i >= 0; i, ms = i-1, ms>>4 {
		id[i] = 'a' + byte(ms&15)
	}
	return string(id[:]) + strings.ToLower(rand.Text()[:14])
}

// Filter picks entries; what is empty picks all.
type Filter struct {
	AccountID string
	ClientIDs []string // of any of these, at most MaxClients
	GrantID   string
	API       string
	Tool      string
	Kind      Kind
	Outcome   Outcome
	RequestID string
	From      int64 // Unix milliseconds: not before
	To        int64 // Unix milliseconds: before; 0 for no end
}

// MaxClients bounds Filter.ClientIDs.
const MaxClients = 8

// Examined is how many entries one search looks at, or ten for each that it may
// return where that is more: so a search for what hardly ever happened costs
// little more than any other.
const Examined = 500

// Position is a place in the log. Entries are in the order of their times, and
// those of one millisecond in the order in which they were written.
type Position struct{ Time, Seq int64 }

// IsZero reports whether p is no entry's place.
func (p Position) IsZero() bool { return p == Position{} }

// Older reports whether p is further back than q.
func (p Position) Older(q Position) bool {
	return p.Time < q.Time || p.Time == q.Time && p.Seq < q.Seq
}

// Found is what a search came to.
type Found struct {
	Entries []Entry
	// Next is where to go on: entries before it were not looked at. Zero: there
	// are none.
	Next Position
	// Short means that the search stopped at Next for having looked at as much as
	// one may, and not because it had found enough.
	Short bool
}

// Party is an account or a client, as people look for it.
type Party struct{ ID, Name string }

// Names are what people know parties by.
type Names struct {
	Accounts map[string]string // name by ID
	Clients  map[string]string // client_name by client ID
}

// Searcher reads the log for people.
type Searcher interface {
	// Find returns at most limit entries that fit the filter, newest first, from
	// before a position; the zero one is after the newest. It looks at no more than
	// Examined says.
	Find(ctx context.Context, f Filter, before Position, limit int) (Found, error)
	// Entry returns an entry by its ID and where it is, else ErrNotFound.
	Entry(ctx context.Context, id string) (Entry, Position, error)
	// Names returns what the parties of entries are called, as far as they are
	// known still. It takes a page's IDs, each once.
	Names(ctx context.Context, accountIDs, clientIDs []string) (Names, error)
}
