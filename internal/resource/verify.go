package resource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/internal/jose"
)

// clockSkew is what the clocks of issuer and API may differ.
const clockSkew = 5 * time.Second

// Verifier checks JWT access tokens (RFC 9068) at an API, without asking
// anyone but the issuer for its keys. It is safe for concurrent use.
//
// An API that is not Gatehouse's does the same with any JWT library: signature
// by a key of the issuer, typ at+jwt, iss, aud, exp, and then its scopes.
type Verifier struct {
	Issuer   string // the only one believed
	Audience string // what tokens for this API carry in aud
	Keys     *jose.RemoteKeySet
}

// Verify returns the claims of the access token that r carries, if it was
// issued for this API (R-RS-6, R-RS-7) and is of type at+jwt: what else the
// issuer signs, such as introspection answers, is no access token (security.md 8).
// Whether its scopes suffice is the caller's to check; see ScopeError.
//
// Errors are ErrNoToken, ErrMalformed, ErrInvalid with the reason in its chain,
// and ErrUnavailable when the issuer's keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, r *http.Request) (*jose.AccessClaims, error) {
	token, err := Bearer(r)
	if err != nil {
		return nil, err
	}
	claims := &jose.AccessClaims{}
	expect := jose.Expect{Type: "at+jwt", Issuer: v.Issuer, Audience: v.Audience, Skew: clockSkew}
	err = v.Keys.Verify(ctx, token, expect, claims)
	switch {
	case errors.Is(err, jose.ErrKeysUnavailable):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	case claims.Subject == "" || claims.ClientID == "" || claims.ID == "":
		return nil, fmt.Errorf("%w: it lacks a claim that RFC 9068 section 2.2 requires", ErrInvalid)
	}
	return claims, nil
}
