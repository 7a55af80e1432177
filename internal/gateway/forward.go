package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"gatehouse/internal/catalog"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// perform calls the API for c, with a token made for exactly this. The error
// is resource.ErrInvalid if the caller's token turned out to be dead;
// everything else that can go wrong is a tool result.
func (e *endpoint) perform(ctx context.Context, c toolCall) (toolResult, error) {
	token, kept, err := e.exchanger.token(ctx, c.caller, e.api.Audience, c.scopes)
	if err != nil {
		return e.noToken(ctx, c, err)
	}
	told := e.tellForward(ctx, c, token)
	result := e.forward(ctx, c.tool, c.req, token)
	tellAnswered(told, result)
	if result.status == http.StatusUnauthorized && kept {
		// A kept token may have been overtaken, by a change of keys for
		// example. The API did nothing, so trying once more is safe.
		e.exchanger.forget(c.caller.token, e.api.Audience, c.scopes)
		if token, _, err = e.exchanger.token(ctx, c.caller, e.api.Audience, c.scopes); err != nil {
			return e.noToken(ctx, c, err)
		}
		told = e.tellForward(ctx, c, token)
		result = e.forward(ctx, c.tool, repeat(c.req), token)
		tellAnswered(told, result)
	}
	return result, nil
}

// forward sends one request to the API. Of the client's own request nothing
// goes along but the arguments, serialised anew (R-RS-8, security.md 13).
func (e *endpoint) forward(ctx context.Context, tool *catalog.Tool, req *http.Request, token string) toolResult {
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", "gatehouse")
	req.Header.Set("X-Request-Id", httpserver.RequestID(ctx))
	resp, err := e.upstream.Do(req)
	if err != nil {
		return e.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	return readResponse(e.api.Title, tool, resp)
}

// repeat returns a request like req, whose body is spent.
func repeat(req *http.Request) *http.Request {
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		again.Body, _ = req.GetBody() // of a body in memory, which cannot fail
	}
	return again
}

// noToken is what becomes of a call for which no token could be had.
func (e *endpoint) noToken(ctx context.Context, c toolCall, err error) (toolResult, error) {
	httpserver.Note(ctx, "exchange", err)
	refusal, ok := errors.AsType[*exchangeRefusal](err)
	if !ok {
		return failure("the authorization server gave no token for the API", "The call was not made, because the authorization server gave no token for %s just now. Try again in a moment.", e.api.Title), nil
	}
	switch refusal.code {
	case oauth.InvalidGrant, oauth.InvalidToken, oauth.InvalidRequest: // RFC 8693 §2.2.2 has the last for a dead subject token
		// The caller's token may have ended since it was introspected.
		e.introspector.Forget(c.caller.token)
		if _, err := e.introspector.Introspect(ctx, c.caller.token, e.api.Resource); errors.Is(err, resource.ErrInvalid) {
			return toolResult{}, err
		}
	}
	return failure(refusal.Error(), "The call was not made, because the authorization server gives no token for it: %s (%s). Tell whoever runs the gateway.", refusal.description, refusal.code), nil
}

// unreachable words why no answer of the API came.
func (e *endpoint) unreachable(ctx context.Context, err error) toolResult {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, which holds arguments
	}
	httpserver.Note(ctx, "upstream", err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failure("the API did not answer in time",
			"%s did not answer within %s. Try again later; if the call changes something, check first whether it did.", e.api.Title, e.timeout)
	case errors.Is(err, context.Canceled):
		return failure("the client left before the API answered", "The call was cancelled.")
	}
	return failure("the API cannot be reached", "%s cannot be reached just now. Try again later.", e.api.Title)
}

// withoutRedirects returns c, except that a redirect is an answer like any
// other: following it would take the API's token to another address.
func withoutRedirects(c *http.Client) *http.Client {
	copied := *c
	copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &copied
}
