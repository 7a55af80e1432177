package httpserver

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CORS lets scripts of listed web origins call the handlers it wraps, without
// credentials: no cookie ever counts on them. A request with any other Origin
// is refused with 403, which also ends DNS rebinding (MCP, Streamable HTTP:
// servers MUST validate Origin). A request without Origin comes from no script
// of another site and passes.
type CORS struct {
	// Origins lists whole origins such as https://app.example.com. A loopback
	// origin without port (http://localhost, http://127.0.0.1, http://[::1])
	// stands for each of its ports, http://*.localhost for each name below
	// localhost and each port.
	Origins []string
	Methods []string // that scripts may use
	// RequestHeaders are those that scripts may send beside Accept,
	// Authorization and Content-Type. A trailing * makes a prefix: Mcp-Param-*.
	RequestHeaders []string
	// ResponseHeaders are those that scripts may read, beside WWW-Authenticate.
	ResponseHeaders []string
}

// preflightSeconds is how long browsers remember an answer.
const preflightSeconds = "600"

// maxRequestHeaders bounds the names that a preflight asks for.
const maxRequestHeaders = 64

// Wrap returns next behind the check.
func (c CORS) Wrap(next http.Handler) http.Handler {
	methods := strings.Join(c.Methods, ", ")
	exposed := strings.Join(append([]string{"WWW-Authenticate"}, c.ResponseHeaders...), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origins := r.Header.Values("Origin")
		if len(origins) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if len(origins) > 1 || !c.allows(origins[0]) {
			Note(r.Context(), "refused", "origin is not allowed")
			WriteProblem(w, Problem{Status: http.StatusForbidden, Title: "Origin not allowed",
				Detail: "Scripts of this web origin may not call this server. The operator can list it under allowed_origins."})
			return
		}
		h.Set("Access-Control-Allow-Origin", origins[0])
		// For readers outside of the page's own origin, as CORS is.
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Add("Vary", "Access-Control-Request-Headers")
			h.Set("Access-Control-Allow-Methods", methods)
			h.Set("Access-Control-Allow-Headers", c.requestHeaders(r))
			h.Set("Access-Control-Max-Age", preflightSeconds)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Access-Control-Expose-Headers", exposed)
		next.ServeHTTP(w, r)
	})
}

// requestHeaders returns the names a script may send, with those it asked for
// under an allowed prefix.
func (c CORS) requestHeaders(r *http.Request) string {
	names := []string{"Accept", "Authorization", "Content-Type"}
	var prefixes []string
	for _, name := range c.RequestHeaders {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			prefixes = append(prefixes, strings.ToLower(prefix))
		} else {
			names = append(names, name)
		}
	}
	asked := strings.Split(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",")
	for _, name := range asked[:min(len(asked), maxRequestHeaders)] {
		name = strings.ToLower(strings.TrimSpace(name))
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) && isToken(name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// isToken reports whether s is safe to repeat as a field name: a plain subset
// of the tokens of RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// allows compares origins as browsers serialise them, RFC 6454 §6.2.
func (c CORS) allows(origin string) bool {
	if slices.Contains(c.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return false
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	switch {
	case host == "localhost", host == "127.0.0.1", host == "[::1]":
		return slices.Contains(c.Origins, u.Scheme+"://"+host)
	case strings.HasSuffix(host, ".localhost"):
		return slices.Contains(c.Origins, u.Scheme+"://*.localhost")
	}
	return false
}
