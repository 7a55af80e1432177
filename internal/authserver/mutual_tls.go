package authserver

import (
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

// MutualTLS is what a server needs to know clients by their certificates (RFC
// 8705).
type MutualTLS struct {
	// URL is the base URL of the endpoints where clients are asked for one, a host
	// of its own so that no browser is (RFC 8705 §5).
	URL string
	// Authorities sign the certificates of clients of tls_client_auth; nil: there
	// are none.
	Authorities *x509.CertPool
	// Certificates says where a request's certificate is.
	Certificates httpserver.Certificates
}

// checkCertificate establishes that a request comes from c by the certificate
// that was shown, and returns its thumbprint (RFC 8705 §2).
func (s *Server) checkCertificate(r *http.Request, c client.Client) (thumbprint string, err error) {
	refuse := func(cause string) (string, error) {
		return "", &oauth.Error{Code: oauth.InvalidClient, Description: "this client proves who it is by its certificate in TLS, and the one that was shown, if any, is not it; the metadata says where certificates are asked for (mtls_endpoint_aliases)", Cause: errors.New(cause)}
	}
	if s.MutualTLS == nil {
		return refuse("mutual TLS is not configured here (mutual_tls)")
	}
	chain, err := s.MutualTLS.Certificates.Of(r)
	if err != nil {
		return refuse(err.Error())
	}
	if len(chain) == 0 {
		return refuse("no certificate was shown, or none to an address that is believed")
	}
	leaf, now := chain[0], time.Now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return refuse("the certificate has expired, or is not valid yet")
	}
	if c.AuthMethod == oauth.AuthSelfSignedTLS { // §2.2: the very certificate, whoever signed it
		keys, err := s.keySets.parse(c.Keys)
		if err != nil {
			return "", err
		}
		if !keys.HasCertificate(leaf.Raw) {
			return refuse("the certificate is not one that is registered for the client")
		}
		return httpserver.CertificateThumbprint(leaf), nil
	}
	if s.MutualTLS.Authorities == nil {
		return refuse("no authority is configured whose certificates are believed (mutual_tls.authorities)")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.MutualTLS.Authorities, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return refuse("the certificate is not of an authority that is believed: " + err.Error())
	}
	if !c.HasCertificateSubject(leaf) {
		return refuse("the certificate is another's: its subject is not the client's")
	}
	return httpserver.CertificateThumbprint(leaf), nil
}
