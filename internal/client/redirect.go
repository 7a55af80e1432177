package client

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxURI bounds a URI in client metadata, in bytes.
const maxURI = 2048

// CheckRedirect says why uri cannot be registered as a redirect URI, or nil.
// Allowed are https anywhere and plain http on this computer (R-AS-17), on
// hosts in plainHTTP also (development_http, security.md 17).
// Refused: fragments, userinfo, and anything whose parsed form differs from
// what was written, so that what is compared later is what was meant.
func CheckRedirect(uri string, plainHTTP []string) error {
	if len(uri) > maxURI {
		return fmt.Errorf("it has more than %d bytes", maxURI)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return errors.New("it is no absolute URI with a host")
	}
	switch {
	case strings.Contains(uri, "#"):
		return errors.New("it has a fragment (RFC 6749 section 3.1.2)")
	case u.User != nil || strings.Contains(u.Host, "@"):
		return errors.New("it has a user name in it")
	case u.String() != uri || strings.ContainsAny(uri, "\\ *"):
		return errors.New("it has characters that need percent-encoding")
	case !plainHost(u):
		return errors.New("its host or port is not written as browsers read it")
	case !plainQuery(u.RawQuery):
		return errors.New("its query is not encoded correctly, or has a parameter that an answer has (code, state, iss, error)")
	case slices.Contains(strings.Split(u.Path, "/"), ".."), slices.Contains(strings.Split(u.Path, "/"), "."):
		return errors.New("it has dot segments in its path")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("its scheme is neither https nor http on this computer; a native app listens on http://127.0.0.1 (RFC 8252 section 7.3)")
	case IsLoopback(uri), slices.Contains(plainHTTP, u.Hostname()):
		return nil
	}
	return errors.New("plain http is for this computer only (localhost, 127.0.0.1, [::1]); use https")
}

// plainHost reports whether host and port are letters, digits, hyphens and dots
// (or an IP literal) and a real port: what else parses as a URL is read in other
// ways by other programs.
func plainHost(u *url.URL) bool {
	host := u.Hostname()
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != p {
			return false
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	for _, r := range host {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		default:
			return false
		}
	}
	return !strings.HasSuffix(host, ".") && !strings.HasPrefix(host, ".")
}

// plainQuery reports whether a registered query can stay as it is (RFC 6749
// §3.1.2) without being taken for part of an answer.
func plainQuery(query string) bool {
	values, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	for _, name := range []string{"code", "state", "iss", "error", "error_description", "error_uri"} {
		if values.Has(name) {
			return false
		}
	}
	return true
}

// IsLoopback reports whether a redirect URI points to the computer that the
// browser runs on (RFC 8252 §7.3, RFC 6761 §6.3).
func IsLoopback(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return interchangeable(host) || strings.HasSuffix(host, ".localhost")
}

func interchangeable(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// RedirectAllowed reports whether the redirect_uri of a request is one that
// the client registered: the same string (R-AS-17), save that on loopback the
// port is free, as RFC 8252 §7.3 demands, and so is the name of the loopback
// interface, since clients register localhost and then listen on 127.0.0.1.
func (c Client) RedirectAllowed(requested string) bool {
	if slices.Contains(c.RedirectURIs, requested) {
		return true
	}
	want, ok := loopbackRest(requested)
	if !ok {
		return false
	}
	for _, registered := range c.RedirectURIs {
		if have, ok := loopbackRest(registered); ok && have == want {
			return true
		}
	}
	return false
}

// loopbackRest returns what must be equal between two loopback redirect URIs:
// everything but the host and port.
func loopbackRest(uri string) (string, bool) {
	if CheckRedirect(uri, nil) != nil {
		return "", false
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || !interchangeable(strings.ToLower(u.Hostname())) {
		return "", false
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return path + "?" + u.RawQuery, true
}

// RedirectHost is what a person is shown of where an answer goes.
func RedirectHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}
