// Package mcpclient connects to MCP servers that are protected by OAuth: it
// finds the authorization server, becomes its client, has a person sign in and
// agree, keeps and refreshes tokens, asks for more scope when a call needs it,
// and speaks MCP of both eras.
//
//	c := &mcpclient.Client{Name: "Nightly report", Open: openBrowser}
//	s, err := c.Connect(ctx, "https://mcp.example.com")
//	if err != nil { … }
//	defer s.Close()
//	result, err := s.Call(ctx, "fetch-users", map[string]any{"limit": 10})
//
// It owns the OAuth of MCP's authorization chapter in the client's role; the
// messages of MCP are the business of the go-sdk underneath. It shows nothing
// to anybody: terminals and browsers are reached by the functions that its user
// sets. It is meant for programs on a person's computer; a server that connects
// to addresses which others chose must set a Transport that guards where it
// goes.
package mcpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Errors that a caller may want to tell apart. They are in the chain of what
// Connect and the methods of Session return.
var (
	// ErrAuthorization: no token could be had, or the one that could does not
	// suffice. The text says at which step and why.
	ErrAuthorization = errors.New("not authorized")
	// ErrNobodyToAsk: a person would have to decide, and Client.Open is nil. It
	// comes with ErrAuthorization.
	ErrNobodyToAsk = errors.New("a person must sign in and agree first")
	// ErrURL: an address is not used because of its form or scheme.
	ErrURL = errors.New("address is not acceptable")
)

// OAuthError is a refusal in OAuth's words, from the endpoints of an
// authorization server (RFC 6749 §4.1.2.1 and §5.2).
type OAuthError struct {
	Code        string // invalid_grant, access_denied …
	Description string // the server's words; may be empty
}

func (e *OAuthError) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// Client says who connects and how. The zero value registers itself where it
// can and remembers nothing. It must not change once Connect was called, and is
// then safe for concurrent use.
type Client struct {
	// Name and Version are told to MCP servers; Name also to the authorization
	// server at registration. "mcpclient" when empty.
	Name, Version string

	// ClientID is a client that was registered beforehand, with ClientSecret if
	// it has one. It is tried before anything else.
	ClientID, ClientSecret string
	// PrivateKey, in PEM or as a JWK, proves who ClientID is, in place of a secret
	// (private_key_jwt, RFC 7523 §2.2).
	PrivateKey []byte
	// Certificate, in place of a secret, proves who ClientID is by mutual TLS (RFC
	// 8705), to the authorization server and, where it binds tokens to it, to the
	// MCP server. It is called for each new token, so that certificates may be
	// replaced; see CertificateFiles. It goes with no Transport but our own.
	Certificate func(context.Context) (tls.Certificate, error)
	// Unattended: nobody is there to ask. The client acts for itself, by its secret
	// or key (client credentials, MCP extension oauth-client-credentials), or by
	// what Assertion returns.
	Unattended bool
	// Assertion returns what somebody vouches for this program with, to an
	// authorization server; it is called for each new token, so that a file may be
	// replaced meanwhile. Without ClientID it is a workload's token by the platform
	// that it runs on, and no other credential is shown (MCP extension auth/wif).
	// With ClientID it is an ID-JAG, by which an identity provider speaks for a
	// person (enterprise-managed-authorization). See AssertionFile and
	// IdentityProvider.
	Assertion func(ctx context.Context, to Audience) (string, error)
	// Issuer is the authorization server to use, which for ClientID is the one
	// that knows it. Others are refused. When empty, the first one that the MCP
	// server names is used.
	Issuer string
	// ClientMetadataURL is the address of a client ID metadata document that
	// describes this client. It is the client_id where the server supports that.
	ClientMetadataURL string
	// RedirectURI is where the answer of an authorization is awaited: http on
	// 127.0.0.1, [::1] or localhost. Without a port, a free one is taken each
	// time (RFC 8252 §7.3). Empty is http://127.0.0.1/callback.
	RedirectURI string

	// Scope is asked for in place of what the server says it needs.
	Scope []string
	// Open leads a person to an authorization page. It returns soon: the answer
	// arrives at the callback. The address was checked to be https, or http on
	// this computer. Nil: nobody is there, and ErrNobodyToAsk the result.
	Open func(ctx context.Context, address string) error

	// Await is for a program behind a web server: it returns the query of the
	// request to RedirectURI that bears a state, and whatever the person is shown
	// then is its user's business. RedirectURI may be any https URL with it, and
	// must be given. Nil: this package listens at RedirectURI by itself.
	Await func(ctx context.Context, state string) (url.Values, error)

	// Store keeps registrations and tokens; nil keeps them for the session.
	Store *Store
	// Account tells apart tokens of several people in one Store.
	Account string

	// Transport carries all requests. Nil: one of our own, which reaches names
	// below localhost without DNS and uses plain http on this computer only.
	Transport http.RoundTripper
	// RootCAs are believed in place of the system's certificate authorities by the
	// transport of our own.
	RootCAs *x509.CertPool
	// Trace is told of every exchange when it begins and when its answer has
	// come, secrets masked; see Exchange. Calls do not overlap.
	Trace func(Exchange)
	// Elicit answers a server that asks for input during a call. Nil: the server
	// is told that this client cannot.
	Elicit func(ctx context.Context, q Question) (answer map[string]any, ok bool)
	// ProtocolVersion is the MCP revision to begin with; empty is the newest.
	ProtocolVersion string
}

// Question is what a server asks a person for during a call.
type Question struct {
	Message string
	Schema  any // JSON Schema of the answer, as the server sent it
}

// Limits of one exchange.
const (
	oauthTimeout   = 30 * time.Second
	connectTimeout = 10 * time.Second
	answerTimeout  = 2 * time.Minute // until an MCP server begins to answer
	maxDocument    = 256 << 10       // bytes of an OAuth answer
	maxMessage     = 16 << 20        // bytes of an MCP answer
)

// Connect opens a session with the MCP server at an address. If the server
// wants a token and none is stored, this is where a person is asked.
func (c *Client) Connect(ctx context.Context, server string) (*Session, error) {
	a, err := c.authorizer(ctx, server)
	if err != nil {
		return nil, err
	}
	options := &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}}
	if c.Elicit != nil {
		options.Capabilities.Elicitation = &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}}
		options.ElicitationHandler = c.elicit
	}
	sdk := mcp.NewClient(&mcp.Implementation{Name: c.name(), Version: cmp.Or(c.Version, "0")}, options)
	transport := &mcp.StreamableClientTransport{
		Endpoint:             a.server.String(),
		HTTPClient:           &http.Client{Transport: a, CheckRedirect: noRedirect},
		DisableStandaloneSSE: c.Elicit == nil, // some servers ask there
		MaxEventSize:         maxMessage,
	}
	session, err := sdk.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: c.ProtocolVersion})
	if err != nil {
		a.wire.CloseIdleConnections()
		return nil, a.explain("connect to "+a.server.String(), err)
	}
	return &Session{MCP: session, authorizer: a}, nil
}

// Logout ends what Store keeps for a server: the tokens are revoked where the
// authorization server lets clients do that (RFC 7009), and forgotten in any
// case. forget drops the registrations with its authorization server too. found
// is false if there was nothing.
func (c *Client) Logout(ctx context.Context, server string, forget bool) (found bool, err error) {
	a, err := c.authorizer(ctx, server)
	if err != nil {
		return false, err
	}
	defer a.wire.CloseIdleConnections()
	return a.logout(ctx, forget)
}

// authorizer checks the client and a server's address.
func (c *Client) authorizer(ctx context.Context, server string) (*authorizer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	u, err := checkURL(ctx, "the MCP server's address", server)
	if err != nil {
		return nil, err
	}
	if u.Fragment != "" {
		return nil, fmt.Errorf("%w: the MCP server's address has a fragment", ErrURL)
	}
	return newAuthorizer(c, u)
}

func (c *Client) check() error {
	if err := c.checkCredential(); err != nil {
		return err
	}
	if c.ClientMetadataURL != "" {
		// R-CL-8: https with a path.
		u, err := url.Parse(c.ClientMetadataURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path == "" || u.Path == "/" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("%w: the client metadata document must be at an https URL with a path", ErrURL)
		}
	}
	_, err := c.redirect()
	return err
}

func (c *Client) name() string { return cmp.Or(c.Name, "mcpclient") }

func (c *Client) elicit(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	answer, ok := c.Elicit(ctx, Question{Message: r.Params.Message, Schema: r.Params.RequestedSchema})
	if !ok {
		return &mcp.ElicitResult{Action: "decline"}, nil
	}
	return &mcp.ElicitResult{Action: "accept", Content: answer}, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
