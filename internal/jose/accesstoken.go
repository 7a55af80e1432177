package jose

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// AccessClaims are the claims of a JWT access token: RFC 9068 §2.2, with the
// actors of RFC 8693 §4.1. Times are in Unix seconds.
type AccessClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"` // of several, the first; Verify looks at all
	ExpiresAt int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf,omitempty"`
	ID        string `json:"jti"`
	ClientID  string `json:"client_id"`
	Scope     string `json:"scope,omitempty"`
	Act       *Actor `json:"act,omitempty"`
	AuthTime  int64  `json:"auth_time,omitempty"`
	ACR       string `json:"acr,omitempty"`

	// Extra holds the claims that are not registered, at the top level of the
	// token. Sign refuses a token whose Extra has a reserved name. In a token
	// that was read, numbers are float64.
	Extra map[string]any `json:"-"`
}

// Actor is who acts on behalf of the subject, and inside it who acted before,
// RFC 8693 §4.1.
type Actor struct {
	Sub string `json:"sub"`
	Act *Actor `json:"act,omitempty"`
}

// ReservedClaim reports whether a claim has a meaning of its own in a token,
// so that configuration must not set it.
func ReservedClaim(name string) bool {
	// Readers in Go, for one, take "Sub" for "sub".
	return slices.Contains([]string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", // RFC 7519 §4.1
		"client_id", "scope", "act", "may_act", // RFC 8693 §4
		"auth_time", "acr", "amr", "cnf", "authorization_details", // RFC 9068 §2.2, RFC 7800, RFC 9396
	}, strings.ToLower(name))
}

// registeredClaims is AccessClaims without its methods.
type registeredClaims AccessClaims

// MarshalJSON writes the registered claims and Extra as one object.
func (c AccessClaims) MarshalJSON() ([]byte, error) {
	base, err := stdjson.Marshal(registeredClaims(c))
	if err != nil {
		return nil, err
	}
	if len(c.Extra) == 0 {
		return base, nil
	}
	for name := range c.Extra {
		if ReservedClaim(name) {
			return nil, fmt.Errorf("claim %s is reserved and cannot be set by configuration; remove it there", name)
		}
	}
	extra, err := stdjson.Marshal(c.Extra)
	if err != nil {
		return nil, fmt.Errorf("write the configured claims: %w", err)
	}
	return append(append(base[:len(base)-1], ','), extra[1:]...), nil
}

// UnmarshalJSON reads the registered claims by their exact names, and the
// others into Extra.
func (c *AccessClaims) UnmarshalJSON(data []byte) error {
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	var read struct {
		registeredClaims
		Audience  any     `json:"aud"`
		ExpiresAt float64 `json:"exp"` // a NumericDate may have a fraction
		IssuedAt  float64 `json:"iat"`
		NotBefore float64 `json:"nbf"`
		AuthTime  float64 `json:"auth_time"`
	}
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*c = AccessClaims(read.registeredClaims)
	c.ExpiresAt, c.IssuedAt = int64(read.ExpiresAt), int64(read.IssuedAt)
	c.NotBefore, c.AuthTime = int64(read.NotBefore), int64(read.AuthTime)
	switch aud := read.Audience.(type) {
	case string:
		c.Audience = aud
	case []any:
		if len(aud) > 0 {
			c.Audience, _ = aud[0].(string)
		}
	default:
		return errors.New("claim aud is neither a string nor an array")
	}
	for name, value := range members {
		if ReservedClaim(name) {
			continue
		}
		if c.Extra == nil {
			c.Extra = map[string]any{}
		}
		c.Extra[name] = value
	}
	return nil
}
