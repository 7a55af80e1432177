package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// ES256 is the one algorithm that Gatehouse signs with, RFC 7518 §3.4. Others'
// RS256 and EdDSA signatures are verified too.
const ES256 = "ES256"

// Key is a private signing key. It prints and logs as its identifier only.
type Key struct {
	Algorithm string // a JWS algorithm: ES256
	KeyID     string // the key's thumbprint, RFC 7638

	private *ecdsa.PrivateKey
	public  json.RawMessage
}

// Generate creates a key for a JWS algorithm, of which ES256 is the only one
// yet.
func Generate(algorithm string) (Key, error) {
	if algorithm != ES256 {
		return Key{}, fmt.Errorf("generate a signing key: algorithm %q is not supported; use %s", algorithm, ES256)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("generate a signing key: %w", err)
	}
	return newKey(private)
}

// ParsePrivate reads a private JWK as written by MarshalPrivate. A kid in it is
// ignored: the thumbprint cannot disagree with the key.
func ParsePrivate(jwk []byte) (Key, error) {
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(jwk); err != nil {
		// The cause may quote the key.
		return Key{}, errors.New("read a private key: it is no JWK; expected a JSON object as in RFC 7517")
	}
	private, ok := k.Key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return Key{}, errors.New("read a private key: expected a private JWK of kty EC and crv P-256")
	}
	if k.Algorithm != "" && k.Algorithm != ES256 {
		return Key{}, fmt.Errorf("read a private key: alg %q does not fit the key; expected %s", k.Algorithm, ES256)
	}
	return newKey(private)
}

func newKey(private *ecdsa.PrivateKey) (Key, error) {
	kid, err := thumbprint(jose.JSONWebKey{Key: private.Public()})
	if err != nil {
		return Key{}, err
	}
	k := Key{Algorithm: ES256, KeyID: kid, private: private}
	if k.public, err = k.marshal(private.Public()); err != nil {
		return Key{}, err
	}
	return k, nil
}

// thumbprint is the SHA-256 thumbprint of RFC 7638 §3.
func thumbprint(k jose.JSONWebKey) (string, error) {
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("compute the thumbprint of a key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func (k Key) marshal(key any) ([]byte, error) {
	jwk, err := jose.JSONWebKey{Key: key, KeyID: k.KeyID, Algorithm: k.Algorithm, Use: "sig"}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write key %s: %w", k.KeyID, err)
	}
	return jwk, nil
}

// MarshalPrivate writes the key as a private JWK. The result is a secret.
func (k Key) MarshalPrivate() ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("write a private key: the key is empty; create it with Generate or ParsePrivate")
	}
	return k.marshal(k.private)
}

// Public returns the public JWK with kid, alg and use.
func (k Key) Public() json.RawMessage { return slices.Clone(k.public) }

// String returns the key's identifier.
func (k Key) String() string { return k.Algorithm + " key " + k.KeyID }

// GoString returns the key's identifier.
func (k Key) GoString() string { return k.String() }

// LogValue returns the key's identifier.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// PublicSet returns the JWK set document (RFC 7517 §5) of the keys' public
// halves.
func PublicSet(keys ...Key) []byte {
	set := []byte(`{"keys":[`)
	for i, k := range keys {
		if i > 0 {
			set = append(set, ',')
		}
		set = append(set, k.public...)
	}
	return append(set, "]}"...)
}
