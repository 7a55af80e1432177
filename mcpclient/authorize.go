package mcpclient

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// patience is how long a person may take with the authorization server's pages.
const patience = 10 * time.Minute

// authorize has a person sign in and agree, and redeems the code (OAuth 2.1
// §4.1 with PKCE, RFC 8707, RFC 9207). maxAge is how many seconds ago the person
// may have signed in; 0: however long.
func (a *authorizer) authorize(ctx context.Context, to target, scope []string, maxAge int) (token, error) {
	m := to.metadata
	if !slices.Contains(m.CodeChallengeMethodsSupported, oauth.MethodS256) {
		// R-CL-13: without PKCE, whoever reads the answer has the token.
		return token{}, fmt.Errorf("the authorization server %s does not say that it supports PKCE with S256; it is not used", clip(m.Issuer))
	}
	endpoint, err := checkURL(ctx, "the authorization endpoint", m.AuthorizationEndpoint)
	if err != nil {
		return token{}, err
	}
	if a.client.Open == nil {
		return token{}, ErrNobodyToAsk
	}
	p, cb, err := a.become(ctx, to)
	if err != nil {
		return token{}, err
	}
	defer cb.close()
	verifier, state := secret.New(""), secret.New("")
	sum := sha256.Sum256([]byte(verifier))
	query := endpoint.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": p.id, "redirect_uri": cb.address, "state": state,
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": oauth.MethodS256,
		"resource": to.resource,
	} {
		query.Set(name, value)
	}
	if len(scope) > 0 {
		query.Set("scope", oauth.FormatScope(scope))
	}
	if maxAge > 0 {
		query.Set("max_age", strconv.Itoa(maxAge)) // OpenID Connect Core §3.1.2.1, RFC 9470 §4
	}
	if slices.Contains(scope, "offline_access") {
		query.Set("prompt", "consent") // OpenID Connect Core §11 gives none without
	}
	endpoint.RawQuery = query.Encode()
	code, err := a.askForCode(ctx, to, cb, endpoint, state)
	if err != nil {
		return token{}, err
	}
	got, err := a.tokenRequest(ctx, to, p, url.Values{
		"grant_type": {oauth.GrantAuthorizationCode}, "code": {code},
		"redirect_uri": {cb.address}, "code_verifier": {verifier},
	})
	if err != nil {
		if refusal, ok := errors.AsType[*OAuthError](err); ok && refusal.Code == string(oauth.InvalidClient) {
			// Forgotten, so that the next attempt registers anew.
			err = errors.Join(err, a.store.update(ctx, m.Issuer, func(s *issuerState) error { s.forget(p.id); return nil }))
		}
		return token{}, err
	}
	t := a.tokenOf(to, p, got, scope)
	a.mu.Lock()
	a.granted = t.AccessToken
	a.mu.Unlock()
	return t, a.store.update(ctx, m.Issuer, func(s *issuerState) error {
		if p.id == a.client.ClientID {
			s.Clients = oauth.Union(s.Clients, []string{p.id})
		}
		s.keep(t)
		return nil
	})
}

// askForCode leads a person to the authorization endpoint and waits.
func (a *authorizer) askForCode(ctx context.Context, to target, cb *callback, endpoint *url.URL, state string) (code string, err error) {
	if a.client.Await == nil {
		cb.serve(state, a.client.name(), func(answer url.Values) (string, error) { return judge(to.metadata, answer) })
	}
	a.tell(Exchange{What: "authorization request, in the browser", Method: http.MethodGet, URL: endpoint.String()})
	if err := a.client.Open(ctx, endpoint.String()); err != nil {
		return "", fmt.Errorf("open the authorization page: %w", err)
	}
	if a.client.Await != nil {
		return a.awaited(ctx, to, cb, state)
	}
	select {
	case got := <-cb.result:
		a.tell(Exchange{What: "authorization response, from the browser", Method: http.MethodGet, URL: cb.address + "?" + maskQuery(got.query)})
		return got.code, got.err
	case <-time.After(patience):
		return "", fmt.Errorf("no answer came from the browser within %v; if the page said that the client is unknown, log out with its registration forgotten and connect again", patience)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// awaited takes the answer from elsewhere, and believes no more of it than of
// one that came here.
func (a *authorizer) awaited(ctx context.Context, to target, cb *callback, state string) (code string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	query, err := a.client.Await(ctx, state)
	if err != nil {
		return "", fmt.Errorf("await the answer from the browser: %w", err)
	}
	a.tell(Exchange{What: "authorization response, from the browser", Method: http.MethodGet, URL: cb.address + "?" + maskQuery(query)})
	if repeated(query) || !secret.Equal(query.Get("state"), state) {
		return "", errors.New("the answer belongs to another authorization; it is not used")
	}
	return judge(to.metadata, query)
}

// judge reads an authorization response whose state is right. The issuer comes
// first: of an answer by the wrong server nothing else is looked at (R-CL-16,
// RFC 9207 §2.4).
func judge(m oauth.ServerMetadata, answer url.Values) (code string, err error) {
	iss, present := answer.Get("iss"), answer.Has("iss")
	switch {
	case present && iss != m.Issuer:
		return "", fmt.Errorf("the answer is from another authorization server than %s, which was asked; it is not used", clip(m.Issuer))
	case !present && m.AuthorizationResponseIssParameterSupported:
		return "", fmt.Errorf("the answer does not say that it is from %s, although that server always does; it is not used", clip(m.Issuer))
	}
	if answer.Has("error") {
		return "", &OAuthError{Code: clip(answer.Get("error")), Description: clip(answer.Get("error_description"))}
	}
	if answer.Get("code") == "" {
		return "", errors.New("the answer has neither code nor error")
	}
	return answer.Get("code"), nil
}
