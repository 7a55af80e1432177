package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

const (
	metadataFresh   = 10 * time.Minute
	metadataStale   = time.Hour       // used no longer than this while the server does not answer
	metadataRetry   = 2 * time.Second // between two fetches, whatever requests ask for
	metadataTimeout = 5 * time.Second
	maxMetadata     = 256 << 10 // bytes
	maxDepth        = 16        // of its JSON
)

// ErrUnsuitable: the authorization server answered, but is not the configured
// one, or cannot do what is needed of it. Waiting does not help.
var ErrUnsuitable = errors.New("the authorization server cannot be used")

// Discovery knows an authorization server that is not Gatehouse's by its
// metadata (RFC 8414; OpenID Connect Discovery 1.0), which is fetched when first
// needed and again every ten minutes, but never twice within two seconds. While
// the server does not answer, it is used for at most an hour; a document that is
// wrong is not used at all, and ends what was known before.
//
// It is safe for concurrent use; set the fields before the first call.
type Discovery struct {
	Issuer string                           // compared byte for byte (RFC 8414 §3.3)
	Client *http.Client                     // for configured peers
	Check  func(oauth.ServerMetadata) error // says what its user lacks in it; nil: nothing

	flight singleflight.Group

	mu      sync.Mutex
	known   *oauth.ServerMetadata
	fetched time.Time // when known was asked for
	tried   time.Time // when it was last asked for
	failure error     // what came of that
}

// Metadata returns what the server says of itself. Errors are ErrUnavailable
// and ErrUnsuitable, with the reason in the chain.
func (d *Discovery) Metadata(ctx context.Context) (oauth.ServerMetadata, error) {
	if m, err, known := d.cached(); known {
		return m, err
	}
	// The fetch serves everybody who waits, so nobody's leaving ends it.
	flight := d.flight.DoChan("", func() (any, error) {
		if _, _, known := d.cached(); !known {
			d.refresh(context.WithoutCancel(ctx))
		}
		return nil, nil
	})
	select {
	case <-flight:
	case <-ctx.Done():
		return oauth.ServerMetadata{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.usable(time.Now())
}

// Keys verify what the server signs, wherever its jwks_uri is just now.
func (d *Discovery) Keys() *jose.RemoteKeySet {
	return &jose.RemoteKeySet{Client: d.Client, Locate: func(ctx context.Context) (string, error) {
		m, err := d.Metadata(ctx)
		if err == nil && m.JWKSURI == "" {
			err = fmt.Errorf("%w: its metadata has no jwks_uri", ErrUnsuitable)
		}
		return m.JWKSURI, err
	}}
}

// cached reports whether no fetch is due, and what to use then.
func (d *Discovery) cached() (m oauth.ServerMetadata, err error, known bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if (d.known == nil || now.Sub(d.fetched) >= metadataFresh) && now.Sub(d.tried) >= metadataRetry {
		return m, nil, false
	}
	m, err = d.usable(now)
	return m, err, true
}

// usable returns what is known unless it is too old. The caller holds mu.
func (d *Discovery) usable(now time.Time) (oauth.ServerMetadata, error) {
	switch {
	case d.known != nil && now.Sub(d.fetched) < metadataStale:
		return *d.known, nil
	case errors.Is(d.failure, ErrUnsuitable):
		return oauth.ServerMetadata{}, d.failure
	}
	return oauth.ServerMetadata{}, fmt.Errorf("%w: %w", ErrUnavailable, d.failure)
}

func (d *Discovery) refresh(ctx context.Context) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	m, err := d.fetch(ctx)
	if err == nil && d.Check != nil {
		if lack := d.Check(m); lack != nil {
			err = fmt.Errorf("%w: %w", ErrUnsuitable, lack)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried, d.failure = asked, err
	if err == nil {
		d.known, d.fetched = &m, asked
	} else if errors.Is(err, ErrUnsuitable) {
		d.known = nil
	}
}

// fetch takes the first document there is, in the order in which MCP clients
// look (Authorization, Authorization Server Metadata Discovery).
func (d *Discovery) fetch(ctx context.Context) (oauth.ServerMetadata, error) {
	u, err := url.Parse(d.Issuer)
	if err != nil {
		return oauth.ServerMetadata{}, fmt.Errorf("%w: its issuer is no URL", ErrUnsuitable)
	}
	base, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	places := []string{
		base + oauth.WellKnown("oauth-authorization-server", path),
		base + oauth.WellKnown("openid-configuration", path),
		base + path + "/.well-known/openid-configuration",
	}
	for _, place := range slices.Compact(places) {
		body, found, err := d.get(ctx, place)
		if err != nil {
			return oauth.ServerMetadata{}, err
		}
		if found {
			m, err := d.parse(u, body)
			if err != nil {
				return m, fmt.Errorf("%w: %s: %w", ErrUnsuitable, place, err)
			}
			return m, nil
		}
	}
	return oauth.ServerMetadata{}, fmt.Errorf("%w: %s publishes no metadata (RFC 8414); is this its issuer, exactly?", ErrUnsuitable, d.Issuer)
}

// get returns a document, or that there is none at this place.
func (d *Discovery) get(ctx context.Context, place string) (body []byte, found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return nil, false, fmt.Errorf("fetch %s: %w", place, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.Client.Do(req)
	if err != nil {
		return nil, false, fmt.Errorf("fetch %s: %w", place, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return nil, false, fmt.Errorf("fetch %s: it answered %d", place, resp.StatusCode)
	case resp.StatusCode != http.StatusOK: // a redirect too: another host must not speak for the issuer
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	if err != nil {
		return nil, false, fmt.Errorf("fetch %s: %w", place, err)
	}
	return body, true, nil
}

// parse reads a metadata document by the exact names of its members, and checks
// what makes it the issuer's.
func (d *Discovery) parse(issuer *url.URL, body []byte) (m oauth.ServerMetadata, err error) {
	if len(body) > maxMetadata {
		return m, fmt.Errorf("it has more than %d bytes", maxMetadata)
	}
	members, err := oauth.Members(body, maxDepth)
	if err != nil {
		return m, err
	}
	for name, to := range map[string]any{
		"issuer": &m.Issuer, "token_endpoint": &m.TokenEndpoint, "introspection_endpoint": &m.IntrospectionEndpoint, "jwks_uri": &m.JWKSURI,
		"grant_types_supported":                            &m.GrantTypesSupported,
		"token_endpoint_auth_methods_supported":            &m.TokenEndpointAuthMethodsSupported,
		"token_endpoint_auth_signing_alg_values_supported": &m.TokenEndpointAuthSigningAlgValuesSupported,
	} {
		if raw, given := members[name]; given && json.Unmarshal(raw, to) != nil {
			return m, fmt.Errorf("its %s has another form than RFC 8414 gives it", name)
		}
	}
	if m.Issuer != d.Issuer {
		return m, fmt.Errorf("its issuer is %q, not %s; write it exactly so if that is the right one", oauth.Printable(m.Issuer), d.Issuer)
	}
	for name, endpoint := range map[string]string{"token_endpoint": m.TokenEndpoint, "introspection_endpoint": m.IntrospectionEndpoint, "jwks_uri": m.JWKSURI} {
		if endpoint != "" && !trustworthy(issuer, endpoint) {
			return m, fmt.Errorf("its %s is no https address", name)
		}
	}
	return m, nil
}

// trustworthy reports whether secrets may go to an endpoint, or keys come from
// it: https, or the issuer's own host where that is on plain http itself, which
// the configuration allowed it (security.md 17).
func trustworthy(issuer *url.URL, endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && issuer.Scheme == "http" && u.Host == issuer.Host
}
