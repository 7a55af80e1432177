package authserver

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/catalog"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/trust"
)

// redeemIDJAG serves the JWT bearer grant for people of an identity provider
// that an organization trusts (MCP extension enterprise-managed-authorization;
// draft-ietf-oauth-identity-assertion-authz-grant §4.4). The provider's
// administrators have decided what the client may do, so no page asks; what the
// person decided here on a page bounds it all the same.
func (s *Server) redeemIDJAG(ctx context.Context, r tokenRequest) (*oauth.TokenResponse, error) {
	if !r.Client.Confidential() { // security.md 9
		return nil, oauth.NewError(oauth.InvalidClient, "an ID-JAG is taken from a client that proves who it is")
	}
	now := time.Now()
	p, err := s.Trust.Person(ctx, r.Form.Get("assertion"), r.Client.ID, now)
	if err != nil {
		return nil, s.untrusted(ctx, p.Match, err)
	}
	acc, err := s.linked(ctx, r, p)
	if err != nil {
		return nil, err
	}
	api, err := s.assertedTarget(r, p)
	if err != nil {
		return nil, err
	}
	if err := s.Pauses.Paused(ctx, grant.Parties{Client: r.Client.ID, Account: acc.ID}); err != nil {
		return nil, err
	}
	if err := s.openTo(ctx, api.Resource); err != nil {
		return nil, err
	}
	g := grant.Grant{
		ID: secret.ID(), AccountID: acc.ID, ClientID: r.Client.ID, Resource: api.Resource, Agreed: "id-jag " + p.Issuer.Name,
		CreatedAt: now.Unix(), ExpiresAt: now.Add(grant.TokenLifetime).Unix(), // another assertion, another hour
	}
	if g.Scopes, err = s.assertedScopes(r, p, api); err != nil {
		return nil, err
	}
	held, err := s.Grants.Remembered(ctx, acc.ID, r.Client.ID, api.Resource, now)
	switch {
	case err == nil && held.Agreed != g.Agreed:
		g.Scopes, g.ExpiresAt = oauth.Intersect(g.Scopes, api.Expand(held.Scopes)), min(g.ExpiresAt, held.ExpiresAt)
	case err != nil && !errors.Is(err, grant.ErrNotFound):
		return nil, err
	}
	if len(g.Scopes) == 0 {
		return nil, oauth.NewError(oauth.InvalidScope, "the assertion, the client and the person together allow none of these scopes")
	}
	inspect.Of(ctx).Belongs(keysOf(g))
	detail := factsOf(p.Match)
	token, answer := r.mint(g, g.Scopes, now)
	token.AuthTime = p.AuthTime
	// The last check, since it cannot be taken back: of two that bring the same
	// assertion, one gets a token (R-AS-EMA: jti).
	if err := s.useOnce(ctx, p.Match, r.Client.ID, detail, now); err != nil {
		return nil, err
	}
	if err := s.recordToken(ctx, r, g, g.Scopes, detail); err != nil {
		return nil, err
	}
	if err := s.Grants.Issue(ctx, g, token, now); err != nil {
		return nil, err
	}
	tellIssued(ctx, g, token, answer)
	return answer, nil
}

// linked returns the account that the provider's person is here. Nobody is made
// by an assertion.
func (s *Server) linked(ctx context.Context, r tokenRequest, p trust.Person) (account.Account, error) {
	name, err := account.Normalize(p.Name)
	if err == nil {
		var acc account.Account
		if acc, err = s.Accounts.AccountByName(ctx, name); err == nil {
			return acc, nil
		}
	}
	if errors.Is(err, account.ErrNotFound) || errors.Is(err, account.ErrName) {
		return account.Account{}, s.deny(ctx, r.Client.ID, factsOf(p.Match), "the person that the assertion names has no account here; an administrator can invite them")
	}
	return account.Account{}, err
}

// assertedTarget is the MCP server that an assertion is for: what it says, what
// the request says, and both the same where both do.
func (s *Server) assertedTarget(r tokenRequest, p trust.Person) (*catalog.API, error) {
	asked, said := r.Form.Get("resource"), p.Resource
	if asked == "" && said == "" {
		return nil, oauth.NewError(oauth.InvalidTarget, "neither the request nor the assertion names a resource; send the URL of the MCP server (RFC 8707)")
	}
	if asked == "" {
		asked = said
	}
	api, err := s.target(asked, "")
	if err != nil {
		return nil, err
	}
	if said != "" {
		if canonical, err := oauth.CanonicalResource(said); err != nil || canonical != api.Resource {
			return nil, rule("assertion", oauth.InvalidGrant, "the assertion is for another resource")
		}
	}
	if _, ok := s.apiOf(api.Resource); !ok || api.Administration {
		return nil, oauth.NewError(oauth.InvalidTarget, "this resource takes a sign-in here")
	}
	return api, nil
}

// assertedScopes is what request, assertion and client have in common.
func (s *Server) assertedScopes(r tokenRequest, p trust.Person, api *catalog.API) ([]string, error) {
	asked := r.Form.Get("scope")
	if asked == "" {
		asked = p.Scope
	}
	scopes, err := askedScopes(asked, api)
	if err != nil {
		return nil, err
	}
	for _, bound := range []string{p.Scope, r.Client.Scope} {
		names, err := oauth.ParseScope(bound)
		if err != nil {
			return nil, rule("assertion", oauth.InvalidGrant, "the assertion's scope is no list of scopes")
		}
		if len(names) > 0 {
			scopes = oauth.Intersect(scopes, api.Expand(names))
		}
	}
	return scopes, nil
}
