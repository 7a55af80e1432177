package jose

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// ReadCertificates makes a JWK set of certificates in PEM: of the key of each,
// with the certificate (x5c, RFC 7517 §4.7), as RFC 8705 §2.2.2 registers
// clients. A private key beside them is refused.
func ReadCertificates(text []byte) ([]byte, error) {
	var keys []json.RawMessage
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("read certificates: this is not PEM")
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("read certificates: a PEM block %.40q is no certificate; keep keys with the agent", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		if len(algorithmsOf(c.PublicKey)) == 0 {
			return nil, errors.New("read certificates: its key is none of P-256, Ed25519 and RSA of 2048 bits or more")
		}
		key, err := (jose.JSONWebKey{Key: c.PublicKey, Certificates: []*x509.Certificate{c}}).MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("read certificates: there is none")
	}
	set, err := json.Marshal(struct {
		Keys []json.RawMessage `json:"keys"`
	}{keys})
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	_, err = ParseKeySet(set)
	return set, err
}
