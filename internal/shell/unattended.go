package shell

import (
	"context"
	"crypto/tls"

	"gatehouse/mcpclient"
)

// FromFile is an assertion in a file, which is read for each token.
func FromFile(name string) func(context.Context, mcpclient.Audience) (string, error) {
	return mcpclient.AssertionFile(name)
}

// FromFiles is a certificate and its key in two files, which are read for each
// token.
func FromFiles(certificate, key string) func(context.Context) (tls.Certificate, error) {
	return mcpclient.CertificateFiles(certificate, key)
}

// FromSPIFFE is what the SPIFFE Workload API at a socket says of this process.
func FromSPIFFE(socket string) func(context.Context, mcpclient.Audience) (string, error) {
	return mcpclient.SPIFFE(socket)
}

// FromProvider is an ID-JAG of an identity provider, for the ID token in a file.
func FromProvider(issuer, clientID, secret, idToken string) func(context.Context, mcpclient.Audience) (string, error) {
	idp := &mcpclient.IdentityProvider{Issuer: issuer, ClientID: clientID, ClientSecret: secret, IDToken: func(ctx context.Context) (string, error) {
		return mcpclient.AssertionFile(idToken)(ctx, mcpclient.Audience{})
	}}
	return idp.Assertion
}
