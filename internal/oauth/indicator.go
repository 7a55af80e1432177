package oauth

import (
	"errors"
	"net/url"
	"strings"
)

// ErrResource means that a resource parameter is no resource indicator.
var ErrResource = errors.New("resource must be an absolute http or https URI without fragment or userinfo")

// CanonicalResource returns the form under which a resource indicator
// (RFC 8707 §2) is compared: lower-case scheme and host, no default port, and
// no trailing slash on an origin, since `https://x` and `https://x/` are one
// resource and clients send both. A path keeps its slash: there it is part of
// the name.
func CanonicalResource(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.Contains(s, "#") || u.Opaque != "" {
		return "", ErrResource
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && scheme != "http" {
		return "", ErrResource
	}
	host := strings.ToLower(u.Host)
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return scheme + "://" + host + path, nil
}
