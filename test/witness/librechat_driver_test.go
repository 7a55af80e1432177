package witness_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// libreChat sends what LibreChat v0.8.8 sends for one of its users and one
// server of its librechat.yaml: the same requests, in its order, with its
// choices. What no server can notice is left out.
type libreChat struct {
	t      *testing.T
	http   *http.Client
	domain string // DOMAIN_SERVER
	server string // the server's key in librechat.yaml
	url    string // and its url

	resource struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		ScopesSupported      []string `json:"scopes_supported"`
	}
	metadata struct {
		Issuer        string   `json:"issuer"`
		Authorize     string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		Register      string   `json:"registration_endpoint"`
		Revoke        string   `json:"revocation_endpoint"`
		ResponseTypes []string `json:"response_types_supported"`
		GrantTypes    []string `json:"grant_types_supported"`
		AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
		Challenges    []string `json:"code_challenge_methods_supported"`
	}
	client struct {
		ID         string   `json:"client_id"`
		Secret     string   `json:"client_secret"`
		AuthMethod string   `json:"token_endpoint_auth_method"`
		Redirects  []string `json:"redirect_uris"`
		Scope      string   `json:"scope"`
	}
	tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Scope   string `json:"scope"`
	}
	registrations, refreshes int
	state, verifier          string
}

// reply is an answer with its body.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// json reads the body as an object.
func (r reply) json() map[string]any {
	v := map[string]any{}
	_ = json.Unmarshal([]byte(r.Body), &v) // what is no object is empty
	return v
}

func (c *libreChat) do(method, address, contentType, authorization, body string, header ...string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// hint is the resource_metadata of a challenge, found as LibreChat finds it.
func (r reply) hint() string {
	challenge := r.Header.Get("WWW-Authenticate")
	m := regexp.MustCompile(`resource_metadata="([^"]+)"`).FindStringSubmatch(challenge)
	if r.Status != http.StatusUnauthorized || m == nil || !strings.HasPrefix(challenge, "Bearer ") {
		return ""
	}
	return m[1]
}

// probe asks without a token whether and where to sign in.
func (c *libreChat) probe(method string) reply {
	c.t.Helper()
	if method == http.MethodHead {
		return c.do(method, c.url, "", "", "")
	}
	return c.do(method, c.url, "application/json", "", "{}")
}

// readResource reads the resource's metadata and believes it only if it is about
// the configured server: same origin, and a prefix of its path.
func (c *libreChat) readResource(address string) {
	c.t.Helper()
	c.decode(c.do(http.MethodGet, address, "", "", "", "MCP-Protocol-Version", "2025-11-25"), &c.resource)
	got, err := url.Parse(c.resource.Resource)
	if err != nil {
		c.t.Fatal(err)
	}
	own, err := url.Parse(c.url)
	if err != nil {
		c.t.Fatal(err)
	}
	if got.Scheme != own.Scheme || got.Host != own.Host || !strings.HasPrefix(strings.TrimSuffix(own.Path, "/")+"/", strings.TrimSuffix(got.Path, "/")+"/") {
		c.t.Fatalf("resource %s does not cover %s", got, own)
	}
	if len(c.resource.AuthorizationServers) == 0 {
		c.t.Fatal("the resource names no authorization server")
	}
}

// probing are the addresses of an issuer's metadata, in the order in which they
// are tried: RFC 8414, then OpenID Connect with its path inserted and appended.
func probing(t *testing.T, issuer string) []string {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.Path, "/")
	all := []string{origin + "/.well-known/oauth-authorization-server" + path, origin + "/.well-known/openid-configuration" + path}
	if path != "" {
		all = append(all, origin+path+"/.well-known/openid-configuration")
	}
	return all
}

// readServer reads the metadata of the first authorization server.
func (c *libreChat) readServer(address string) {
	c.t.Helper()
	c.decode(c.do(http.MethodGet, address, "", "", "", "MCP-Protocol-Version", "2025-11-25"), &c.metadata)
	if !slices.Contains(c.metadata.Challenges, "S256") {
		c.t.Fatalf("%s does not list S256: %q", address, c.metadata.Challenges)
	}
}

func (c *libreChat) callback() string {
	return c.domain + "/api/mcp/" + c.server + "/oauth/callback"
}

// registration is the body of its dynamic registration.
func (c *libreChat) registration() map[string]any {
	grants := []string{"authorization_code"}
	if slices.Contains(c.metadata.GrantTypes, "refresh_token") {
		grants = append(grants, "refresh_token")
	}
	method := "none"
	if i := slices.IndexFunc(c.metadata.AuthMethods, func(m string) bool { return m != "none" }); i >= 0 {
		method = c.metadata.AuthMethods[i]
	}
	return map[string]any{
		"client_name": "LibreChat MCP Client", "redirect_uris": []string{c.callback()}, "grant_types": grants,
		"response_types": c.metadata.ResponseTypes, "token_endpoint_auth_method": method, "scope": strings.Join(c.resource.ScopesSupported, " "),
	}
}

// register registers once; LibreChat keeps the client for a year.
func (c *libreChat) register() {
	c.t.Helper()
	body, err := json.Marshal(c.registration())
	if err != nil {
		c.t.Fatal(err)
	}
	c.registrations++
	c.decode(c.do(http.MethodPost, c.metadata.Register, "application/json", "", string(body)), &c.client)
}

// indicator is the resource parameter: what JavaScript's URL makes of it, where
// an origin has a path.
func (c *libreChat) indicator() string {
	if u, err := url.Parse(c.resource.Resource); err == nil && u.Path == "" {
		return c.resource.Resource + "/"
	}
	return c.resource.Resource
}

// authorization is the address that the sign-in button opens. The scope is that
// of the metadata, whatever a challenge said.
func (c *libreChat) authorization() string {
	c.state, c.verifier = rand.Text(), rand.Text()+rand.Text()
	challenge := sha256.Sum256([]byte(c.verifier))
	return c.metadata.Authorize + "?" + url.Values{
		"response_type": {"code"}, "client_id": {c.client.ID}, "redirect_uri": {c.callback()}, "state": {c.state},
		"scope": {strings.Join(c.resource.ScopesSupported, " ")}, "resource": {c.indicator()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// answered takes what came back to the redirect URI. It ignores iss.
func (c *libreChat) answered(back *url.URL) {
	c.t.Helper()
	q := back.Query()
	if !strings.HasPrefix(back.String(), c.callback()+"?") || q.Get("state") != c.state || q.Get("code") == "" {
		c.t.Fatalf("came back to %s", back)
	}
	c.redeem(url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "code_verifier": {c.verifier}, "redirect_uri": {c.callback()}, "resource": {c.indicator()}})
}

// basic is the Authorization header of the client: not form-encoded, as RFC 6749
// wants it.
func (c *libreChat) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.client.ID+":"+c.client.Secret))
}

func (c *libreChat) redeem(form url.Values) {
	c.t.Helper()
	c.decode(c.do(http.MethodPost, c.metadata.Token, "application/x-www-form-urlencoded", c.basic(), form.Encode(), "Accept", "application/json"), &c.tokens)
}

// refreshing is the body of a refresh: with the scope that was registered and
// the resource.
func (c *libreChat) refreshing() url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.tokens.Refresh}, "scope": {c.client.Scope}, "resource": {c.indicator()}}
}

func (c *libreChat) refresh() {
	c.t.Helper()
	c.refreshes++
	c.redeem(c.refreshing())
}

// revoke ends one token, as the revoke button does for both.
func (c *libreChat) revoke(kind, token string) reply {
	c.t.Helper()
	form := url.Values{"token": {token}, "token_type_hint": {kind}}
	return c.do(http.MethodPost, c.metadata.Revoke, "application/x-www-form-urlencoded", c.basic(), form.Encode())
}

// rpc sends one message of a session, with a token if there is one.
func (c *libreChat) rpc(method, params string) reply {
	c.t.Helper()
	bearer, version := "", []string{"Accept", "application/json, text/event-stream"}
	if c.tokens.Access != "" {
		bearer = "Bearer " + c.tokens.Access
	}
	if method != "initialize" {
		version = append(version, "MCP-Protocol-Version", "2025-11-25")
	}
	id := `"id":1,`
	if strings.HasPrefix(method, "notifications/") {
		id = ""
	}
	return c.do(http.MethodPost, c.url, "application/json", bearer, `{"jsonrpc":"2.0",`+id+`"method":"`+method+`","params":`+params+`}`, version...)
}

const initializing = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"@librechat/api-client","version":"1.2.3"}}`

// call calls a tool. A 401 is met by one silent refresh and one repetition; a
// 403 comes back, and the chat shows a sign-in button.
func (c *libreChat) call(tool, arguments string) reply {
	c.t.Helper()
	params := `{"name":"` + tool + `","arguments":` + arguments + `}`
	got := c.rpc("tools/call", params)
	if got.Status != http.StatusUnauthorized {
		return got
	}
	c.refresh()
	if again := c.rpc("initialize", initializing); again.Status != http.StatusOK {
		return again
	}
	return c.rpc("tools/call", params)
}

// decode reads an answer that must be a success.
func (c *libreChat) decode(r reply, into any) {
	c.t.Helper()
	if r.Status/100 != 2 {
		c.t.Fatalf("%d %s", r.Status, r.Body)
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(r.Body))).Decode(into); err != nil {
		c.t.Fatalf("%v in %s", err, r.Body)
	}
}
