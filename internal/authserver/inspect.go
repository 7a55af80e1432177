package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
)

// What the handlers tell the inspector, where that takes more than a line. Each
// does nothing while nothing is recorded.

// tell begins the message of a page of an authorization request. Requests of the
// person's own page are nobody's flow.
func tell(r *http.Request, k inspect.Kind, req grant.Request) *inspect.Draft {
	d := inspect.Of(r.Context())
	if d == nil || isOwn(req) {
		return nil
	}
	d.Is(k, r.URL.Path)
	d.Belongs(inspect.Keys{ClientID: req.ClientID, AuthRequest: req.ID, AccountID: req.AccountID})
	return d
}

// tellIssued tells of an opaque access token and what came with it.
func tellIssued(ctx context.Context, g grant.Grant, t grant.Token, answer *oauth.TokenResponse) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	d.Belongs(keysOf(g))
	d.Follow(answer.AccessToken)
	d.Issued(opaque(answer.AccessToken, t, g))
	d.Answer("refresh_token", answer.RefreshToken)
	d.Answer("id_token", answer.IDToken)
	tellAnswer(d, answer)
}

func tellAnswer(d *inspect.Draft, answer *oauth.TokenResponse) {
	d.Answer("token_type", answer.TokenType)
	d.Answer("issued_token_type", answer.IssuedTokenType)
	d.Answer("expires_in", strconv.FormatInt(answer.ExpiresIn, 10))
	d.Answer("scope", answer.Scope)
}

// tellExchanged tells of a JWT beside the token that it was made from.
func tellExchanged(ctx context.Context, api *catalog.API, subject inspect.Token, answer *oauth.TokenResponse) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	made := inspect.Decode(answer.AccessToken, api.Claims)
	made.From = &subject
	d.Issued(made)
	tellAnswer(d, answer)
}

// opaque is what there is to tell of an access token of ours.
func opaque(value string, t grant.Token, g grant.Grant) inspect.Token {
	facts := inspect.Token{
		Label: inspect.Label(value), Audience: g.Resource, Subject: g.AccountID, ClientID: grant.Holder(t, g),
		Scope: grant.Effective(t, g), Issued: t.IssuedAt, Expires: min(t.ExpiresAt, g.ExpiresAt), Actors: grant.Chain(t, g),
	}
	if g.AccountID == "" { // it acts for itself
		facts.Subject = g.ClientID
	}
	return facts
}

func keysOf(g grant.Grant) inspect.Keys {
	return inspect.Keys{ClientID: g.ClientID, GrantID: g.ID, AccountID: g.AccountID}
}

// tellWorth tells what introspection answered about a token.
func tellWorth(ctx context.Context, value string, t grant.Token, g grant.Grant) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	d.Belongs(keysOf(g))
	d.Presented(opaque(value, t, g))
	d.Answer("active", "true")
	d.Answer("scope", oauth.FormatScope(grant.Effective(t, g)))
	d.Answer("client_id", g.ClientID)
	d.Answer("aud", g.Resource)
}

// tellResponse tells of what goes to the client through the browser.
func (s *Server) tellResponse(ctx context.Context, redirectURI string, answer url.Values) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	d.Answer("next", "the agent")
	response := d.Then(inspect.AuthorizationResponse, http.MethodGet, client.RedirectHost(redirectURI), "")
	response.Answer("code", answer.Get("code"))
	response.Answer("state", answer.Get("state"))
	response.Answer("iss", s.Issuer)
	if code := answer.Get("error"); code != "" {
		response.Answer("error", code)
		response.Refused(code)
	}
}

// tellRefused names the rule behind a refusal.
func tellRefused(ctx context.Context, err error) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	var rule string
	p, isPage := errors.AsType[*pageError](err)
	o := asOAuth(err)
	switch {
	case o.Rule != "":
		rule = o.Rule
	case errors.Is(err, grant.ErrPaused):
		rule = "paused"
	case errors.Is(err, grant.ErrReplayed):
		rule = "replay"
	case isPage && errors.Is(err, client.ErrUnknown):
		rule = "unknown-client"
	case isPage && p.Rule != "":
		rule = p.Rule
	case isPage && o.Code == oauth.ServerError: // the page says what; the code would not
		rule = string(oauth.InvalidRequest)
	default:
		rule = string(o.Code)
	}
	if !isPage {
		d.Answer("error", string(o.Code))
	}
	d.Refused(rule)
}

// subjectOf is what is told of the token that one is made from.
func subjectOf(r tokenRequest, t grant.Token, g grant.Grant) inspect.Token {
	return opaque(r.Form.Get("subject_token"), t, g)
}

// tellRegistration tells what a client said of itself, as far as it are words of
// the protocol, and where its answers go.
func tellRegistration(ctx context.Context, c client.Client) {
	d := inspect.Of(ctx)
	if d == nil {
		return
	}
	d.Form(url.Values{"token_endpoint_auth_method": {c.AuthMethod}, "application_type": {c.ApplicationType}, "scope": {c.Scope}})
	var hosts []string
	for _, uri := range c.RedirectURIs {
		hosts = append(hosts, client.RedirectHost(uri))
	}
	d.Asked("redirect_uris", hosts...)
}

// rule names the requirement behind a refusal, which the inspector explains.
func rule(name string, code oauth.Code, text string) *oauth.Error {
	return &oauth.Error{Code: code, Description: text, Rule: name}
}
