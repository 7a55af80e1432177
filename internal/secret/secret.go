// Package secret makes random values, the hashes under which they are stored,
// and password hashes.
//
// It owns no meaning: what a value is for is its user's business. Values that
// this package makes carry 256 bits, which is why a plain SHA-256 is the right
// thing to store of them; what people choose goes through Passwords.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// Hash is the SHA-256 of a generated value, base64url without padding. It is
// safe to store and to compare with ==: finding a value for a given hash is as
// hard as guessing the value.
type Hash string

// New returns prefix followed by 256 random bits in base64url. The prefix lets
// secret scanners and people recognise what leaked.
func New(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// ID returns an identifier of 130 random bits, lower case. It is not a secret
// but cannot be guessed either.
func ID() string {
	return strings.ToLower(rand.Text())
}

// Sum returns the hash under which v is stored.
func Sum(v string) Hash {
	h := sha256.Sum256([]byte(v))
	return Hash(base64.RawURLEncoding.EncodeToString(h[:]))
}

// Equal compares in constant time for values of one length.
func Equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
