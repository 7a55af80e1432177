package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse/internal/trust"
)

// Config is the configuration file, gatehouse.yaml. Unknown keys are errors.
// Secrets are never in the file: where a value may hold one, it is a reference
// `env:NAME` or `file:PATH`. Paths are relative to the file.
type Config struct {
	// URLs are where people and programs reach each role. A role without a URL
	// is not played by this process.
	URLs URLs `yaml:"urls"`
	// AuthorizationServer is an identity provider that people sign in to instead
	// of urls.authserver. See identity-provider.md.
	AuthorizationServer *AuthorizationServer `yaml:"authorization_server"`
	// Roles are those that this process plays: authserver, gateway, api, admin, agent. Default:
	// all that have a URL. `gatehouse serve --role` comes before it.
	Roles []string `yaml:"roles"`
	// Peers are the roles of this installation that other processes play.
	Peers Peers `yaml:"peers"`
	// Listen is the address that all roles share, host:port. Default
	// 127.0.0.1:8080.
	Listen string `yaml:"listen"`
	// TLS holds the listener's certificate. Without it, https URLs need a
	// proxy in front that ends TLS and passes Host on.
	TLS *TLS `yaml:"tls"`
	// MutualTLS lets agents prove by certificate who they are.
	MutualTLS *MutualTLS `yaml:"mutual_tls"`
	// Store is the authorization server's database: sqlite:PATH, postgres://USER@HOST/NAME, or a
	// reference to one of these. A URL with a password must be a reference. A
	// gateway that is a process of its own has its store in data.
	Store string `yaml:"store"`
	// Data is the folder for what this process itself keeps, such as the
	// gateway's private key. It is created with mode 0700.
	Data string `yaml:"data"`
	// SignIn is how people prove who they are: password.
	SignIn string `yaml:"sign_in"`
	// AllowedOrigins are the web origins whose scripts may call the MCP,
	// metadata, token and registration endpoints, e.g.
	// https://inspector.example.com. Programs that are no browsers need none.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// DevelopmentHTTP are the hosts, by exact name, where plain http is let pass
	// as on localhost, for development on a network of one's own: URLs here,
	// redirects of agents. It cannot stand beside anything on https.
	DevelopmentHTTP []string `yaml:"development_http"`
	// Documents say how client ID metadata documents are fetched: an agent
	// without registration names the https address of one that describes it.
	Documents Documents `yaml:"documents"`
	// Trust are those whose assertions are believed: platforms that workloads run
	// on, and identity providers. See workloads.md.
	Trust []TrustedIssuer `yaml:"trust"`
	// Partners are other authorization servers to which this one speaks for people.
	Partners []Partner `yaml:"partners"`
	// Delegation says which agents may act on with what others were given.
	Delegation []Delegation `yaml:"delegation"`
	// Agent says what the agent front end at urls.agent may reach.
	Agent Agent `yaml:"agent"`
	// APIs are what is protected. At least one.
	APIs []API `yaml:"apis"`

	demo *demoSettings // set by Demo alone: no file can turn it on
	dir  string        // folder of the file, for relative paths
}

// URLs are the base URLs of the roles, without trailing slash: https, or http
// on localhost names and hosts in development_http.
type URLs struct {
	// AuthServer is the issuer: sign-in, consent, tokens. Required, unless there
	// is an authorization_server.
	AuthServer string `yaml:"authserver"`
	// Gateway is the MCP server. Each API's endpoint is its mcp_path below it. Required.
	Gateway string `yaml:"gateway"`
	// API is the sample customer API; leave it out to protect only your own.
	API string `yaml:"api"`
	// Admin is the administration console. It shares the authorization server's
	// store; leave it out to administer from the terminal alone.
	Admin string `yaml:"admin"`
	// Agent is the agent front end, a web application of another organization
	// that uses MCP servers. Leave it out unless people shall chat here.
	Agent string `yaml:"agent"`
}

// AuthorizationServer is one that is not Gatehouse's, and what this gateway is
// to it.
type AuthorizationServer struct {
	// Issuer is its issuer identifier, exactly as its metadata has it. Required.
	Issuer string `yaml:"issuer"`
	// ClientID is what it knows this gateway as. Required.
	ClientID string `yaml:"client_id"`
	// Key is the private key by which the gateway authenticates
	// (private_key_jwt), file:PATH of a JWK. Default: gateway.jwk in the data
	// folder, made at the first start; gateway.jwks.json beside it is what to
	// register there.
	Key string `yaml:"key"`
	// ClientSecret is for servers that take no keys: a reference to the secret.
	ClientSecret string `yaml:"client_secret"`
	// AccessTokens say how those of agents are checked: introspection (the
	// default), so that a revoked one is refused within a second, or jwt, which
	// believes what the server signed until it expires.
	AccessTokens string `yaml:"access_tokens"`
	// APITokens say how the gateway gets tokens for APIs: exchange of the
	// agent's token, or client_credentials of its own, with which APIs do not
	// learn whose call it is. Required.
	APITokens string `yaml:"api_tokens"`
}

// Peers say how roles in different processes know one another. They meet at
// urls.
type Peers struct {
	// AuthServer is who a gateway in this process is to an authorization server
	// in another.
	AuthServer *PeerAuthServer `yaml:"authserver"`
	// Gateways are those that other processes play, for the authorization server
	// in this one. A gateway that is not listed is nobody to it.
	Gateways []PeerGateway `yaml:"gateways"`
	// Roots is the path of a PEM file of the authorities that sign the
	// certificates of peers and APIs. Default: the system's.
	Roots string `yaml:"roots"`
}

// PeerAuthServer is the authorization server at urls.authserver, as a gateway
// knows it.
type PeerAuthServer struct {
	// ClientID is what it knows this gateway as. Required.
	ClientID string `yaml:"client_id"`
	// Key is the gateway's private key, file:PATH of a JWK. Default: gateway.jwk
	// in the data folder, made at the first start; gateway.jwks.json beside it is
	// what the authorization server's peers.gateways needs.
	Key string `yaml:"key"`
}

// PeerGateway is a gateway in another process.
type PeerGateway struct {
	// ClientID is what it calls itself. Required, and each gateway's own.
	ClientID string `yaml:"client_id"`
	// Keys are its public keys, file:PATH of a JWK set. Required.
	Keys string `yaml:"keys"`
}

// TLS names the listener's certificate chain and key, PEM files.
type TLS struct {
	// Certificate is the path of the chain, leaf first.
	Certificate string `yaml:"certificate"`
	// Key is the path of the private key.
	Key string `yaml:"key"`
}

// Documents say where metadata documents of agents may come from.
type Documents struct {
	// Accept is which are accepted: all (the default), or none, so that agents
	// register or are added by an administrator.
	Accept string `yaml:"accept"`
	// Addresses are exceptions for agents inside of your own network; all others
	// must be at public addresses. Host names, addresses or ranges, with a port
	// if it is not 443: apps.internal:8443, 10.1.0.0/16. A name stands for its
	// private and loopback addresses; any other special address, such as those
	// of a cloud's metadata service, is allowed only if it is listed itself.
	Addresses []string `yaml:"addresses"`
	// Roots is the path of a PEM file of authorities that sign the certificates
	// of addresses, beside the system's.
	Roots string `yaml:"roots"`
}

// Agent says where the agent front end may go beside public addresses.
type Agent struct {
	// Addresses are exceptions inside of your own network, in the form of
	// documents.addresses: MCP servers, their authorization servers, models.
	Addresses []string `yaml:"addresses"`
	// Roots is the path of a PEM file of authorities that sign the certificates
	// of addresses, beside the system's.
	Roots string `yaml:"roots"`
}

// API is one API that agents may use.
type API struct {
	// Name is short and stable: it begins default scopes and is in the audit. Required.
	Name string `yaml:"name"`
	// Title is what people read. Default: the document's title.
	Title string `yaml:"title"`
	// MCPPath is the path of its MCP endpoint below the gateway's URL. Default
	// /NAME; at most one API has /.
	MCPPath string `yaml:"mcp_path"`
	// OpenAPI is its document, file:PATH, OpenAPI 3.0 or 3.1. Required.
	OpenAPI string `yaml:"openapi"`
	// URL is where calls go: the API's base URL. Required.
	URL string `yaml:"url"`
	// Audience is the aud of the tokens made for it. Default: URL.
	Audience string `yaml:"audience"`
	// Protect is what needs a token: all (the default), or calls, which lets
	// anybody list the tools.
	Protect string `yaml:"protect"`
	// SigningAlgorithm is that of the tokens made for it: ES256 (the default),
	// or RS256 for APIs whose libraries know nothing newer; it costs twenty times as much.
	SigningAlgorithm string `yaml:"signing_algorithm"`
	// DefaultScopes are what an agent gets to ask for first, and what it gets
	// when it asks for nothing. Default: what the reading tools need.
	DefaultScopes []string `yaml:"default_scopes"`
	// Claims are the attributes of account and client that tokens for this API
	// carry: account attributes by name, client_type, client_assurance_level.
	Claims []string `yaml:"claims"`
	// Scopes say what scopes of the document imply and how consent words them.
	Scopes map[string]Scope `yaml:"scopes"`

	document       []byte // an embedded one in place of OpenAPI
	administration bool   // it is the installation's own
}

// Scope describes one scope.
type Scope struct {
	// Implies are scopes that this one includes.
	Implies []string `yaml:"implies"`
	// Text completes "this agent will be able to …", e.g. read customers.
	Text string `yaml:"text"`
}

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// Load reads and validates a configuration file. Its error names every problem.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w; name the file with -c, or write one as docs/quickstart.md says", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if len(data) > maxConfig {
		return Config{}, fmt.Errorf("configuration %s has more than %d bytes", path, maxConfig)
	}
	c := Config{dir: filepath.Dir(path)}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("configuration %s:\n%w", path, strict(err))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("configuration %s: more than one YAML document; keep one", path)
	}
	c.defaults()
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return c, nil
}

var (
	unknownKey = regexp.MustCompile(`^(line \d+): field (.+) not found in type app\.(\w+)$`)
	otherForm  = regexp.MustCompile(`^(line \d+): cannot unmarshal .+ into (\S+)$`)
)

// strict rewords what the YAML library says of a file that does not fit: in the
// words of the file, and without its values, of which one may be a secret.
func strict(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("  it is empty; docs/quickstart.md has one to begin with")
	}
	mismatch, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return errors.New("  " + strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var lines []string
	for _, text := range mismatch.Errors {
		if m := unknownKey.FindStringSubmatch(text); m != nil {
			where := map[string]string{"URLs": " of urls", "TLS": " of tls", "MutualTLS": " of mutual_tls", "Delegation": " of delegation", "Partner": " of a partner", "AuthorizationServer": " of authorization_server", "Peers": " of peers", "PeerAuthServer": " of peers.authserver", "PeerGateway": " of a gateway in peers", "Documents": " of documents", "Agent": " of agent", "API": " of an API", "Scope": " of a scope", "TrustedIssuer": " of an issuer in trust", "TrustedWorkload": " of a workload in trust", "TrustedPeople": " of people in trust"}[m[3]]
			text = fmt.Sprintf("%s: %s is no key%s; docs/configuration.md has those there are", m[1], m[2], where)
		} else if m := otherForm.FindStringSubmatch(text); m != nil {
			form := "keys with values"
			if m[2] == "string" {
				form = "a text"
			} else if strings.HasPrefix(m[2], "[]") {
				form = "a list"
			}
			text = fmt.Sprintf("%s: %s must be here", m[1], form)
		}
		lines = append(lines, "  "+text)
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (c *Config) defaults() {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8080"
	}
	if c.SignIn == "" {
		c.SignIn = "password"
	}
	if c.Documents.Accept == "" {
		c.Documents.Accept = "all"
	}
	if x := c.AuthorizationServer; x != nil && x.AccessTokens == "" {
		x.AccessTokens = "introspection"
	}
	c.addAdministration()
	for i := range c.Trust {
		if t := &c.Trust[i]; t.Issuer == "" && t.Kind == string(trust.GitHubActions) {
			t.Issuer = gitHubIssuer
		}
	}
	for i := range c.APIs {
		a := &c.APIs[i]
		if a.MCPPath == "" {
			a.MCPPath = "/" + a.Name
		}
		if a.Audience == "" {
			a.Audience = a.URL
		}
		if a.Protect == "" {
			a.Protect = "all"
		}
	}
}

// Path resolves a path of the file.
func (c *Config) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// resolve returns what a reference env:NAME or file:PATH leads to, and any other
// value as it is.
func (c *Config) resolve(value string) (string, error) {
	if name, ok := strings.CutPrefix(value, "env:"); ok {
		if value = os.Getenv(name); value == "" {
			return "", fmt.Errorf("environment variable %s is not set", name)
		}
	} else if path, ok := strings.CutPrefix(value, "file:"); ok {
		data, err := os.ReadFile(c.Path(path))
		if err != nil {
			return "", err
		}
		value = strings.TrimSpace(string(data))
	}
	return value, nil
}

// store resolves the database reference. Its value is never logged.
func (c *Config) store() (string, error) {
	value, err := c.resolve(c.Store)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if path, ok := strings.CutPrefix(value, "sqlite:"); ok {
		return "sqlite:" + c.Path(path), nil
	}
	if strings.HasPrefix(value, "postgres://") || strings.HasPrefix(value, "postgresql://") {
		return value, nil
	}
	return "", errors.New("store: must be sqlite:PATH or postgres://…, or env: or file: naming one")
}
