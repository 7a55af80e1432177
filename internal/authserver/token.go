package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// tokenRequest is a parsed request of an authenticated client.
type tokenRequest struct {
	Form   url.Values
	Client client.Client
	// Certificate is the thumbprint of the one that the client proved itself by, if
	// it did; what it gets is worth nothing without it (RFC 8705 §3).
	Certificate string
}

// token serves the token endpoint, OAuth 2.1 §3.2, as one pipeline: parse,
// authenticate, choose the grant type, respond. A grant type is one function
// that cannot forget a step before it.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r, "resource", "audience")
	if err != nil {
		return err
	}
	told := inspect.Of(r.Context())
	told.Is(inspect.TokenRequest, r.URL.Path)
	if form.Get("grant_type") == oauth.GrantTokenExchange {
		told.Is(inspect.Exchange, r.URL.Path)
	}
	told.Form(form)
	if len(form["resource"]) > 1 || len(form["audience"]) > 1 {
		return oauth.NewError(oauth.InvalidTarget, "one resource or audience at a time; send one request for each")
	}
	httpserver.Note(r.Context(), "grant_type", knownGrantType(form.Get("grant_type")))
	var answer *oauth.TokenResponse
	switch {
	case isFederation(form): // the assertion says who it is
		answer, err = s.federate(r, form)
	case isDelegation(form) && !issuesIDJAG(form):
		answer, err = s.delegate(r, form)
	default:
		answer, err = s.grantTo(r, form)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// grantTo serves the grant types of clients that authenticate.
func (s *Server) grantTo(r *http.Request, form url.Values) (*oauth.TokenResponse, error) {
	c, certificate, err := s.authenticateClient(r, form)
	if err != nil {
		return nil, err
	}
	told := inspect.Of(r.Context())
	told.Asked("client_id", c.ID)
	if c.Origin != client.Gateway { // what a gateway asks belongs to the flow of the token it names
		told.Belongs(inspect.Keys{ClientID: c.ID})
	}
	if err := s.Pauses.Paused(r.Context(), grant.Parties{Client: c.ID, Administration: c.Administers()}); err != nil {
		return nil, err
	}
	grantType := form.Get("grant_type")
	httpserver.Note(r.Context(), "client_id", c.ID)
	req := tokenRequest{Form: form, Client: c, Certificate: certificate}
	switch {
	case grantType == "":
		return nil, oauth.NewError(oauth.InvalidRequest, "grant_type is missing")
	case knownGrantType(grantType) == "other":
		return nil, oauth.NewError(oauth.UnsupportedGrantType, "this grant_type is not served; the metadata lists those that are")
	case issuesIDJAG(form): // which the configuration gives to clients
		return s.issueIDJAG(r.Context(), req)
	case !c.MayUse(grantType):
		return nil, oauth.NewError(oauth.UnauthorizedClient, "this client is not registered for this grant_type")
	case grantType == oauth.GrantAuthorizationCode:
		return s.redeemCode(r.Context(), req)
	case grantType == oauth.GrantRefreshToken:
		return s.refresh(r.Context(), req)
	case grantType == oauth.GrantClientCredentials:
		return s.clientCredentials(r.Context(), req)
	case grantType == oauth.GrantJWTBearer:
		return s.redeemIDJAG(r.Context(), req)
	}
	return s.exchange(r.Context(), req)
}

func knownGrantType(s string) string {
	switch s {
	case oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange, oauth.GrantJWTBearer:
		return s
	}
	return "other"
}

// mint makes an opaque access token, bound to the certificate of who asks if
// there is one; nothing is stored yet.
func (r tokenRequest) mint(g grant.Grant, scopes []string, now time.Time) (grant.Token, *oauth.TokenResponse) {
	value := secret.New("gha_")
	expires := min(now.Add(grant.TokenLifetime).Unix(), g.ExpiresAt)
	return grant.Token{Hash: secret.Sum(value), GrantID: g.ID, Scopes: scopes, IssuedAt: now.Unix(), ExpiresAt: expires, Certificate: r.Certificate},
		&oauth.TokenResponse{AccessToken: value, TokenType: "Bearer", ExpiresIn: expires - now.Unix(), Scope: oauth.FormatScope(scopes)}
}

// sameResource checks that a resource repeated at the token endpoint is the
// one that was authorized (RFC 8707 §2.2). Absent is fine: R-AS-22.
func sameResource(form url.Values, authorized string) error {
	resource := form.Get("resource")
	if resource == "" {
		return nil
	}
	if canonical, err := oauth.CanonicalResource(resource); err != nil || canonical != authorized {
		return oauth.NewError(oauth.InvalidTarget, "resource differs from the one that was authorized")
	}
	return nil
}

// redeemCode serves the authorization code grant, OAuth 2.1 §4.1.3.
func (s *Server) redeemCode(ctx context.Context, r tokenRequest) (*oauth.TokenResponse, error) {
	if r.Form.Get("code") == "" {
		return nil, oauth.NewError(oauth.InvalidRequest, "code is missing")
	}
	now := time.Now()
	hash := secret.Sum(r.Form.Get("code"))
	code, g, err := s.Grants.Code(ctx, hash, now)
	if err != nil {
		return nil, err
	}
	// Every check precedes redemption, so a stolen code without its verifier
	// can neither burn the code nor end the grant. The client binding is first:
	// what another client presents must not even tell whether the rest fits.
	switch {
	case code.ClientID != r.Client.ID:
		return nil, rule("code", oauth.InvalidGrant, "the code was issued to another client")
	case code.RedirectGiven && r.Form.Get("redirect_uri") != code.RedirectURI, // RFC 6749 §4.1.3
		!code.RedirectGiven && r.Form.Get("redirect_uri") != "" && r.Form.Get("redirect_uri") != code.RedirectURI:
		return nil, rule("redirect", oauth.InvalidGrant, "redirect_uri differs from the authorization request")
	case r.Form.Get("code_verifier") == "":
		return nil, rule("verifier", oauth.InvalidGrant, "code_verifier is missing; PKCE is required") // RFC 7636 §4.6
	case !oauth.VerifyPKCE(code.Challenge, r.Form.Get("code_verifier")):
		return nil, rule("verifier", oauth.InvalidGrant, "code_verifier does not match code_challenge")
	}
	inspect.Of(ctx).Belongs(keysOf(g))
	inspect.Of(ctx).Asked("redirect_uri", client.RedirectHost(code.RedirectURI))
	if err := sameResource(r.Form, code.Resource); err != nil {
		return nil, err
	}
	if err := s.openTo(ctx, code.Resource); err != nil {
		return nil, err
	}
	scopes := oauth.Intersect(code.Scopes, g.Scopes)
	if len(scopes) == 0 {
		return nil, oauth.NewError(oauth.InvalidGrant, "nothing of what the code was issued for is still granted; start a new authorization request")
	}
	token, answer := r.mint(g, scopes, now)
	token.AMR, token.AuthTime = code.AMR, code.AuthTime
	if r.Client.MayUse(oauth.GrantRefreshToken) {
		answer.RefreshToken = withRefresh(&token, g, secret.ID(), scopes, now)
	}
	if code.Resource == s.Issuer && slices.Contains(scopes, scopeOpenID) {
		if answer.IDToken, err = s.idToken(ctx, code, g, answer.AccessToken, now); err != nil {
			return nil, err
		}
	}
	if err := s.recordToken(ctx, r, g, scopes, nil); err != nil {
		return nil, err
	}
	if err := s.Grants.RedeemCode(ctx, hash, token, now); err != nil {
		return nil, s.noteReplay(ctx, g, err)
	}
	tellIssued(ctx, g, token, answer)
	return answer, nil
}

// recordToken writes the entry that precedes every token, with detail beside
// what is always said.
func (s *Server) recordToken(ctx context.Context, r tokenRequest, g grant.Grant, scopes []string, detail map[string]string) error {
	e := audit.Entry{
		Kind: audit.TokenIssued, Outcome: audit.Done, AccountID: g.AccountID, ClientID: r.Client.ID, GrantID: g.ID,
		Detail: map[string]string{"grant_type": r.Form.Get("grant_type"), "scope": oauth.FormatScope(scopes)},
	}
	maps.Copy(e.Detail, detail)
	if api, ok := s.resourceOf(g.Resource); ok {
		e.API = api.Name
	}
	return s.record(ctx, e)
}

// noteReplay records that a replay ended what the code or refresh token had
// given (RFC 9700 §4.5, §4.14.2).
func (s *Server) noteReplay(ctx context.Context, g grant.Grant, err error) error {
	if !errors.Is(err, grant.ErrReplayed) {
		return err
	}
	return errors.Join(err, s.record(ctx, audit.Entry{
		Kind: audit.Revocation, Outcome: audit.Done, AccountID: g.AccountID, ClientID: g.ClientID, GrantID: g.ID,
		Reason: "a code or refresh token was presented again",
	}))
}

// clientCredentials serves the client credentials grant, OAuth 2.1 §4.2, for
// clients that an administrator gave it to.
func (s *Server) clientCredentials(ctx context.Context, r tokenRequest) (*oauth.TokenResponse, error) {
	if !r.Client.Confidential() {
		return nil, oauth.NewError(oauth.UnauthorizedClient, "a public client cannot act for itself") // OAuth 2.1 §4.2
	}
	return s.issueToClient(ctx, r, nil)
}

// issueToClient issues a token with which a client acts for itself. Who it is
// was established by the caller, who may tell the audit more of it.
func (s *Server) issueToClient(ctx context.Context, r tokenRequest, detail map[string]string) (*oauth.TokenResponse, error) {
	api, err := s.target(r.Form.Get("resource"), "")
	if err != nil {
		return nil, err
	}
	if api == s.signInAPI {
		return nil, oauth.NewError(oauth.InvalidTarget, "a client that acts for itself has nobody to sign in")
	}
	if api.Administration {
		return nil, oauth.NewError(oauth.InvalidTarget, "administration takes a person with a role, and a client that acts for itself is none")
	}
	asked, err := askedScopes(r.Form.Get("scope"), api)
	if err != nil {
		return nil, err
	}
	// No person narrows these, so what the administrator registered does.
	registered, err := oauth.ParseScope(r.Client.Scope)
	if err != nil {
		return nil, err
	}
	allowed := oauth.Intersect(api.Expand(registered), s.apiScopes())
	if r.Form.Get("scope") == "" { // RFC 6749 §3.3: a default, which is what it was given here
		asked = allowed
	}
	scopes := oauth.Intersect(asked, oauth.Intersect(allowed, slices.Collect(maps.Keys(api.Scopes))))
	if len(scopes) == 0 {
		return nil, oauth.NewError(oauth.InvalidScope, "this client was given none of these scopes; an administrator can add them")
	}
	if err := s.openTo(ctx, api.Resource); err != nil {
		return nil, err
	}
	now := time.Now()
	g := grant.Grant{
		ID: secret.ID(), ClientID: r.Client.ID, Resource: api.Resource, Scopes: allowed,
		CreatedAt: now.Unix(), ExpiresAt: now.Add(grant.GrantLifetime).Unix(),
	}
	token, answer := r.mint(g, scopes, now)
	if err := s.recordToken(ctx, r, g, scopes, detail); err != nil {
		return nil, err
	}
	if err := s.Grants.Issue(ctx, g, token, now); err != nil {
		return nil, err
	}
	tellIssued(ctx, g, token, answer)
	return answer, nil
}
