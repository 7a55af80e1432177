package authserver_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
)

// RFC 9701 §5, security.md 8: a signed answer is for its caller alone, carries
// the token's claims inside of one member, and is no access token.
func TestSignedIntrospection(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	for name, tt := range map[string]struct {
		token  string
		active bool
	}{"live": {token, true}, "unknown": {"gha_x", false}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/introspect", strings.NewReader(w.asGateway(url.Values{"token": {tt.token}}).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/token-introspection+jwt")
		resp, err := w.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("Content-Type") != "application/token-introspection+jwt" {
			t.Fatalf("%s: %d %s", name, resp.StatusCode, data)
		}
		parts := strings.Split(string(data), ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims struct {
			Iss, Aud, Scope, Sub string
			Introspection        struct {
				Active bool
				Scope  string
			} `json:"token_introspection"`
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		if claims.Iss != issuer || claims.Aud != "gateway" || claims.Scope != "" || claims.Sub != "" || claims.Introspection.Active != tt.active {
			t.Errorf("%s: %s", name, payload)
		}
		var access jose.AccessClaims
		if err := jose.Verify(string(data), w.Keys, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "gateway", Now: time.Now()}, &access); err == nil {
			t.Errorf("%s: it passes for an access token", name)
		}
	}
}
