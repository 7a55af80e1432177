package oauth

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of a scope parameter: what a person could still read, and then some.
const (
	maxScopes      = 100
	maxScopeLength = 4096
)

// ParseScope splits a scope parameter (RFC 6749 §3.3) into its tokens, in
// order and without repetitions. An empty string is no scope.
func ParseScope(s string) ([]string, error) {
	if len(s) > maxScopeLength {
		return nil, NewError(InvalidScope, fmt.Sprintf("scope has more than %d characters; ask for fewer", maxScopeLength))
	}
	var scopes []string
	for token := range strings.FieldsSeq(s) {
		if !ValidScopeToken(token) {
			return nil, NewError(InvalidScope, "scope contains a character that RFC 6749 section 3.3 does not allow")
		}
		if !slices.Contains(scopes, token) {
			scopes = append(scopes, token)
		}
	}
	if len(scopes) > maxScopes {
		return nil, NewError(InvalidScope, fmt.Sprintf("more than %d scopes were asked for; ask for fewer", maxScopes))
	}
	return scopes, nil
}

// ValidScopeToken reports whether s is a scope-token (RFC 6749 §3.3).
func ValidScopeToken(s string) bool {
	for _, r := range s {
		if r < 0x21 || r > 0x7e || r == '"' || r == '\\' {
			return false
		}
	}
	return s != ""
}

// FormatScope joins scopes into a scope parameter.
func FormatScope(scopes []string) string { return strings.Join(scopes, " ") }

// Intersect returns the members of a that b has, in a's order.
func Intersect(a, b []string) []string {
	var both []string
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}

// Subset reports whether every member of a is in b.
func Subset(a, b []string) bool {
	return len(Intersect(a, b)) == len(a)
}

// Union returns a's members and then those of b that a lacks.
func Union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// Without returns the members of a that b lacks, in a's order.
func Without(a, b []string) []string {
	var rest []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			rest = append(rest, s)
		}
	}
	return rest
}
