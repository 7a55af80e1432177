package mcpclient

import "net/http"

// ParseChallenge exposes the parser to its tests.
func ParseChallenge(h http.Header) (bearer bool, metadata, code string, scope []string) {
	c := parseChallenge(h)
	return c.bearer, c.resourceMetadata, c.code, c.scope
}
