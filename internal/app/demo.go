package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/authserver"
	"gatehouse/internal/client"
	"gatehouse/internal/sampleapi"
	"gatehouse/internal/secret"
)

// DemoOptions shape the demo.
type DemoOptions struct {
	// Address is where the demo listens, as bound: 127.0.0.1:8080.
	Address string
	// Domain makes the names api.DOMAIN, mcp.DOMAIN, login.DOMAIN; empty means
	// names below localhost, which browsers resolve by themselves.
	Domain string
	// AgentHost is the host name of the agent front end, which plays another
	// organization; empty means agent.external.DOMAIN.
	AgentHost string
	// Data is the folder that keeps everything. It exists if TLS is set.
	Data string
	// TLS serves https with a certificate of a development authority.
	TLS bool
}

// demoSettings are what no configuration file can turn on.
type demoSettings struct {
	home string // base URL of the start page
	data string
	tls  *developmentTLS // nil: plain http
}

// TLSCertificate is what the demo's listeners present; nil on plain http.
func (c *Config) TLSCertificate() *tls.Certificate {
	if c.demo == nil || c.demo.tls == nil {
		return nil
	}
	return &c.demo.tls.Certificate
}

// demoPeople are the accounts that the demo begins with.
var demoPeople = map[string]string{"alice": "USA", "bruno": "Europe"}

func (d *demoSettings) people() []authserver.PersonView {
	var views []authserver.PersonView
	for _, name := range slices.Sorted(maps.Keys(demoPeople)) {
		views = append(views, authserver.PersonView{Name: name, Where: "customers in " + demoPeople[name]})
	}
	return views
}

// Demo is the configuration of `gatehouse demo`: every role on one listener,
// and a sign-in that believes any name.
func Demo(o DemoOptions) (Config, error) {
	_, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		return Config{}, fmt.Errorf("listen address %q: %w", o.Address, err)
	}
	domain, scheme, usual := cmp.Or(o.Domain, "localhost"), "http", "80"
	if o.TLS {
		scheme, usual = "https", "443"
	}
	at := func(name string) string {
		if port == usual {
			return scheme + "://" + name
		}
		return scheme + "://" + name + ":" + port
	}
	agentHost := cmp.Or(o.AgentHost, "agent.external."+domain)
	urls := URLs{AuthServer: at("login." + domain), Gateway: at("mcp." + domain), API: at("api." + domain), Admin: at("admin." + domain), Agent: at(agentHost)}
	c := Config{
		URLs:      urls,
		Listen:    o.Address,
		Store:     "sqlite:" + filepath.Join(o.Data, "gatehouse.db"),
		Data:      o.Data,
		SignIn:    string(account.Username),
		Documents: Documents{Accept: "all"},
		// Browser tools of developers run on loopback origins.
		AllowedOrigins: []string{"http://localhost", "http://127.0.0.1", "http://[::1]"},
		APIs: []API{{
			Name: "customers", Title: "Customer API", MCPPath: "/", URL: urls.API, Audience: urls.API,
			OpenAPI: "embedded", document: sampleapi.Document,
			DefaultScopes: []string{"users:read", "orders:read"},
			Claims:        []string{"region", "client_type", "client_assurance_level"},
			Scopes: map[string]Scope{
				"users:read":     {Text: "read customers"},
				"users:write":    {Text: "add, change and delete customers", Implies: []string{"users:read"}},
				"orders:read":    {Text: "read the orders of customers"},
				"refunds:create": {Text: "refund orders", Implies: []string{"orders:read"}},
			},
		}},
		Trust: []TrustedIssuer{clusterTrust(o.Data)},
		// The cluster's agent may also act for people who are not there, if they say so.
		Delegation: []Delegation{{Actor: demoWorkload, People: true, APIs: []string{"customers"}, Scopes: []string{"users:read", "orders:read"}}},
		demo:       &demoSettings{home: at(domain), data: o.Data},
	}
	c.addAdministration()
	names := []string{domain, "login." + domain, "mcp." + domain, "api." + domain, "admin." + domain, agentHost}
	if !o.TLS {
		c.DevelopmentHTTP = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return client.IsLoopback("http://" + name) })
	}
	if o.TLS {
		if c.demo.tls, err = newDevelopmentTLS(o.Data, constraints(domain, agentHost), names); err != nil {
			return Config{}, err
		}
	}
	c.demoAgent()
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("configure the demo:\n%w", err)
	}
	return c, nil
}

// DemoAdministrator is who administers the demo, with a password of their own.
const DemoAdministrator = "admin"

// SeedDemo adds the people that the demo begins with; those who are there stay
// as they are. It returns the administrator's password if it made that account:
// nobody can be told later.
func (a *App) SeedDemo(ctx context.Context) (password string, err error) {
	_, err = a.store.AccountByName(ctx, DemoAdministrator)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return "", err
	}
	if err != nil {
		password = secret.ID()[:16]
		hash, err := new(secret.Passwords).Hash(ctx, password)
		if err != nil {
			return "", err
		}
		_, err = a.store.EnsureAccount(ctx, account.Account{
			ID: secret.ID(), Name: DemoAdministrator, PasswordHash: hash, Role: account.Administrator, CreatedAt: time.Now().Unix(),
		})
		if err != nil {
			return "", fmt.Errorf("add the administrator to the demo: %w", err)
		}
	}
	for name, region := range demoPeople {
		_, err := a.store.EnsureAccount(ctx, account.Account{
			ID: secret.ID(), Name: name, Claims: map[string]string{"region": region}, CreatedAt: time.Now().Unix(),
		})
		if err != nil {
			return "", fmt.Errorf("add %s to the demo: %w", name, err)
		}
	}
	if err := a.seedWorkload(ctx); err != nil {
		return "", fmt.Errorf("add the workload's client to the demo: %w", err)
	}
	return password, nil
}

// localhostModule is for Node where the system resolves no names below
// localhost: it answers for them as RFC 6761 §6.3 says a resolver should.
const localhostModule = `// Written by "gatehouse demo". Use: NODE_OPTIONS=--import=<this file> node …
// Makes Node resolve names below localhost to this computer (RFC 6761).
import dns from "node:dns";

const lookup = dns.lookup;
dns.lookup = function (hostname, options, callback) {
  if (typeof options === "function") {
    callback = options;
    options = {};
  }
  if (typeof options === "number") options = { family: options };
  if (/(^|\.)localhost\.?$/i.test(String(hostname))) {
    const found = options?.all ? [[{ address: "127.0.0.1", family: 4 }]] : ["127.0.0.1", 4];
    return process.nextTick(callback, null, ...found);
  }
  return lookup.call(dns, hostname, options, callback);
};
`

// WriteLocalhostModule puts localhost.mjs into the demo's folder and returns
// its absolute path.
func WriteLocalhostModule(folder string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, "localhost.mjs"))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(localhostModule), 0o644); err != nil {
		return "", fmt.Errorf("write localhost.mjs: %w", err)
	}
	return path, nil
}

// DemoView is what the demo says of itself, on its start page and in the
// terminal alike.
func DemoView(c *Config) HomeView {
	module, err := filepath.Abs(filepath.Join(c.demo.data, "localhost.mjs"))
	if err != nil {
		module = "localhost.mjs"
	}
	preload := "NODE_OPTIONS=--import=" + (&url.URL{Scheme: "file", Path: module}).String() + " "
	curl, connect := "curl -i ", program()+" connect "
	if c.demo.tls != nil {
		preload += "NODE_EXTRA_CA_CERTS=" + c.demo.tls.File + " "
		curl += "--cacert " + c.demo.tls.File + " "
		connect += "--ca " + c.demo.tls.File + " "
	}
	v := HomeView{
		Host: strings.TrimPrefix(strings.TrimPrefix(c.demo.home, "https://"), "http://"),
		URLs: []URLRow{
			{Component: "MCP server", Role: "gateway", URL: c.URLs.Gateway},
			{Component: "Agent front end", Role: "agent", URL: c.URLs.Agent},
			{Component: "Customer API", Role: "api", URL: c.URLs.API + "/users"},
			{Component: "Admin console", Role: "admin", URL: c.URLs.Admin + "/admin"},
			{Component: "OAuth metadata", Role: "authserver", URL: c.URLs.AuthServer + "/.well-known/oauth-authorization-server"},
			{Component: "This page", Role: "demo", URL: c.demo.home},
		},
		Try: []TryItem{
			{
				Title:   "See that the API is closed",
				Text:    "Without a token the customer API answers 401 and says what it wants.",
				Command: curl + c.URLs.API + "/users",
			},
			{
				Title: "Chat with an agent",
				Text:  "Open " + c.URLs.Agent + ", which plays another organization: create an account there, add the MCP server that it offers, and connect it as alice. Then ask: Fetch me my users. Or: Refund order 1007, which takes more permission and your click.",
			},
			{
				Title:   "Read customers from the terminal",
				Text:    "It opens your browser: sign in as alice and allow it; then type: call fetch-users. With --trace it shows every OAuth and MCP message.",
				Command: connect + c.URLs.Gateway,
			},
			{
				Title: "Read customers through an agent that nobody here wrote",
				Text:  "The example client of the TypeScript SDK registers itself and prints an address. Open it in a browser, sign in as alice and allow it; then type: call fetch-users",
				Command: "npm install --no-save @modelcontextprotocol/sdk@1.32.2 && \\\n" + preload +
					"node node_modules/@modelcontextprotocol/sdk/dist/esm/examples/client/simpleOAuthClient.js " + c.URLs.Gateway,
			},
			{
				Title: "Run the place",
				Text:  "Open " + c.URLs.Admin + "/admin and sign in as " + DemoAdministrator + ", with the password that the terminal showed at the first start: see what agents do now, look at the tools, and press Stop.",
			},
			{
				Title:   "Read customers with nobody there",
				Text:    "A backend agent shows the token that its platform put into its folder, and has no secret of its own. It reads customers in Europe; what takes a person is refused. `gatehouse trust` has the rule.",
				Command: connect + "--workload-token " + filepath.Join(workloadFolder(c.demo.data), "token") + " " + c.URLs.Gateway + " call fetch-users limit=3",
			},
			{
				Title:   "Allow less, and see what an agent is told",
				Text:    "Run it again, switch off reading orders on the consent page, then type the line below. The agent gets the challenge that names the scope it lacks. Sign in as bruno instead, and the same call reads customers in Europe.",
				Command: `call fetch-orders {"id": 1}`,
			},
		},
		DataDir: c.demo.data,
	}
	for _, s := range scenes() {
		v.Scenes = append(v.Scenes, SceneRow{s.name, s.title, s.text})
	}
	for _, p := range c.demo.people() {
		v.People = append(v.People, Person(p))
	}
	return v
}

// program is how this one was called: what `go run` built is gone afterwards.
func program() string {
	file, err := os.Executable()
	if err == nil && strings.Contains(file, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/gatehouse"
	}
	return "gatehouse"
}

// TrustAdvice says how to make programs trust the demo's certificate; empty on
// plain http.
func TrustAdvice(c *Config) string {
	if c.demo.tls == nil {
		return ""
	}
	file := c.demo.tls.File
	return "Its certificate is signed by an authority made on this computer, which can vouch for these names only. To trust it:\n\n" +
		"  curl      --cacert " + file + "\n" +
		"  Node      NODE_EXTRA_CA_CERTS=" + file + "\n" +
		"  Debian    sudo cp " + file + " /usr/local/share/ca-certificates/gatehouse-demo.crt && sudo update-ca-certificates\n" +
		"  macOS     sudo security add-trusted-cert -d -k /Library/Keychains/System.keychain " + file + "\n" +
		"  browsers  import it as a certificate authority in the settings, for websites\n"
}

// Unresolved returns the demo's host names that this system does not resolve.
func Unresolved(ctx context.Context, c *Config) []string {
	var missing []string
	for _, base := range []string{c.demo.home, c.URLs.AuthServer, c.URLs.Gateway, c.URLs.API, c.URLs.Admin, c.URLs.Agent} {
		u, err := url.Parse(base)
		if err != nil {
			continue
		}
		if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err != nil {
			var notFound *net.DNSError
			if errors.As(err, &notFound) {
				missing = append(missing, u.Hostname())
			}
		}
	}
	return missing
}
