package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// The algorithms of keys. Tokens for APIs are signed with ES256 (RFC 7518 §3.4),
// or RS256 (§3.3) where an API's libraries know nothing newer; clients and
// issuers of others may also use PS256 (§3.5) and EdDSA with Ed25519 (RFC 8037).
const (
	ES256 = "ES256"
	RS256 = "RS256"
	PS256 = "PS256"
	EdDSA = "EdDSA"
)

// Algorithms returns all of them. There is no symmetric one, and no "none".
func Algorithms() []string { return []string{ES256, RS256, PS256, EdDSA} }

// rsaBits is the size of RSA keys: RFC 7518 §3.3 wants 2048 or more.
const rsaBits = 2048

// Key is a private signing key. It prints and logs as its identifier only.
type Key struct {
	Algorithm string // one of Algorithms
	KeyID     string // the key's thumbprint, RFC 7638

	private crypto.Signer
	public  json.RawMessage
}

// Generate creates a key for one of Algorithms.
func Generate(algorithm string) (Key, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256, PS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return Key{}, fmt.Errorf("generate a signing key: algorithm %q is not supported; use one of %v", algorithm, Algorithms())
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
	return keyOf(k.Key, k.Algorithm)
}

// ParsePrivatePEM reads a private key in PEM: PKCS #8, or the older forms of EC
// and RSA. RSA signs with RS256.
func ParsePrivatePEM(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return Key{}, errors.New("read a private key: it is no PEM; expected -----BEGIN PRIVATE KEY-----")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil && block.Type == "EC PRIVATE KEY" {
		private, err = x509.ParseECPrivateKey(block.Bytes)
	} else if err != nil && block.Type == "RSA PRIVATE KEY" {
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil { // the cause may quote the key
		return Key{}, fmt.Errorf("read a private key: a PEM block %.40q is no private key that is known, or is encrypted; convert it with openssl pkcs8 -topk8 -nocrypt", block.Type)
	}
	return keyOf(private, "")
}

// keyOf makes a key of a private key of a library, for an algorithm, or where
// none is named for the first that it fits.
func keyOf(private any, algorithm string) (Key, error) {
	var fits []string
	signer, ok := private.(crypto.Signer)
	if ok {
		fits = algorithmsOf(signer.Public())
	}
	if len(fits) == 0 {
		return Key{}, fmt.Errorf("read a private key: expected one on the curve P-256, of RSA with at least %d bits, or of Ed25519", rsaBits)
	}
	if algorithm == "" {
		algorithm = fits[0]
	}
	if !slices.Contains(fits, algorithm) {
		return Key{}, fmt.Errorf("read a private key: alg %.20q does not fit the key; expected %v", algorithm, fits)
	}
	return newKey(algorithm, signer)
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

// ReadPublicSet reads the public keys of somebody else in the form that they
// have: a JWK set, a JWK, or a public key or certificate in PEM. It returns a JWK
// set that ParseKeySet takes. A private key is an error.
func ReadPublicSet(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("{")) {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, errors.New("read public keys: this is neither JSON nor PEM")
		}
		var public any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = c.PublicKey
			}
		default:
			return nil, fmt.Errorf("read public keys: a PEM block %.40q is no public key; if it is the private key, keep it with the agent and give its public half: openssl pkey -pubout", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("read public keys: %w", err)
		}
		kid, err := thumbprint(jose.JSONWebKey{Key: public})
		if err != nil {
			return nil, err
		}
		if text, err = (jose.JSONWebKey{Key: public, KeyID: kid, Use: "sig"}).MarshalJSON(); err != nil {
			return nil, fmt.Errorf("read public keys: %w", err)
		}
	}
	var set struct {
		Keys json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("read public keys: %w", err)
	}
	if set.Keys == nil {
		text = slices.Concat([]byte(`{"keys":[`), text, []byte("]}"))
	}
	_, err := ParseKeySet(text)
	return text, err
}
