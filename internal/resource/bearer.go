// Package resource is the protected-resource side of OAuth: it reads bearer
// tokens from requests, finds out what they are worth (by introspection, or by
// verifying a JWT access token), challenges requests that lack one, and
// publishes the resource's metadata. An authorization server that is not
// Gatehouse's it finds by that server's metadata, and believes less.
//
// It knows who is asking and with which scopes, not what they may do: which
// scopes a call needs is its user's business.
package resource

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// Refusals. A Challenger turns them into answers.
var (
	// ErrNoToken: the request carries no bearer token.
	ErrNoToken = errors.New("no access token was presented")
	// ErrInvalid: the token is malformed, unknown, expired, revoked, or was
	// issued for another resource. Which of these is not told (RFC 6750 §3.1).
	ErrInvalid = errors.New("the access token is not valid at this resource")
	// ErrMalformed: the request presents tokens in a way that is not allowed
	// or not clear (RFC 6750 §3.1: invalid_request).
	ErrMalformed = errors.New("the access token must come once, in the Authorization header")
	// ErrUnavailable: nobody could be asked about the token. It may be valid,
	// so this is never answered with 401, which would make clients sign in anew.
	ErrUnavailable = errors.New("the authorization server cannot be asked about the access token")
)

// ScopeError says that a valid token lacks scopes.
type ScopeError struct {
	Needed []string // every scope that the request needs, held or not (R-RS-12)
}

func (e *ScopeError) Error() string {
	return "the access token lacks a scope; needed: " + strings.Join(e.Needed, " ")
}

// FreshError says that the person behind a valid token signed in too long ago,
// or not well enough, for what was asked.
type FreshError struct{ MaxAge time.Duration }

func (e *FreshError) Error() string {
	return "the person must have signed in within " + e.MaxAge.String()
}

// maxToken bounds a token, in bytes: opaque ones have some fifty, JWT access
// tokens with many claims a few thousand.
const maxToken = 8 << 10

// Bearer returns the access token of r. Only the Authorization header counts
// (RFC 6750 §2.1, OAuth 2.1 §5.1); the scheme's case does not matter. A token in
// the URL is refused even beside a good one, because URLs end up in logs.
//
// Errors are ErrNoToken, ErrInvalid and ErrMalformed.
func Bearer(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return "", ErrMalformed
	}
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", ErrNoToken
	}
	if len(values) > 1 {
		return "", ErrMalformed
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoToken
	}
	token = strings.Trim(token, " ")
	if len(token) > maxToken || !isToken68(token) {
		return "", ErrInvalid
	}
	return token, nil
}

// isToken68 reports whether s has the syntax of a bearer token, b64token in
// RFC 6750 §2.1.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return body != ""
}
