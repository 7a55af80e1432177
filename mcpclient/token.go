package mcpclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// errMustAsk: what is stored gets no token; a person has to.
var errMustAsk = errors.New("a new authorization is needed")

// renew gets a token in the place of one that is over, by its refresh token
// (OAuth 2.1 §4.3). Of several processes with one token, the first does it and
// the others take what it got.
func (a *authorizer) renew(ctx context.Context, to target, over token) (token, error) {
	var renewed token
	err := a.store.update(ctx, to.metadata.Issuer, func(s *issuerState) error {
		stored, ok := s.find(over.Server, over.Account)
		if ok && stored.AccessToken != over.AccessToken && stored.ClientID == over.ClientID && !stored.endsWithin(0) {
			renewed = stored
			return nil
		}
		if !ok || stored.RefreshToken == "" {
			s.drop(over)
			return errMustAsk
		}
		p, ok := a.partyOf(to, s, stored.ClientID)
		if !ok {
			s.drop(over)
			return errMustAsk
		}
		got, err := a.tokenRequest(ctx, to, p, url.Values{
			"grant_type":    {oauth.GrantRefreshToken},
			"refresh_token": {stored.RefreshToken},
		})
		if refusal, ok := errors.AsType[*OAuthError](err); ok && final(refusal.Code) {
			s.drop(over)
			if refusal.Code == string(oauth.InvalidClient) {
				s.forget(p.id)
			}
			return fmt.Errorf("%w: the refresh token was refused: %w", errMustAsk, err)
		}
		if err != nil {
			return fmt.Errorf("refresh the token: %w", err)
		}
		renewed = a.tokenOf(to, p, got, stored.Scope)
		if renewed.RefreshToken == "" { // not every server rotates
			renewed.RefreshToken = stored.RefreshToken
		}
		s.keep(renewed)
		return nil
	})
	return renewed, err
}

// final reports whether asking again with the same refresh token is useless.
func final(code string) bool {
	return code == string(oauth.InvalidGrant) || code == string(oauth.InvalidClient) || code == string(oauth.UnauthorizedClient)
}

// forget drops a registration that its server does not know any more.
func (s *issuerState) forget(clientID string) {
	s.Registrations = slices.DeleteFunc(s.Registrations, func(r registration) bool { return r.ClientID == clientID })
	s.Clients = slices.DeleteFunc(s.Clients, func(id string) bool { return id == clientID })
}

// tokenOf makes a record of what was issued. A server that says no scope gave
// what was asked for (RFC 6749 §5.1).
func (a *authorizer) tokenOf(to target, p party, got oauth.TokenResponse, asked []string) token {
	t := token{
		Server: a.server.String(), Account: a.client.account(),
		Issuer: to.metadata.Issuer, Resource: to.resource, ClientID: p.id,
		AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, Scope: asked,
	}
	if got.ExpiresIn > 0 {
		t.ExpiresAt = time.Now().Unix() + got.ExpiresIn
	}
	if scope, err := oauth.ParseScope(got.Scope); err == nil && len(scope) > 0 {
		t.Scope = scope
	}
	return t
}

// tokenRequest asks the token endpoint. The resource goes along each time
// (R-CL-14).
func (a *authorizer) tokenRequest(ctx context.Context, to target, p party, form url.Values) (oauth.TokenResponse, error) {
	form.Set("resource", to.resource)
	if err := ctx.Err(); err != nil {
		return oauth.TokenResponse{}, err
	}
	// A caller that stops waiting must not lose the answer: the server may have
	// used up the code or rotated the refresh token. ask bounds the time.
	got, err := a.post(context.WithoutCancel(ctx), "the token endpoint", to.metadata.TokenEndpoint, p, form)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	var t oauth.TokenResponse
	if err := decode(got.body, &t); err != nil {
		return t, fmt.Errorf("read the token endpoint's answer: %w", err)
	}
	if t.AccessToken == "" || strings.ContainsFunc(t.AccessToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return t, errors.New("the token endpoint's answer holds no usable access token")
	}
	if !strings.EqualFold(t.TokenType, "Bearer") {
		return t, fmt.Errorf("the token endpoint issued a token of type %q; only Bearer is known here", clip(t.TokenType))
	}
	return t, nil
}

// post sends a form as a client to an endpoint, and returns what it answered
// with 200.
func (a *authorizer) post(ctx context.Context, what, address string, p party, form url.Values) (answer, error) {
	u, err := checkURL(ctx, what, address)
	if err != nil {
		return answer{}, err
	}
	if p.method == oauth.AuthTLS || p.method == oauth.AuthSelfSignedTLS {
		if err := a.byCertificate(ctx, u); err != nil {
			return answer{}, err
		}
	}
	basic := p.method == oauth.AuthBasic
	if !basic && p.id != "" {
		form.Set("client_id", p.id)
	}
	if p.method == oauth.AuthPrivateKey {
		assertion, err := jose.Assertion(p.signer, p.id, p.issuer, time.Now())
		if err != nil {
			return answer{}, fmt.Errorf("sign the client assertion: %w", err)
		}
		form.Set("client_assertion_type", oauth.AssertionJWTBearer)
		form.Set("client_assertion", assertion)
	}
	if p.method == oauth.AuthPost {
		form.Set("client_secret", p.secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s: %w", ErrURL, what, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic { // both parts are encoded: RFC 6749 §2.3.1
		req.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
	}
	got, err := a.ask(req)
	switch {
	case err != nil:
		return got, fmt.Errorf("ask %s: %w", what, err)
	case got.status != http.StatusOK:
		return got, fmt.Errorf("%s refused: %w", what, refusal(got))
	}
	return got, nil
}

// refusal reads an error answer of an OAuth endpoint.
func refusal(got answer) error {
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(got.body, &body) != nil || body.Code == "" {
		return fmt.Errorf("it answered %d", got.status)
	}
	return &OAuthError{Code: clip(body.Code), Description: clip(body.Description)}
}

// logout revokes and forgets; see Client.Logout.
func (a *authorizer) logout(ctx context.Context, forget bool) (found bool, err error) {
	for {
		t, unread := a.store.tokenFor(a.server.String(), a.client.account(), a.client.Issuer)
		if t.AccessToken == "" {
			return found, errors.Join(err, unread)
		}
		found = true
		var revoked error
		kept := a.store.update(ctx, t.Issuer, func(s *issuerState) error {
			t, ok := s.find(t.Server, t.Account)
			if !ok {
				return nil // another process was quicker
			}
			s.drop(t)
			revoked = a.revoke(ctx, s, t)
			if forget {
				s.forget(t.ClientID)
			}
			return nil
		})
		err = errors.Join(err, revoked)
		if kept != nil { // the next round would find the same token
			return found, errors.Join(err, kept)
		}
	}
}

// revoke ends a token where it came from (RFC 7009): the refresh token, which
// takes the others along, or the access token if there is none.
func (a *authorizer) revoke(ctx context.Context, s *issuerState, t token) error {
	metadata, err := a.serverMetadata(ctx, t.Issuer)
	if err != nil {
		return fmt.Errorf("revoke the token, which is forgotten here: %w", err)
	}
	metadata = a.aliased(metadata)
	p, ok := a.partyOf(target{metadata: metadata}, s, t.ClientID)
	if metadata.RevocationEndpoint == "" || !ok {
		return fmt.Errorf("the token is forgotten here, but %s offers no way to revoke it", clip(t.Issuer))
	}
	form := url.Values{"token": {t.RefreshToken}, "token_type_hint": {"refresh_token"}}
	if t.RefreshToken == "" {
		form = url.Values{"token": {t.AccessToken}, "token_type_hint": {"access_token"}}
	}
	if _, err := a.post(ctx, "the revocation endpoint", metadata.RevocationEndpoint, p, form); err != nil {
		return fmt.Errorf("the token is forgotten here, but may live on: %w", err)
	}
	return nil
}
