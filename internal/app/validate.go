package app

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

var apiName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Validate returns every problem of the configuration, each with its path.
func (c *Config) Validate() error {
	var problems []error
	report := func(path, format string, args ...any) {
		problems = append(problems, fmt.Errorf("  %s: %s", path, fmt.Sprintf(format, args...)))
	}
	c.validateURLs(report)
	c.validateDevelopmentHTTP(report)
	c.validateExternal(report)
	c.validateRoles(report)
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		report("listen", "%q is no host:port such as 127.0.0.1:8080", c.Listen)
	}
	if c.TLS != nil && (c.TLS.Certificate == "" || c.TLS.Key == "") {
		report("tls", "needs both certificate and key")
	}
	c.validateMutualTLS(report)
	if c.Store == "" && !c.alone() {
		report("store", "is missing; for example sqlite:gatehouse.db")
	} else if holdsPassword(c.Store) {
		report("store", "has a password in it; put the URL into an environment variable or file and write env:NAME or file:PATH")
	}
	if c.Data == "" {
		report("data", "is missing; name a folder for this process's own keys")
	}
	if c.SignIn != "password" && c.demo == nil {
		report("sign_in", "%q is not known; write password", c.SignIn)
	}
	for i, origin := range c.AllowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			report(fmt.Sprintf("allowed_origins[%d]", i), "%q is no origin such as https://app.example.com", origin)
		} else if u.Scheme == "http" {
			c.validateScheme(report, fmt.Sprintf("allowed_origins[%d]", i), u)
		}
	}
	c.Documents.validate(report)
	c.Agent.validate(report, c.URLs.Agent)
	c.validateTrust(report)
	c.validateDelegation(report)
	c.validatePartners(report)
	c.validateAPIs(report)
	return errors.Join(problems...)
}

// holdsPassword reports whether a database URL holds a password, or cannot be
// read and so might.
func holdsPassword(store string) bool {
	if !strings.Contains(store, "://") { // sqlite:PATH or a reference
		return false
	}
	u, err := url.Parse(store)
	if err != nil {
		return true
	}
	_, set := u.User.Password()
	q := u.Query()
	return set || q.Has("password") || q.Has("sslpassword")
}

// shown quotes a URL for a person, unless it may hold a password.
func shown(value string) string {
	if u, err := url.Parse(value); err != nil || u.User != nil {
		return "the value, which is not repeated here because it may hold a password,"
	}
	return strconv.Quote(value)
}

type reporter func(path, format string, args ...any)

func (c *Config) validateURLs(report reporter) {
	hosts := map[string]string{}
	for _, role := range []struct {
		path, url string
		required  bool
	}{
		{"urls.authserver", c.URLs.AuthServer, c.AuthorizationServer == nil}, {"urls.gateway", c.URLs.Gateway, true}, {"urls.api", c.URLs.API, false}, {"urls.admin", c.URLs.Admin, false}, {"urls.agent", c.URLs.Agent, false},
	} {
		if role.url == "" {
			if role.required {
				report(role.path, "is missing; for example https://%s.example.com", strings.TrimPrefix(role.path, "urls."))
			}
			continue
		}
		u, err := url.Parse(role.url)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(role.url, "/") {
			report(role.path, "%s is no base URL such as https://login.example.com (no trailing slash)", shown(role.url))
			continue
		}
		if u.Path != "" {
			report(role.path, "%q has a path; this role has a host of its own", role.url)
		}
		if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
			report(role.path, "%q names the port that is the default; leave it out", role.url)
		}
		if u.Host != strings.ToLower(u.Host) {
			report(role.path, "%q must be in lower case, as browsers send it", role.url)
		}
		c.validateScheme(report, role.path, u)
		if other, taken := hosts[u.Hostname()]; taken {
			report(role.path, "has the same host as %s; each role needs its own, so that a browser keeps them apart", other)
		}
		hosts[u.Hostname()] = role.path
	}
}

func (c *Config) validateAPIs(report reporter) {
	if len(c.APIs) == 0 {
		report("apis", "is empty; name the API to protect")
	}
	names, paths, audiences := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, a := range c.APIs {
		at := func(field string) string { return fmt.Sprintf("apis[%d].%s", i, field) }
		if !apiName.MatchString(a.Name) {
			report(at("name"), "%q must be a short lower-case word: letters, digits, hyphens", a.Name)
		}
		if names[a.Name] {
			report(at("name"), "%q is used twice", a.Name)
		}
		if paths[a.MCPPath] {
			report(at("mcp_path"), "%q is used twice", a.MCPPath)
		}
		names[a.Name], paths[a.MCPPath] = true, true
		if a.MCPPath != path.Clean(a.MCPPath) || !strings.HasPrefix(a.MCPPath, "/") || strings.HasPrefix(a.MCPPath, "/.well-known") || strings.HasPrefix(a.MCPPath, "/assets") || a.MCPPath == "/healthz" || strings.ContainsAny(a.MCPPath, "{}?#% ") {
			report(at("mcp_path"), "%q is no plain path such as /%s", a.MCPPath, a.Name)
		}
		if _, ok := strings.CutPrefix(a.OpenAPI, "file:"); !ok && a.document == nil {
			report(at("openapi"), "%q must be file:PATH", a.OpenAPI)
		}
		if u, err := url.Parse(a.URL); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
			report(at("url"), "%s is no base URL such as https://orders.internal", shown(a.URL))
		} else {
			c.validateScheme(report, at("url"), u) // access tokens go there
		}
		switch {
		case a.Audience == "":
			report(at("audience"), "is missing")
		case audiences[a.Audience]:
			report(at("audience"), "%q is another API's too; a token for one would open the other", a.Audience)
		case a.Audience == c.Issuer() || a.Audience == c.URLs.Gateway:
			report(at("audience"), "%q is a role of this installation, not an API", a.Audience)
		}
		audiences[a.Audience] = true
		for name := range a.Scopes {
			if !oauth.ValidScopeToken(name) {
				report(at("scopes"), "%q is no scope token", name)
			}
		}
		if a.Protect != "all" && a.Protect != "calls" && c.demo == nil {
			report(at("protect"), "%q is not known; write all or calls", a.Protect)
		}
		if a.SigningAlgorithm != "" && a.SigningAlgorithm != jose.ES256 && a.SigningAlgorithm != jose.RS256 {
			report(at("signing_algorithm"), "%q is not served; write ES256 or RS256", a.SigningAlgorithm)
		}
		for _, claim := range a.Claims {
			if claim == "" || jose.ReservedClaim(claim) {
				report(at("claims"), "%q is a claim of the token itself; name attributes of account or client", claim)
			}
		}
		for _, s := range a.DefaultScopes {
			if !oauth.ValidScopeToken(s) {
				report(at("default_scopes"), "%q is no scope token", s)
			}
		}
	}
}
