package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/authserver"
	"gatehouse/internal/httpserver"
)

// MutualTLS lets agents prove by a certificate in TLS who they are (RFC 8705).
// What they get is bound to it: without its key a stolen token is worth nothing.
// See workloads.md.
type MutualTLS struct {
	// URL is where agents with certificates reach the authorization server, on
	// https and at a host of its own: browsers would ask people for a certificate
	// at any other. Required with urls.authserver.
	URL string `yaml:"url"`
	// Authorities is the path of a PEM file of the authorities, roots or those
	// below, that sign certificates of agents; each may vouch for any agent of
	// client add --certificate-subject. Without it agents have certificates that
	// were registered one by one.
	Authorities string `yaml:"authorities"`
	// Header is where proxies in front that end TLS pass the certificate on:
	// Client-Cert (RFC 9440), or another name. It must not reach them from
	// outside.
	Header string `yaml:"header"`
	// Proxies are the addresses or ranges of these proxies, such as 10.0.0.5. From
	// anywhere else the header means nothing.
	Proxies []string `yaml:"proxies"`
}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,62}$`)

func (c *Config) validateMutualTLS(report reporter) {
	m := c.MutualTLS
	if m == nil {
		return
	}
	at := func(field string) string { return "mutual_tls." + field }
	u, err := url.Parse(m.URL)
	switch {
	case c.AuthorizationServer != nil:
		report("mutual_tls", "is for this installation's own authorization server; tokens that another binds to certificates are refused")
	case m.URL == "":
		if c.plays(roleAuthServer) {
			report(at("url"), "is missing; for example https://mtls.example.com")
		}
	case err != nil || u.Scheme != "https" || u.Host == "" || u.Host != strings.ToLower(u.Host) || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Port() == "443":
		report(at("url"), "%s is no base URL on https such as https://mtls.example.com (lower case, no path, no default port)", shown(m.URL))
	default:
		for _, role := range RoleNames {
			if other, err := url.Parse(c.URLs.of(role)); err == nil && c.URLs.of(role) != "" && other.Hostname() == u.Hostname() {
				report(at("url"), "has the same host as urls.%s; it needs its own, so that no browser asks people for a certificate", role)
			}
		}
	}
	if gateway, err := url.Parse(c.URLs.Gateway); err == nil && gateway.Scheme != "https" {
		report("mutual_tls", "needs urls.gateway on https: agents show their certificate there too")
	}
	if !c.endsTLS() && m.Header == "" {
		report("mutual_tls", "needs tls, so that agents can show certificates here, or header and proxies, if a proxy ends TLS")
	}
	if m.Header != "" && !headerName.MatchString(m.Header) {
		report(at("header"), "%q is no name of a header such as Client-Cert", m.Header)
	}
	if (m.Header == "") != (len(m.Proxies) == 0) {
		report(at("proxies"), "header and proxies need each other: a header from anybody proves nothing")
	}
	for i, p := range m.Proxies {
		if prefix, err := parsePrefix(p); err != nil || prefix.Bits() == 0 {
			report(fmt.Sprintf("mutual_tls.proxies[%d]", i), "%q is no address or range such as 10.0.0.5 or 10.1.0.0/24", p)
		}
	}
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Unmap().Prefix(a.Unmap().BitLen())
}

// certificates says where those of agents are.
func (c *Config) certificates() httpserver.Certificates {
	var found httpserver.Certificates
	if c.MutualTLS == nil {
		return found
	}
	found.Header = c.MutualTLS.Header
	for _, p := range c.MutualTLS.Proxies {
		if prefix, err := parsePrefix(p); err == nil { // Validate has parsed it
			found.Proxies = append(found.Proxies, prefix)
		}
	}
	return found
}

// mutualTLS is what the authorization server knows clients with certificates
// by; nil if it knows none.
func (c *Config) mutualTLS() (*authserver.MutualTLS, error) {
	if c.MutualTLS == nil {
		return nil, nil
	}
	m := &authserver.MutualTLS{URL: c.MutualTLS.URL, Certificates: c.certificates()}
	if path := c.MutualTLS.Authorities; path != "" {
		text, err := os.ReadFile(c.Path(path))
		if err != nil {
			return nil, fmt.Errorf("mutual_tls.authorities: %w", err)
		}
		m.Authorities = x509.NewCertPool()
		if !m.Authorities.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("mutual_tls.authorities: %s holds no PEM certificate", path)
		}
	}
	return m, nil
}

// ListenerTLS returns what the listener needs to end TLS with certificate. It
// asks for the certificates of clients where agents come that have one, and
// verifies none: whose they are, the roles decide.
func (c *Config) ListenerTLS(certificate tls.Certificate) *tls.Config {
	plain := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.MutualTLS == nil {
		return plain
	}
	var hosts []string
	for _, base := range []string{c.MutualTLS.URL, c.URLs.Gateway} {
		if u, err := url.Parse(base); err == nil && u.Host != "" { // Validate has parsed it
			hosts = append(hosts, u.Hostname())
		}
	}
	asking := plain.Clone()
	asking.ClientAuth = tls.RequestClientCert
	plain.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hosts, strings.ToLower(hello.ServerName)) {
			return asking, nil
		}
		return nil, nil //nolint:nilnil // tls: the original one
	}
	return plain
}

// certificateEndpoints is the part of the authorization server for programs
// with certificates (RFC 8705 §5). No page is served there: whoever trusts the
// address of the pages need not know this one.
func certificateEndpoints(authServer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token", "/revoke", "/introspect":
			authServer.ServeHTTP(w, r)
		default:
			httpserver.WriteProblem(w, httpserver.Problem{Status: http.StatusNotFound, Title: "Not found",
				Detail: "Only /token, /revoke and /introspect are here, for clients with certificates. Everything else is at the issuer's address."})
		}
	})
}
