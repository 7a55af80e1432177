package mcpclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Protected returns an HTTP client for a protected API that speaks no MCP, at an
// address and below it (RFC 9728). Requests carry the token; where one is
// missing, over, not enough, or of too old a sign-in (RFC 9470), a person is
// asked, as Connect does. A request to anywhere else fails, since the token is
// nobody else's business (R-CL-19).
func (c *Client) Protected(ctx context.Context, address string) (*http.Client, error) {
	a, err := c.authorizer(ctx, address)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &protected{a}, CheckRedirect: noRedirect}, nil
}

// protected makes each request an operation of its own.
type protected struct{ *authorizer }

func (p *protected) RoundTrip(r *http.Request) (*http.Response, error) {
	if !below(p.server, r.URL) {
		if r.Body != nil {
			_ = r.Body.Close() // nobody reads it
		}
		return nil, fmt.Errorf("%w: %s is not below %s, which the token is for", ErrURL, r.URL.Redacted(), p.server)
	}
	p.begin()
	return p.authorizer.RoundTrip(r)
}

// CloseIdleConnections is for http.Client's method of that name.
func (p *protected) CloseIdleConnections() { p.wire.CloseIdleConnections() }

// below reports whether u is base or a path below it, written without detours.
func below(base, u *url.URL) bool {
	path, at := u.EscapedPath(), strings.TrimSuffix(base.EscapedPath(), "/")
	return u.Scheme == base.Scheme && u.Host == base.Host && (path == at || strings.HasPrefix(path, at+"/")) &&
		!strings.Contains(path+"/", "/../") && !strings.Contains(strings.ToLower(path), "%2e")
}
