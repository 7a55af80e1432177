package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// sealPurpose separates the keys that are derived from refresh tokens.
const sealPurpose = "gatehouse refresh answer"

// refresh serves the refresh token grant, OAuth 2.1 §4.3, with rotation: every
// refresh token is good for one use. Real clients run several processes that
// use it at once, so for ten seconds a repeated request gets the same answer
// again, sealed so that only who has the token can read it. Later use means
// theft, and ends the family (RFC 9700 §4.14.2, security.md 6).
func (s *Server) refresh(ctx context.Context, r tokenRequest) (*oauth.TokenResponse, error) {
	value := r.Form.Get("refresh_token")
	if value == "" {
		return nil, oauth.NewError(oauth.InvalidRequest, "refresh_token is missing")
	}
	now := time.Now()
	old := secret.Sum(value)
	rt, g, err := s.Grants.Refresh(ctx, old, now)
	if err != nil {
		return nil, refreshGone(err)
	}
	// The client binding is first: another client's attempt ends nothing.
	if g.ClientID != r.Client.ID {
		return nil, oauth.NewError(oauth.InvalidGrant, "the refresh token was issued to another client")
	}
	inspect.Of(ctx).Belongs(keysOf(g))
	if err := sameResource(r.Form, g.Resource); err != nil {
		return nil, err
	}
	if err := s.openTo(ctx, g.Resource); err != nil {
		return nil, err
	}
	scopes, err := refreshScopes(r.Form.Get("scope"), rt, g)
	if err != nil {
		return nil, err
	}
	token, answer := r.mint(g, scopes, now)
	token.AMR, token.AuthTime = rt.AMR, rt.AuthTime
	answer.RefreshToken = withRefresh(&token, g, rt.Family, rt.Scopes, now)
	rotation, err := seal(value, answer, grant.Rotation{Issued: token, Bound: binding(r)})
	if err != nil {
		return nil, err
	}
	if err := s.recordToken(ctx, r, g, scopes, nil); err != nil {
		return nil, err
	}
	sealed, err := s.Grants.Rotate(ctx, old, rotation, now)
	if err != nil {
		return nil, refreshGone(s.noteReplay(ctx, g, err))
	}
	if sealed == "" {
		tellIssued(ctx, g, token, answer)
		return answer, nil
	}
	return s.repeat(ctx, r, g, value, sealed)
}

// repeat gives the answer of the request that was first, and records it.
func (s *Server) repeat(ctx context.Context, r tokenRequest, g grant.Grant, value, sealed string) (*oauth.TokenResponse, error) {
	text, err := secret.Open(value, sealPurpose, sealed)
	if err != nil {
		return nil, fmt.Errorf("open the sealed answer: %w", err)
	}
	answer := &oauth.TokenResponse{}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("read the sealed answer: %w", err)
	}
	return answer, s.record(ctx, audit.Entry{
		Kind: audit.TokenIssued, Outcome: audit.Done, AccountID: g.AccountID, ClientID: r.Client.ID, GrantID: g.ID,
		Reason: "a refresh was repeated within ten seconds and got the same answer",
	})
}

// withRefresh gives a token a refresh token and returns its value.
func withRefresh(t *grant.Token, g grant.Grant, family string, scopes []string, now time.Time) string {
	value := secret.New("ghr_")
	t.Refresh = &grant.Refresh{
		Hash: secret.Sum(value), Family: family, Scopes: scopes, AMR: t.AMR, AuthTime: t.AuthTime,
		ExpiresAt: min(now.Add(grant.RefreshLifetime).Unix(), g.ExpiresAt),
	}
	return value
}

// refreshScopes narrows to what is asked, within what was granted then and is
// still (RFC 6749 §6). What goes beyond is left out, as at the authorization
// endpoint: clients ask for what they once asked, whatever the person allowed.
func refreshScopes(asked string, rt grant.Refresh, g grant.Grant) ([]string, error) {
	scopes := oauth.Intersect(rt.Scopes, g.Scopes)
	if asked != "" {
		wanted, err := oauth.ParseScope(asked)
		if err != nil {
			return nil, err
		}
		scopes = oauth.Intersect(scopes, wanted)
	}
	if len(scopes) == 0 {
		return nil, oauth.NewError(oauth.InvalidScope, "nothing of what is asked for is still granted; start a new authorization request")
	}
	return scopes, nil
}

// seal encrypts the answer under the old refresh token.
func seal(value string, answer *oauth.TokenResponse, r grant.Rotation) (grant.Rotation, error) {
	text, err := json.Marshal(answer)
	if err != nil {
		return grant.Rotation{}, fmt.Errorf("write the answer: %w", err)
	}
	r.Sealed, err = secret.Seal(value, sealPurpose, text)
	return r, err
}

// binding is what a repeated request must repeat to get the same answer.
func binding(r tokenRequest) string {
	return string(secret.Sum(r.Client.ID + "\x00" + r.Form.Get("scope") + "\x00" + r.Form.Get("resource") + "\x00" + r.Certificate))
}

// refreshGone answers with invalid_grant, which is the one code that makes
// clients sign the person in again; they take others for fatal (R-AS-26).
func refreshGone(err error) error {
	switch {
	case errors.Is(err, grant.ErrReplayed):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "the refresh token was used before, so everything that came of it has been ended; start a new authorization request", Cause: err}
	case errors.Is(err, grant.ErrUsed):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "the refresh token was used a moment ago by a different request; use the answer to that one", Cause: err}
	case errors.Is(err, grant.ErrNotFound):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "the refresh token is unknown, expired or ended; start a new authorization request", Cause: err}
	}
	return err
}
