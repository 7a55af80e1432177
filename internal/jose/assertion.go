package jose

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	assertionType     = "client-authentication+jwt" // draft-ietf-oauth-rfc7523bis
	assertionLifetime = time.Minute                 // of ours
	assertionMaximum  = 5 * time.Minute             // of others'
	assertionSkew     = 30 * time.Second
	maxJTI            = 256 // bytes
)

// assertionClaims are the claims of a client assertion, RFC 7523 §3.
type assertionClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ExpiresAt int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
}

// Assertion signs a client assertion (private_key_jwt, RFC 7523 §2.2) that is
// good for one use within a minute. The audience is the issuer identifier of
// the authorization server and nothing else (draft-ietf-oauth-rfc7523bis).
func Assertion(s *Signer, clientID, audience string, now time.Time) (string, error) {
	return s.Sign(assertionType, assertionClaims{
		Issuer: clientID, Subject: clientID, Audience: audience,
		ExpiresAt: now.Add(assertionLifetime).Unix(), IssuedAt: now.Unix(), ID: rand.Text(),
	})
}

// VerifyAssertion checks a client assertion (RFC 7523 §3): signed by a key of
// the client, iss and sub its identifier, aud exactly one of audiences and no
// other, and to expire within five minutes. A typ may be missing, as it was
// before draft-ietf-oauth-rfc7523bis, but no token of another kind passes.
//
// It returns the token's jti, which the caller must refuse when it sees it
// again before remember.
func VerifyAssertion(token string, keys *KeySet, clientID string, audiences []string, now time.Time) (jti string, remember time.Time, err error) {
	refuse := func(err error) (string, time.Time, error) { return "", time.Time{}, err }
	h, err := parseHeader(token)
	if err != nil {
		return refuse(err)
	}
	if h.Type != "" && !h.isType("JWT") && !h.isType(assertionType) {
		return refuse(fmt.Errorf("%w: its typ is not %s", ErrType, assertionType))
	}
	payload, err := h.verify(token, keys, nil)
	if err != nil {
		return refuse(err)
	}
	c, err := parseClaims(payload)
	if err != nil {
		return refuse(err)
	}
	if err := c.checkTime(now, assertionSkew); err != nil {
		return refuse(err)
	}
	switch {
	case clientID == "" || c.Issuer != clientID || c.Subject != clientID:
		return refuse(fmt.Errorf("%w: its iss and sub are not the client_id", ErrIssuer))
	case len(c.Audience) != 1 || c.Audience[0] == "" || !slices.Contains(audiences, c.Audience[0]):
		// Of several audiences, another could have received it and replay it here.
		return refuse(fmt.Errorf("%w: its aud is not exactly %s", ErrAudience, strings.Join(audiences, " or ")))
	case c.Expires.After(now.Add(assertionMaximum + assertionSkew)):
		return refuse(fmt.Errorf("%w: it expires later than in %s", ErrExpired, assertionMaximum))
	case c.ID == "" || len(c.ID) > maxJTI:
		return refuse(fmt.Errorf("%w: claim jti is missing or longer than %d bytes", ErrMalformed, maxJTI))
	}
	return c.ID, c.Expires.Add(assertionSkew), nil
}

// UnverifiedSubject returns the sub of a token, or "". It verifies nothing: it
// serves only to find the client whose keys then must verify the token.
func UnverifiedSubject(token string) string {
	if _, err := parseHeader(token); err != nil {
		return ""
	}
	claims, err := decodeObject(strings.Split(token, ".")[1])
	if err != nil {
		return ""
	}
	subject, _ := claims["sub"].(string)
	return subject
}

// UnverifiedAudience returns the aud of a token, and whether it is a JWT that can
// be read at all. It verifies nothing: it serves a client that got the token from
// its issuer and wants to know where it would be good.
func UnverifiedAudience(token string) (audience []string, isJWT bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	if _, err := decodeObject(parts[0]); err != nil {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, false
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, true
	}
	return c.Audience, true
}
