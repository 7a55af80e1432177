package oauth

import "strings"

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
	SubjectAPI     = "api"     // an API, by the resource of its MCP endpoint
	SubjectTool    = "tool"    // a tool, by ToolID

	SubjectEverything = "everything" // no reader needs to know it by name
)

// ToolID names a tool wherever its API is known by the same resource, whatever
// each process calls the API. Neither part has a blank.
func ToolID(resource, tool string) string { return resource + " " + tool }

// CutTool returns the two parts of a ToolID.
func CutTool(id string) (resource, tool string) {
	resource, tool, _ = strings.Cut(id, " ")
	return resource, tool
}

// Closure is how something is closed; empty: it is open.
type Closure string

// Closures (security.md 12).
const (
	Paused Closure = "paused" // for now
	Ended  Closure = "ended"  // for good
)

// Closed is what an administrator has closed of an API; nil: nothing.
type Closed struct {
	API   Closure            `json:"api,omitempty"` // all of it
	Tools map[string]Closure `json:"tools,omitempty"`
}

// All tells whether and how the whole API is closed.
func (c *Closed) All() Closure {
	if c == nil {
		return ""
	}
	return c.API
}

// Tool tells whether and how a tool is closed by itself.
func (c *Closed) Tool(name string) Closure {
	if c == nil {
		return ""
	}
	return c.Tools[name]
}

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
	// Closed is all that is closed, by resource: at least as new as the events, and
	// always whole, so that no reader can have missed a part of it.
	Closed map[string]*Closed `json:"closed,omitempty"`
	// Documents are the digests of the OpenAPI documents that are live, by resource.
	Documents map[string]string `json:"documents,omitempty"`
	// More: there are later events already.
	More bool `json:"more,omitempty"`
	// PollToken authenticates the next polls for ExpiresIn seconds; empty if the
	// one that was presented still does.
	PollToken string `json:"poll_token,omitempty"`
	ExpiresIn int64  `json:"expires_in,omitempty"`
}
