// Package grant knows what was allowed: authorization requests on their way
// through the browser, the grants that come of them, and the codes and tokens
// that hang off a grant.
//
// A Grant is account × client × resource. Everything revocable hangs off one:
// ending the grant ends its codes and tokens. Only hashes of codes and tokens
// are stored, and each single-use thing is consumed by one atomic statement of
// the Store. Signing, pages and HTTP are the authorization server's.
package grant

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// Errors of this package's Store.
var (
	ErrNotFound = errors.New("unknown, expired or ended")
	// ErrUsed: the code was redeemed within the last ReplayWindow. Nothing ends,
	// since real clients repeat a request whose answer was lost.
	ErrUsed = errors.New("code was used a moment ago")
	// ErrReplayed: the code was redeemed longer ago. The grant has been ended.
	ErrReplayed = errors.New("code was used before; its grant has been ended")
)

// Lifetimes.
const (
	RequestLifetime = 15 * time.Minute // sign-in and consent together
	CodeLifetime    = time.Minute      // RFC 6749 §4.1.2 recommends at most ten
	TokenLifetime   = time.Hour        // an opaque access token (R-AS-20)
	GrantLifetime   = 30 * 24 * time.Hour
	ReplayWindow    = 10 * time.Second
)

// Request is an authorization request that passed every check and waits for
// the person: OAuth 2.1 §4.1.1 with RFC 8707.
type Request struct {
	ID            string
	BrowserHash   secret.Hash // of the cookie that binds it to one browser
	ClientID      string
	RedirectURI   string // as the client sent it; the code is bound to it
	State         string
	Challenge     string   // S256
	Scopes        []string // asked for, or the default
	Resource      string   // canonical
	RedirectGiven bool     // redirect_uri was in the request, so the token request must repeat it
	ForceSignIn   bool     // prompt=login, until the sign-in has happened
	ForceConsent  bool     // prompt=consent
	AccountID     string   // set by SignIn
	AMR           []string
	AuthTime      int64
	ExpiresAt     int64
}

// Grant is what one person allowed one client at one resource.
type Grant struct {
	ID        string
	AccountID string // empty: the client acts for itself (client credentials)
	ClientID  string
	Resource  string
	Scopes    []string
	CreatedAt int64
	ExpiresAt int64
}

// Code is an authorization code before it is redeemed.
type Code struct {
	Hash          secret.Hash
	GrantID       string
	ClientID      string
	RedirectURI   string
	RedirectGiven bool
	Challenge     string
	Scopes        []string
	Resource      string
	AMR           []string
	AuthTime      int64
	ExpiresAt     int64
}

// Token is an opaque access token.
type Token struct {
	Hash      secret.Hash
	GrantID   string
	Scopes    []string // never more than the grant's
	IssuedAt  int64
	ExpiresAt int64
	AMR       []string
	AuthTime  int64
}

// Effective returns the scopes that a token carries now: what it was issued
// with, as far as its grant still has it. Narrowing a grant narrows its tokens.
func Effective(t Token, g Grant) []string { return oauth.Intersect(t.Scopes, g.Scopes) }

// Store is what this package needs from a database. Each method is one atomic
// step of a grant's life, never a row operation: callers compose no
// transactions. Every lookup honours expiry and revocation at now.
type Store interface {
	SaveRequest(ctx context.Context, r Request) error
	// Request returns a live request, else ErrNotFound.
	Request(ctx context.Context, id string, now time.Time) (Request, error)
	// SignIn records who is signed in for a live request and clears ForceSignIn; ErrNotFound if the request is gone.
	SignIn(ctx context.Context, id, accountID string, amr []string, authTime int64, now time.Time) error
	// SignOut forgets who was signed in for a live request, for "Not you?".
	SignOut(ctx context.Context, id string, now time.Time) error
	// Approve consumes the request and stores grant and code together. The
	// live grant of the same account, client and resource is reused: it gets
	// g's scopes and expiry, and code is bound to it. ErrNotFound if the
	// request is gone, for another browser tab has answered it.
	Approve(ctx context.Context, requestID string, g Grant, c Code, now time.Time) error
	// Deny consumes the request; ErrNotFound if it is gone.
	Deny(ctx context.Context, requestID string, now time.Time) error
	// Remembered returns the live grant of account, client and resource, else ErrNotFound.
	Remembered(ctx context.Context, accountID, clientID, resource string, now time.Time) (Grant, error)
	// Code returns a code and its live grant, redeemed or not, else ErrNotFound.
	// It consumes nothing: every check precedes redemption.
	Code(ctx context.Context, h secret.Hash, now time.Time) (Code, Grant, error)
	// RedeemCode consumes the code and stores the token issued for it in one
	// atomic step. ErrNotFound, ErrUsed (within ReplayWindow), or ErrReplayed,
	// after which the grant is ended (RFC 9700 §4.5, OAuth 2.1 §4.1.3).
	RedeemCode(ctx context.Context, h secret.Hash, issued Token, now time.Time) error
	// Issue stores a grant without an account and its token: client
	// credentials. The live grant of the same client and resource is reused.
	Issue(ctx context.Context, g Grant, t Token, now time.Time) error
	// Token returns a live token of a live grant, else ErrNotFound.
	Token(ctx context.Context, h secret.Hash, now time.Time) (Token, Grant, error)
	// Revoke ends a grant and all that hangs off it; ending it twice is no error.
	Revoke(ctx context.Context, grantID string, now time.Time) error
}
