package authserver

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/trust"
)

// Partner is another authorization server, to which this one speaks for people
// who sign in here, through the clients that it names.
type Partner struct {
	Issuer    string            // its issuer identifier: the aud of assertions for it
	Clients   map[string]string // ID of a client here to what the partner knows it as
	Resources []string          // MCP servers there, canonical
	Scopes    []string          // the most that is asked for there
}

// idJAGLifetime is how long an assertion may be redeemed. It is redeemed at once.
const idJAGLifetime = 5 * time.Minute

// issuesIDJAG reports whether a token request is for an assertion for another
// authorization server.
func issuesIDJAG(form url.Values) bool {
	return form.Get("grant_type") == oauth.GrantTokenExchange && form.Get("requested_token_type") == oauth.TokenTypeIDJAG
}

// issueIDJAG serves token exchange for an ID-JAG (MCP extension
// enterprise-managed-authorization, draft-ietf-oauth-identity-assertion-authz-grant
// §4.3): a client at which a person has signed in by this server gets an
// assertion with which it becomes their agent at a partner, so that nobody is
// asked there. Which client, where and for what, the configuration says.
func (s *Server) issueIDJAG(ctx context.Context, r tokenRequest) (*oauth.TokenResponse, error) {
	f := r.Form
	switch {
	case !r.Client.Confidential() || !r.Client.Vouched():
		return nil, oauth.NewError(oauth.UnauthorizedClient, "an ID-JAG is for clients that an administrator added and that prove who they are")
	case f.Get("subject_token_type") != oauth.TokenTypeIDToken:
		return nil, oauth.NewError(oauth.InvalidRequest, "subject_token_type must be "+oauth.TokenTypeIDToken)
	case f.Has("actor_token") || f.Has("actor_token_type"):
		return nil, oauth.NewError(oauth.InvalidRequest, "the actor is the authenticated client; send no actor_token")
	}
	partner, known, err := s.partner(r)
	if err != nil {
		return nil, err
	}
	resource, err := partnerResource(partner, f.Get("resource"))
	if err != nil {
		return nil, err
	}
	scopes, err := oauth.ParseScope(f.Get("scope"))
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		scopes = partner.Scopes
	}
	if scopes = oauth.Intersect(scopes, partner.Scopes); len(scopes) == 0 {
		return nil, oauth.NewError(oauth.InvalidScope, "none of these scopes is asked for there; the configuration lists those that are (partners)")
	}
	now := time.Now()
	acc, signedIn, err := s.signedInAt(ctx, r, now)
	if err != nil {
		return nil, err
	}
	claims := jagClaims{
		Issuer: s.Issuer, Subject: acc.ID, Audience: partner.Issuer, ClientID: known, ID: secret.ID(), IssuedAt: now.Unix(), ExpiresAt: now.Add(idJAGLifetime).Unix(),
		Resource: resource, Scope: oauth.FormatScope(scopes), Name: acc.Name, AuthTime: signedIn.AuthTime, AMR: signedIn.AMR,
	}
	signed, err := s.Keys.Sign(ctx, jose.ES256, trust.IDJAGType, claims)
	if err != nil {
		return nil, err
	}
	if err := s.record(ctx, audit.Entry{
		Kind: audit.Exchange, Outcome: audit.Done, AccountID: acc.ID, ClientID: r.Client.ID, Reason: "an assertion for another authorization server",
		Detail: map[string]string{"jti": claims.ID, "scope": claims.Scope, "audience": partner.Issuer, "resource": resource},
	}); err != nil {
		return nil, err
	}
	inspect.Of(ctx).Belongs(inspect.Keys{ClientID: r.Client.ID, AccountID: acc.ID})
	return &oauth.TokenResponse{
		AccessToken: signed, IssuedTokenType: oauth.TokenTypeIDJAG, TokenType: "N_A", // RFC 8693 §2.2.1: it is no access token
		ExpiresIn: int64(idJAGLifetime / time.Second), Scope: claims.Scope,
	}, nil
}

// jagClaims are those of an ID-JAG (draft §3.1).
type jagClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	ClientID  string   `json:"client_id"`
	ID        string   `json:"jti"`
	ExpiresAt int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	Resource  string   `json:"resource"`
	Scope     string   `json:"scope"`
	Name      string   `json:"preferred_username"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	AMR       []string `json:"amr,omitempty"`
}

// partner returns whom a client may take people to, and what it is known as there.
func (s *Server) partner(r tokenRequest) (p Partner, known string, err error) {
	for _, p := range s.Partners {
		if known = p.Clients[r.Client.ID]; p.Issuer == r.Form.Get("audience") && known != "" {
			return p, known, nil
		}
	}
	return p, "", rule("may-act", oauth.InvalidTarget, "audience is no authorization server to which this client may take people; an administrator can say so (partners)")
}

// partnerResource is the MCP server that an assertion is for: one that is listed,
// so that (audience, resource) is a pair that an administrator has looked at.
func partnerResource(p Partner, asked string) (string, error) {
	if asked == "" && len(p.Resources) == 1 {
		return p.Resources[0], nil
	}
	canonical, err := oauth.CanonicalResource(asked)
	if err != nil || !slices.Contains(p.Resources, canonical) {
		return "", oauth.NewError(oauth.InvalidTarget, "resource is no MCP server of that authorization server that is listed here (partners)")
	}
	return canonical, nil
}

// signedInAt returns the person of an ID token that this server made for the very
// client, if their sign-in there has not been ended since.
func (s *Server) signedInAt(ctx context.Context, r tokenRequest, now time.Time) (account.Account, idClaims, error) {
	var claims idClaims
	refuse := func(cause error) (account.Account, idClaims, error) {
		return account.Account{}, claims, &oauth.Error{Code: oauth.InvalidRequest, Rule: "subject-token", Cause: cause,
			Description: "subject_token is no ID token that was made here for this client and holds still; send the person through sign-in"}
	}
	set, err := s.Keys.Set(ctx)
	if err != nil {
		return account.Account{}, claims, err
	}
	keys, err := s.keySets.parse(set)
	if err != nil {
		return account.Account{}, claims, err
	}
	if err := jose.Verify(r.Form.Get("subject_token"), keys, jose.Expect{Type: "JWT", Issuer: s.Issuer, Audience: r.Client.ID, Now: now}, &claims); err != nil {
		return refuse(err)
	}
	held, err := s.Grants.Remembered(ctx, claims.Subject, r.Client.ID, s.Issuer, now)
	if errors.Is(err, grant.ErrNotFound) {
		return refuse(err)
	}
	if err != nil {
		return account.Account{}, claims, err
	}
	if err := s.Pauses.Paused(ctx, grant.Parties{Grant: held.ID, Client: r.Client.ID, Account: claims.Subject}); err != nil {
		return account.Account{}, claims, err
	}
	acc, err := s.Accounts.Account(ctx, claims.Subject)
	if errors.Is(err, account.ErrNotFound) {
		return refuse(err)
	}
	return acc, claims, err
}
