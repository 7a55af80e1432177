package oauth

// FeedPosition is a place in an authorization server's revocation feed: all
// that was ended up to event Number of Epoch was known when something was read.
// Numbers have no holes within an epoch; across epochs they mean nothing.
type FeedPosition struct {
	Epoch  string `json:"epoch"`
	Number int64  `json:"number"`
}

// Subjects of events: what was ended or narrowed. What is not known here
// concerns everything.
const (
	SubjectToken   = "token"   // an access token, by its SHA-256 in base64url
	SubjectFamily  = "family"  // refresh tokens that follow one another, with their access tokens
	SubjectGrant   = "grant"   // what hangs off a grant; it may also have been narrowed
	SubjectClient  = "client"  // all grants of a client
	SubjectAccount = "account" // all grants of an account

	SubjectEverything = "everything" // no reader needs to know it by name
)

// FeedEvent is one act of revocation.
type FeedEvent struct {
	Number  int64  `json:"number"`
	Subject string `json:"subject"`
	ID      string `json:"id"`
}

// FeedAnswer is an answer of the revocation feed. Its position is where the
// reader is after its events.
type FeedAnswer struct {
	FeedPosition
	Events []FeedEvent `json:"events"`
	// Reset: what came after the reader's own position is not known any more.
	Reset bool `json:"reset,omitempty"`
	// More: there are later events already.
	More bool `json:"more,omitempty"`
	// PollToken authenticates the next polls for ExpiresIn seconds; empty if the
	// one that was presented still does.
	PollToken string `json:"poll_token,omitempty"`
	ExpiresIn int64  `json:"expires_in,omitempty"`
}
