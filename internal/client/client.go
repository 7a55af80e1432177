// Package client knows OAuth clients: what they registered or publish in a
// metadata document, the rules for that, where answers to them may go, and how
// far they are trusted.
//
// It does not authenticate requests (authserver does) nor remember what people
// allowed a client to do (grant does).
package client

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// Errors of this package's Store.
var (
	ErrUnknown = errors.New("client is not registered")
	ErrExists  = errors.New("a client of this ID exists already")
)

// Origin says how a client came to be known, which decides how far it is trusted.
type Origin string

// Origins, least trusted first.
const (
	Registered    Origin = "registered"    // registered itself (RFC 7591): everything it says of itself is its own word
	Document      Origin = "document"      // described by the document at its client_id: whoever holds that address wrote it
	Administrated Origin = "administrated" // an administrator created it
	Gateway       Origin = "gateway"       // an MCP gateway of this installation
	Console       Origin = "console"       // its administration console, where people only sign in
)

// The clients by which people administer this installation.
const (
	ConsoleID  = "gatehouse-console"  // its console, of origin Console
	TerminalID = "gatehouse-terminal" // `gatehouse … --server`: a program on a person's computer, so it is asked about
)

// AuthWorkload is the authentication method of clients that have no credential:
// nothing that a request could present passes for it. Who they are is told by
// an assertion of the platform that they run on (package trust).
const AuthWorkload = "workload"

// Client is a registered OAuth client (RFC 7591 §2). It stays the one that was
// registered: identical registrations are grouped for display only
// (security.md 2).
type Client struct {
	ID              string
	Origin          Origin
	Name            string   // client_name: its own word unless an administrator wrote it
	URI             string   // client_uri: likewise
	ApplicationType string   // "native" or "web"
	RedirectURIs    []string // exact, but for loopback ports (RedirectAllowed)
	GrantTypes      []string
	ResponseTypes   []string
	AuthMethod      string          // token_endpoint_auth_method
	SecretHash      secret.Hash     // of the client secret; empty for none and private_key_jwt
	Keys            json.RawMessage // JWK set of private_key_jwt; nil otherwise
	KeysURI         string          // jwks_uri: where a document says that they are, instead of Keys
	// CertificateSubject is whose certificate tls_client_auth takes (RFC 8705 §2.1.2);
	// see CheckCertificateSubject.
	CertificateSubject string
	Scope              string // as registered; echoed, never a ceiling
	// PostLogoutRedirectURIs is where a person may be returned to after signing
	// out (OpenID Connect RP-Initiated Logout §3.1); exact.
	PostLogoutRedirectURIs []string
	// Claims are what APIs may be told of the client where it acts for itself, e.g.
	// region, as they are of a person. An administrator wrote them.
	Claims    map[string]string
	CreatedAt int64 // Unix seconds
}

// Confidential reports whether the client can be authenticated at all.
func (c Client) Confidential() bool { return c.AuthMethod != oauth.AuthNone }

// Vouched reports whether an administrator stands behind the client, rather than
// its own word or an address.
func (c Client) Vouched() bool {
	return c.Origin == Administrated || c.Origin == Gateway || c.Origin == Console
}

// Administers reports whether the client is for administering this installation
// and for nothing else. A pause of everything does not stop it: somebody must be
// there to resume.
func (c Client) Administers() bool { return c.Origin == Console || c.ID == TerminalID }

// MayUse reports whether the client registered for a grant type.
func (c Client) MayUse(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// AssuranceLevel is what APIs are told as client_assurance_level: 0 for a
// client that describes itself, 1 for one that an administrator created.
func (c Client) AssuranceLevel() int {
	if c.Vouched() {
		return 1
	}
	return 0
}

// Store is what this package needs from a database.
type Store interface {
	// AddClient stores a new client; ErrExists if its ID is taken.
	AddClient(ctx context.Context, c Client) error
	// PutClient stores c in place of whatever had its ID: for clients that the
	// configuration defines, such as the gateway.
	PutClient(ctx context.Context, c Client) error
	// ReplaceClient stores c in place of old, which is another party by the same
	// ID: everything that old was allowed or asked for ends. It does nothing if old is not what
	// is stored any more.
	ReplaceClient(ctx context.Context, old, c Client, now time.Time) error
	// Client returns the client with this ID, else ErrUnknown.
	Client(ctx context.Context, id string) (Client, error)
	// UseAssertion remembers the ID of a client assertion until it expires and
	// reports ErrReplayed if it was there (RFC 7523 §3 point 7).
	UseAssertion(ctx context.Context, clientID, jti string, expires, now time.Time) error
}

// ErrReplayed means that an assertion was presented before.
var ErrReplayed = errors.New("assertion was used before")
