package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/gateway"
)

// security.md 14: listing without a token is opt-in per API; calls need one
// all the same, a presented invalid token is 401 even where none is needed, and
// what exists and what does not answer alike to nobody.
func TestOpenListing(t *testing.T) {
	w := newWorld(t, func(s *gateway.Server) { s.APIs[0].OpenListing = true })
	for _, q := range []request{
		modern("", "tools/list", nil), modern("", "server/discover", nil),
		legacy("", "2025-11-25", "tools/list", nil), legacy("", "2025-11-25", "ping", nil),
	} {
		if rec := w.do(q); rec.Code != http.StatusOK {
			t.Errorf("%v without a token: %d %s", q, rec.Code, rec.Body)
		}
	}
	var challenges []string
	for _, q := range []request{
		modern("", "tools/call", map[string]any{"name": "fetch-users"}), modern("", "tools/call", map[string]any{"name": "create-user"}),
		modern("", "tools/call", map[string]any{"name": "no-such-tool"}), modern("", "no/such-method", nil), modern("", "resources/read", map[string]any{"uri": "x:y"}),
	} {
		rec := w.do(q)
		if rec.Code != http.StatusUnauthorized {
			t.Errorf("%v without a token: %d %s", q, rec.Code, rec.Body)
		}
		challenges = append(challenges, rec.Header().Get("WWW-Authenticate"))
	}
	for _, c := range challenges {
		if c != challenges[0] || strings.Contains(c, "users:write") {
			t.Errorf("challenges tell tools apart: %q", challenges)
		}
	}
	if rec := w.do(modern("unknown-token", "tools/list", nil)); rec.Code != http.StatusUnauthorized {
		t.Errorf("an invalid token where none is needed: %d", rec.Code)
	}
	if len(w.api.requests()) != 0 {
		t.Error("the API was called")
	}
}

// The default needs a token for everything.
func TestListingIsClosedByDefault(t *testing.T) {
	w := newWorld(t, nil)
	if rec := w.do(modern("", "tools/list", nil)); rec.Code != http.StatusUnauthorized {
		t.Errorf("%d", rec.Code)
	}
}
