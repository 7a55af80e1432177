package mcpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

const (
	// maxStepUps is how often one operation asks for more scope, and maxRounds how
	// often one request is sent: what a server finds missing without end is not
	// a person's business (R-CL-12).
	maxStepUps = 3
	maxRounds  = 4
	// renewBefore is how long before its end a token is renewed unasked.
	renewBefore = 10 * time.Second
	maxRequest  = 16 << 20 // bytes of a request that may have to be sent again
)

// authorizer carries the requests of one session: it adds the token, and when
// the server refuses it gets one that does. It is an http.RoundTripper.
type authorizer struct {
	client    *Client
	server    *url.URL
	wire      *http.Client // to the MCP server and to OAuth's endpoints, traced
	store     *Store
	certified *certified   // nil: without a certificate
	signer    *jose.Signer // of the client's PrivateKey

	getting chan struct{} // held while a token is being got: one at a time

	mu      sync.Mutex
	token   token   // in use
	target  *target // where it is from, once discovered
	stepUps int     // in this operation
	granted string  // the access token that a person allowed in this operation
	failure error   // of the operation that is going on: nobody is asked twice
}

func newAuthorizer(c *Client, server *url.URL) (*authorizer, error) {
	a := &authorizer{client: c, server: server, store: c.Store, getting: make(chan struct{}, 1)}
	if a.store == nil {
		a.store = &Store{}
	}
	base := c.Transport
	if base == nil {
		base = NewTransport(c.RootCAs)
	}
	if c.Certificate != nil {
		a.certified = &certified{base: base, load: c.Certificate, roots: c.RootCAs}
		a.certified.showTo(server)
		base = a.certified
	}
	a.wire = &http.Client{Transport: &tracer{base: base, tell: c.Trace}, CheckRedirect: noRedirect}
	var err error
	if a.signer, err = c.signer(); err != nil {
		return nil, err
	}
	a.token, err = a.store.tokenFor(server.String(), c.account(), c.Issuer)
	return a, err
}

// begin starts an operation of the session's user.
func (a *authorizer) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failure, a.granted, a.stepUps = nil, "", 0
}

func (a *authorizer) held() token {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token
}

// RoundTrip sends a request to the MCP server with the token in its header
// (R-CL-18), and again if a refusal could be remedied.
func (a *authorizer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	t, err := a.fresh(req.Context())
	for round := 1; err == nil; round++ {
		resp, sent := a.send(req, body, t)
		if sent != nil {
			return nil, sent
		}
		refused := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
		c := parseChallenge(resp.Header)
		remedy := resp.StatusCode == http.StatusUnauthorized || c.code == string(oauth.InsufficientScope)
		if !refused || !remedy || round == maxRounds || req.Method == http.MethodDelete {
			resp.Body = &limited{resp.Body, maxMessage, isEventStream(resp)}
			return resp, nil
		}
		// The connection is of more use than what is left of the refusal.
		_, _ = io.CopyN(io.Discard, resp.Body, maxDocument)
		_ = resp.Body.Close()
		t, err = a.get(req.Context(), t, c, resp.StatusCode)
	}
	return nil, err
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
	_ = req.Body.Close() // it was read, or is given up
	if err == nil && len(body) > maxRequest {
		err = fmt.Errorf("the request is larger than %d bytes", maxRequest)
	}
	return body, err
}

func (a *authorizer) send(req *http.Request, body []byte, t token) (*http.Response, error) {
	again := req.Clone(req.Context())
	if body != nil {
		again.Body = io.NopCloser(bytes.NewReader(body))
		again.ContentLength = int64(len(body))
	}
	if t.AccessToken != "" {
		again.Header.Set("Authorization", "Bearer "+t.AccessToken)
	}
	return a.wire.Transport.RoundTrip(again)
}

// limited ends an answer that is too large; a stream of events is limited event
// by event elsewhere.
type limited struct {
	io.ReadCloser
	left   int
	stream bool
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= n; l.left < 0 && !l.stream {
		return 0, errTooLarge
	}
	return n, err
}

func isEventStream(r *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "text/event-stream")
}

// fresh returns the token in use, renewed if it is about to end and it is known
// where. Otherwise the server's refusal leads there.
func (a *authorizer) fresh(ctx context.Context) (token, error) {
	a.mu.Lock()
	t, known := a.token, a.target != nil
	a.mu.Unlock()
	if !known || !t.endsWithin(renewBefore) || t.RefreshToken == "" && !a.client.unattended() {
		return t, nil
	}
	return a.get(ctx, t, challenge{}, http.StatusUnauthorized)
}

// get returns a token other than the one that was refused with a challenge.
// Requests that were refused at the same time wait for one another.
func (a *authorizer) get(ctx context.Context, refused token, c challenge, status int) (token, error) {
	select {
	case a.getting <- struct{}{}:
		defer func() { <-a.getting }()
	case <-ctx.Done():
		return token{}, ctx.Err()
	}
	a.mu.Lock()
	current, failure := a.token, a.failure
	a.mu.Unlock()
	if current.AccessToken != refused.AccessToken {
		return current, nil // somebody was quicker
	}
	if failure != nil {
		return token{}, failure
	}
	t, err := a.obtain(ctx, refused, c, status)
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.AccessToken != "" {
		a.token = t
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrAuthorization, err)
		if ctx.Err() == nil {
			a.failure = err
		}
	}
	return t, err
}

// obtain gets a token where one is missing, over, or not enough. One that comes
// with an error is good for less than what was wanted.
func (a *authorizer) obtain(ctx context.Context, refused token, c challenge, status int) (token, error) {
	to, err := a.discovered(ctx, c)
	if err != nil {
		return token{}, err
	}
	if refused.Issuer != "" && refused.Issuer != to.metadata.Issuer {
		refused = token{} // of a server that is no longer asked (R-CL-6, R-CL-19)
	}
	if status == http.StatusUnauthorized && a.justGranted(refused, c) {
		return token{}, errors.New("the server refuses the token that was issued for it a moment ago; its authorization server may issue for another resource")
	}
	scope := a.scopeToAsk(to, c)
	if a.client.unattended() {
		return a.getUnattended(ctx, to, refused, c, status, scope)
	}
	if status == http.StatusForbidden {
		if scope, err = a.stepUp(refused, c); err != nil {
			return token{}, err
		}
		t, err := a.authorize(ctx, to, scope, 0)
		switch {
		case errors.Is(err, ErrNobodyToAsk):
			err = fmt.Errorf("the call needs %s, which was not allowed yet: %w", clip(oauth.FormatScope(c.scope)), err)
		case err == nil && !oauth.Subset(c.scope, t.Scope):
			err = fmt.Errorf("%s was asked for and not given", clip(oauth.FormatScope(oauth.Without(c.scope, t.Scope))))
		}
		return t, err
	}
	if c.code == string(oauth.InsufficientAuthentication) { // RFC 9470 §4: no refresh makes the person's sign-in newer
		return a.authorize(ctx, to, oauth.Union(refused.Scope, scope), c.maxAge)
	}
	if refused.AccessToken != "" || refused.RefreshToken != "" {
		t, err := a.renew(ctx, to, refused)
		if err == nil || !errors.Is(err, errMustAsk) {
			return t, err
		}
		// What a person agreed to before is asked for again.
		scope = oauth.Union(refused.Scope, scope)
	}
	return a.authorize(ctx, to, scope, 0)
}

// justGranted reports whether a person allowed the refused token in this very
// operation: asking them again would not end.
func (a *authorizer) justGranted(refused token, c challenge) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return refused.AccessToken != "" && secret.Equal(refused.AccessToken, a.granted) && !refused.endsWithin(0) && oauth.Subset(c.scope, refused.Scope)
}

// discovered returns where authorization comes from. A challenge that names
// metadata is followed each time: the server may have moved.
func (a *authorizer) discovered(ctx context.Context, c challenge) (target, error) {
	a.mu.Lock()
	known := a.target
	a.mu.Unlock()
	if known != nil && !c.bearer {
		return *known, nil
	}
	to, err := a.discover(ctx, c)
	if err != nil {
		return target{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.target = &to
	return to, nil
}

// scopeToAsk is what a first authorization asks for (R-CL-10): what the client's
// user chose, else what the challenge says, else all that the resource lists,
// else nothing. offline_access is added where the server knows it, since some
// give no refresh token without (R-CL-20).
func (a *authorizer) scopeToAsk(to target, c challenge) []string {
	scope := c.scope
	switch {
	case len(a.client.Scope) > 0:
		scope = a.client.Scope
	case len(scope) == 0:
		scope = to.scopes
	}
	if slices.Contains(to.metadata.ScopesSupported, "offline_access") {
		scope = oauth.Union(scope, []string{"offline_access"})
	}
	return scope
}

// stepUp returns what to ask for when a call needs more (R-CL-11, R-CL-12).
func (a *authorizer) stepUp(refused token, c challenge) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(c.scope) == 0 {
		return nil, errors.New("the server wants more scope but does not say which")
	}
	if a.stepUps++; a.stepUps > maxStepUps {
		return nil, fmt.Errorf("the server went on wanting more scope after %d times; the last was %s", maxStepUps, clip(oauth.FormatScope(c.scope)))
	}
	if oauth.Subset(c.scope, refused.Scope) && len(refused.Scope) > 0 && a.stepUps > 1 {
		return nil, fmt.Errorf("the server wants %s, which this token has already", clip(oauth.FormatScope(c.scope)))
	}
	return oauth.Union(refused.Scope, c.scope), nil
}

// explain makes an error of the session underneath one for its user.
func (a *authorizer) explain(what string, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, a.failure)
	}
	return fmt.Errorf("%s: %w", what, err)
}
