package authserver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// exchange serves token exchange, RFC 8693, for this installation's gateways
// alone (security.md 7): an opaque access token for an MCP endpoint becomes a
// short-lived JWT for the one API behind it, with the scopes of one call.
// Scope and lifetime only narrow.
func (s *Server) exchange(ctx context.Context, r tokenRequest) (*oauth.TokenResponse, error) {
	if r.Client.Origin != client.Gateway {
		return nil, oauth.NewError(oauth.UnauthorizedClient, "token exchange without actor_token is for this installation's gateways")
	}
	if err := checkExchange(r); err != nil {
		return nil, err
	}
	now := time.Now()
	token, g, err := s.Grants.Token(ctx, secret.Sum(r.Form.Get("subject_token")), now)
	if errors.Is(err, grant.ErrNotFound) {
		// RFC 8693 §2.2.2: an invalid subject token is invalid_request.
		return nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "subject_token is unknown, expired or ended", Cause: err, Rule: "subject-token"}
	}
	if err != nil {
		return nil, err
	}
	inspect.Of(ctx).Belongs(keysOf(g))
	inspect.Of(ctx).Presented(subjectOf(r, token, g))
	api, ok := s.apiOf(g.Resource)
	if !ok || r.Form.Get("audience") != api.Audience {
		return nil, oauth.NewError(oauth.InvalidTarget, "audience is not the API behind the resource that subject_token was issued for")
	}
	if token.Closed.All() != "" {
		return nil, grant.ErrAPIClosed
	}
	scopes, err := oauth.ParseScope(r.Form.Get("scope"))
	if err != nil {
		return nil, err
	}
	if have := api.Expand(grant.Effective(token, g)); len(scopes) == 0 || !oauth.Subset(scopes, have) {
		return nil, s.lacking(ctx, api, token, g, oauth.Without(scopes, have), now)
	}
	return s.mintForAPI(ctx, r, api, token, g, scopes, now)
}

// lacking refuses an exchange, and keeps for the next consent what was missing
// (security.md 3): only here, where the gateway has proven who it is, only for
// a person's grant, and only what the API has.
func (s *Server) lacking(ctx context.Context, api *catalog.API, token grant.Token, g grant.Grant, missing []string, now time.Time) error {
	known := slices.DeleteFunc(slices.Clone(missing), func(name string) bool { _, ok := api.Scopes[name]; return !ok })
	if g.AccountID != "" && len(known) > 0 && len(token.Actors) == 0 && !g.Standing() { // what another lacked is not the agent's to ask for
		if err := s.StepUps.NoteMissing(ctx, g.ID, known, now); err != nil {
			return err
		}
	}
	inspect.Of(ctx).Refused("exchange-scope", known...)
	return rule("exchange-scope", oauth.InvalidScope, "the subject token does not cover the scopes asked for")
}

// checkExchange checks the parameters of RFC 8693 §2.1.
func checkExchange(r tokenRequest) error {
	f := r.Form
	switch {
	case f.Get("subject_token") == "":
		return oauth.NewError(oauth.InvalidRequest, "subject_token is missing")
	case f.Get("subject_token_type") != oauth.TokenTypeAccessToken:
		return oauth.NewError(oauth.InvalidRequest, "subject_token_type must be "+oauth.TokenTypeAccessToken)
	case f.Has("actor_token_type"):
		return oauth.NewError(oauth.InvalidRequest, "actor_token_type comes with actor_token")
	case f.Has("requested_token_type") && f.Get("requested_token_type") != oauth.TokenTypeJWT && f.Get("requested_token_type") != oauth.TokenTypeAccessToken:
		return oauth.NewError(oauth.InvalidRequest, "requested_token_type must be an access token or a JWT")
	case f.Get("audience") == "":
		return oauth.NewError(oauth.InvalidTarget, "audience is missing; name the API")
	case f.Has("resource"):
		return oauth.NewError(oauth.InvalidTarget, "name the API by audience, without resource")
	}
	return nil
}

// mintForAPI makes the JWT access token (RFC 9068 §2.2). The chain of actors
// (RFC 8693 §4.1) has the gateway, which presents the token, outside and the
// agent inside.
func (s *Server) mintForAPI(ctx context.Context, r tokenRequest, api *catalog.API, token grant.Token, g grant.Grant, scopes []string, now time.Time) (*oauth.TokenResponse, error) {
	agent, err := s.storedClient(ctx, g.ClientID)
	if err != nil {
		return nil, &oauth.Error{Code: oauth.InvalidGrant, Description: "the client of subject_token is gone", Cause: err}
	}
	var person account.Account
	var act *jose.Actor
	for _, id := range slices.Backward(append([]string{r.Client.ID}, grant.Chain(token, g)...)) {
		act = &jose.Actor{Sub: id, Act: act}
	}
	subject := g.ClientID // acting for itself, the agent is the subject
	if g.AccountID != "" {
		if person, err = s.Accounts.Account(ctx, g.AccountID); err != nil {
			return nil, &oauth.Error{Code: oauth.InvalidGrant, Description: "the account of subject_token is gone", Cause: err}
		}
		subject = g.AccountID
	}
	expires := min(now.Add(AccessLifetime).Unix(), token.ExpiresAt, g.ExpiresAt)
	claims := jose.AccessClaims{
		Issuer: s.Issuer, Subject: subject, Audience: api.Audience, ExpiresAt: expires, IssuedAt: now.Unix(), ID: secret.ID(),
		ClientID: r.Client.ID, Scope: oauth.FormatScope(scopes), Act: act, AuthTime: token.AuthTime,
		Extra: claimsFor(api, person, agent),
	}
	signed, err := s.Keys.Sign(ctx, api.SigningAlgorithm, "at+jwt", claims)
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"jti": claims.ID, "scope": claims.Scope, "gateway": r.Client.ID}
	if len(token.Actors) > 0 {
		detail["actors"] = strings.Join(grant.Chain(token, g), " ")
	}
	if err := s.record(ctx, audit.Entry{
		Kind: audit.Exchange, Outcome: audit.Done, AccountID: g.AccountID, ClientID: grant.Holder(token, g), GrantID: g.ID, API: api.Name, Detail: detail,
	}); err != nil {
		return nil, err
	}
	answer := &oauth.TokenResponse{
		AccessToken: signed, IssuedTokenType: oauth.TokenTypeAccessToken, TokenType: "Bearer",
		ExpiresIn: expires - now.Unix(), Scope: claims.Scope, Feed: &token.Position,
	}
	tellExchanged(ctx, api, subjectOf(r, token, g), answer)
	return answer, nil
}
