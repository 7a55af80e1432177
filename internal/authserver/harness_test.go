package authserver_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/authserver"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/openapi"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

const (
	issuer   = "http://login.localhost:8080"
	resource = "http://mcp.localhost:8080"
	other    = "http://mcp.localhost:8080/notes"
	callback = "http://localhost:8090/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 Appendix B
)

var challenge = func() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

const customers = `
openapi: 3.1.0
info: {title: Customer API, version: "1"}
components: {securitySchemes: {o: {type: oauth2, flows: {authorizationCode: {authorizationUrl: /a, tokenUrl: /t, scopes: {"users:read": "", "users:write": "", "orders:read": ""}}}}}}
paths:
  /users:
    get: {operationId: fetch-users, summary: List customers, security: [{o: ["users:read"]}], responses: {"200": {description: ok}}}
    post: {operationId: create-user, summary: Add a customer, security: [{o: ["users:write"]}], responses: {"200": {description: ok}}}
  /users/{id}:
    delete: {operationId: delete-user, summary: Delete a customer, security: [{o: ["users:write"]}], parameters: [{name: id, in: path, required: true, schema: {type: string}}], responses: {"200": {description: ok}}}
  /users/{id}/orders:
    get: {operationId: fetch-orders, summary: List orders, security: [{o: ["orders:read"]}], parameters: [{name: id, in: path, required: true, schema: {type: string}}], responses: {"200": {description: ok}}}
`

const notes = `
openapi: 3.1.0
info: {title: Notes, version: "1"}
paths:
  /notes:
    get: {operationId: list-notes, summary: List notes, responses: {"200": {description: ok}}}
`

// world is an authorization server over an in-memory network, with a real
// store, two protected APIs and a gateway's key.
type world struct {
	t       *testing.T
	Server  *authserver.Server
	DB      *sqlstore.DB
	Network *webtest.Network
	HTTP    *http.Client
	Gateway *jose.Signer
	Keys    *jose.KeySet
}

// options change the server before it is built.
type options struct {
	dsn     string
	latency time.Duration
	change  func(*authserver.Server)
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	if o.dsn == "" {
		o.dsn = "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	}
	db, err := sqlstore.Open(t.Context(), o.dsn, sqlstore.Options{Latency: o.latency})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // before the folder goes
	w := &world{t: t, DB: db, Network: webtest.NewNetwork()}
	serverKey, _ := newKey(t)
	gatewayKey, gatewaySigner := newKey(t)
	w.Gateway = gatewaySigner
	if w.Keys, err = jose.ParseKeySet(jose.PublicSet(serverKey)); err != nil {
		t.Fatal(err)
	}
	if err := db.PutClient(t.Context(), client.Client{
		ID: "gateway", Origin: client.Gateway, Name: "gateway", GrantTypes: []string{oauth.GrantTokenExchange},
		AuthMethod: oauth.AuthPrivateKey, Keys: jose.PublicSet(gatewayKey),
	}); err != nil {
		t.Fatal(err)
	}
	w.Server = &authserver.Server{
		Issuer: issuer, APIs: []*catalog.API{
			newAPI(t, "customers", "/", resource, customers, map[string]catalog.Scope{
				"users:read": {Text: "read customers"}, "orders:read": {Text: "read orders"},
				"users:write": {Text: "change customers", Implies: []string{"users:read"}},
			}),
			newAPI(t, "notes", "/notes", other, notes, nil),
		},
		Accounts: db, Invitations: db, Clients: db, Requests: db, Grants: db, Revocations: db, StepUps: db, Connections: db, Pauses: db, Audit: db, Inbox: db,
		Authenticator: &account.Authenticator{Method: account.Username, Accounts: db, Passwords: &secret.Passwords{}, NewClaims: map[string]string{"region": "USA"}},
		Keys: &authserver.Keyring{Load: func(context.Context) ([]authserver.SigningKey, error) {
			return []authserver.SigningKey{{Key: serverKey}}, nil
		}},
		AllowedOrigins: []string{"http://localhost"}, PollKey: []byte(strings.Repeat("k", 32)),
	}
	if o.change != nil {
		o.change(w.Server)
	}
	handler, err := w.Server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- (&httpserver.Server{Hosts: map[string]http.Handler{"login.localhost:8080": handler}}).Serve(ctx, w.Network)
	}()
	transport := &http.Transport{DialContext: w.Network.DialContext}
	w.HTTP = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return w
}

func newKey(t *testing.T) (jose.Key, *jose.Signer) {
	t.Helper()
	key, err := jose.Generate("ES256")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, signer
}

func newAPI(t *testing.T, name, path, resource, document string, scopes map[string]catalog.Scope) *catalog.API {
	t.Helper()
	d, err := openapi.Load([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	options := catalog.Options{
		Name: name, MCPPath: path, Resource: resource, URL: "http://api.localhost/" + name, Audience: "http://api.localhost/" + name,
		Document: d, Scopes: scopes, Claims: []string{"region", "client_type", "client_assurance_level"},
	}
	if name == "customers" {
		options.DefaultScopes = []string{"users:read", "orders:read"}
	}
	api, err := catalog.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// answer is what a JSON endpoint said.
type answer struct {
	Status int
	Header http.Header
	Body   map[string]any
}

func (a answer) str(name string) string { s, _ := a.Body[name].(string); return s }

func (w *world) send(method, path, contentType, body string, header map[string]string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, issuer+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{Status: resp.StatusCode, Header: resp.Header}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(data, &a.Body); err != nil {
			w.t.Fatalf("%s %s: %v in %q", method, path, err, data)
		}
	}
	return a
}

func (w *world) form(path string, values url.Values) answer {
	w.t.Helper()
	return w.send(http.MethodPost, path, "application/x-www-form-urlencoded", values.Encode(), nil)
}

// register registers a client and returns what it was given.
func (w *world) register(metadata string) answer {
	w.t.Helper()
	a := w.send(http.MethodPost, "/register", "application/json", metadata, nil)
	if a.Status != http.StatusCreated {
		w.t.Fatalf("registration: %d %v", a.Status, a.Body)
	}
	return a
}

func (w *world) public() string {
	w.t.Helper()
	return w.register(`{"client_name":"Notebook","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none"}`).str("client_id")
}

func (w *world) confidential() (id, secret string) {
	w.t.Helper()
	a := w.register(`{"client_name":"Desk","redirect_uris":["https://desk.example/cb"],"token_endpoint_auth_method":"client_secret_post"}`)
	return a.str("client_id"), a.str("client_secret")
}

// request is a good authorization request of a client, with changes: an empty
// value removes a parameter.
func request(clientID string, changes map[string]string) string {
	values := map[string]string{
		"client_id": clientID, "response_type": "code", "redirect_uri": callback, "state": "s t&a=te", "resource": resource,
		"code_challenge": challenge, "code_challenge_method": "S256", "scope": "users:read orders:read",
	}
	maps.Copy(values, changes)
	q := url.Values{}
	for name, value := range values {
		if value != "" {
			q.Set(name, value)
		}
	}
	return issuer + "/authorize?" + q.Encode()
}

func (w *world) browser() *webtest.Browser {
	return webtest.NewBrowser(w.t, w.Network.DialContext)
}

// consent walks a browser that is not signed in to the consent page.
func (w *world) consent(b *webtest.Browser, address, name string) *webtest.Page {
	w.t.Helper()
	login := b.Get(address).Follow()
	return login.Submit("Sign in", url.Values{"username": {name}}).Follow()
}

// code signs somebody in, allows everything, and returns the code.
func (w *world) code(address, name string) string {
	w.t.Helper()
	page := w.consent(w.browser(), address, name).Submit("action=allow", nil)
	code := page.Location().Query().Get("code")
	if code == "" {
		w.t.Fatalf("no code: %d %s %s", page.Status, page.Header.Get("Location"), page.Text())
	}
	return code
}

func redemption(clientID, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {code},
		"redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {resource + "/"},
	}
}

// token is the whole flow: an opaque token for a person and a fresh public client.
func (w *world) token(name string, changes map[string]string) (clientID, token string) {
	w.t.Helper()
	clientID = w.public()
	a := w.form("/token", redemption(clientID, w.code(request(clientID, changes), name)))
	if a.Status != http.StatusOK {
		w.t.Fatalf("token: %d %v", a.Status, a.Body)
	}
	return clientID, a.str("access_token")
}

// asGateway adds the gateway's authentication to a request.
func (w *world) asGateway(values url.Values) url.Values {
	w.t.Helper()
	assertion, err := jose.Assertion(w.Gateway, "gateway", issuer, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	values.Set("client_id", "gateway")
	values.Set("client_assertion_type", oauth.AssertionJWTBearer)
	values.Set("client_assertion", assertion)
	return values
}

func (w *world) introspect(token string) answer {
	w.t.Helper()
	return w.form("/introspect", w.asGateway(url.Values{"token": {token}}))
}

func exchange(token, scope string) url.Values {
	return url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "subject_token": {token}, "subject_token_type": {oauth.TokenTypeAccessToken},
		"audience": {"http://api.localhost/customers"}, "scope": {scope},
	}
}
