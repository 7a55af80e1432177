package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/account"
	"gatehouse/internal/authserver"
	"gatehouse/internal/catalog"
	"gatehouse/internal/gateway"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/openapi"
	"gatehouse/internal/resource"
	"gatehouse/internal/sampleapi"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// maxDocument bounds an OpenAPI document, in bytes.
const maxDocument = 8 << 20

// roles builds every configured role and returns each at its host.
func (a *App) roles(ctx context.Context) (map[string]http.Handler, error) {
	apis, err := a.startDocuments(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.inspect(apis); err != nil {
		return nil, err
	}
	gateway := a.gateway
	if a.config.AuthorizationServer != nil {
		gateway = a.externalGateway
	}
	hosts := map[string]http.Handler{}
	for _, role := range []struct {
		name  string
		build builder
	}{
		{roleAuthServer, a.authServer},
		{roleGateway, gateway},
		{roleAPI, a.sampleAPI},
		{roleAdmin, a.admin},
		{roleAgent, a.agent},
	} {
		if !a.config.plays(role.name) {
			continue
		}
		h, err := role.build(ctx, apis)
		if err != nil {
			return nil, fmt.Errorf("start role %s: %w", role.name, err)
		}
		u, err := url.Parse(a.config.URLs.of(role.name))
		if err != nil {
			return nil, err
		}
		hosts[u.Host] = a.live.hold(h, role.name, role.build)
		if m := a.config.MutualTLS; m != nil && role.name == roleAuthServer {
			at, err := url.Parse(m.URL)
			if err != nil {
				return nil, err
			}
			hosts[at.Host] = certificateEndpoints(hosts[u.Host])
		}
	}
	if a.config.demo != nil {
		h, err := a.home()
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(a.config.demo.home)
		if err != nil {
			return nil, err
		}
		hosts[u.Host] = h
	}
	return hosts, nil
}

// Catalog derives the tools of every configured API from its document. Its
// error names every API for which that cannot be done.
func Catalog(c *Config) ([]*catalog.API, error) {
	var apis []*catalog.API
	var problems []error
	for i, a := range c.APIs {
		api, err := c.catalogAPI(a)
		if err != nil {
			problems = append(problems, fmt.Errorf("apis[%d] %s: %w", i, a.Name, err))
		}
		apis = append(apis, api)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return apis, nil
}

func (c *Config) catalogAPI(a API) (*catalog.API, error) {
	data, err := c.document(a)
	if err != nil {
		return nil, err
	}
	return c.compile(a, data)
}

// document reads the document of an API as it is now.
func (c *Config) document(a API) ([]byte, error) {
	if a.document != nil {
		return a.document, nil
	}
	return ReadDocument(c.Path(strings.TrimPrefix(a.OpenAPI, "file:")))
}

// compile derives the tools of an API from a document.
func (c *Config) compile(a API, data []byte) (*catalog.API, error) {
	document, err := openapi.Load(data)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document %s: %w", a.OpenAPI, err)
	}
	resource, err := c.resource(a)
	if err != nil {
		return nil, err
	}
	scopes := map[string]catalog.Scope{}
	for name, s := range a.Scopes {
		scopes[name] = catalog.Scope{Name: name, Text: s.Text, Implies: s.Implies}
	}
	return catalog.New(catalog.Options{
		Name: a.Name, Title: a.Title, Resource: resource, MCPPath: a.MCPPath, URL: a.URL, Audience: a.Audience,
		Document: document, DefaultScopes: a.DefaultScopes, Scopes: scopes, Claims: a.Claims, OpenListing: a.Protect == "calls", Administration: a.administration,
		SigningAlgorithm: a.SigningAlgorithm, Withheld: a.withheld(),
	})
}

// resource is the resource identifier of an API's MCP endpoint.
func (c *Config) resource(a API) (string, error) {
	return oauth.CanonicalResource(c.URLs.Gateway + strings.TrimSuffix(a.MCPPath, "/"))
}

// ReadDocument reads an OpenAPI document of bounded size.
func ReadDocument(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read OpenAPI document: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read OpenAPI document %s: %w", path, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("OpenAPI document %s has more than %d bytes; cut it down to what agents need", path, maxDocument)
	}
	return data, nil
}

func (a *App) authServer(ctx context.Context, apis []*catalog.API) (http.Handler, error) {
	if err := a.ensureSigningKeys(ctx, apis); err != nil {
		return nil, fmt.Errorf("create a signing key: %w", err)
	}
	if err := a.registerGateways(ctx); err != nil {
		return nil, err
	}
	fetcher, err := a.egress()
	if err != nil {
		return nil, err
	}
	trusted, err := a.config.Trusted()
	if err != nil {
		return nil, err
	}
	pollKey, err := a.store.Secret(ctx, "poll-tokens", func() string { return secret.New("") })
	if err != nil {
		return nil, fmt.Errorf("load the key of poll tokens: %w", err)
	}
	s := &authserver.Server{
		Issuer: a.config.URLs.AuthServer, APIs: apis,
		Accounts: a.store, Invitations: a.store, Clients: a.store, Requests: a.store, Grants: a.store, Revocations: a.store, StepUps: a.store, Connections: a.store, Pauses: a.store, Audit: a.store, Inbox: a.store,
		Authenticator: &account.Authenticator{
			Method: account.Method(a.config.SignIn), Accounts: a.store, Passwords: &secret.Passwords{},
		},
		Keys: &authserver.Keyring{Load: a.loadSigningKeys}, AllowedOrigins: a.config.AllowedOrigins,
		Documents: a.liveDocuments(apis), Egress: fetcher, PollKey: []byte(pollKey), PlainHTTP: a.config.DevelopmentHTTP, Trust: trusted, Console: a.config.consoleAPI(),
	}
	s.Inspect, s.Messages = a.inspector, a.store
	s.Partners = a.config.partners()
	if s.Delegation, err = a.config.delegation(); err != nil {
		return nil, err
	}
	if s.MutualTLS, err = a.config.mutualTLS(); err != nil {
		return nil, err
	}
	if d := a.config.demo; d != nil {
		s.Demo, s.People = true, d.people()
		s.Authenticator.NewClaims = map[string]string{"region": "USA"}
	}
	return s.Handler()
}

func (a *App) gateway(ctx context.Context, apis []*catalog.API) (http.Handler, error) {
	id, signer, err := a.gatewayIdentity()
	if err != nil {
		return nil, err
	}
	auditKey, err := a.store.Secret(ctx, "audit-arguments", func() string { return secret.New("") })
	if err != nil {
		return nil, fmt.Errorf("load the audit key: %w", err)
	}
	issuer, peers := a.config.URLs.AuthServer, a.peers
	server := &resource.AuthorizationServer{Issuer: issuer, ClientID: id, Signer: signer, Client: peers}
	if a.feed == nil { // not when only its documents have changed
		a.feed = &resource.Feed{Server: server, Endpoint: issuer + "/revocations", Changed: a.feedChanged}
		a.shipAudit(server)
	}
	s := &gateway.Server{
		URL: a.config.URLs.Gateway, Version: a.options.Version, APIs: apis, Issuer: issuer, TokenEndpoint: issuer + "/token", IntrospectionEndpoint: issuer + "/introspect",
		ClientID: id, Signer: signer, Client: peers, Feed: a.feed, Audit: a.store, AuditKey: []byte(auditKey),
		AllowedOrigins: a.config.AllowedOrigins, Inspect: a.inspector,
		MutualTLS: a.config.MutualTLS != nil, Certificates: a.config.certificates(),
	}
	return s.Handler()
}

// sampleAPI is the demonstration customer API with its own database. Its
// audience is that of the configured API whose calls come here.
func (a *App) sampleAPI(ctx context.Context, _ []*catalog.API) (http.Handler, error) {
	db, err := sqlstore.OpenPlain(filepath.Join(a.config.Path(a.config.Data), "customers.db"))
	if err != nil {
		return nil, fmt.Errorf("open the sample API's database: %w", err)
	}
	a.customers = db
	if err := sampleapi.Prepare(ctx, db); err != nil {
		return nil, fmt.Errorf("prepare the sample API's database: %w", err)
	}
	audience := a.config.URLs.API
	for _, api := range a.config.APIs {
		if api.URL == a.config.URLs.API {
			audience = api.Audience
		}
	}
	issuer := a.config.Issuer()
	keys := &jose.RemoteKeySet{URL: issuer + "/jwks.json", Client: a.peers}
	if a.config.AuthorizationServer != nil {
		keys = (&resource.Discovery{Issuer: issuer, Client: a.peers}).Keys()
	}
	s := &sampleapi.Server{DB: db, Verifier: &resource.Verifier{Issuer: issuer, Audience: audience, Keys: keys}}
	return s.Handler(), nil
}
