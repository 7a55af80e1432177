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
	// ErrUsed: the code or refresh token was used within the last ReplayWindow. Nothing ends,
	// since real clients repeat a request whose answer was lost.
	ErrUsed = errors.New("used a moment ago")
	// ErrReplayed: the code or refresh token was used longer ago, or by somebody
	// who has the successor already. What hangs off it has been ended.
	ErrReplayed = errors.New("used before; what came of it has been ended")
	// ErrChanged: the grant is not the one that was decided about any more.
	ErrChanged = errors.New("the grant has ended or changed meanwhile")
	// ErrForeign: the token was issued to another client.
	ErrForeign = errors.New("issued to another client")
)

// Lifetimes.
const (
	RequestLifetime = 15 * time.Minute // sign-in and consent together
	CodeLifetime    = time.Minute      // RFC 6749 §4.1.2 recommends at most ten
	TokenLifetime   = time.Hour        // an opaque access token (R-AS-20)
	GrantLifetime   = 30 * 24 * time.Hour
	RefreshLifetime = 14 * 24 * time.Hour // of a refresh token that nobody uses
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
	Nonce         string   // for the ID token (OpenID Connect Core §3.1.2.1)
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
	Agreed    string // fingerprint of what the client was when the person agreed (client.Fingerprint)
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
	Nonce         string
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
	// Certificate is the thumbprint of the client's certificate that must be shown
	// with it (RFC 8705 §3); empty: none.
	Certificate string
	// Actors act for the grant's parties, whoever came last first (RFC 8693 §4.1);
	// empty: the grant's own client alone. Parent is the token that theirs was made
	// from; it ends with that.
	Actors  []string
	Parent  secret.Hash
	Refresh *Refresh // that was issued with it; nil if none was
	// Family, Position and Closed are set where a token is read: the refresh tokens
	// it belongs to, if any, what the reading knew of revocations, and what is
	// closed of its API. A token of a closed API lives; it opens nothing.
	Family   string
	Position oauth.FeedPosition
	Closed   *oauth.Closed
}

// Refresh is a refresh token. Those that follow one another by rotation are a
// family: it begins with an authorization code, and a replay ends it whole.
type Refresh struct {
	Hash      secret.Hash
	Family    string
	Scopes    []string // that it can be refreshed with; access tokens may get fewer
	ExpiresAt int64
	AMR       []string
	AuthTime  int64
}

// Rotation is what takes a refresh token's place.
type Rotation struct {
	Issued Token // with its Refresh, of the same family
	// Sealed is the whole answer, encrypted so that only who has the old
	// refresh token can read it. It is kept for ReplayWindow at most, so that a
	// client whose processes refresh at once all get the same answer.
	Sealed string
	// Bound is what a repeated request must repeat: a hash of its parameters.
	Bound string
}

// Effective returns the scopes that a token carries now: what it was issued
// with, as far as its grant still has it. Narrowing a grant narrows its tokens.
func Effective(t Token, g Grant) []string { return oauth.Intersect(t.Scopes, g.Scopes) }

// Requests keeps authorization requests until the person has answered. Each
// method is one atomic step, never a row operation: callers compose no
// transactions. Every lookup honours expiry at now.
type Requests interface {
	SaveRequest(ctx context.Context, r Request) error
	// Request returns a live request, else ErrNotFound.
	Request(ctx context.Context, id string, now time.Time) (Request, error)
	// SignIn records who is signed in for a live request and clears ForceSignIn; ErrNotFound if the request is gone.
	SignIn(ctx context.Context, id, accountID string, amr []string, authTime int64, now time.Time) error
	// SignOut forgets who was signed in for a live request, for "Not you?".
	SignOut(ctx context.Context, id string, now time.Time) error
	// Approve is bound to held, the grant that the decision was made from (zero
	// if nothing was remembered): ErrChanged if that has ended or was changed
	// meanwhile, and then nothing has happened and the request stays. It consumes the request and stores grant and code together. The
	// live grant of the same account, client and resource is reused: it gets
	// g's scopes and expiry, and code is bound to it. ErrNotFound if the
	// request is gone, for another browser tab has answered it.
	Approve(ctx context.Context, requestID string, held, g Grant, c Code, now time.Time) error
	// Deny consumes the request; ErrNotFound if it is gone.
	Deny(ctx context.Context, requestID string, now time.Time) error
}

// Store keeps grants and what hangs off them. Like Requests', its methods are
// atomic; every lookup honours expiry and revocation at now. What ends or
// narrows something tells the Feed in the same step.
type Store interface {
	// Remembered returns the live grant of account, client and resource, else ErrNotFound.
	Remembered(ctx context.Context, accountID, clientID, resource string, now time.Time) (Grant, error)
	// Code returns a code and its live grant, redeemed or not, else ErrNotFound.
	// It consumes nothing: every check precedes redemption.
	Code(ctx context.Context, h secret.Hash, now time.Time) (Code, Grant, error)
	// RedeemCode consumes the code and stores the token issued for it in one
	// atomic step. ErrNotFound, ErrUsed (within ReplayWindow), or ErrReplayed,
	// after which the grant is ended (RFC 9700 §4.5, OAuth 2.1 §4.1.3).
	RedeemCode(ctx context.Context, h secret.Hash, issued Token, now time.Time) error
	// Refresh returns a refresh token, used or not, and its live grant, else
	// ErrNotFound. It consumes nothing.
	Refresh(ctx context.Context, h secret.Hash, now time.Time) (Refresh, Grant, error)
	// Rotate consumes the refresh token and stores what follows it in one
	// atomic step, and returns "". For a token that was rotated within
	// ReplayWindow by an equally bound request it returns what that one sealed,
	// unless its successor has been used. Errors: ErrNotFound; ErrUsed for a
	// differently bound request within the window; ErrReplayed after it, and
	// then the family is ended (RFC 9700 §4.14.2, security.md 6).
	Rotate(ctx context.Context, old secret.Hash, r Rotation, now time.Time) (sealed string, err error)
	// End ends an access token, or a refresh token with its family (RFC 7009
	// §2.1). ErrNotFound if there is none; ErrForeign if it is another client's.
	End(ctx context.Context, h secret.Hash, clientID string, now time.Time) error
	// Issue stores a grant that no page has asked for, and its token: client
	// credentials, or an account's by what its identity provider says. The live
	// grant of the same parties is reused; if it was agreed to in another way
	// (Agreed), it is not changed, and ErrChanged if it does not cover the token.
	Issue(ctx context.Context, g Grant, t Token, now time.Time) error
	// Delegate stores a token for an actor, of the grant that its Parent hangs off,
	// or without one of the grant that it names. ErrNotFound if parent, grant or
	// actor has ended meanwhile.
	Delegate(ctx context.Context, t Token, now time.Time) error
	// Token returns a live token of a live grant, else ErrNotFound; one whose actors
	// are ended or paused is not live.
	Token(ctx context.Context, h secret.Hash, now time.Time) (Token, Grant, error)
	// Revoke ends a grant and all that hangs off it; ending it twice is no error.
	Revoke(ctx context.Context, grantID string, now time.Time) error
}
