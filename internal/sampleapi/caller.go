package sampleapi

import (
	"math"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
)

// A caller is what an access token says about who asks, as far as it decides
// something here.
type caller struct {
	region    string // whose customers it may see; empty: nobody's
	assurance int    // how well the agent is known; 0, the lowest, unless the token says otherwise
}

// newCaller reads the claims that are this API's own. Whatever is missing or
// has an unexpected form gives the least (security.md 20), whether or not the
// token has an act.
func newCaller(claims *jose.AccessClaims) caller {
	var c caller
	if region, _ := claims.Extra["region"].(string); slices.Contains(regions(), region) {
		c.region = region
	}
	clientType, _ := claims.Extra["client_type"].(string)
	level, _ := claims.Extra["client_assurance_level"].(float64)
	if clientType != "" && level == math.Trunc(level) && 0 < level && level <= 9 {
		c.assurance = int(level)
	}
	return c
}

// protected serves an operation to callers whose token has its scope, and is
// the only writer of its failures.
func (s *Server) protected(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := s.authenticate(r, rt.scope)
		if err == nil {
			err = rt.serve(w, r, c)
		}
		if err != nil {
			httpserver.WriteProblem(w, s.asProblem(w.Header(), r, rt.scope, err))
		}
	})
}

// authenticate returns who asks, if the token is valid here and has scope.
func (s *Server) authenticate(r *http.Request, scope string) (caller, error) {
	ctx := r.Context()
	claims, err := s.Verifier.Verify(ctx, r)
	if err != nil {
		return caller{}, err
	}
	// Identifiers only: they lead from this event to the gateway's records.
	httpserver.Note(ctx, "jti", claims.ID)
	httpserver.Note(ctx, "sub", claims.Subject)
	httpserver.Note(ctx, "act", actors(claims.Act))
	if !slices.Contains(strings.Fields(claims.Scope), scope) {
		return caller{}, &resource.ScopeError{Needed: []string{scope}}
	}
	return newCaller(claims), nil
}

// actors names those who act for the subject, the present one first
// (RFC 8693 §4.1).
func actors(a *jose.Actor) string {
	var subs []string
	for ; a != nil; a = a.Act {
		subs = append(subs, a.Sub)
	}
	return strings.Join(subs, " ")
}
