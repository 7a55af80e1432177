package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/admin"
	"gatehouse/internal/authserver"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// admin is the administration console. It is a client of the authorization
// server like any application that people sign in to, with a key of its own.
func (a *App) admin(ctx context.Context, apis []*catalog.API) (http.Handler, error) {
	base := a.config.URLs.Admin
	key, err := a.consoleKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the console's key: %w", err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		return nil, err
	}
	err = a.store.PutClient(ctx, client.Client{
		ID: client.ConsoleID, Origin: client.Console, Name: "Administration console", URI: base, ApplicationType: "web",
		RedirectURIs: []string{base + "/admin/callback"}, PostLogoutRedirectURIs: []string{base + "/admin/signed-out"},
		GrantTypes: []string{oauth.GrantAuthorizationCode}, ResponseTypes: []string{"code"},
		AuthMethod: oauth.AuthPrivateKey, Keys: jose.PublicSet(key), CreatedAt: time.Now().Unix(),
	})
	if err != nil {
		return nil, fmt.Errorf("make the console known to the authorization server: %w", err)
	}
	if err := a.store.PutClient(ctx, terminalClient()); err != nil {
		return nil, fmt.Errorf("make the terminal known to the authorization server: %w", err)
	}
	seal, err := a.store.Secret(ctx, "console-cookies", func() string { return secret.New("") })
	if err != nil {
		return nil, fmt.Errorf("load the key of the console's cookies: %w", err)
	}
	settings, err := a.settings()
	if err != nil {
		return nil, err
	}
	issuer := a.config.URLs.AuthServer
	acts := a.config.acts(a.store, apis)
	acts.Documents = documents{a}
	s := &admin.Server{
		URL: base, Key: seal, Accounts: a.store, Pulse: a.store, Log: a.store, Agents: a.store, Demo: a.config.demo != nil,
		Acts: acts, Settings: settings,
		AuthServer: &resource.AuthorizationServer{Issuer: issuer, ClientID: client.ConsoleID, Signer: signer, Client: a.peers},
		Keys:       &jose.RemoteKeySet{URL: issuer + "/jwks.json", Client: a.peers},
	}
	if s.Trust, err = a.config.Trusted(); err != nil {
		return nil, err
	}
	if s.Find, err = a.config.finder(); err != nil {
		return nil, err
	}
	pages, err := s.Handler()
	if err != nil {
		return nil, err
	}
	api := &admin.API{
		URL:      a.config.consoleAPI().Resource,
		Verifier: &resource.Verifier{Issuer: issuer, Audience: base + admin.APIPath, Keys: s.Keys},
		Direct:   &resource.Introspector{Server: s.AuthServer, Endpoint: issuer + "/introspect"},
		Accounts: a.store, Acts: s.Acts, Server: s,
	}
	programs, metadata, at, err := api.Handler()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle(admin.APIPath+"/", programs)
	mux.Handle(at, metadata)
	return mux, nil
}

// TerminalID is the client of terminals that administer another computer's
// installation.
const TerminalID = client.TerminalID

// TerminalScopes are what it asks a person for, all at once.
func TerminalScopes() []string { return []string{admin.ScopeRead, admin.ScopeStop, admin.ScopeManage} }

// AdministrationAt is the address of the administration's API, of a console
// whose address somebody has typed.
func AdministrationAt(console string) string {
	console = strings.TrimRight(console, "/")
	console = strings.TrimSuffix(strings.TrimSuffix(console, admin.APIPath), "/admin")
	return console + admin.APIPath
}

// consoleAPI is the administration at its own address, for terminals; nil if
// there is no console.
func (c *Config) consoleAPI() *catalog.API {
	if c.URLs.Admin == "" {
		return nil
	}
	u, err := oauth.CanonicalResource(c.URLs.Admin + admin.APIPath)
	if err != nil { // Validate has looked at the URL
		return nil
	}
	scopes := map[string]catalog.Scope{admin.ScopeManage: {Name: admin.ScopeManage, Text: "do what no agent may: resume what was stopped, change people, keys and documents, read recorded messages"}}
	for name, s := range administrationScopes() {
		scopes[name] = catalog.Scope{Name: name, Text: s.Text}
	}
	return &catalog.API{Name: "administration", Title: "Administration", Resource: u, Administration: true, DefaultScopes: []string{admin.ScopeRead}, Scopes: scopes}
}

// administrationScopes are those that agents may be given.
func administrationScopes() map[string]Scope {
	return map[string]Scope{
		admin.ScopeRead: {Text: "see agents, people, what they allowed, and the audit"},
		admin.ScopeStop: {Text: "pause and end agents, people, connections, tools and APIs"},
	}
}

// addAdministration protects the administration like any other API: agents and
// terminals reach it through the gateway.
func (c *Config) addAdministration() {
	if c.URLs.Admin == "" {
		return
	}
	at := c.URLs.Admin + admin.APIPath
	c.APIs = append(c.APIs, API{
		Name: "administration", Title: "Administration", MCPPath: "/administration", URL: at, Audience: at, Protect: "all",
		OpenAPI: "embedded", document: admin.Document, administration: true, DefaultScopes: []string{admin.ScopeRead},
		Scopes: administrationScopes(),
	})
}

// consoleKey is the key that the console authenticates with. It is in the store
// that it shares with the authorization server, so that every replica has it.
func (a *App) consoleKey(ctx context.Context) (jose.Key, error) {
	fresh, err := jose.Generate(jose.ES256)
	if err != nil {
		return jose.Key{}, err
	}
	private, err := fresh.MarshalPrivate()
	if err != nil {
		return jose.Key{}, err
	}
	stored, err := a.store.Secret(ctx, "console-key", func() string { return string(private) })
	if err != nil {
		return jose.Key{}, err
	}
	return jose.ParsePrivate([]byte(stored))
}

// terminalClient is what `gatehouse … --server` signs people in with.
func terminalClient() client.Client {
	return client.Client{
		ID: client.TerminalID, Origin: client.Administrated, Name: "Gatehouse terminal", ApplicationType: "native",
		RedirectURIs: []string{"http://127.0.0.1/callback"}, AuthMethod: oauth.AuthNone,
		GrantTypes: []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, ResponseTypes: []string{"code"}, CreatedAt: time.Now().Unix(),
	}
}

// acts are what an administrator does here, from the console or a terminal.
func (c *Config) acts(db *sqlstore.DB, apis []*catalog.API) *admin.Acts {
	return &admin.Acts{
		APIs: apis, Clients: db, Accounts: db, Stops: db, Messages: db, People: db, Passwords: &secret.Passwords{}, Issuer: c.URLs.AuthServer, Audit: db, PlainHTTP: c.DevelopmentHTTP, NoDocuments: c.Documents.Accept == "none", MutualTLS: c.MutualTLS != nil,
		Keys: db, Rotation: admin.Rotation{PublishBefore: authserver.PublishBefore, KeepAfter: authserver.KeepAfter},
	}
}

// withheld are the scopes whose operations no agent is offered (security.md 21).
func (a API) withheld() []string {
	if !a.administration {
		return nil
	}
	return []string{admin.ScopeManage}
}
