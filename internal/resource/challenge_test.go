package resource_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/internal/resource"
)

// R-RS-3, R-RS-4, R-RS-9, R-RS-10, R-RS-11, R-RS-12; RFC 6750 §3.1.
func TestChallenge(t *testing.T) {
	const meta = `resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/users"`
	for _, c := range []struct {
		name      string
		err       error
		status    int
		challenge string
		retry     string
		body      string // its error member
	}{
		{"no token", resource.ErrNoToken, 401, `Bearer scope="users:read orders:read", ` + meta, "", "invalid_token"},
		{"invalid token", fmt.Errorf("x: %w", resource.ErrInvalid), 401, `Bearer error="invalid_token", error_description="the access token is expired, revoked, malformed or was issued for another resource; get a new one", scope="users:read orders:read", ` + meta, "", "invalid_token"},
		{"malformed", resource.ErrMalformed, 400, `Bearer error="invalid_request", error_description="send the access token once, in the Authorization header, and nowhere else", scope="users:read orders:read", ` + meta, "", "invalid_request"},
		{"too old a sign-in (RFC 9470 section 3)", &resource.FreshError{MaxAge: 5 * time.Minute}, 401, `Bearer error="insufficient_user_authentication", error_description="this takes a sign-in of the last few minutes; send the person through sign-in with the max_age named here", scope="users:read orders:read", max_age="300", ` + meta, "", "insufficient_user_authentication"},
		{"scope", &resource.ScopeError{Needed: []string{"users:write", "refunds:create"}}, 403, `Bearer error="insufficient_scope", error_description="this needs an access token with the scopes named here", scope="users:write refunds:create", ` + meta, "", "insufficient_scope"},
		{"unavailable", fmt.Errorf("%w: dial", resource.ErrUnavailable), 503, "", "2", "temporarily_unavailable"},
		{"unknown", errors.New("secret detail"), 500, "", "", "server_error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			resource.Challenger{
				MetadataURL: "https://mcp.example.com/.well-known/oauth-protected-resource/users",
				Scopes:      []string{"users:read", "orders:read"},
			}.Write(w, c.err)
			if w.Code != c.status {
				t.Errorf("status %d; want %d", w.Code, c.status)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != c.challenge {
				t.Errorf("WWW-Authenticate\n got %s\nwant %s", got, c.challenge)
			}
			if got := w.Header().Get("Retry-After"); got != c.retry {
				t.Errorf("Retry-After %q; want %q", got, c.retry)
			}
			if got := jsonMember(t, w.Body.Bytes(), "error"); got != c.body {
				t.Errorf("error %q; want %q", got, c.body)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("the answer can be cached")
			}
		})
	}
}
