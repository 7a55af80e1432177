package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// The algorithms that Gatehouse signs with: ES256 (RFC 7518 §3.4), and RS256
// (§3.3) for APIs whose libraries know nothing newer. Others' EdDSA signatures
// are verified too.
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// rsaBits is the size of RS256 keys: RFC 7518 §3.3 wants 2048 or more.
const rsaBits = 2048

// Key is a private signing key. It prints and logs as its identifier only.
type Key struct {
	Algorithm string // a JWS algorithm: ES256 or RS256
	KeyID     string // the key's thumbprint, RFC 7638

	private crypto.Signer
	public  json.RawMessage
}

// Generate creates a key for ES256 or RS256.
func Generate(algorithm string) (Key, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return Key{}, fmt.Errorf("generate a signing key: algorithm %q is not supported; use %s or %s", algorithm, ES256, RS256)
	}
	if err != nil {
		return Key{}, fmt.Errorf("generate a signing key: %w", err)
	}
	return newKey(algorithm, private)
}

// ParsePrivate reads a private JWK as written by MarshalPrivate. A kid in it is
// ignored: the thumbprint cannot disagree with the key.
func ParsePrivate(jwk []byte) (Key, error) {
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(jwk); err != nil {
		// The cause may quote the key.
		return Key{}, errors.New("read a private key: it is no JWK; expected a JSON object as in RFC 7517")
	}
	algorithm := ""
	var private crypto.Signer
	switch key := k.Key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			algorithm, private = ES256, key
		}
	case *rsa.PrivateKey:
		if key.N.BitLen() >= rsaBits {
			algorithm, private = RS256, key
		}
	}
	if private == nil {
		return Key{}, fmt.Errorf("read a private key: expected a private JWK of kty EC and crv P-256, or of kty RSA with at least %d bits", rsaBits)
	}
	if k.Algorithm != "" && k.Algorithm != algorithm {
		return Key{}, fmt.Errorf("read a private key: alg %q does not fit the key; expected %s", k.Algorithm, algorithm)
	}
	return newKey(algorithm, private)
}

func newKey(algorithm string, private crypto.Signer) (Key, error) {
	kid, err := thumbprint(jose.JSONWebKey{Key: private.Public()})
	if err != nil {
		return Key{}, err
	}
	k := Key{Algorithm: algorithm, KeyID: kid, private: private}
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
