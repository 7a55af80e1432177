package mcpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"gatehouse/internal/oauth"
)

// NewTransport returns what a Client without Transport uses: it reaches names
// below localhost without DNS, and speaks plain http with this computer only.
// roots are believed in place of the system's authorities; nil means those.
func NewTransport(roots *x509.CertPool) http.RoundTripper {
	return newTransport(roots)
}

func newTransport(roots *x509.CertPool) transport {
	guarded := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer{}.dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  answerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           8,
		IdleConnTimeout:        90 * time.Second,
	}
	plain := guarded.Clone()
	plain.Proxy, plain.DialContext = nil, dialer{here: true}.dial
	return transport{guarded, plain}
}

// transport speaks plain http with this computer only: what leaves it
// unencrypted would be anybody's. The address is looked at when it is dialled,
// since a name may mean another one by then.
type transport struct{ guarded, plain *http.Transport }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" {
		return t.plain.RoundTrip(req)
	}
	return t.guarded.RoundTrip(req)
}

func (t transport) CloseIdleConnections() {
	t.guarded.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

// dialer reaches names below localhost, which some systems do not resolve, on
// the loopback interface (RFC 6761 §6.3), and nothing else if here is set.
type dialer struct{ here bool }

func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n := net.Dialer{Timeout: connectTimeout}
	if d.here {
		n.Control = loopbackOnly
	}
	if !localName(host) {
		return n.DialContext(ctx, network, address)
	}
	conn, err := n.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		if six, second := n.DialContext(ctx, network, net.JoinHostPort("::1", port)); second == nil {
			return six, nil
		}
	}
	return conn, err
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%w: plain http is spoken with this computer only, not with %s", ErrURL, address)
	}
	return nil
}

func localName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// onThisComputer reports whether a host is reached on the loopback interface
// only: by its name, its address, or all that its name resolves to.
func onThisComputer(ctx context.Context, host string) bool {
	if localName(host) {
		return true
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return false
	}
	for _, a := range found {
		if !a.Unmap().IsLoopback() {
			return false
		}
	}
	return true
}

// checkURL accepts addresses that secrets and people may be sent to: https
// anywhere, http on this computer (R-CL-22; OAuth 2.1 §1.5).
func checkURL(ctx context.Context, what, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return nil, fmt.Errorf("%w: the server names no %s", ErrURL, what)
	case err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, fmt.Errorf("%w: %s is no plain URL", ErrURL, what)
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && onThisComputer(ctx, u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("%w: %s is %s, neither https nor http on this computer", ErrURL, what, clip(u.Redacted()))
}

// answer is what an OAuth endpoint said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

var errTooLarge = errors.New("the answer is too large")

// ask makes one OAuth request, within time and size.
func (a *authorizer) ask(req *http.Request) (answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), oauthTimeout)
	defer cancel()
	req.Header.Set("Accept", "application/json")
	resp, err := a.wire.Do(req.WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return answer{}, err
	}
	if len(body) > maxDocument {
		return answer{}, errTooLarge
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// fetch gets a document; found is false if there is none at the address.
func (a *authorizer) fetch(ctx context.Context, what, address string, to any) (found bool, err error) {
	u, err := checkURL(ctx, what, address)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrURL, what, err)
	}
	req.Header.Set("MCP-Protocol-Version", newestRevision)
	got, err := a.ask(req)
	switch {
	case err != nil:
		return false, fmt.Errorf("fetch %s: %w", what, err)
	case got.status >= 400 && got.status < 500:
		return false, nil
	case got.status != http.StatusOK:
		return false, fmt.Errorf("fetch %s at %s: the server answered %d", what, clip(u.Redacted()), got.status)
	}
	if err := decode(got.body, to); err != nil {
		return false, fmt.Errorf("read %s at %s: %w", what, clip(u.Redacted()), err)
	}
	return true, nil
}

// decode reads a JSON object in which no name is given twice.
func decode(data []byte, to any) error {
	if _, err := oauth.Members(data, 16); err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

// newestRevision is told to servers of metadata, which may answer by it.
const newestRevision = "2026-07-28"

// clip shortens what came from elsewhere and removes what could drive a
// terminal.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}
