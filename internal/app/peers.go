package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/gateway"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/sqlstore"
)

// Names of the roles that a process can play.
const (
	roleAuthServer = "authserver"
	roleGateway    = "gateway"
	roleAPI        = "api"
	roleAgent      = "agent"
	roleAdmin      = "admin"
)

// RoleNames are what roles and --role take.
var RoleNames = []string{roleAuthServer, roleGateway, roleAPI, roleAdmin, roleAgent}

// of returns where a role is reached.
func (u URLs) of(role string) string {
	switch role {
	case roleAuthServer:
		return u.AuthServer
	case roleGateway:
		return u.Gateway
	case roleAgent:
		return u.Agent
	case roleAdmin:
		return u.Admin
	}
	return u.API
}

// plays reports whether this process plays a role.
func (c *Config) plays(role string) bool {
	return c.URLs.of(role) != "" && (len(c.Roles) == 0 || slices.Contains(c.Roles, role))
}

// alone reports whether this process is a gateway whose authorization server is
// another process of this installation.
func (c *Config) alone() bool {
	return c.plays(roleGateway) && !c.plays(roleAuthServer) && c.AuthorizationServer == nil
}

// Play chooses the roles of this process in place of those in the file, and
// checks that it has what they need.
func (c *Config) Play(roles []string) error {
	if len(roles) > 0 {
		c.Roles = roles
	}
	var problems []error
	c.validateRoles(func(path, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
	})
	return errors.Join(problems...)
}

// Serving names the addresses that this process serves.
func (c *Config) Serving() string {
	var urls []string
	for _, role := range RoleNames {
		if c.plays(role) {
			urls = append(urls, c.URLs.of(role))
		}
	}
	return strings.Join(urls, " and ")
}

func (c *Config) validateRoles(report reporter) {
	for i, role := range c.Roles {
		at := fmt.Sprintf("roles[%d]", i)
		switch {
		case !slices.Contains(RoleNames, role):
			report(at, "%q is no role; there are %s", role, strings.Join(RoleNames, ", "))
		case slices.Index(c.Roles, role) < i:
			report(at, "%q is named twice", role)
		case !c.plays(role):
			report(at, "%s has no URL; write urls.%s", role, role)
		}
	}
	p := c.Peers
	if p.AuthServer != nil && p.AuthServer.ClientID == "" {
		report("peers.authserver.client_id", "is missing; choose a name that peers.gateways of the authorization server has too, such as gateway-1")
	}
	if p.AuthServer != nil && p.AuthServer.Key != "" && !strings.HasPrefix(p.AuthServer.Key, "file:") {
		report("peers.authserver.key", "must be file:PATH of a private JWK; the value is not repeated here")
	}
	if c.alone() && p.AuthServer == nil {
		report("peers.authserver", "is missing: a gateway that is a process of its own needs a client_id at the authorization server; or play authserver here too")
	}
	seen := map[string]bool{gatewayID: true}
	for i, g := range p.Gateways {
		at := fmt.Sprintf("peers.gateways[%d]", i)
		if !apiName.MatchString(g.ClientID) {
			report(at+".client_id", "%q must be a short lower-case word: letters, digits, hyphens", g.ClientID)
		} else if seen[g.ClientID] {
			report(at+".client_id", "%q is used twice, or by the gateway in this process; each gateway needs its own", g.ClientID)
		}
		seen[g.ClientID] = true
		if !strings.HasPrefix(g.Keys, "file:") {
			report(at+".keys", "must be file:PATH of the gateway's public key set, its gateway.jwks.json")
		}
	}
	if c.URLs.Admin != "" && c.AuthorizationServer != nil {
		report("urls.admin", "is for our own authorization server; at %s its own administrators see to people and agents", shown(c.Issuer()))
	}
	if c.plays(roleAdmin) && c.alone() {
		report("roles", "admin shares the authorization server's store; play it there, or without a gateway in a process that has store")
	}
	if len(p.Gateways) > 0 && c.AuthorizationServer != nil {
		report("peers.gateways", "is for our own authorization server; register gateways at %s, and remove it", shown(c.Issuer()))
	}
}

// openStore opens what this process keeps: the installation's database, or of a
// gateway alone one of its own; nil for a process that keeps nothing.
func (a *App) openStore(ctx context.Context) (*sqlstore.DB, error) {
	switch {
	case a.config.alone():
		db, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(a.config.Path(a.config.Data), "gateway.db"), sqlstore.Options{Ships: true, Latency: a.options.Latency})
		if err != nil {
			return nil, fmt.Errorf("open the gateway's own store: %w", err)
		}
		return db, nil
	case !a.config.plays(roleAuthServer) && !a.config.plays(roleGateway) && !a.config.plays(roleAdmin):
		return nil, nil
	}
	return OpenStore(ctx, a.config, a.options)
}

// gatewayIdentity is who the gateway is to the authorization server, and its key
// there.
func (a *App) gatewayIdentity() (id string, signer *jose.Signer, err error) {
	peer := a.config.Peers.AuthServer
	if !a.config.alone() {
		peer = nil // the one in this process knows the key that is made here
	}
	key, err := a.gatewayKey()
	if err != nil {
		return "", nil, err
	}
	if signer, err = jose.NewSigner(key); err != nil {
		return "", nil, err
	}
	if peer == nil {
		return gatewayID, signer, nil
	}
	// For whoever configures the authorization server.
	err = os.WriteFile(filepath.Join(a.config.Path(a.config.Data), "gateway.jwks.json"), jose.PublicSet(key), 0o644)
	if err != nil {
		return "", nil, fmt.Errorf("write the gateway's public key: %w", err)
	}
	return peer.ClientID, signer, nil
}

// registerGateways makes this installation's gateways known to the
// authorization server, and those that are no longer configured unknown: each
// may exchange, introspect, follow revocations and send its audit entries, and
// nothing else (security.md 7).
func (a *App) registerGateways(ctx context.Context) error {
	var known []client.Client
	if a.config.plays(roleGateway) {
		key, err := a.gatewayKey()
		if err != nil {
			return err
		}
		known = append(known, gatewayClient(gatewayID, jose.PublicSet(key)))
	}
	for _, g := range a.config.Peers.Gateways {
		path := a.config.Path(strings.TrimPrefix(g.Keys, "file:"))
		keys, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the keys of gateway %s: %w; copy its gateway.jwks.json here", g.ClientID, err)
		}
		if _, err := jose.ParseKeySet(keys); err != nil {
			return fmt.Errorf("read the keys of gateway %s in %s: %w", g.ClientID, path, err)
		}
		known = append(known, gatewayClient(g.ClientID, keys))
	}
	return a.store.SetGateways(ctx, known)
}

func gatewayClient(id string, keys []byte) client.Client {
	return client.Client{
		ID: id, Origin: client.Gateway, Name: "MCP gateway of this installation",
		GrantTypes: []string{oauth.GrantTokenExchange}, AuthMethod: oauth.AuthPrivateKey,
		Keys: keys, CreatedAt: time.Now().Unix(),
	}
}

// shipAudit has the gateway's entries sent to the authorization server, if that
// is another process.
func (a *App) shipAudit(server *resource.AuthorizationServer) {
	if !a.config.alone() {
		return
	}
	a.shipper = &gateway.Shipper{Log: a.store, Server: server, Endpoint: a.config.URLs.AuthServer + "/audit", Changed: func(err error) {
		if err != nil {
			a.options.Log.Warn("audit entries cannot be sent; they are kept here until they can", "error", err)
			return
		}
		a.options.Log.Info("audit entries are sent again")
	}}
}

// peerRoots are the authorities of peers; nil means the system's.
func (a *App) peerRoots() (*x509.CertPool, error) {
	if d := a.config.demo; d != nil && d.tls != nil {
		return d.tls.Roots, nil
	}
	if a.config.Peers.Roots == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.config.Path(a.config.Peers.Roots))
	if err != nil {
		return nil, fmt.Errorf("peers.roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("peers.roots: %s holds no certificate in PEM", a.config.Peers.Roots)
	}
	return pool, nil
}
