package mcpclient

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/oauth"
)

// target is where authorization for a server comes from.
type target struct {
	resource string   // the resource indicator, as the server spells it
	scopes   []string // scopes_supported of the resource
	metadata oauth.ServerMetadata
}

// discover finds the authorization server of the MCP server (RFC 9728, RFC
// 8414; R-CL-1 to 4).
func (a *authorizer) discover(ctx context.Context, c challenge) (target, error) {
	resource, err := a.resourceMetadata(ctx, c.resourceMetadata)
	if err != nil {
		return target{}, err
	}
	issuer := resource.AuthorizationServers[0]
	if a.client.Issuer != "" { // R-CL-6: a client that was registered elsewhere is nobody there
		if !slices.Contains(resource.AuthorizationServers, a.client.Issuer) {
			return target{}, fmt.Errorf("the server names %s as its authorization server, not %s", clip(issuer), a.client.Issuer)
		}
		issuer = a.client.Issuer
	}
	metadata, err := a.serverMetadata(ctx, issuer)
	if err != nil {
		return target{}, err
	}
	return target{resource: resource.Resource, scopes: resource.ScopesSupported, metadata: a.aliased(metadata)}, nil
}

// resourceMetadata finds the protected resource metadata: where the challenge
// says, else at the path-inserted well-known address, else at the root one.
func (a *authorizer) resourceMetadata(ctx context.Context, named string) (oauth.ResourceMetadata, error) {
	const what = "the resource's metadata"
	candidates := []string{named}
	if named == "" {
		origin := a.server.Scheme + "://" + a.server.Host
		candidates = slices.Compact([]string{
			origin + oauth.WellKnown("oauth-protected-resource", a.server.EscapedPath()),
			origin + oauth.WellKnown("oauth-protected-resource", ""),
		})
	}
	for _, address := range candidates {
		var m oauth.ResourceMetadata
		found, err := a.fetch(ctx, what, address, &m)
		if err != nil {
			return m, err
		}
		if !found {
			continue
		}
		if err := a.checkResource(m.Resource); err != nil {
			return m, fmt.Errorf("%s at %s: %w", what, clip(address), err)
		}
		if len(m.AuthorizationServers) == 0 {
			return m, fmt.Errorf("%s at %s names no authorization server", what, clip(address))
		}
		return m, nil
	}
	if named != "" {
		return oauth.ResourceMetadata{}, fmt.Errorf("%s is not at %s, where the server's challenge says", what, clip(named))
	}
	// The 2025-03-26 revision had no such document: the server's own origin was
	// the authorization server.
	return oauth.ResourceMetadata{
		Resource:             a.server.String(),
		AuthorizationServers: []string{a.server.Scheme + "://" + a.server.Host},
	}, nil
}

// checkResource refuses metadata of another resource (RFC 9728 §3.3): a token
// for that one would be asked for, and sent here. A resource may be a parent
// path of the server's address on the same origin.
func (a *authorizer) checkResource(resource string) error {
	named, err := oauth.CanonicalResource(resource)
	if err != nil {
		return fmt.Errorf("member resource: %w", err)
	}
	own, err := oauth.CanonicalResource(a.server.String())
	if err != nil {
		return err
	}
	own, _, _ = strings.Cut(own, "?")
	parent := strings.TrimSuffix(named, "/")
	if own == named || strings.HasPrefix(own, parent+"/") || own == parent {
		return nil
	}
	return fmt.Errorf("it describes %s, not the server at %s", clip(resource), a.server)
}

// serverMetadata fetches the authorization server's metadata (R-CL-3) and
// refuses a document of another issuer (R-CL-4; RFC 8414 §3.3).
func (a *authorizer) serverMetadata(ctx context.Context, issuer string) (oauth.ServerMetadata, error) {
	const what = "the authorization server's metadata"
	u, err := checkURL(ctx, "the issuer", issuer)
	if err != nil {
		return oauth.ServerMetadata{}, err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return oauth.ServerMetadata{}, fmt.Errorf("%w: the issuer %s has a query or fragment", ErrURL, clip(issuer))
	}
	for _, address := range metadataAddresses(u) {
		var m oauth.ServerMetadata
		found, err := a.fetch(ctx, what, address, &m)
		if err != nil {
			return m, err
		}
		if !found {
			continue
		}
		if m.Issuer != issuer {
			return m, fmt.Errorf("%s at %s is of the issuer %q, but %q was asked for; it is not used", what, address, clip(m.Issuer), clip(issuer))
		}
		return m, nil
	}
	return oauth.ServerMetadata{}, fmt.Errorf("the authorization server %s publishes no metadata (RFC 8414)", clip(issuer))
}

func metadataAddresses(issuer *url.URL) []string {
	origin, path := issuer.Scheme+"://"+issuer.Host, strings.TrimSuffix(issuer.EscapedPath(), "/")
	addresses := []string{
		origin + oauth.WellKnown("oauth-authorization-server", path),
		origin + oauth.WellKnown("openid-configuration", path),
	}
	if path != "" {
		addresses = append(addresses, origin+path+"/.well-known/openid-configuration")
	}
	return addresses
}
