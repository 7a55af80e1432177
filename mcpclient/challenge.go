package mcpclient

import (
	"net/http"
	"strconv"
	"strings"

	"gatehouse/internal/oauth"
)

// challenge is what a server's WWW-Authenticate headers say for scheme Bearer
// (RFC 6750 §3, RFC 9728 §5.1).
type challenge struct {
	bearer           bool // there was one
	resourceMetadata string
	code             string
	description      string
	scope            []string
	maxAge           int // seconds since the person signed in that are accepted (RFC 9470 §3); 0: it does not say
}

// maxChallenge bounds a header that is parsed, in bytes.
const maxChallenge = 8 << 10

// parseChallenge reads the first Bearer challenge (R-CL-2). Several challenges
// may stand in one header, or in several.
func parseChallenge(h http.Header) challenge {
	for _, value := range h.Values("WWW-Authenticate") {
		if len(value) > maxChallenge {
			continue
		}
		for _, one := range splitChallenges(value) {
			if !strings.EqualFold(one.scheme, "Bearer") {
				continue
			}
			c := challenge{bearer: true, resourceMetadata: one.params["resource_metadata"], code: one.params["error"], description: one.params["error_description"]}
			if scope, err := oauth.ParseScope(one.params["scope"]); err == nil {
				c.scope = scope
			}
			if age, err := strconv.Atoi(one.params["max_age"]); err == nil && age > 0 {
				c.maxAge = age
			}
			return c
		}
	}
	return challenge{}
}

type authChallenge struct {
	scheme string
	params map[string]string
}

// splitChallenges reads RFC 9110 §11.6.1: schemes, each followed by parameters
// that are separated by commas like the challenges themselves. What is
// malformed ends the reading.
func splitChallenges(s string) []authChallenge {
	var all []authChallenge
	for {
		s = strings.TrimLeft(s, " \t,")
		word := leadingToken(s)
		if word == "" {
			return all
		}
		rest := strings.TrimLeft(s[len(word):], " \t")
		if !strings.HasPrefix(rest, "=") || len(all) == 0 {
			all = append(all, authChallenge{word, map[string]string{}})
			s = s[len(word):]
			continue
		}
		rest = strings.TrimLeft(rest, "=") // token68 may end with several
		value, after, ok := parameterValue(strings.TrimLeft(rest, " \t"))
		if !ok {
			return all
		}
		last := all[len(all)-1]
		if name := strings.ToLower(word); last.params[name] == "" {
			last.params[name] = value
		}
		s = after
	}
}

// parameterValue reads a token or quoted string.
func parameterValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value = leadingToken(s)
		return value, s[len(value):], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// leadingToken returns the token that s begins with (RFC 9110 §5.6.2); it allows "/"
// and ":" besides, which servers leave unquoted in URLs.
func leadingToken(s string) string {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(),;<=>?@[\]{}"`, c) >= 0 {
			return s[:i]
		}
	}
	return s
}
