package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrSealed means that a sealed text was made with another value or purpose,
// or was changed.
var ErrSealed = errors.New("the sealed text does not open")

// Seal encrypts text so that only who has value can read it: AES-256-GCM under
// a key derived from value (HKDF, RFC 5869). Value must come from New.
func Seal(value, purpose string, text []byte) (string, error) {
	aead, err := sealer(value, purpose)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, text, nil)), nil
}

// Open returns what Seal encrypted, else ErrSealed.
func Open(value, purpose, sealed string) ([]byte, error) {
	aead, err := sealer(value, purpose)
	if err != nil {
		return nil, err
	}
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(data) < aead.NonceSize() {
		return nil, ErrSealed
	}
	text, err := aead.Open(nil, data[:aead.NonceSize()], data[aead.NonceSize():], nil)
	if err != nil {
		return nil, ErrSealed
	}
	return text, nil
}

func sealer(value, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(value), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	return cipher.NewGCM(block)
}
