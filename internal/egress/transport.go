package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Transport returns a RoundTripper under the same guard, for a program that
// speaks with servers which others chose (R-CL-23) instead of fetching one
// document: connections are kept, answers may be streams, and size and number
// are for its user to bound. Plain http is for exceptions on this computer
// alone. ctx of each request bounds its time; an answer must begin within two
// minutes.
func (c *Client) Transport() *http.Transport {
	dial := func(encrypted bool) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, address string) (net.Conn, error) {
			return c.reach(ctx, address, encrypted)
		}
	}
	return &http.Transport{
		Proxy:                  nil, // a proxy would look names up behind our back
		DialContext:            dial(false),
		DialTLSContext:         dial(true),
		DisableCompression:     true, // what is not unpacked cannot be a bomb
		MaxResponseHeaderBytes: maxHeader,
		ResponseHeaderTimeout:  2 * time.Minute,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConns:           maxAtOnce,
		MaxConnsPerHost:        maxAtOnce,
	}
}

// reach connects to an address that is allowed.
func (c *Client) reach(ctx context.Context, address string, encrypted bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, totalTime)
	defer cancel()
	if encrypted {
		return c.connect(ctx, address)
	}
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return c.raw(ctx, name, port, func(resolved string) error {
		if a, err := netip.ParseAddrPort(resolved); err != nil || !a.Addr().Unmap().IsLoopback() || !c.listed(name, port, resolved) {
			return fmt.Errorf("%w: plain http is for listed names of this computer, and %s leads to %s", ErrAddress, name, resolved)
		}
		return nil
	})
}

// secure shakes hands on a connection.
func (c *Client) secure(ctx context.Context, raw net.Conn, name, port string) (net.Conn, error) {
	config := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.Roots != nil && c.listed(name, port, raw.RemoteAddr().String()) {
		config.RootCAs = c.Roots
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the handshake's error is the one to tell
		return nil, fmt.Errorf("tls with %s: %w", net.JoinHostPort(name, port), err)
	}
	return conn, nil
}

// raw dials what admit lets pass. A listed name below localhost is looked up
// nowhere: it is this computer (RFC 6761 §6.3), which some resolvers do not know.
func (c *Client) raw(ctx context.Context, name, port string, admit func(resolved string) error) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:  dialTime,
		Resolver: c.Resolver,
		// This sees each address just before it is connected to, after DNS.
		ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error { return admit(resolved) },
	}
	if strings.HasSuffix(name, ".localhost") {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil && !errors.Is(err, ErrAddress) {
			if six, second := dialer.DialContext(ctx, "tcp", net.JoinHostPort("::1", port)); second == nil {
				return six, nil
			}
		}
		return conn, err
	}
	return dialer.DialContext(ctx, "tcp", net.JoinHostPort(name, port))
}
