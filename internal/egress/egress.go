// Package egress fetches small documents from addresses that others chose, such
// as a client's metadata document: whoever names an address must not be able to
// use this server to reach what only this server can (SSRF).
//
// The address is judged when it is dialled, after DNS has answered, so no name
// can lead elsewhere between check and use. Redirects are not followed, proxies
// of the environment not used, and time, size and concurrency are bounded. What
// an answer means is for the caller to say; the addresses of this
// installation's own peers are not this package's business (httpserver.PeerDialer).
package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Errors of a Client. Their text names addresses inside the network: it is for
// the log, never for who chose the address.
var (
	ErrAddress = errors.New("address is not allowed") // by its URL, its port, or where its name led
	ErrAnswer  = errors.New("answer is not usable")   // too large, or compressed
	ErrBusy    = errors.New("too many fetches at once")
)

// Limits of one fetch and of all.
const (
	totalTime     = 5 * time.Second // from the first look-up to the last byte
	dialTime      = 3 * time.Second
	maxHeader     = 16 << 10
	maxAtOnce     = 32
	maxAtOnceHost = 4
	unreachable   = 10 * time.Second // how long a host that could not be reached is left alone
	maxHosts      = 1000             // hosts remembered
)

// Client fetches documents by https. The zero value reaches public addresses
// only. Set the fields before first use; then it is safe for concurrent use.
type Client struct {
	// Allowed are exceptions for documents inside of one's own network.
	Allowed []Exception
	// Roots sign certificates at the addresses of exceptions, in place of the
	// system's; nil: the system's there too.
	Roots *x509.CertPool
	// Resolver looks names up; nil is the system's.
	Resolver *net.Resolver

	once      sync.Once
	transport *http.Transport
	slots     chan struct{}

	mu    sync.Mutex
	hosts map[string]*host
}

// host is what is known of one host:port.
type host struct {
	running int
	until   time.Time // left alone until then,
	failure error     // because of this
}

// Request is what to fetch.
type Request struct {
	URL     string
	Accept  string
	ETag    string // of the copy that the caller has; sent as If-None-Match
	MaxBody int    // in bytes
}

// Response is an answer of any status. Body is empty but for 200.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get fetches a document. It takes five seconds at most, whatever ctx allows.
func (c *Client) Get(ctx context.Context, r Request) (Response, error) {
	c.once.Do(c.start)
	u, err := c.target(r.URL)
	if err != nil {
		return Response{}, fmt.Errorf("fetch %s: %w", clip(r.URL), err)
	}
	ctx, cancel := context.WithTimeout(ctx, totalTime)
	defer cancel()
	leave, err := c.enter(ctx, u.Host)
	if err != nil {
		return Response{}, fmt.Errorf("fetch %s: %w", clip(r.URL), err)
	}
	defer leave()
	answer, err := c.get(ctx, u, r)
	if err != nil {
		return Response{}, fmt.Errorf("fetch %s: %w", clip(r.URL), err)
	}
	return answer, nil
}

func (c *Client) get(ctx context.Context, u *url.URL, r Request) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	req.Header.Set("Accept", r.Accept)
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "Gatehouse")
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	resp, err := c.transport.RoundTrip(req) // a Transport follows no redirects
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	answer := Response{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode != http.StatusOK {
		return answer, nil
	}
	// What is not unpacked cannot be a bomb.
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return Response{}, fmt.Errorf("%w: it is compressed although that was not asked for", ErrAnswer)
	}
	answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, int64(r.MaxBody)+1))
	if err != nil {
		return Response{}, err
	}
	if len(answer.Body) > r.MaxBody {
		return Response{}, fmt.Errorf("%w: it is larger than %d bytes", ErrAnswer, r.MaxBody)
	}
	return answer, nil
}

// target checks what a URL tells before anything is looked up.
func (c *Client) target(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: it is no URL", ErrAddress)
	case u.Scheme != "https":
		return nil, fmt.Errorf("%w: it is not https", ErrAddress)
	case u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: it must have a host, and no user name or fragment", ErrAddress)
	}
	if port := u.Port(); port != "" && port != "443" && !c.allowsPort(u.Hostname(), port) {
		return nil, fmt.Errorf("%w: port %s is not 443 and not listed", ErrAddress, port)
	}
	return u, nil
}

func (c *Client) start() {
	c.slots, c.hosts = make(chan struct{}, maxAtOnce), map[string]*host{}
	c.transport = &http.Transport{
		Proxy:                  nil, // a proxy would look names up behind our back
		DialTLSContext:         c.dial,
		DisableKeepAlives:      true, // each fetch is judged when it is dialled
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		ResponseHeaderTimeout:  totalTime,
	}
}

// dial connects to an address that is allowed and shakes hands. A host that
// fails here is left alone for a while, whatever path of it is asked for.
func (c *Client) dial(ctx context.Context, _, address string) (net.Conn, error) {
	// The transport lets a dial go on when its request has ended.
	ctx, cancel := context.WithTimeout(ctx, totalTime)
	defer cancel()
	conn, err := c.connect(ctx, address)
	if err != nil {
		c.remember(address, err)
	}
	return conn, err
}

func (c *Client) connect(ctx context.Context, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	raw, err := c.raw(ctx, name, port, func(resolved string) error { return c.admit(name, port, resolved) })
	if err != nil {
		return nil, err
	}
	return c.secure(ctx, raw, name, port)
}

// enter waits for one of the slots of the host and of all, and refuses a host
// that could not be reached a moment ago.
func (c *Client) enter(ctx context.Context, name string) (leave func(), err error) {
	name = withPort(name)
	c.mu.Lock()
	h := c.host(name)
	switch {
	case time.Now().Before(h.until):
		err = h.failure
	case h.running >= maxAtOnceHost:
		err = fmt.Errorf("%w from one host", ErrBusy)
	default:
		h.running++
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	done := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		h.running--
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; done() }, nil
	case <-ctx.Done():
		done()
		return nil, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

// host returns what is known of a host; the caller holds mu.
func (c *Client) host(name string) *host {
	if h, ok := c.hosts[name]; ok {
		return h
	}
	if len(c.hosts) >= maxHosts {
		now := time.Now()
		for other, h := range c.hosts {
			if h.running == 0 && (now.After(h.until) || len(c.hosts) >= maxHosts) {
				delete(c.hosts, other)
			}
		}
	}
	h := &host{}
	c.hosts[name] = h
	return h
}

func (c *Client) remember(address string, failure error) {
	if errors.Is(failure, context.Canceled) {
		return // the caller left; that says nothing of the host
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.host(address)
	h.until, h.failure = time.Now().Add(unreachable), failure
}

func withPort(name string) string {
	if _, _, err := net.SplitHostPort(name); err == nil {
		return name
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), "443")
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
