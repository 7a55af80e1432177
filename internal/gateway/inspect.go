package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/catalog"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// What the gateway tells the inspector. Each does nothing while nothing is
// recorded.

// tellMetadata tells of requests for an API's metadata document.
func tellMetadata(issuer string, api *catalog.API, path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := inspect.Of(r.Context())
		d.Is(inspect.ResourceMetadata, path)
		d.Answer("resource", api.Resource)
		d.Answer("authorization_servers", issuer)
		d.Answer("scopes_supported", api.DefaultScopes...)
		next.ServeHTTP(w, r)
	})
}

// tellCaller tells who sent a message, and what their token is worth.
func tellCaller(ctx context.Context, c caller) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	keys := inspect.Keys{ClientID: c.ClientID, GrantID: c.GrantID}
	if c.forPerson() {
		keys.AccountID = c.Sub
	}
	d.Belongs(keys)
	d.Presented(factsOf(c))
}

func factsOf(c caller) inspect.Token {
	return inspect.Token{
		Label: inspect.Label(c.token), Audience: c.Aud, Subject: c.Sub, ClientID: c.ClientID,
		Scope: strings.Fields(c.Scope), Issued: c.Iat, Expires: c.Exp, Actors: c.chain(),
	}
}

// tellMethod tells what is asked, as far as it are words of MCP.
func (e *endpoint) tellMethod(ctx context.Context, m *message) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	_, served := e.methods[m.modern][m.method]
	if served || slices.Contains([]string{"initialize", "server/discover", "notifications/initialized", "notifications/cancelled"}, m.method) {
		d.Asked("method", m.method)
	}
}

// tellResult tells that a call was answered with a result that says no.
func tellResult(ctx context.Context, rule string) {
	d := inspect.Of(ctx)
	d.Answer("isError", "true")
	d.Refused(rule)
}

// tellRefused names the rule behind a refusal of a message.
func (e *endpoint) tellRefused(ctx context.Context, err error) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	scope, isScope := errors.AsType[*resource.ScopeError](err)
	switch {
	case isScope:
		d.Answer("error", string(oauth.InsufficientScope))
		d.Answer("scope", scope.Needed...)
		d.Refused("insufficient-scope", scope.Needed...)
	case errors.Is(err, resource.ErrNoToken):
		d.Answer("scope", e.api.DefaultScopes...)
		d.Refused("no-token")
	case errors.Is(err, resource.ErrInvalid):
		d.Answer("error", string(oauth.InvalidToken))
		d.Refused("invalid-token")
	case errors.Is(err, resource.ErrMalformed):
		d.Answer("error", string(oauth.InvalidRequest))
		d.Refused("malformed-token")
	case errors.Is(err, resource.ErrUnavailable):
		d.Refused("token-unchecked")
	default:
		d.Refused("message")
		return
	}
	if d != nil && !errors.Is(err, resource.ErrUnavailable) {
		d.Answer("WWW-Authenticate", "Bearer resource_metadata="+e.challenger.MetadataURL)
	}
}

// tellForward begins the message that the API gets.
func (e *endpoint) tellForward(ctx context.Context, c toolCall, token string) *inspect.Draft {
	d := inspect.Of(ctx)
	if d == nil {
		return nil
	}
	host := ""
	if u, err := url.Parse(e.api.URL); err == nil {
		host = u.Host
	}
	call := d.Then(inspect.APICall, c.tool.Method, host, c.tool.Path)
	call.Bearer(token)
	made, from := inspect.Decode(token, e.api.Claims), factsOf(c.caller)
	made.From = &from
	call.Presented(made)
	return call
}

// tellAnswered ends it.
func tellAnswered(d *inspect.Draft, r toolResult) {
	d.Answered(r.status)
	switch {
	case r.status >= 400:
		d.Refused("api-refused")
	case r.failed:
		d.Refused("tool-failed")
	}
}
