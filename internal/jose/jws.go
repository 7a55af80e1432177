package jose

import (
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// maxToken bounds a token, in bytes.
const maxToken = 16 << 10

// What can be wrong with a token. Every error of Verify has one of these in
// its chain, or ErrKeysUnavailable.
var (
	ErrMalformed = errors.New("token is malformed")
	ErrSignature = errors.New("token signature is not acceptable")
	ErrType      = errors.New("token is of another type")
	ErrIssuer    = errors.New("token is of another issuer")
	ErrAudience  = errors.New("token is for another audience")
	ErrExpired   = errors.New("token is expired or not yet valid")
)

// Signer signs with one key. It is safe for concurrent use.
type Signer struct {
	key Key

	mu     sync.Mutex
	byType map[string]jose.Signer // types are constants of the callers, so there are few
}

// NewSigner returns the signer of a key.
func NewSigner(k Key) (*Signer, error) {
	if k.private == nil {
		return nil, errors.New("make a signer: the key is empty; create it with Generate or ParsePrivate")
	}
	return &Signer{key: k, byType: map[string]jose.Signer{}}, nil
}

// Algorithm returns that of the key.
func (s *Signer) Algorithm() string { return s.key.Algorithm }

// Sign returns the compact JWS of claims as JSON, with typ, alg and kid in its
// header. The caller names typ by a constant.
func (s *Signer) Sign(typ string, claims any) (string, error) {
	payload, err := stdjson.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign a %s: %w", typ, err)
	}
	signer, err := s.forType(typ)
	if err != nil {
		return "", fmt.Errorf("sign a %s: %w", typ, err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign a %s: %w", typ, err)
	}
	return signed.CompactSerialize()
}

func (s *Signer) forType(typ string) (jose.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if signer, ok := s.byType[typ]; ok {
		return signer, nil
	}
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.key.Algorithm), Key: jose.JSONWebKey{Key: s.key.private, KeyID: s.key.KeyID}}
	signer, err := jose.NewSigner(key, new(jose.SignerOptions).WithType(jose.ContentType(typ)))
	if err != nil {
		return nil, err
	}
	s.byType[typ] = signer
	return signer, nil
}

// Expect is what a token must be. Type, Issuer and Audience are required.
type Expect struct {
	Type       string        // typ; "at+jwt" accepts "application/at+jwt" too, in any case (RFC 9068 §4)
	Issuer     string        // exact
	Audience   string        // contained in aud
	Algorithms []string      // allowed of Algorithms(); all when empty
	Now        time.Time     // time.Now() when zero
	Skew       time.Duration // what clocks may differ
}

// Verify checks a compact JWS with the claims of a JWT against keys and e, and
// decodes its payload into claims, with member names taken case-exactly.
//
// It follows RFC 8725: the algorithm comes from the key, the type is explicit,
// issuer, audience and expiry must be there. A token that brings or points to
// its own key (jwk, jku, x5c, x5u), asks for extensions (crit), or gives a
// member twice is refused. See ErrMalformed and its siblings.
func Verify(token string, keys *KeySet, e Expect, claims any) error {
	h, err := parseHeader(token)
	if err != nil {
		return err
	}
	if e.Type == "" || !h.isType(e.Type) {
		return fmt.Errorf("%w: its typ is not %s", ErrType, e.Type)
	}
	payload, err := h.verify(token, keys, e.Algorithms)
	if err != nil {
		return err
	}
	c, err := parseClaims(payload)
	if err != nil {
		return err
	}
	switch {
	case e.Issuer == "" || c.Issuer != e.Issuer:
		return fmt.Errorf("%w: its iss is not %s", ErrIssuer, e.Issuer)
	case e.Audience == "" || !slices.Contains(c.Audience, e.Audience):
		return fmt.Errorf("%w: its aud lacks %s", ErrAudience, e.Audience)
	}
	if err := c.checkTime(e.Now, e.Skew); err != nil {
		return err
	}
	if err := json.Unmarshal(payload, claims); err != nil {
		return fmt.Errorf("%w: its claims have unexpected types: %w", ErrMalformed, err)
	}
	return nil
}

// header is what Gatehouse reads of a JOSE header.
type header struct {
	Type, Algorithm, KeyID string
}

// parseHeader checks the form of a token and the names in its header, before
// anything is done with keys.
func parseHeader(token string) (header, error) {
	var h header
	if len(token) > maxToken {
		return h, fmt.Errorf("%w: it is longer than %d bytes", ErrMalformed, maxToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return h, fmt.Errorf("%w: it is no compact JWS of three parts", ErrMalformed)
	}
	for _, part := range parts {
		// Strict, so that one token has one spelling.
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return h, fmt.Errorf("%w: a part is not base64url", ErrMalformed)
		}
	}
	members, err := decodeObject(parts[0])
	if err != nil {
		return h, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	for _, name := range []string{"jwk", "jku", "x5c", "x5u", "crit", "b64"} {
		if _, ok := members[name]; ok {
			return h, fmt.Errorf("%w: header member %s is not accepted; sign with a registered key named by kid", ErrMalformed, name)
		}
	}
	for name, to := range map[string]*string{"typ": &h.Type, "alg": &h.Algorithm, "kid": &h.KeyID} {
		value, given := members[name]
		text, ok := value.(string)
		if given && !ok {
			return h, fmt.Errorf("%w: header member %s is no string", ErrMalformed, name)
		}
		*to = text
	}
	return h, nil
}

// decodeObject decodes a part of a token. The library's decoder, other than
// encoding/json, refuses repeated members at any depth.
func decodeObject(part string) (map[string]any, error) {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	if members == nil {
		return nil, errors.New("no JSON object")
	}
	return members, nil
}

// isType compares media types as RFC 7515 §4.1.9 says: "application/" may be
// left out, and case does not matter.
func (h header) isType(typ string) bool {
	given := strings.ToLower(h.Type)
	return strings.TrimPrefix(given, "application/") == strings.ToLower(typ)
}

// verify checks the signature and returns the payload.
func (h header) verify(token string, keys *KeySet, allowed []string) ([]byte, error) {
	if !slices.Contains(Algorithms(), h.Algorithm) || len(allowed) > 0 && !slices.Contains(allowed, h.Algorithm) {
		return nil, fmt.Errorf("%w: its alg is not allowed", ErrSignature)
	}
	key, err := keys.key(h.KeyID, h.Algorithm)
	if err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(h.Algorithm)})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not match the key", ErrSignature)
	}
	return payload, nil
}

// registered holds the claims that say for whom and when a token is valid,
// RFC 7519 §4.1.
type registered struct {
	Issuer, Subject, ID          string
	Audience                     []string
	Expires, NotBefore, IssuedAt time.Time // zero when not given
}

func parseClaims(payload []byte) (registered, error) {
	var c registered
	var members map[string]any
	if err := json.Unmarshal(payload, &members); err != nil {
		return c, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	for name, to := range map[string]*string{"iss": &c.Issuer, "sub": &c.Subject, "jti": &c.ID} {
		value, given := members[name]
		text, ok := value.(string)
		if given && !ok {
			return c, fmt.Errorf("%w: claim %s is no string", ErrMalformed, name)
		}
		*to = text
	}
	for name, to := range map[string]*time.Time{"exp": &c.Expires, "nbf": &c.NotBefore, "iat": &c.IssuedAt} {
		value, given := members[name]
		seconds, ok := value.(float64)
		if given && (!ok || seconds <= 0 || seconds > maxSeconds) {
			return c, fmt.Errorf("%w: claim %s is no time in seconds", ErrMalformed, name)
		}
		if given {
			*to = time.Unix(int64(math.Floor(seconds)), 0)
		}
	}
	switch aud := members["aud"].(type) {
	case nil:
	case string:
		c.Audience = []string{aud}
	case []any:
		for _, member := range aud {
			text, ok := member.(string)
			if !ok {
				return c, fmt.Errorf("%w: claim aud has a member that is no string", ErrMalformed)
			}
			c.Audience = append(c.Audience, text)
		}
	default:
		return c, fmt.Errorf("%w: claim aud is neither a string nor an array", ErrMalformed)
	}
	return c, nil
}

// maxSeconds bounds a NumericDate: the end of the year 9999.
const maxSeconds = 253402300799

// checkTime requires exp, and refuses what is over or begins in the future.
func (c registered) checkTime(now time.Time, skew time.Duration) error {
	if now.IsZero() {
		now = time.Now()
	}
	switch {
	case c.Expires.IsZero():
		return fmt.Errorf("%w: claim exp is missing", ErrMalformed)
	case !now.Before(c.Expires.Add(skew)):
		return fmt.Errorf("%w: it expired at %s", ErrExpired, c.Expires.UTC().Format(time.RFC3339))
	case c.NotBefore.After(now.Add(skew)), c.IssuedAt.After(now.Add(skew)):
		return fmt.Errorf("%w: it begins in the future; check the clocks", ErrExpired)
	}
	return nil
}
