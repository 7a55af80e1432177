package quickstart_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/webtest"
)

const (
	callback  = "http://127.0.0.1:33418/callback"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
)

// web is how a person and their agent reach what has an address.
type web struct {
	t       *testing.T
	agent   *http.Client
	browser func() *webtest.Browser
}

// thisComputer is the web of somebody who runs everything here.
func thisComputer(t *testing.T) *web {
	return &web{t, http.DefaultClient, func() *webtest.Browser { return webtest.NewBrowser(t, nil) }}
}

// client is an agent that knows the address of an MCP server and nothing else.
type client struct {
	*web
	mcp, token string
}

type reply struct {
	status int
	header http.Header
	body   string
	result json.RawMessage
}

type toolResult struct {
	IsError    bool
	Content    []struct{ Text string }
	Structured map[string]any `json:"structuredContent"`
}

func (r toolResult) text() string { return fmt.Sprint(r.Content) }

// connect finds the authorization server, registers, and has the person sign in
// with the password and allow everything; scope is what the last challenge
// named, or empty.
func (w *web) connect(mcp, person, scope string) *client {
	w.t.Helper()
	address, server, id := w.authorizeURL(mcp, scope)
	consent := w.browser().Get(address).Follow().
		Submit("Sign in", url.Values{"username": {person}, "password": {password}}).Follow()
	if !strings.Contains(consent.Text(), "Bookshop") || !strings.Contains(consent.Text(), " books") {
		w.t.Errorf("the consent page does not name API and scope: %s", consent.Text())
	}
	var all []string // what is risky is switched off at first
	for _, s := range strings.Fields("books:read " + scope) {
		if strings.Contains(consent.Body, `name="scope" value="`+s+`"`) {
			all = append(all, s)
		}
	}
	answer := consent.Submit("action=allow", url.Values{"scope": all}).Location().Query()
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {answer.Get("code")},
		"code_verifier": {verifier}, "redirect_uri": {callback}, "resource": {mcp},
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	got := w.send(http.MethodPost, field(server, "token_endpoint"), "", "application/x-www-form-urlencoded", form.Encode())
	if err := json.Unmarshal([]byte(got.body), &token); err != nil || token.AccessToken == "" {
		w.t.Fatalf("token: %d %s", got.status, got.body)
	}
	return &client{w, mcp, token.AccessToken}
}

// authorizeURL returns what an agent opens in the browser, the authorization
// server's metadata, and the client_id.
func (w *web) authorizeURL(mcp, scope string) (address string, server map[string]any, id string) {
	w.t.Helper()
	asked := w.send(http.MethodPost, mcp, "", "application/json", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
	metadata := w.getJSON(parameter(asked.header, "resource_metadata"))
	if metadata["resource"] != mcp {
		w.t.Fatalf("metadata of %v instead of %s", metadata["resource"], mcp)
	}
	issuer := metadata["authorization_servers"].([]any)[0].(string)
	server = w.getJSON(issuer + "/.well-known/oauth-authorization-server")
	registered := w.send(http.MethodPost, field(server, "registration_endpoint"), "", "application/json",
		`{"client_name":"Shelf","redirect_uris":["`+callback+`"],"token_endpoint_auth_method":"none"}`)
	var body map[string]any
	if err := json.Unmarshal([]byte(registered.body), &body); err != nil {
		w.t.Fatalf("register: %s", registered.body)
	}
	if scope == "" {
		scope = parameter(asked.header, "scope")
	}
	id = field(body, "client_id")
	q := url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {callback}, "state": {"s"}, "scope": {scope},
		"resource": {mcp}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	return field(server, "authorization_endpoint") + "?" + q.Encode(), server, id
}

func callBody(tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
}

func (c *client) rpc(method, params string) reply {
	c.t.Helper()
	return c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params))
}

func (c *client) post(body string) reply {
	c.t.Helper()
	r := c.send(http.MethodPost, c.mcp, c.token, "application/json", body)
	var message struct{ Result json.RawMessage }
	if err := json.Unmarshal([]byte(r.body), &message); err != nil || r.status != http.StatusOK || message.Result == nil {
		c.t.Fatalf("%s: %d %s", body, r.status, r.body)
	}
	r.result = message.Result
	return r
}

func (c *client) call(tool, arguments string) toolResult {
	c.t.Helper()
	var r toolResult
	if err := json.Unmarshal(c.post(callBody(tool, arguments)).result, &r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (w *web) getJSON(address string) map[string]any {
	w.t.Helper()
	r := w.send(http.MethodGet, address, "", "", "")
	var body map[string]any
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || r.status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", address, r.status, r.body)
	}
	return body
}

func field(m map[string]any, name string) string { s, _ := m[name].(string); return s }

// parameter returns a parameter of the Bearer challenge.
func parameter(h http.Header, name string) string {
	_, value, _ := strings.Cut(h.Get("WWW-Authenticate"), name+`="`)
	value, _, _ = strings.Cut(value, `"`)
	return value
}

func (w *web) send(method, address, token, contentType, body string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.agent.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: string(data)}
}

func decode(t *testing.T, part string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
