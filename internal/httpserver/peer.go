package httpserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// Limits of requests to peers; callers set the time for a whole request by its
// context.
const (
	dialTimeout           = 5 * time.Second
	responseHeaderTimeout = 30 * time.Second
	peerIdleTimeout       = 90 * time.Second // below the server's, so that no request meets a closing connection
	peerIdlePerHost       = 64               // net/http's two would dial for most concurrent calls
	peerIdle              = 256
	maxPeerHeader         = 64 << 10 // bytes
)

// Dialer connects to configured peers: roles of this deployment and the APIs
// behind the gateway. It is never for addresses taken from input (security.md
// 16); package egress is.
type Dialer struct {
	// Local maps the host:port of roles that live in this process to a
	// connection to its own listener, so that they need no name resolution.
	Local map[string]func(ctx context.Context) (net.Conn, error)
}

// DialContext connects to address, a host:port. localhost and the names below
// it are this machine (RFC 6761 §6.3), which not every resolver knows.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	address = strings.ToLower(address)
	if dial, ok := d.Local[address]; ok {
		return dial(ctx)
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		return dialer.DialContext(ctx, network, address)
	}
	conn, err := dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	if err == nil {
		return conn, nil
	}
	conn, err6 := dialer.DialContext(ctx, network, net.JoinHostPort("::1", port))
	if err6 != nil {
		return nil, errors.Join(err, err6)
	}
	return conn, nil
}

// PeerClient returns a client for configured peers. It follows no redirects,
// since one could carry a token elsewhere, and uses no proxy of the
// environment. Peers on https must present a certificate of one of roots; nil
// means the system's. It is safe for concurrent use, and meant to be shared.
func PeerClient(d *Dialer, roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            d.DialContext,
			ForceAttemptHTTP2:      true, // net/http drops it for dialers of one's own
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  responseHeaderTimeout,
			IdleConnTimeout:        peerIdleTimeout,
			MaxIdleConns:           peerIdle,
			MaxIdleConnsPerHost:    peerIdlePerHost,
			MaxResponseHeaderBytes: maxPeerHeader,
		},
	}
}
