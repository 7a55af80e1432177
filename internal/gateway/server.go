// Package gateway is the MCP server in front of APIs: for each configured API
// an endpoint that speaks MCP, tells agents which tools there are, and turns a
// tool call into one request to the API with a token made for exactly that.
//
// The wire is written by hand, because it is small and hot: JSON-RPC over
// Streamable HTTP without sessions, in every revision since 2024-11-05. What a
// token is worth is package resource's to find out, which tools exist and what
// they need package catalog's; signing people in is the authorization server's,
// which this package knows over HTTP only.
package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/page"
	"gatehouse/internal/resource"
)

const (
	defaultCallTimeout = 30 * time.Second
	defaultCallRate    = 50 // a second
	callBurst          = 4  // seconds' worth of calls at once
	maxCallers         = 10_000
)

// Server is the gateway role. Its fields are set before Handler is called;
// those without a default are required.
type Server struct {
	URL                   string         // of this role as clients see it; every API's resource is below
	Version               string         // of the product, told to clients
	APIs                  []*catalog.API // what is served
	Issuer                string         // of the authorization server
	TokenEndpoint         string         // for token exchange
	IntrospectionEndpoint string
	ClientID              string         // of this gateway at the authorization server
	Signer                *jose.Signer   // its key there
	Client                *http.Client   // for configured peers: the authorization server and the APIs
	Feed                  *resource.Feed // of the authorization server's revocations, which its owner runs; nil: tokens are asked about every second
	External              *External      // in place of ours: TokenEndpoint, IntrospectionEndpoint, ClientID, Signer and Feed are then unused
	Audit                 audit.Store
	AuditKey              []byte                  // of the hash that stands for arguments in the audit log, at least 32 bytes
	AllowedOrigins        []string                // of browser clients, as in httpserver.CORS
	CallTimeout           time.Duration           // of one tool call; default 30 s
	CallsPerSecond        int                     // of one grant, on average; default 50 (R-RS-35)
	Inspect               *inspect.Recorder       // told of messages; nil: nothing is recorded
	MutualTLS             bool                    // tokens may be bound to certificates
	Certificates          httpserver.Certificates // where those of agents are
}

// shared is what all endpoints of a gateway use.
type shared struct {
	pages        *page.Set
	introspector tokens
	exchanger    *exchanger
	feed         *resource.Feed // nil: there is none
	upstream     *http.Client
	calls        *httpserver.Limiter
	missing      *httpserver.Limiter // what the authorization server is told of
	audit        audit.Store
	auditKey     []byte
	timeout      time.Duration
	certificates httpserver.Certificates
	methods      map[bool]map[string]handler // by whether the era is modern
}

// Handler returns the handler of the gateway's host: an MCP endpoint and a
// metadata document for each API, and the stylesheet of their pages. The errors are those of
// configuration.
func (s *Server) Handler() (http.Handler, error) {
	if len(s.AuditKey) < 32 {
		return nil, errors.New("gateway: the audit key has fewer than 32 bytes; let it be generated")
	}
	g, err := s.shared()
	if err != nil {
		return nil, err
	}
	routes := routes{"/assets": page.Assets()}
	for _, api := range s.APIs {
		if err := s.add(routes, g, api); err != nil {
			return nil, fmt.Errorf("gateway: API %s: %w", api.Name, err)
		}
	}
	return httpserver.CORS{
		Origins:         s.AllowedOrigins,
		Methods:         []string{http.MethodGet, http.MethodPost},
		RequestHeaders:  []string{"Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-*", "Mcp-Session-Id", "Last-Event-Id"},
		ResponseHeaders: []string{"Retry-After", "X-Request-Id"},
	}.Wrap(s.Inspect.Wrap(routes)), nil
}

func (s *Server) shared() (*shared, error) {
	set, err := page.Parse(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	as := &resource.AuthorizationServer{Issuer: s.Issuer, ClientID: s.ClientID, Signer: s.Signer, Client: s.Client}
	timeout, rate := s.CallTimeout, s.CallsPerSecond
	if timeout <= 0 {
		timeout = defaultCallTimeout
	}
	if rate <= 0 {
		rate = defaultCallRate
	}
	if s.External != nil {
		as = s.External.Server
	}
	var introspector tokens = &resource.Introspector{Server: as, Endpoint: s.IntrospectionEndpoint, Feed: s.Feed}
	if s.External != nil && s.External.JWT != nil {
		introspector = s.External.JWT
	}
	return &shared{
		pages:        set,
		introspector: introspector,
		exchanger:    &exchanger{server: as, endpoint: s.TokenEndpoint, feed: s.Feed, external: s.External},
		feed:         s.Feed,
		upstream:     withoutRedirects(s.Client),
		calls:        &httpserver.Limiter{Every: time.Second / time.Duration(rate), Burst: callBurst * rate, MaxKeys: maxCallers},
		missing:      &httpserver.Limiter{Every: time.Minute, Burst: 1, MaxKeys: maxCallers},
		audit:        s.Audit,
		auditKey:     s.AuditKey,
		timeout:      timeout,
		certificates: s.Certificates,
		methods:      map[bool]map[string]handler{true: methods(true), false: methods(false)},
	}, nil
}

// add makes the endpoint and the metadata document of an API. Only the API at
// the root has its document at the root (RFC 9728 §3.1).
func (s *Server) add(r routes, g *shared, api *catalog.API) error {
	// Tokens are issued for the resource; an endpoint elsewhere would refuse them all.
	if at, err := oauth.CanonicalResource(strings.TrimSuffix(s.URL, "/") + api.MCPPath); err != nil || at != api.Resource {
		return errors.Join(fmt.Errorf("its resource %s is not at %s%s", api.Resource, s.URL, api.MCPPath), err)
	}
	metadata, err := resource.NewMetadata(oauth.ResourceMetadata{
		Resource: api.Resource, AuthorizationServers: []string{s.Issuer}, ScopesSupported: api.DefaultScopes, ResourceName: api.Title,
		TLSClientCertificateBoundAccessTokens: s.MutualTLS,
	})
	if err != nil {
		return err
	}
	e := &endpoint{
		shared: g, api: api,
		challenger: resource.Challenger{MetadataURL: metadata.URL, Scopes: api.DefaultScopes},
		page:       s.endpointView(api),
	}
	if err := e.prepare(s.Version); err != nil {
		return err
	}
	for path, h := range map[string]http.Handler{api.MCPPath: e, metadata.Path: tellMetadata(s.Issuer, api, metadata.Path, metadata)} {
		if r[path] != nil {
			return fmt.Errorf("%s is the path of two APIs; give one another mcp_path", path)
		}
		r[path] = h
	}
	return nil
}

// routes leads to endpoints by exact path. A trailing slash, which people and
// clients add, makes no difference.
type routes map[string]http.Handler

func (r routes) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.Path
	if strings.HasPrefix(path, "/assets/") {
		path = "/assets" // the stylesheet of the page for people
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if h := r[path]; h != nil {
		h.ServeHTTP(w, req)
		return
	}
	httpserver.WriteProblem(w, httpserver.Problem{Status: http.StatusNotFound,
		Detail: "There is no MCP endpoint at this path. The operator knows which paths this server has (mcp_path)."})
}
