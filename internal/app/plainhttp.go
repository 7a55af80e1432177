package app

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/client"
)

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// plainAllowed is the one decision about plain http of a configured URL
// (security.md 17): it is for this computer, and for hosts in development_http.
func (c *Config) plainAllowed(u *url.URL) bool {
	return u.Scheme == "http" && (client.IsLoopback(u.String()) || slices.Contains(c.DevelopmentHTTP, u.Hostname()))
}

// validateScheme enforces R-AS-19: https, or http where plainAllowed has it.
func (c *Config) validateScheme(report reporter, path string, u *url.URL) {
	if u.Scheme != "https" && !c.plainAllowed(u) {
		report(path, "%q must be https; http is for localhost names only, and for a development network's hosts named in development_http", u.String())
	}
}

// validateDevelopmentHTTP keeps the list to exact names and away from anything
// that is reached by https: who has certificates needs no exception.
func (c *Config) validateDevelopmentHTTP(report reporter) {
	for i, host := range c.DevelopmentHTTP {
		at := fmt.Sprintf("development_http[%d]", i)
		address, err := netip.ParseAddr(host)
		switch {
		case !hostName.MatchString(host) && (err != nil || address.String() != host || address.Zone() != ""):
			report(at, "%q is no host name such as login.example.test (lower case, no scheme, port or *)", host)
		case client.IsLoopback((&url.URL{Scheme: "http", Host: bracketed(host)}).String()):
			report(at, "%q is this computer, where http needs no exception; leave it out", host)
		}
	}
	if len(c.DevelopmentHTTP) == 0 {
		return
	}
	if at := c.firstHTTPS(); at != "" {
		report("development_http", "is for development without certificates, and %s is https; remove the list, or have http everywhere", at)
	}
}

// firstHTTPS returns the key of a setting that is about https, or "".
func (c *Config) firstHTTPS() string {
	type setting struct{ at, value string }
	all := []setting{{"urls.authserver", c.URLs.AuthServer}, {"authorization_server.issuer", c.Issuer()}, {"urls.gateway", c.URLs.Gateway}, {"urls.api", c.URLs.API}, {"urls.agent", c.URLs.Agent}}
	for i, a := range c.APIs {
		all = append(all, setting{fmt.Sprintf("apis[%d].url", i), a.URL}, setting{fmt.Sprintf("apis[%d].audience", i), a.Audience})
	}
	for i, origin := range c.AllowedOrigins {
		all = append(all, setting{fmt.Sprintf("allowed_origins[%d]", i), origin})
	}
	for _, s := range all {
		if strings.HasPrefix(strings.ToLower(s.value), "https:") {
			return s.at
		}
	}
	if c.TLS != nil {
		return "tls"
	}
	return ""
}

// bracketed writes an IPv6 address as it is in a URL.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// PlainHTTPWarning is what every start says of development_http; empty without
// it.
func (c *Config) PlainHTTPWarning() string {
	if len(c.DevelopmentHTTP) == 0 {
		return ""
	}
	return "WARNING: development_http allows plain http for " + strings.Join(c.DevelopmentHTTP, ", ") + ".\n" +
		"Whoever can see or change the traffic to these hosts reads passwords, codes and tokens, and can act as the\n" +
		"people who sign in. This is for development on a network of your own; anywhere else use https and remove the list.\n"
}
