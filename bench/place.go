package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// agents is how many clients there are: the gateway lets each call fifty times a
// second.
const agents = 160

// place is a Gatehouse that serves one API.
type place struct {
	*process
	issuer, mcp string // base URLs
	endpoint    string // of the API's tools
	ids, words  []string
	gateway     *jose.Signer
	folder      string
}

// freeAddress returns one that nobody listens at just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// newPlace configures and starts the real binary before an API with so many
// operations.
func newPlace(binary, folder, api string, operations int) (*place, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address) // it was joined just now
	p := &place{issuer: "http://localhost:" + port, mcp: "http://127.0.0.1:" + port, folder: folder}
	p.endpoint = p.mcp + "/customers"
	file := filepath.Join(folder, "gatehouse.yaml")
	text := fmt.Sprintf("urls: {authserver: %q, gateway: %q}\nlisten: %s\nstore: sqlite:gatehouse.db\ndata: data\napis:\n  - {name: customers, openapi: file:openapi.json, url: %q}\n", p.issuer, p.mcp, address, "http://"+api)
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(filepath.Join(folder, "openapi.json"), document(operations), 0o600)); err != nil {
		return nil, err
	}
	config, err := app.Load(file)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := app.Migrate(ctx, config); err != nil {
		return nil, err
	}
	for i := range agents {
		id, word, err := app.AddClient(ctx, config, app.NewClient{Name: fmt.Sprint("agent ", i), Scopes: []string{"customers:read"}})
		if err != nil {
			return nil, err
		}
		p.ids, p.words = append(p.ids, id), append(p.words, word)
	}
	cmd := exec.Command(binary, "serve", "-c", file)
	if p.process, err = start(cmd); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(folder, "data", "gateway.jwk"))
	if err != nil {
		return nil, err
	}
	private, err := jose.ParsePrivate(key)
	if err != nil {
		return nil, err
	}
	p.gateway, err = jose.NewSigner(private)
	return p, err
}

// document describes an API whose operations all read.
func document(operations int) []byte {
	user := map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "integer"}, "firstName": map[string]any{"type": "string"}, "lastName": map[string]any{"type": "string"},
		"email": map[string]any{"type": "string"}, "region": map[string]any{"type": "string"}, "status": map[string]any{"type": "string"}, "createdAt": map[string]any{"type": "string"}}, "required": []string{"id", "region"}}
	paths := map[string]any{}
	for i := range operations {
		path, name := "/users", "fetch-users"
		if i > 0 {
			path, name = fmt.Sprintf("/things/%d", i), fmt.Sprintf("fetch-thing-%d", i)
		}
		paths[path] = map[string]any{"get": map[string]any{
			"operationId": name, "summary": "List them", "description": "Lists those of your region.",
			"parameters": []any{map[string]any{"name": "limit", "in": "query", "schema": map[string]any{"type": "integer", "minimum": 1, "maximum": 100}}},
			"responses": map[string]any{"200": map[string]any{"description": "them", "content": map[string]any{"application/json": map[string]any{"schema": map[string]any{
				"type": "object", "required": []string{"users"}, "properties": map[string]any{"users": map[string]any{"type": "array", "items": user}}}}}}},
		}}
	}
	text, err := json.Marshal(map[string]any{"openapi": "3.1.0", "info": map[string]any{"title": "Customers", "version": "1"}, "paths": paths})
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return text
}

// token gets an access token for an agent.
func (p *place) token(ctx context.Context, c *http.Client, agent int) (string, error) {
	resp, err := post(ctx, c, p.issuer+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {p.ids[agent]}, "client_secret": {p.words[agent]}, "resource": {p.endpoint}, "scope": {"customers:read"},
	})
	body, err := expect(resp, err, 200, "access_token")
	if err != nil {
		return "", err
	}
	var t oauth.TokenResponse
	err = json.Unmarshal(body, &t)
	return t.AccessToken, err
}

// tokens gets many, of all agents in turn.
func (p *place) tokens(many int) ([]string, error) {
	c := newClient()
	defer c.CloseIdleConnections()
	var all []string
	for i := range many {
		t, err := p.token(context.Background(), c, i%agents)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// asGateway authenticates a form as the gateway of this place.
func (p *place) asGateway(form url.Values) (url.Values, error) {
	assertion, err := jose.Assertion(p.gateway, "gateway", p.issuer, time.Now())
	form.Set("client_id", "gateway")
	form.Set("client_assertion_type", oauth.AssertionJWTBearer)
	form.Set("client_assertion", assertion)
	return form, err
}

func post(ctx context.Context, c *http.Client, address string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.Do(req)
}

// call is a tools/call, or the like, at the gateway.
func (p *place) call(ctx context.Context, c *http.Client, token, method, params, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	_, err = expect(resp, err, 200, want)
	return err
}
