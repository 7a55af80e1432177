package resource_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
)

// foreignServer introspects every token as told, for a client that has a key or
// a secret.
func foreignServer(t *testing.T, p *publisher, status int, told any, asked func(*http.Request)) *resource.AuthorizationServer {
	t.Helper()
	signer, _ := newSigner(t)
	peers := &http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			p.ServeHTTP(w, r)
			return
		}
		_ = r.ParseForm()
		if asked != nil {
			asked(r)
		}
		w.WriteHeader(status)
		answer(w, told)
	})}}
	d := discovery(p)
	d.Client = peers
	return &resource.AuthorizationServer{Issuer: issuer, ClientID: "gate house", Signer: signer, Client: peers, Discovery: d}
}

// R-RS-7, RFC 7662 §2.2: what a foreign server calls active is often more than a
// bearer token for this resource alone.
func TestForeignIntrospection(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]any
		want   error
	}{
		"good":                      {nil, nil},
		"one audience as a list":    {map[string]any{"aud": []string{users}}, nil},
		"no issuer":                 {map[string]any{"iss": nil}, nil},
		"its type in lower case":    {map[string]any{"token_type": "bearer"}, nil},
		"not active":                {map[string]any{"active": false}, resource.ErrInvalid},
		"active in another case":    {map[string]any{"active": nil, "Active": true}, resource.ErrInvalid},
		"refresh token (no type)":   {map[string]any{"token_type": nil}, resource.ErrInvalid},
		"bound by DPoP":             {map[string]any{"token_type": "DPoP"}, resource.ErrInvalid},
		"bound to a certificate":    {map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}, resource.ErrInvalid},
		"for several resources":     {map[string]any{"aud": []string{users, "https://other.example.com"}}, resource.ErrInvalid},
		"for another resource":      {map[string]any{"aud": "https://other.example.com"}, resource.ErrInvalid},
		"for the path below":        {map[string]any{"aud": users + "/x"}, resource.ErrInvalid},
		"for nobody":                {map[string]any{"aud": nil}, resource.ErrInvalid},
		"for a name":                {map[string]any{"aud": "users"}, resource.ErrInvalid},
		"of another issuer":         {map[string]any{"iss": "https://evil.example"}, resource.ErrInvalid},
		"expired":                   {map[string]any{"exp": time.Now().Add(-time.Second).Unix()}, resource.ErrInvalid},
		"without an end":            {map[string]any{"exp": nil}, resource.ErrInvalid},
		"of no client":              {map[string]any{"client_id": nil}, resource.ErrInvalid},
		"with a form of its own":    {map[string]any{"exp": "tomorrow"}, resource.ErrUnavailable},
		"with what only ours tells": {map[string]any{"grant_id": "g", "family": "f", "feed": map[string]any{"epoch": "e"}}, nil},
	} {
		told := map[string]any{"active": true, "aud": users, "iss": issuer, "sub": "alice", "client_id": "c", "scope": "users:read", "token_type": "Bearer", "exp": time.Now().Add(time.Hour).Unix()}
		for name, value := range c.change {
			if told[name] = value; value == nil {
				delete(told, name)
			}
		}
		i := &resource.Introspector{Server: foreignServer(t, &publisher{}, 200, told, nil)}
		got, err := i.Introspect(t.Context(), "token", users)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && (got.Sub != "alice" || got.ClientID != "c" || got.Scope != "users:read" || got.GrantID+got.Family != "" || got.Feed != nil) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// An answer that is none says nothing against the token, except the one that is
// given of tokens which are not of this server's making.
func TestForeignIntrospectionFailsClosed(t *testing.T) {
	for _, c := range []struct {
		status int
		told   any
		want   error
	}{
		{400, map[string]any{"error": "unsupported_token_type"}, resource.ErrInvalid},
		{400, map[string]any{"error": "invalid_request"}, resource.ErrUnavailable},
		{401, map[string]any{"error": "unsupported_token_type"}, resource.ErrUnavailable},
		{401, map[string]any{"error": "invalid_client"}, resource.ErrUnavailable},
		{500, map[string]any{"active": true}, resource.ErrUnavailable},
		{200, []string{"active"}, resource.ErrUnavailable},
	} {
		i := &resource.Introspector{Server: foreignServer(t, &publisher{}, c.status, c.told, nil)}
		if _, err := i.Introspect(t.Context(), "token", users); !errors.Is(err, c.want) {
			t.Errorf("%d %v: %v, want %v", c.status, c.told, err, c.want)
		}
	}
	i := &resource.Introspector{Server: foreignServer(t, &publisher{path: "/nowhere"}, 200, nil, nil)}
	if _, err := i.Introspect(t.Context(), "token", users); !errors.Is(err, resource.ErrUnavailable) {
		t.Errorf("without metadata: %v", err)
	}
}

// RFC 6749 §2.3.1: one way to authenticate, the header unless the server takes
// the form alone; names and secrets are form-encoded in the header. RFC 7523.
func TestForeignClientAuthentication(t *testing.T) {
	const secret = "of the:gateway%"
	for name, c := range map[string]struct {
		methods                  []string
		secret                   string
		basic, inForm, assertion bool
	}{
		"a key":                    {nil, "", false, false, true},
		"a secret":                 {nil, secret, true, false, false},
		"a secret, either way":     {[]string{"client_secret_post", "client_secret_basic"}, secret, true, false, false},
		"a secret, by form alone":  {[]string{"private_key_jwt", "client_secret_post"}, secret, false, true, false},
		"a key, where both can be": {[]string{"client_secret_basic", "private_key_jwt"}, "", false, false, true},
	} {
		p, asked := &publisher{}, 0
		if c.methods != nil {
			p.change = map[string]any{"token_endpoint_auth_methods_supported": c.methods}
		}
		s := foreignServer(t, p, 200, map[string]any{"active": false}, func(r *http.Request) {
			asked++
			id, password, basic := r.BasicAuth()
			if basic != c.basic || basic && (id != "gate+house" || password != "of+the%3Agateway%25") {
				t.Errorf("%s: header %q %q", name, id, password)
			}
			if (r.PostForm.Get("client_secret") == secret) != c.inForm || r.PostForm.Has("client_assertion") != c.assertion || r.PostForm.Has("client_id") == c.basic {
				t.Errorf("%s: form %v", name, r.PostForm)
			}
		})
		if c.secret != "" {
			s.Signer, s.Secret = nil, c.secret
		}
		i := &resource.Introspector{Server: s}
		if _, err := i.Introspect(t.Context(), "token", users); !errors.Is(err, resource.ErrInvalid) || asked != 1 {
			t.Errorf("%s: %v after %d questions", name, err, asked)
		}
		if text := s.LogValue().String(); strings.Contains(text, "gateway%") {
			t.Errorf("%s: logged as %s", name, text)
		}
	}
}

// R-RS-7, RFC 9068 §4, RFC 8725: JWTs of a foreign server that are not bearer
// access tokens for this resource alone. The witnesses have more of them.
func TestJWTAccessTokens(t *testing.T) {
	signer, key := newSigner(t)
	rsa, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	rsaSigner, err := jose.NewSigner(rsa)
	if err != nil {
		t.Fatal(err)
	}
	away := false
	d := discovery(&publisher{})
	d.Client = &http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case away:
			w.WriteHeader(502)
		case r.URL.Host == "keys.example.com":
			_, _ = w.Write(jose.PublicSet(key, rsa))
		default:
			(&publisher{path: r.URL.Path}).ServeHTTP(w, r)
		}
	})}}
	const origin = "https://mcp.example.com"
	for name, c := range map[string]struct {
		typ      string
		change   map[string]any
		signer   *jose.Signer
		resource string
		want     error
	}{
		"good":                         {"at+jwt", nil, signer, users, nil},
		"good, RS256":                  {"at+jwt", nil, rsaSigner, users, nil},
		"origin with a slash":          {"at+jwt", map[string]any{"aud": origin + "/"}, signer, origin, nil},
		"origin without":               {"at+jwt", map[string]any{"aud": []string{origin}}, signer, origin, nil},
		"path with a slash":            {"at+jwt", map[string]any{"aud": users + "/"}, signer, users, resource.ErrInvalid},
		"several, the first is a path": {"at+jwt", map[string]any{"aud": []string{users, origin}}, signer, users, resource.ErrInvalid},
		"ID token":                     {"JWT", nil, signer, users, resource.ErrInvalid},
		"logout token":                 {"logout+jwt", nil, signer, users, resource.ErrInvalid},
		"bound to a key":               {"at+jwt", map[string]any{"cnf": map[string]any{"jkt": "x"}}, signer, users, resource.ErrInvalid},
		"no client_id":                 {"at+jwt", map[string]any{"client_id": ""}, signer, users, resource.ErrInvalid},
		"no jti":                       {"at+jwt", map[string]any{"jti": ""}, signer, users, resource.ErrInvalid},
		"expired":                      {"at+jwt", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, signer, users, resource.ErrInvalid},
	} {
		claims := map[string]any{"iss": issuer, "sub": "alice", "aud": users, "client_id": "c", "jti": "j", "scope": "users:read", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
		maps.Copy(claims, c.change)
		token, err := c.signer.Sign(c.typ, claims)
		if err != nil {
			t.Fatal(err)
		}
		j := &resource.JWTAccessTokens{Issuer: issuer, Keys: d.Keys()}
		got, err := j.Introspect(t.Context(), token, c.resource)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && (got.Sub != "alice" || got.ClientID != "c" || got.Scope != "users:read" || got.Exp == 0 || got.Aud != c.resource) {
			t.Errorf("%s: %+v", name, got)
		}
		away = true
		j.Keys = (&resource.Discovery{Issuer: issuer, Client: d.Client}).Keys()
		if _, err := j.Introspect(t.Context(), token, c.resource); name == "good" && !errors.Is(err, resource.ErrUnavailable) {
			t.Errorf("without keys: %v", err)
		}
		away = false
	}
}
