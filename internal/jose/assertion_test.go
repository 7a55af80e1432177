package jose_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
)

const (
	assertionHeader  = `{"alg":"ES256","typ":"client-authentication+jwt","kid":"k1"}`
	assertionPayload = `{"iss":"agent","sub":"agent","aud":"https://login.example.com","exp":1800000060,"iat":1800000000,"jti":"j1"}`
)

var audiences = []string{issuer, issuer + "/token"}

func TestAssertionIsAccepted(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 3 {
		token, err := jose.Assertion(signer, "gateway", issuer, now)
		if err != nil {
			t.Fatal(err)
		}
		if sub := jose.UnverifiedSubject(token); sub != "gateway" {
			t.Errorf("subject is %q", sub)
		}
		jti, remember, err := jose.VerifyAssertion(token, set, "gateway", audiences, now)
		if err != nil {
			t.Fatal(err)
		}
		if seen[jti] || len(jti) < 20 {
			t.Errorf("jti %q is no new random value", jti)
		}
		seen[jti] = true
		// As long as the assertion would be accepted, its jti is remembered.
		if _, _, err := jose.VerifyAssertion(token, set, "gateway", audiences, remember.Add(-1)); err != nil {
			t.Errorf("refused while remembered: %v", err)
		}
		if _, _, err := jose.VerifyAssertion(token, set, "gateway", audiences, remember); !errors.Is(err, jose.ErrExpired) {
			t.Errorf("accepted when forgotten: %v", err)
		}
	}
}

// TestVerifyAssertionJudges is RFC 7523 §3 and draft-ietf-oauth-rfc7523bis.
func TestVerifyAssertionJudges(t *testing.T) {
	f, evil := newForge(t, "k1"), newForge(t, "k1")
	header := func(old, new string) string {
		return f.sign(t, strings.Replace(assertionHeader, old, new, 1), assertionPayload)
	}
	payload := func(old, new string) string {
		return f.sign(t, assertionHeader, strings.Replace(assertionPayload, old, new, 1))
	}
	aud := `"aud":"https://login.example.com"`
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"good":                   {f.sign(t, assertionHeader, assertionPayload), nil},
		"typ JWT":                {header("client-authentication+jwt", "JWT"), nil},
		"no typ":                 {header(`"typ":"client-authentication+jwt",`, ""), nil},
		"token endpoint":         {payload("login.example.com", "login.example.com/token"), nil},
		"array of one":           {payload(aud, `"aud":["https://login.example.com"]`), nil},
		"an access token":        {header("client-authentication+jwt", "at+jwt"), jose.ErrType},
		"ID-JAG (security.md 9)": {header("client-authentication+jwt", "oauth-id-jag+jwt"), jose.ErrType},
		"another key":            {evil.sign(t, assertionHeader, assertionPayload), jose.ErrSignature},
		"another issuer":         {payload(`"iss":"agent"`, `"iss":"evil"`), jose.ErrIssuer},
		"another subject":        {payload(`"sub":"agent"`, `"sub":"evil"`), jose.ErrIssuer},
		"another server":         {payload("login.example.com", "evil.example"), jose.ErrAudience},
		"another server as well": {payload(aud, `"aud":["https://login.example.com","https://evil.example"]`), jose.ErrAudience},
		"no audience":            {payload(aud+",", ""), jose.ErrAudience},
		"empty audience":         {payload(aud, `"aud":""`), jose.ErrAudience},
		"expired":                {payload("1800000060", "1799999970"), jose.ErrExpired},
		"five minutes":           {payload("1800000060", "1800000300"), nil},
		"a day":                  {payload("1800000060", "1800086400"), jose.ErrExpired},
		"no exp":                 {payload(`"exp":1800000060,`, ""), jose.ErrMalformed},
		"no jti":                 {payload(`,"jti":"j1"`, ""), jose.ErrMalformed},
		"endless jti":            {payload(`"j1"`, `"`+strings.Repeat("j", 257)+`"`), jose.ErrMalformed},
		"jti twice":              {payload("{", `{"jti":"j0",`), jose.ErrMalformed},
		"issued in the future":   {payload(`"iat":1800000000`, `"iat":1800000040`), jose.ErrExpired},
		"issued by a fast clock": {payload(`"iat":1800000000`, `"iat":1800000020`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			jti, remember, err := jose.VerifyAssertion(c.token, f.set(t), "agent", audiences, now)
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if err != nil && (jti != "" || !remember.IsZero()) {
				t.Error("a refused assertion has a jti")
			}
		})
	}
	if _, _, err := jose.VerifyAssertion(f.sign(t, assertionHeader, strings.ReplaceAll(assertionPayload, "agent", "")), f.set(t), "", audiences, now); err == nil {
		t.Error("the empty client was authenticated")
	}
}

func TestUnverifiedSubject(t *testing.T) {
	f := newForge(t, "k1")
	for token, want := range map[string]string{
		f.sign(t, assertionHeader, assertionPayload):            "agent",
		f.sign(t, assertionHeader, `{"sub":7}`):                 "",
		f.sign(t, assertionHeader, `{"sub":"a","sub":"b"}`):     "",
		f.sign(t, `{"alg":"ES256","jwk":{}}`, assertionPayload): "",
		"":      "",
		"x.y.z": "",
	} {
		if got := jose.UnverifiedSubject(token); got != want {
			t.Errorf("subject of %q is %q, want %q", token, got, want)
		}
	}
}

// TestExtraNeverOverrides: a configured claim cannot become a registered one.
func TestExtraNeverOverrides(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "act", "auth_time", "acr", "cnf"} {
		c := jose.AccessClaims{Subject: "alice", ExpiresAt: time.Now().Unix(), Extra: map[string]any{name: "x"}}
		if _, err := signer.Sign("at+jwt", c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("claim %s: error is %v", name, err)
		}
	}
}
