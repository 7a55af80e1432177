package witness_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/webtest"
)

// provider is npm's oidc-provider, in front of it the real gateway with the
// sample API behind.
type provider struct {
	t           *testing.T
	mcp, issuer string
	data        string
	Good, Sound string
	Refused     map[string]string
}

const external = `
urls: {gateway: %[1]s, api: %[2]s}
authorization_server:
  issuer: %[3]s
  client_id: gatehouse
  access_tokens: %[4]s
  api_tokens: client_credentials
  %[5]s
listen: 127.0.0.1:%[6]d
store: sqlite:gatehouse.db
data: .
apis:
  - {name: customers, mcp_path: /, openapi: "file:%[7]s", url: %[2]s, default_scopes: [users:read, orders:read]}
`

// newProvider starts the gateway first, which finds nobody to ask, and then the
// authorization server.
func newProvider(t *testing.T, format, credential string) *provider {
	t.Helper()
	document, err := filepath.Abs("../../internal/sampleapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("../node/node_modules/oidc-provider"); err != nil {
		lack(t, "oidc-provider in test/node")
	}
	own, idp := freePort(t), freePort(t)
	p := &provider{t: t, data: t.TempDir(), mcp: fmt.Sprintf("http://mcp.localhost:%d", own), issuer: fmt.Sprintf("http://localhost:%d", idp)}
	api := fmt.Sprintf("http://api.localhost:%d", own)
	checked := map[string]string{"opaque": "introspection", "jwt": "jwt"}[format]
	config := filepath.Join(p.data, "gatehouse.yaml")
	text := fmt.Sprintf(external, p.mcp, api, p.issuer, checked, credential, own, document)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.data, "secret"), []byte("of-the-gateway\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.WriteLocalhostModule(p.data); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "migrate", "-c", config).CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	gatehouse := start(t, "gatehouse serve", exec.Command(binary, "serve", "-c", config))
	gatehouse.wait(`gatehouse serves`, 0)
	gatehouse.wait(`the authorization server cannot be reached`, 0)
	unknown := map[string]string{
		"opaque": "something",
		"jwt":    base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"x"}`)) + ".e30.AAAA",
	}[format]
	if status, _ := p.call(unknown, "fetch-users", `{}`); status != http.StatusServiceUnavailable {
		t.Errorf("while the authorization server is away: %d, want 503", status)
	}
	if status, challenge := p.call("", "fetch-users", `{}`); status != http.StatusUnauthorized || !strings.Contains(challenge, "resource_metadata") {
		t.Errorf("without a token: %d %s", status, challenge)
	}
	args := []string{fmt.Sprint(idp), format, p.mcp, api}
	if credential == "" {
		args = append(args, filepath.Join(p.data, "gateway.jwks.json"))
	}
	answer(t, script(t, p.data, "oidc-provider.mjs", args...), p)
	p.until("it came back", 30*time.Second, func() bool {
		status, _ := p.call(p.Good, "fetch-users", `{}`)
		return status == http.StatusOK
	})
	return p
}

// until waits for something to become so.
func (p *provider) until(what string, limit time.Duration, so func() bool) {
	p.t.Helper()
	for begun := time.Now(); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > limit {
			p.t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// call calls a tool and returns the status with the challenge or the body.
func (p *provider) call(token, tool, args string) (status int, said string) {
	p.t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `}}`
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.mcp, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	status, header, text := p.send(req)
	if status != http.StatusOK {
		text = header.Get("WWW-Authenticate")
	}
	return status, text
}

func (p *provider) send(req *http.Request) (int, http.Header, string) {
	p.t.Helper()
	resp, err := local(p.t).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

// post sends a form to the authorization server; client is the Authorization
// header, if there is one.
func (p *provider) post(endpoint, client string, form url.Values) map[string]any {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.issuer+endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(client)))
	}
	status, _, text := p.send(req)
	answer := map[string]any{}
	if text != "" && json.Unmarshal([]byte(text), &answer) != nil || status != http.StatusOK {
		p.t.Fatalf("%s: %d %s", endpoint, status, text)
	}
	return answer
}

// signIn answers for the person on oidc-provider's own pages.
func signIn(t *testing.T, address, name string) *webtest.Page {
	t.Helper()
	page := webtest.NewBrowser(t, nil).Get(address).Follow().Submit("Sign-in", url.Values{"login": {name}, "password": {"x"}}).Follow()
	return page.Follow().Submit("Continue", nil).Follow()
}

// code signs alice in for the agent and returns the answer of the token endpoint.
func (p *provider) code(scope string) map[string]any {
	p.t.Helper()
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	const redirect = "http://127.0.0.1:1/callback" // never followed
	q := url.Values{"client_id": {"agent"}, "response_type": {"code"}, "redirect_uri": {redirect}, "code_challenge": {challenge},
		"code_challenge_method": {"S256"}, "resource": {p.mcp}, "scope": {scope}}
	answer := signIn(p.t, p.issuer+"/auth?"+q.Encode(), "alice").Location().Query()
	return p.post("/token", "", url.Values{"grant_type": {"authorization_code"}, "client_id": {"agent"}, "code": {answer.Get("code")},
		"code_verifier": {verifier}, "redirect_uri": {redirect}, "resource": {p.mcp}})
}

// npm's oidc-provider as authorization server of a gateway (security.md 7), with
// opaque tokens and a key, and with JWTs and a secret: the SDK's client registers
// there, signs a person in and calls a tool. What is not a live access token of
// that server for this gateway alone opens nothing (R-RS-7, proving.md "ID token
// as access token", "alg none", "HS256 with the public key").
func TestExternalAuthorizationServer(t *testing.T) {
	for format, credential := range map[string]string{"opaque": "", "jwt": "client_secret: file:secret"} {
		t.Run(format, func(t *testing.T) {
			p := newProvider(t, format, credential)
			t.Run("the SDK's client signs in and calls", func(t *testing.T) {
				client := script(t, p.data, "sdk-v2.mjs", p.mcp, "fetch-users", `{"limit": 2}`)
				found, _ := client.wait(`(?m)^authorize (\S+)$`, 0)
				if !strings.HasPrefix(found[1], p.issuer) {
					t.Fatalf("it was sent to %s", found[1])
				}
				signIn(t, found[1], "alice").Follow()
				var got struct {
					IsError    bool
					Structured struct{ Users []struct{ Region string } }
				}
				answer(t, client, &got)
				if got.IsError || len(got.Structured.Users) != 2 || got.Structured.Users[0].Region != "USA" {
					t.Errorf("%+v\n%s", got, client.text())
				}
			})
			t.Run("its scopes count", func(t *testing.T) {
				tokens := p.code("users:read")
				access, _ := tokens["access_token"].(string)
				if status, said := p.call(access, "fetch-users", `{"limit":1}`); status != http.StatusOK || !strings.Contains(said, "USA") {
					t.Errorf("%d %s", status, said)
				}
				status, said := p.call(access, "fetch-orders", `{"id":1}`)
				if status != http.StatusForbidden || !strings.Contains(said, "insufficient_scope") || !strings.Contains(said, "orders:read") {
					t.Errorf("a missing scope: %d %s", status, said)
				}
			})
			t.Run("nothing else opens", func(t *testing.T) {
				tokens := p.code("openid offline_access users:read")
				for _, name := range []string{"id_token", "refresh_token"} {
					token, _ := tokens[name].(string)
					if token == "" {
						t.Fatalf("there is no %s: %v", name, tokens)
					}
					p.Refused[name] = token
				}
				if len(p.Refused) != 15 {
					t.Errorf("%d tokens to refuse", len(p.Refused))
				}
				for name, token := range p.Refused {
					if status, said := p.call(token, "fetch-users", `{}`); status != http.StatusUnauthorized || !strings.Contains(said, "invalid_token") {
						t.Errorf("%s: %d %s", name, status, said)
					}
				}
				// Made as the refused ones are, but with nothing wrong.
				want := map[string]int{"opaque": http.StatusUnauthorized, "jwt": http.StatusOK}[format]
				if status, said := p.call(p.Sound, "fetch-users", `{}`); status != want {
					t.Errorf("a sound JWT: %d %s, want %d", status, said, want)
				}
			})
			if format == "opaque" {
				t.Run("a revoked token ends within a second", p.revocation)
			}
		})
	}
}

// revocation is felt by every call that begins a second later, while the calls
// of others go on.
func (p *provider) revocation(t *testing.T) {
	access, _ := p.code("users:read")["access_token"].(string)
	if status, said := p.call(access, "fetch-users", `{}`); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, said)
	}
	p.post("/token/revocation", "", url.Values{"client_id": {"agent"}, "token": {access}})
	revoked := time.Now()
	p.until("refused", 10*time.Second, func() bool {
		begun := time.Now()
		status, _ := p.call(access, "fetch-users", `{}`)
		if status == http.StatusOK && begun.Sub(revoked) > time.Second {
			t.Errorf("a call succeeded that began %s after the revocation", begun.Sub(revoked))
		}
		return status == http.StatusUnauthorized
	})
	if status, said := p.call(p.Good, "fetch-users", `{}`); status != http.StatusOK {
		t.Errorf("another's call: %d %s", status, said)
	}
}
