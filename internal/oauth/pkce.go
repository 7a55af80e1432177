package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// MethodS256 is the only code challenge method served: OAuth 2.1 §4.1.1,
// RFC 9700 §2.1.1. "plain" would let whoever reads the authorization request
// redeem the code.
const MethodS256 = "S256"

// ValidChallenge reports whether s can be an S256 code_challenge: the
// base64url of 32 octets is 43 characters (RFC 7636 §4.2).
func ValidChallenge(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// ValidVerifier reports whether s is a code_verifier (RFC 7636 §4.1): 43 to
// 128 unreserved characters.
func ValidVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_', r == '~':
		default:
			return false
		}
	}
	return true
}

// VerifyPKCE reports whether verifier is the one that challenge was made from
// (RFC 7636 §4.6), in constant time.
func VerifyPKCE(challenge, verifier string) bool {
	if !ValidVerifier(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(made), []byte(challenge)) == 1
}
