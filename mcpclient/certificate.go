package mcpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"gatehouse/internal/oauth"
)

// CertificateFiles returns a Client.Certificate that is in two files in PEM form,
// which are read for each new token: who issues certificates for a short time
// replaces them.
func CertificateFiles(certificate, key string) func(context.Context) (tls.Certificate, error) {
	return func(context.Context) (tls.Certificate, error) {
		return tls.LoadX509KeyPair(certificate, key)
	}
}

// certified shows a certificate to those whom it is for, and to nobody else: the
// MCP server and the authorization server's endpoints of this client. A token
// may be bound to it (RFC 8705 §3), so that the two change together.
type certified struct {
	base  http.RoundTripper // for everybody else
	load  func(context.Context) (tls.Certificate, error)
	roots *x509.CertPool

	mu    sync.Mutex
	to    []string // origins
	shows *transport
}

// renew takes the certificate that is current. Requests under way keep theirs.
func (c *certified) renew(ctx context.Context) error {
	certificate, err := c.load(ctx)
	if err != nil {
		return fmt.Errorf("load the client's certificate: %w", err)
	}
	fresh := newTransport(c.roots)
	// In place of Certificates, which is silent towards servers that name
	// authorities: a certificate that they do not know is theirs to refuse.
	fresh.guarded.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &certificate, nil
	}
	c.mu.Lock()
	old := c.shows
	c.shows = &fresh
	c.mu.Unlock()
	if old != nil {
		old.CloseIdleConnections()
	}
	return nil
}

// showTo adds whom the certificate is for.
func (c *certified) showTo(u *url.URL) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if origin := u.Scheme + "://" + u.Host; !slices.Contains(c.to, origin) {
		c.to = append(c.to, origin)
	}
}

func (c *certified) RoundTrip(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	shows, known := c.shows, slices.Contains(c.to, req.URL.Scheme+"://"+req.URL.Host)
	c.mu.Unlock()
	if !known || req.URL.Scheme != "https" { // without TLS there is nothing to show it by
		return c.base.RoundTrip(req)
	}
	if shows == nil { // a token from before
		if err := c.renew(req.Context()); err != nil {
			return nil, err
		}
		return c.RoundTrip(req)
	}
	return shows.RoundTrip(req)
}

func (c *certified) CloseIdleConnections() {
	c.mu.Lock()
	shows := c.shows
	c.mu.Unlock()
	if shows != nil {
		shows.CloseIdleConnections()
	}
	if base, ok := c.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// aliased returns metadata with the endpoints that a client uses which
// authenticates by certificate (RFC 8705 §5).
func (a *authorizer) aliased(m oauth.ServerMetadata) oauth.ServerMetadata {
	if a.certified == nil || m.MTLSEndpointAliases == nil {
		return m
	}
	if alias := m.MTLSEndpointAliases.TokenEndpoint; alias != "" {
		m.TokenEndpoint = alias
	}
	if alias := m.MTLSEndpointAliases.RevocationEndpoint; alias != "" {
		m.RevocationEndpoint = alias
	}
	return m
}

// byCertificate prepares to be a client at an endpoint by its certificate.
func (a *authorizer) byCertificate(ctx context.Context, endpoint *url.URL) error {
	if endpoint.Scheme != "https" {
		return fmt.Errorf("%w: %s is not https, so that no certificate can be shown there", ErrURL, clip(endpoint.Redacted()))
	}
	a.certified.showTo(endpoint)
	return a.certified.renew(ctx)
}

// tlsMethod chooses between the two methods, which look alike on the wire (RFC
// 8705 §2).
func tlsMethod(m oauth.ServerMetadata) string {
	if slices.Contains(m.TokenEndpointAuthMethodsSupported, oauth.AuthSelfSignedTLS) && !slices.Contains(m.TokenEndpointAuthMethodsSupported, oauth.AuthTLS) {
		return oauth.AuthSelfSignedTLS
	}
	return oauth.AuthTLS
}

// checkCertificate finds settings that exclude one another.
func (c *Client) checkCertificate() error {
	switch {
	case c.Certificate == nil:
		return nil
	case c.ClientID == "":
		return errors.New("a certificate needs the client id that it is registered for")
	case c.ClientSecret != "" || c.PrivateKey != nil:
		return errors.New("a client proves who it is by a certificate, a key or a secret, and by one only")
	case c.Transport != nil:
		return errors.New("a certificate is shown by a transport of our own; leave Transport out")
	}
	return nil
}
