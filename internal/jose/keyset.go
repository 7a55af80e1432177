package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeySet  = 256 << 10 // bytes of a key set document
	maxKeys    = 64        // keys in it, usable or not
	minRSABits = 2048      // RFC 7518 §3.3
)

// KeySet holds public keys that verify signatures. It does not change and is
// safe for concurrent use.
type KeySet struct {
	keys []jose.JSONWebKey // each with a kid; an RSA key that names no algorithm verifies both of RSA's
}

// ParseKeySet reads a JWK set document. It passes over keys that are not for
// it (RFC 7517 §5): of unknown type, curve or algorithm, too short, damaged, or
// meant for something else than signatures. It is an error if no key is left,
// if the set holds a private key, and if it is too large.
func ParseKeySet(data []byte) (*KeySet, error) {
	return keySetFor("sig", data)
}

// ParseBundle reads a SPIFFE bundle, of which only the keys that verify
// JWT-SVIDs are used (SPIFFE Trust Domain and Bundle §4.2.2).
func ParseBundle(data []byte) (*KeySet, error) { return keySetFor(useJWTSVID, data) }

// useJWTSVID is the use of keys in a SPIFFE bundle that verify JWT-SVIDs.
const useJWTSVID = "jwt-svid"

func keySetFor(use string, data []byte) (*KeySet, error) {
	set, err := parseKeySet(use, data)
	if err != nil {
		return nil, err
	}
	if len(set.keys) == 0 {
		return nil, errors.New("read a key set: it holds no usable key; publish a signature key for ES256, RS256, PS256 or EdDSA")
	}
	return set, nil
}

func parseKeySet(use string, data []byte) (*KeySet, error) {
	if len(data) > maxKeySet {
		return nil, fmt.Errorf("read a key set: it is larger than %d bytes", maxKeySet)
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	var whole any // refuses members that are given twice, at any depth
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, fmt.Errorf("read a key set: %w", err)
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("read a key set: %w", err)
	}
	if document.Keys == nil {
		return nil, errors.New(`read a key set: member "keys" is missing`)
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("read a key set: it holds more than %d keys", maxKeys)
	}
	set := &KeySet{}
	for _, raw := range document.Keys {
		var private struct {
			D json.RawMessage `json:"d"`
		}
		if err := json.Unmarshal(raw, &private); err != nil {
			continue // no object
		}
		if private.D != nil {
			return nil, errors.New("read a key set: it holds a private key; replace that key and publish the public half only")
		}
		if k, ok := parsePublic(use, raw); ok {
			set.keys = append(set.keys, k)
		}
	}
	return set, nil
}

// parsePublic reads one JWK and reports whether it may verify signatures of a
// use, which a key of an ordinary set need not say.
func parsePublic(use string, raw []byte) (jose.JSONWebKey, bool) {
	var uses struct {
		Operations []string `json:"key_ops"`
	}
	var k jose.JSONWebKey
	if json.Unmarshal(raw, &uses) != nil || k.UnmarshalJSON(raw) != nil || !k.Valid() {
		return k, false
	}
	algorithms := algorithmsOf(k.Key)
	switch {
	case len(algorithms) == 0,
		k.Algorithm != "" && !slices.Contains(algorithms, k.Algorithm),
		k.Use != use && (k.Use != "" || use != "sig"),
		uses.Operations != nil && !slices.Contains(uses.Operations, "verify"):
		return k, false
	}
	if len(algorithms) == 1 {
		k.Algorithm = algorithms[0]
	}
	if k.KeyID == "" {
		kid, err := thumbprint(k)
		if err != nil {
			return k, false
		}
		k.KeyID = kid
	}
	return k, true
}

// algorithmsOf returns what a key may verify here, so that no token can choose
// another. Symmetric and private keys have none.
func algorithmsOf(key any) []string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []string{ES256}
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			return []string{RS256, PS256}
		}
	case ed25519.PublicKey:
		return []string{EdDSA}
	}
	return nil
}

// Names returns algorithm and identifier of each key, for people.
func (s *KeySet) Names() []string {
	var names []string
	for _, k := range s.keys {
		algorithm := k.Algorithm
		if algorithm == "" {
			algorithm = "RSA"
		}
		names = append(names, algorithm+" "+k.KeyID)
	}
	return names
}

// HasCertificate reports whether a certificate, in DER, is that of one of the
// keys (x5c, RFC 7517 §4.7).
func (s *KeySet) HasCertificate(der []byte) bool {
	return slices.ContainsFunc(s.keys, func(k jose.JSONWebKey) bool {
		return len(k.Certificates) > 0 && subtle.ConstantTimeCompare(k.Certificates[0].Raw, der) == 1
	})
}

// has reports whether the set knows kid, or could verify a token without one.
func (s *KeySet) has(kid string) bool {
	if s == nil {
		return false
	}
	if kid == "" {
		return len(s.keys) > 0
	}
	return slices.ContainsFunc(s.keys, func(k jose.JSONWebKey) bool { return k.KeyID == kid })
}

// key returns the key for a token's kid and algorithm. A token without kid is
// for the only key of its algorithm, and there must be no second one.
func (s *KeySet) key(kid, algorithm string) (any, error) {
	if s == nil {
		return nil, fmt.Errorf("%w: there are no keys to verify it with", ErrSignature)
	}
	var found any
	for _, k := range s.keys {
		if !slices.Contains(algorithmsOf(k.Key), algorithm) || k.Algorithm != "" && k.Algorithm != algorithm || kid != "" && k.KeyID != kid {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: several keys could have signed it; name one by a unique kid", ErrSignature)
		}
		found = k.Key
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no key of the signer has its kid and alg", ErrSignature)
	}
	return found, nil
}
