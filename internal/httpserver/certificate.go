package httpserver

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Certificates finds the certificate that a client showed in TLS: to this server
// itself, or to a proxy in front that ends TLS and passes it on in a header. The
// zero value knows of no proxy. It verifies nothing but that the client holds
// the key, which is what TLS does: whose certificate it is, its user decides.
type Certificates struct {
	// Header is where proxies pass it on, as RFC 9440 says (Client-Cert), as
	// PEM that is percent-encoded, or as base64 of its DER. They must remove
	// what clients send by that name.
	Header string
	// Proxies are the addresses from which the header is believed. From them
	// nothing else counts; from any other the header is nothing.
	Proxies []netip.Prefix
}

// maxCertificate bounds a certificate in a header, in bytes.
const maxCertificate = 16 << 10

// errCertificate says that a proxy passes on what cannot be read. The client can
// do nothing about it.
var errCertificate = errors.New("the proxy in front does not pass on one certificate in a form that is known")

// Of returns the certificate of whoever sent r and those that came along to
// verify it; nothing if no certificate was shown. The error is that a trusted
// proxy passes on something else.
func (c Certificates) Of(r *http.Request) ([]*x509.Certificate, error) {
	if !c.fromProxy(r) {
		if r.TLS == nil {
			return nil, nil
		}
		return r.TLS.PeerCertificates, nil
	}
	values := r.Header.Values(c.Header)
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return nil, nil
	case len(values) > 1 || len(values[0]) > maxCertificate:
		return nil, errCertificate // of two, one is the client's own
	}
	der, err := passedOn(values[0])
	if err != nil {
		return nil, errCertificate
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errCertificate
	}
	return []*x509.Certificate{certificate}, nil
}

func (c Certificates) fromProxy(r *http.Request) bool {
	from := ClientAddr(r)
	for _, p := range c.Proxies {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// passedOn reads a header in the forms that proxies write.
func passedOn(value string) (der []byte, err error) {
	if inner, ok := strings.CutPrefix(value, ":"); ok { // RFC 9440 §2.1: a byte sequence of RFC 8941
		inner, ok = strings.CutSuffix(inner, ":")
		if !ok {
			return nil, errCertificate
		}
		return base64.StdEncoding.Strict().DecodeString(inner)
	}
	if !strings.HasPrefix(value, "-----BEGIN") {
		return base64.StdEncoding.Strict().DecodeString(value)
	}
	text, err := url.PathUnescape(value) // not QueryUnescape: base64 has plus signs
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errCertificate
	}
	return block.Bytes, nil
}

// CertificateThumbprint is the x5t#S256 of a certificate (RFC 8705 §3.1): the
// SHA-256 of its DER in base64url.
func CertificateThumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
