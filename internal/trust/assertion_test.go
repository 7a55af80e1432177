package trust_test

import (
	"errors"
	"maps"
	"testing"

	"gatehouse/internal/jose"
	"gatehouse/internal/trust"
)

// idJAG is what an identity provider says (draft-ietf-oauth-identity-assertion-
// authz-grant §3.1).
func idJAG(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": "https://idp.example", "sub": "U019488227", "aud": here, "client_id": "desk", "jti": "j1", "exp": now.Unix() + 300, "iat": now.Unix(),
		"resource": "https://mcp.example.com/orders", "scope": "orders:read", "email": "ana@corp.example", "email_verified": true, "auth_time": now.Unix() - 60,
	}
	maps.Copy(claims, change)
	return claims
}

func provider(t testing.TB, p platform, people trust.People) *trust.Trust {
	t.Helper()
	return believe(t, trust.Issuer{Name: "corp", Kind: trust.IdentityProvider, Issuer: "https://idp.example", Keys: p.set, SingleUse: true, People: people})
}

// TestPerson is R-AS-EMA as far as the assertion alone goes.
func TestPerson(t *testing.T) {
	p := newPlatform(t)
	desk := []trust.Pattern{pattern(t, "desk")}
	email := trust.People{Claim: "email", Domain: "corp.example", Clients: desk}
	for name, c := range map[string]struct {
		typ    string
		change map[string]any
		client string
		person string
		want   error
	}{
		"good":                            {trust.IDJAGType, nil, "desk", "ana", nil},
		"media type in full":              {"application/OAuth-ID-JAG+jwt", nil, "desk", "ana", nil},
		"no typ":                          {"JWT", nil, "desk", "", jose.ErrType},
		"another client presents it":      {trust.IDJAGType, nil, "evil", "", trust.ErrUntrusted},
		"for another client":              {trust.IDJAGType, map[string]any{"client_id": "other"}, "desk", "", trust.ErrUntrusted},
		"for a client it may not send":    {trust.IDJAGType, map[string]any{"client_id": "other"}, "other", "", trust.ErrUntrusted},
		"for no client":                   {trust.IDJAGType, map[string]any{"client_id": nil}, "desk", "", trust.ErrUntrusted},
		"for another issuer":              {trust.IDJAGType, map[string]any{"aud": "https://other.example"}, "desk", "", jose.ErrAudience},
		"for another issuer too":          {trust.IDJAGType, map[string]any{"aud": []string{here, "https://other.example"}}, "desk", "", jose.ErrAudience},
		"without jti":                     {trust.IDJAGType, map[string]any{"jti": nil}, "desk", "", trust.ErrUntrusted},
		"expired":                         {trust.IDJAGType, map[string]any{"exp": now.Unix() - 60}, "desk", "", jose.ErrExpired},
		"issued in the future":            {trust.IDJAGType, map[string]any{"iat": now.Unix() + 60}, "desk", "", jose.ErrExpired},
		"of another domain":               {trust.IDJAGType, map[string]any{"email": "ana@evil.example"}, "desk", "", trust.ErrUntrusted},
		"with a second @":                 {trust.IDJAGType, map[string]any{"email": "ana@evil@corp.example"}, "desk", "", trust.ErrUntrusted},
		"whose e-mail is not verified":    {trust.IDJAGType, map[string]any{"email_verified": false}, "desk", "", trust.ErrUntrusted},
		"without e-mail":                  {trust.IDJAGType, map[string]any{"email": nil}, "desk", "", trust.ErrUntrusted},
		"bound to a key":                  {trust.IDJAGType, map[string]any{"cnf": map[string]any{"jkt": "x"}}, "desk", "", trust.ErrUntrusted},
		"with details (RFC 9396)":         {trust.IDJAGType, map[string]any{"authorization_details": []any{map[string]any{"type": "x"}}}, "desk", "", trust.ErrUntrusted},
		"with an actor":                   {trust.IDJAGType, map[string]any{"act": map[string]any{"sub": "x"}}, "desk", "", trust.ErrUntrusted},
		"with a scope that is no text":    {trust.IDJAGType, map[string]any{"scope": []string{"a"}}, "desk", "", trust.ErrUntrusted},
		"with a resource that is no text": {trust.IDJAGType, map[string]any{"resource": []string{"a", "b"}}, "desk", "", trust.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			tr := provider(t, p, email)
			token := p.sign(t, c.typ, idJAG(c.change))
			got, err := tr.Person(t.Context(), token, c.client, now)
			if !errors.Is(err, c.want) || got.Name != c.person {
				t.Errorf("person %q, error %v; want %q, %v", got.Name, err, c.person, c.want)
			}
			if err == nil && (got.Use == "" || got.Scope != "orders:read" || got.Resource != "https://mcp.example.com/orders" || got.AuthTime != now.Unix()-60) {
				t.Errorf("%+v", got)
			}
			// Nothing falls through (security.md 9).
			if _, err := tr.Workload(t.Context(), token, now); !errors.Is(err, trust.ErrUntrusted) {
				t.Errorf("as a workload: %v", err)
			}
		})
	}
}

func TestIsIDJAG(t *testing.T) {
	p := newPlatform(t)
	for typ, want := range map[string]bool{trust.IDJAGType: true, "application/oauth-id-jag+JWT": true, "JWT": false, "at+jwt": false} {
		if trust.IsIDJAG(p.sign(t, typ, idJAG(nil))) != want {
			t.Errorf("typ %s: not %v", typ, want)
		}
	}
	if trust.IsIDJAG("x") {
		t.Error("nonsense is an ID-JAG")
	}
}
