package sampleapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
)

// RFC 6750 §3.1: no token, no error code; the problem says what to send. R-RS-10.
func TestRequestWithoutTokenIsToldWhatToSend(t *testing.T) {
	a := start(t)
	for _, h := range []http.Header{{}, {"Authorization": {"Basic dXNlcjpwYXNz"}}} {
		got := a.send("GET", "/users", "", h)
		detail := a.detail(got, 401)
		if c := got.header.Values("WWW-Authenticate"); len(c) != 1 || c[0] != `Bearer scope="users:read"` {
			t.Errorf("challenge %q", c)
		}
		for _, part := range []string{"Authorization: Bearer", issuer, audience, "users:read", "/openapi.yaml"} {
			if !strings.Contains(detail, part) {
				t.Errorf("detail %q does not name %s", detail, part)
			}
		}
	}
	if got := a.do("", "HEAD", "/users", ""); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("HEAD without token: %d", got.status)
	}
}

// R-RS-6, R-RS-7, R-RS-9 and security.md 8: whatever is wrong with a token, it
// is 401 invalid_token, and nothing is shown or done.
func TestBadTokensAreRefused(t *testing.T) {
	a := start(t)
	other, _ := newSigner(t)
	sign := func(s *jose.Signer, typ string, change func(*jose.AccessClaims)) string {
		c := claims("USA")
		change(&c)
		token, err := s.Sign(typ, c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	same := func(*jose.AccessClaims) {}
	good := sign(a.signer, "at+jwt", same)
	a.want(a.do(good, "GET", "/users/1", ""), 200)

	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"expired": sign(a.signer, "at+jwt", func(c *jose.AccessClaims) {
			c.IssuedAt, c.ExpiresAt = time.Now().Unix()-600, time.Now().Unix()-60
		}),
		"without expiry":      sign(a.signer, "at+jwt", func(c *jose.AccessClaims) { c.ExpiresAt = 0 }),
		"not yet valid":       sign(a.signer, "at+jwt", func(c *jose.AccessClaims) { c.NotBefore = time.Now().Unix() + 600 }),
		"other audience":      sign(a.signer, "at+jwt", func(c *jose.AccessClaims) { c.Audience = "https://mcp.example" }),
		"other issuer":        sign(a.signer, "at+jwt", func(c *jose.AccessClaims) { c.Issuer = "https://evil.example" }),
		"without subject":     sign(a.signer, "at+jwt", func(c *jose.AccessClaims) { c.Subject = "" }),
		"typ JWT":             sign(a.signer, "JWT", same),
		"introspection":       sign(a.signer, "token-introspection+jwt", same),
		"key of someone else": sign(other, "at+jwt", same),
		"alg none":            b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
		"changed": parts[0] + "." + b64(bytes.Replace(payload, []byte(`"USA"`), []byte(`"Asia"`), 1)) +
			"." + parts[2],
		"opaque":  "gh_at_c29tZXRoaW5nIG9wYXF1ZQ",
		"no JWT":  "a.b.c",
		"garbage": "ä",
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "DELETE"} {
				got := a.do(token, method, "/users/2", "")
				if got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Bearer error="invalid_token"`) {
					t.Errorf("%s: %d with challenge %q: %s", method, got.status, got.header.Get("WWW-Authenticate"), got.body)
				}
			}
		})
	}
}

// RFC 6750 §2: a token is taken from the one place where it belongs.
func TestTokensElsewhereAreRefused(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	a.want(a.send("GET", "/users?access_token="+token, "", http.Header{}), 400)
	a.want(a.send("GET", "/users", "", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}), 400)
	a.want(a.send("GET", "/users", "", http.Header{"Authorization": {"bearer " + token}}), 200)
}

// R-RS-11: 403 insufficient_scope names what this operation needs, and nothing
// is done.
func TestEachOperationDemandsItsScope(t *testing.T) {
	a := start(t)
	scopes := strings.Fields(allScope)
	for _, op := range []struct{ method, path, body, scope string }{
		{"GET", "/users", "", "users:read"},
		{"POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com"}`, "users:write"},
		{"GET", "/users/1", "", "users:read"},
		{"PATCH", "/users/1", `{"status":"paused"}`, "users:write"},
		{"DELETE", "/users/1", "", "users:write"},
		{"GET", "/users/1/orders", "", "orders:read"},
		{"POST", "/users/1/orders/1007/refunds", `{"reason":"broken"}`, "refunds:create"},
	} {
		others := claims("USA")
		others.Scope = ""
		for _, s := range scopes {
			if s != op.scope {
				others.Scope += " " + s
			}
		}
		none := claims("USA")
		none.Scope = ""
		for _, c := range []jose.AccessClaims{others, none} {
			got := a.do(a.token(c), op.method, op.path, op.body)
			if detail := a.detail(got, 403); !strings.Contains(detail, op.scope) {
				t.Errorf("%s %s: detail %q does not name %s", op.method, op.path, detail, op.scope)
			}
			challenge := got.header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, `Bearer error="insufficient_scope"`) || !strings.Contains(challenge, `scope="`+op.scope+`"`) {
				t.Errorf("%s %s: challenge %q", op.method, op.path, challenge)
			}
		}
		only := claims("USA")
		only.Scope = op.scope
		if got := a.do(a.token(only), op.method, op.path+"?x=1", op.body); got.status == 403 || got.status == 401 {
			t.Errorf("%s %s with scope %s alone: %d", op.method, op.path, op.scope, got.status)
		}
	}
	a.want(a.do(a.token(claims("USA")), "GET", "/users/1", ""), 200)
}

// Keys that cannot be had are our trouble, not the token's: no 401, which would
// make clients sign in anew.
func TestMissingKeysAreNotTheTokensFault(t *testing.T) {
	a := start(t)
	down := httptest.NewServer(http.NotFoundHandler())
	defer down.Close()
	a.server.Verifier.Keys = &jose.RemoteKeySet{URL: down.URL, Client: down.Client()}
	got := a.do(a.token(claims("USA")), "GET", "/users", "")
	a.want(got, 503)
	if got.header.Get("Retry-After") == "" || got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("503 with headers %v", got.header)
	}
}

// A failure of ours says nothing of its cause outside, and all of it inside.
func TestServerErrorsRevealNothing(t *testing.T) {
	a := start(t)
	if err := a.db.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := &httpserver.Server{
		Hosts: map[string]http.Handler{"api.example": a.server.Handler()},
		Log:   slog.New(slog.NewJSONHandler(&log, nil)),
	}
	r := httptest.NewRequestWithContext(context.Background(), "GET", "http://api.example/users", nil)
	r.Header.Set("Authorization", "Bearer "+a.token(claims("USA")))
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	if w.Code != 500 || strings.Contains(w.Body.String(), "database") || !strings.Contains(w.Body.String(), "urn:gatehouse:request:") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var event map[string]any
	if err := json.Unmarshal(log.Bytes(), &event); err != nil {
		t.Fatal(err)
	}
	if cause, _ := event["refused"].(string); !strings.Contains(cause, "list customers") {
		t.Errorf("the event has no cause: %s", log.String())
	}
	// The identifiers of the token, and none of its other claims.
	if event["jti"] != "jti-1" || event["sub"] != "acct-1" || event["act"] != "gateway agent-1" || strings.Contains(log.String(), "USA") {
		t.Errorf("event %s", log.String())
	}
}
