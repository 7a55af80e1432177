package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/catalog"
	"gatehouse/internal/gateway"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
)

// Issuer is that of the tokens here: our own authorization server's, or that of
// the one in its place.
func (c *Config) Issuer() string {
	if c.AuthorizationServer != nil {
		return c.AuthorizationServer.Issuer
	}
	return c.URLs.AuthServer
}

// validateExternal refuses what is incomplete, and what only our own
// authorization server could do.
func (c *Config) validateExternal(report reporter) {
	x := c.AuthorizationServer
	if x == nil {
		return
	}
	at := func(key string) string { return "authorization_server." + key }
	if c.URLs.AuthServer != "" {
		report("authorization_server", "and urls.authserver exclude each other; remove urls.authserver if people sign in at %s, or authorization_server if they sign in here", shown(x.Issuer))
	}
	u, err := url.Parse(x.Issuer)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(x.Issuer, "?#") {
		report(at("issuer"), "%s is no issuer such as https://idp.example.com; its metadata has it", shown(x.Issuer))
	} else {
		c.validateScheme(report, at("issuer"), u)
	}
	if x.ClientID == "" {
		report(at("client_id"), "is missing; register this gateway there as a client of its own")
	}
	if x.Key != "" && x.ClientSecret != "" {
		report(at("client_secret"), "and key exclude each other; keep key if the server takes private_key_jwt")
	}
	if x.Key != "" && !strings.HasPrefix(x.Key, "file:") {
		report(at("key"), "must be file:PATH of a private JWK; the value is not repeated here")
	}
	if x.ClientSecret != "" && !strings.HasPrefix(x.ClientSecret, "file:") && !strings.HasPrefix(x.ClientSecret, "env:") {
		report(at("client_secret"), "must be file:PATH or env:NAME; the value is not repeated here, and should be changed if others can read this file")
	}
	if x.AccessTokens != "introspection" && x.AccessTokens != "jwt" {
		report(at("access_tokens"), "%q is not known; write introspection or jwt", x.AccessTokens)
	}
	if x.APITokens != "exchange" && x.APITokens != "client_credentials" {
		report(at("api_tokens"), "%q is not known; write exchange if the server has RFC 8693, or client_credentials: the agent's own token never goes to an API", x.APITokens)
	}
	if d := c.Documents; d.Accept != "all" || len(d.Addresses) > 0 || d.Roots != "" {
		report("documents", "is for our own authorization server; configure at %s which agents may come, and remove it", shown(x.Issuer))
	}
	for i, a := range c.APIs {
		// Both kinds of tokens come from one server here, so nothing but the
		// audience keeps one from doing for the other.
		if slices.ContainsFunc(c.APIs, func(other API) bool { return sameResource(a.Audience, c.URLs.Gateway+other.MCPPath) }) {
			report(fmt.Sprintf("apis[%d].audience", i), "%q is an MCP endpoint of this gateway; the API could use its tokens there", a.Audience)
		}
		if len(a.Claims) > 0 {
			report(fmt.Sprintf("apis[%d].claims", i), "is for tokens made here; configure at %s what its tokens carry, and remove it", shown(x.Issuer))
		}
		if a.SigningAlgorithm != "" {
			report(fmt.Sprintf("apis[%d].signing_algorithm", i), "is for tokens made here; configure at %s how its tokens are signed, and remove it", shown(x.Issuer))
		}
	}
}

func sameResource(a, b string) bool {
	a, err := oauth.CanonicalResource(a)
	if err != nil {
		return false
	}
	b, err = oauth.CanonicalResource(b)
	return err == nil && a == b
}

// externalGateway is the gateway role before an authorization server that is
// not ours. If that is away it serves all the same, and no call succeeds until
// it is back; if it cannot do what is needed, this is an error.
func (a *App) externalGateway(ctx context.Context, apis []*catalog.API) (http.Handler, error) {
	x, peers := a.config.AuthorizationServer, a.peers
	server := &resource.AuthorizationServer{Issuer: x.Issuer, ClientID: x.ClientID, Client: peers}
	algorithm, err := a.externalCredential(server)
	if err != nil {
		return nil, err
	}
	server.Discovery = &resource.Discovery{Issuer: x.Issuer, Client: peers, Check: func(m oauth.ServerMetadata) error { return x.lacks(m, algorithm) }}
	if _, err := server.Discovery.Metadata(ctx); errors.Is(err, resource.ErrUnavailable) {
		// A line of its own: no request is to blame.
		a.options.Log.Warn("the authorization server cannot be reached; calls are answered 503 until it can", "error", err)
	} else if err != nil {
		return nil, err
	}
	auditKey, err := a.store.Secret(ctx, "audit-arguments", func() string { return secret.New("") })
	if err != nil {
		return nil, fmt.Errorf("load the audit key: %w", err)
	}
	s := &gateway.Server{
		URL: a.config.URLs.Gateway, Version: a.options.Version, APIs: apis, Issuer: x.Issuer, Client: peers,
		External: &gateway.External{Server: server, OwnCredentials: x.APITokens == "client_credentials", Closed: a.store.Closed},
		Audit:    a.store, AuditKey: []byte(auditKey), AllowedOrigins: a.config.AllowedOrigins,
	}
	if x.AccessTokens == "jwt" {
		s.External.JWT = &resource.JWTAccessTokens{Issuer: x.Issuer, Keys: server.Discovery.Keys()}
	}
	return s.Handler()
}

// externalCredential gives server the secret or key that the gateway has there,
// and returns the key's algorithm.
func (a *App) externalCredential(server *resource.AuthorizationServer) (algorithm string, err error) {
	x := a.config.AuthorizationServer
	if x.ClientSecret != "" {
		if server.Secret, err = a.config.resolve(x.ClientSecret); err == nil && server.Secret == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			return "", fmt.Errorf("authorization_server.client_secret: %w", err)
		}
		return "", nil
	}
	var key jose.Key
	if path, ok := strings.CutPrefix(x.Key, "file:"); ok {
		key, err = readKey(a.config.Path(path))
	} else if key, err = a.gatewayKey(); err == nil {
		// For whoever registers this gateway there.
		err = os.WriteFile(filepath.Join(a.config.Path(a.config.Data), "gateway.jwks.json"), jose.PublicSet(key), 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("authorization_server.key: %w", err)
	}
	server.Signer, err = jose.NewSigner(key)
	return key.Algorithm, err
}

// lacks says what metadata has not that this configuration needs. What a server
// does not list, though it may, it is believed to have.
func (x *AuthorizationServer) lacks(m oauth.ServerMetadata, algorithm string) error {
	has := func(list []string, member string) bool { return len(list) == 0 || slices.Contains(list, member) }
	methods, grant := m.TokenEndpointAuthMethodsSupported, oauth.GrantTokenExchange
	if x.APITokens == "client_credentials" {
		grant = oauth.GrantClientCredentials
	}
	switch {
	case m.TokenEndpoint == "":
		return fmt.Errorf("%s names no token_endpoint", x.Issuer)
	case !has(m.GrantTypesSupported, grant):
		return fmt.Errorf("%s does not serve grant type %s, so there is no way to get tokens for APIs; enable it there, or change authorization_server.api_tokens", x.Issuer, grant)
	case x.AccessTokens == "introspection" && m.IntrospectionEndpoint == "":
		return fmt.Errorf("%s has no introspection_endpoint; enable it there, or set authorization_server.access_tokens to jwt if its access tokens are JWTs (RFC 9068)", x.Issuer)
	case x.AccessTokens == "jwt" && m.JWKSURI == "":
		return fmt.Errorf("%s has no jwks_uri, so its tokens cannot be checked here; set authorization_server.access_tokens to introspection", x.Issuer)
	case x.ClientSecret != "" && !has(methods, oauth.AuthBasic) && !has(methods, oauth.AuthPost):
		return fmt.Errorf("%s takes no client secrets; set authorization_server.key instead", x.Issuer)
	case x.ClientSecret == "" && !has(methods, oauth.AuthPrivateKey):
		return fmt.Errorf("%s takes no keys of clients (private_key_jwt); set authorization_server.client_secret instead", x.Issuer)
	case x.ClientSecret == "" && !has(m.TokenEndpointAuthSigningAlgValuesSupported, algorithm):
		return fmt.Errorf("%s takes no client assertions signed with %s; give authorization_server.key another key", x.Issuer, algorithm)
	}
	return nil
}
