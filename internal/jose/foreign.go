package jose

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// Foreign is what a token says that somebody else's issuer made, for whatever
// purpose: an assertion (RFC 7523), a JWT-SVID, a cluster's service account
// token. Times are zero, and texts empty, where the token has none.
type Foreign struct {
	Type, Algorithm, KeyID       string // of the header
	Issuer, Subject, ID          string
	Audience                     []string
	Expires, NotBefore, IssuedAt time.Time
	All                          map[string]any // every claim, by its exact name
}

// ReadForeign reads a token without verifying anything: to find out whose keys
// must verify it, and to explain it to a person.
func ReadForeign(token string) (Foreign, error) {
	h, err := parseHeader(token)
	if err != nil {
		return Foreign{}, err
	}
	members, err := decodeObject(strings.Split(token, ".")[1])
	if err != nil {
		return Foreign{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	payload, err := json.Marshal(members)
	if err != nil {
		return Foreign{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	return foreign(h, payload)
}

func foreign(h header, payload []byte) (Foreign, error) {
	c, err := parseClaims(payload)
	if err != nil {
		return Foreign{}, err
	}
	f := Foreign{
		Type: h.Type, Algorithm: h.Algorithm, KeyID: h.KeyID,
		Issuer: c.Issuer, Subject: c.Subject, ID: c.ID, Audience: c.Audience, Expires: c.Expires, NotBefore: c.NotBefore, IssuedAt: c.IssuedAt,
	}
	if err := json.Unmarshal(payload, &f.All); err != nil {
		return Foreign{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	return f, nil
}

// ExpectForeign is what such a token must be. The caller looks at issuer,
// subject and audience.
type ExpectForeign struct {
	Types      []string // allowed typ; "" in it: none at all
	Algorithms []string // allowed
	Now        time.Time
	Skew       time.Duration // what clocks may differ
}

// VerifyForeign checks signature and times of a token, as Verify does.
func (s *KeySet) VerifyForeign(_ context.Context, token string, e ExpectForeign) (Foreign, error) {
	h, err := parseHeader(token)
	if err != nil {
		return Foreign{}, err
	}
	if !slices.ContainsFunc(e.Types, func(t string) bool { return t == "" && h.Type == "" || t != "" && h.isType(t) }) {
		return Foreign{}, fmt.Errorf("%w: its typ is %q", ErrType, clipped(h.Type))
	}
	if len(e.Algorithms) == 0 {
		return Foreign{}, fmt.Errorf("%w: no alg is allowed", ErrSignature)
	}
	payload, err := h.verify(token, s, e.Algorithms)
	if err != nil {
		return Foreign{}, err
	}
	f, err := foreign(h, payload)
	if err != nil {
		return Foreign{}, err
	}
	c := registered{Expires: f.Expires, NotBefore: f.NotBefore, IssuedAt: f.IssuedAt}
	if err := c.checkTime(e.Now, e.Skew); err != nil {
		return Foreign{}, err
	}
	return f, nil
}

// VerifyForeign is like a KeySet's, with the issuer's keys of now.
func (r *RemoteKeySet) VerifyForeign(ctx context.Context, token string, e ExpectForeign) (Foreign, error) {
	h, err := parseHeader(token)
	if err != nil {
		return Foreign{}, err
	}
	keys, err := r.keys(ctx, h.KeyID)
	if err != nil {
		return Foreign{}, err
	}
	return keys.VerifyForeign(ctx, token, e)
}

func clipped(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
