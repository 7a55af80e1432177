package resource_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
)

const api = "https://api.example.com"

func goodClaims() jose.AccessClaims {
	now := time.Now()
	return jose.AccessClaims{
		Issuer: issuer, Subject: "alice", Audience: api, ClientID: "c", ID: "j", Scope: "users:read",
		IssuedAt: now.Unix(), ExpiresAt: now.Add(time.Minute).Unix(), Act: &jose.Actor{Sub: "gateway"},
	}
}

// R-RS-6, R-RS-7, R-RS-9: expired, foreign, tampered and wrongly typed tokens.
func TestVerify(t *testing.T) {
	signer, key := newSigner(t)
	stranger, _ := newSigner(t)
	v := &resource.Verifier{Issuer: issuer, Audience: api, Keys: &jose.RemoteKeySet{
		URL: issuer + "/jwks",
		Client: &http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(jose.PublicSet(key))
		})}},
	}}
	sign := func(s *jose.Signer, typ string, change func(*jose.AccessClaims)) string {
		c := goodClaims()
		if change != nil {
			change(&c)
		}
		token, err := s.Sign(typ, c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := sign(signer, "at+jwt", nil)
	parts := strings.Split(good, ".")
	for _, c := range []struct {
		name, token string
		err         error
	}{
		{"good", good, nil},
		{"typ with application/", sign(signer, "application/at+jwt", nil), nil},
		{"expired", sign(signer, "at+jwt", func(c *jose.AccessClaims) { c.ExpiresAt = time.Now().Add(-time.Minute).Unix() }), resource.ErrInvalid},
		{"not yet valid", sign(signer, "at+jwt", func(c *jose.AccessClaims) { c.NotBefore = time.Now().Add(time.Minute).Unix() }), resource.ErrInvalid},
		{"other issuer", sign(signer, "at+jwt", func(c *jose.AccessClaims) { c.Issuer = "https://evil.example" }), resource.ErrInvalid},
		{"other audience", sign(signer, "at+jwt", func(c *jose.AccessClaims) { c.Audience = users }), resource.ErrInvalid},
		{"no client_id", sign(signer, "at+jwt", func(c *jose.AccessClaims) { c.ClientID = "" }), resource.ErrInvalid},
		{"no sub", sign(signer, "at+jwt", func(c *jose.AccessClaims) { c.Subject = "" }), resource.ErrInvalid},
		{"introspection answer, security.md 8", sign(signer, "token-introspection+jwt", nil), resource.ErrInvalid},
		{"client assertion", sign(signer, "client-authentication+jwt", nil), resource.ErrInvalid},
		{"plain JWT", sign(signer, "JWT", nil), resource.ErrInvalid},
		{"stranger's key", sign(stranger, "at+jwt", nil), resource.ErrInvalid},
		{"tampered payload", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin"}`)) + "." + parts[2], resource.ErrInvalid},
		{"alg none", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".", resource.ErrInvalid},
		{"opaque token", "gh_at_abcdefghijklmnopqrstuvwxyz", resource.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/users", nil)
			r.Header.Set("Authorization", "Bearer "+c.token)
			claims, err := v.Verify(t.Context(), r)
			if !errors.Is(err, c.err) {
				t.Fatalf("%v; want %v", err, c.err)
			}
			if err == nil && (claims.Subject != "alice" || claims.Scope != "users:read" || claims.Act.Sub != "gateway") {
				t.Errorf("claims %+v", claims)
			}
		})
	}
	if _, err := v.Verify(t.Context(), httptest.NewRequest("GET", "/users", nil)); !errors.Is(err, resource.ErrNoToken) {
		t.Errorf("without token: %v; want ErrNoToken", err)
	}
}

// An issuer that is down is not the token's fault: 503, not 401.
func TestVerifyWithoutKeys(t *testing.T) {
	signer, _ := newSigner(t)
	token, err := signer.Sign("at+jwt", goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	v := &resource.Verifier{Issuer: issuer, Audience: api, Keys: &jose.RemoteKeySet{
		URL:    issuer + "/jwks",
		Client: &http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })}},
	}}
	r := httptest.NewRequest("GET", "/users", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	if _, err := v.Verify(t.Context(), r); !errors.Is(err, resource.ErrUnavailable) || errors.Is(err, resource.ErrInvalid) {
		t.Errorf("%v; want ErrUnavailable", err)
	}
}
