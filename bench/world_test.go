package bench_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
)

// world is every server that takes part.
type world struct {
	t         testing.TB
	gatehouse *process // serve: authorization server and gateway, APIs elsewhere
	bare      *process
	provider  *process // npm's oidc-provider; nil where Node is missing
	dir       string
	binary    string
	ceiling   string
	key       *jose.Signer // of the client that exchanges and introspects, everywhere
	cluster   *jose.Signer // of a platform, and of the client signer
	agents    []agent
	issuer    string
	mcp       string
}

// agent is a client that gets tokens for itself. All its tokens are of one
// grant, which may make fifty calls a second: that limit stays as in production,
// so there are many agents.
type agent struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

const agents = 64

const configuration = `urls:
  authserver: http://localhost:PORT
  gateway: http://127.0.0.1:PORT
listen: 127.0.0.1:PORT
store: sqlite:gatehouse.db
data: data
trust:
  - name: cluster
    kind: kubernetes
    issuer: https://cluster.example.com
    key_set: file:cluster.jwks.json
    workloads:
      - client: pod
        when: {namespace: bench, service_account: pod}
apis:
  - name: one
    openapi: file:one.json
    url: API/api
    audience: http://api.example.com
  - name: many
    openapi: file:many.json
    url: API/api
    audience: http://many.example.com
`

// newWorld builds and starts everything. Other servers than Gatehouse get the
// same client key, so that all verify the same kind of signature.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.binary, w.ceiling = build(t, w.dir, "gatehouse/cmd/gatehouse"), build(t, w.dir, "gatehouse/bench/ceiling")
	api := start(t, w.folder("api"), w.ceiling, "-data", ".")
	port := freePort(t)
	home := w.folder("gatehouse")
	w.write("gatehouse/gatehouse.yaml", strings.NewReplacer("PORT", port, "API", api.URL).Replace(configuration))
	w.write("gatehouse/one.json", document(1))
	w.write("gatehouse/many.json", document(1000))
	w.cluster = w.signerFor("gatehouse/cluster.jwks.json")
	w.run(home, "migrate")
	w.run(home, "client", "add", "Pod", "--id", "pod", "--scope", "users:read", "--workload")
	w.run(home, "client", "add", "Signer", "--id", "signer", "--scope", "users:read", "--key", "cluster.jwks.json")
	w.addAgents(home)
	w.gatehouse = start(t, home, w.binary, "serve")
	w.issuer, w.mcp = "http://localhost:"+port, "http://127.0.0.1:"+port
	answers(t, newCaller(t, 1).client, w.mcp+"/healthz")

	file := filepath.Join(home, "data", "gateway.jwk")
	w.readKey(file)
	w.bare = start(t, w.folder("bare"), w.ceiling, "-data", ".", "-client", file, "-api", api.URL+"/api")
	if w.hasProvider() {
		script, err := filepath.Abs("oidc-provider.mjs")
		if err != nil {
			t.Fatal(err)
		}
		w.provider = start(t, w.folder("provider"), "node", script, file)
	}
	return w
}

// signerFor makes a key, and a file with its public half.
func (w *world) signerFor(name string) *jose.Signer {
	w.t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(name, string(jose.PublicSet(key)))
	signer, err := jose.NewSigner(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return signer
}

func (w *world) addAgents(home string) {
	w.t.Helper()
	w.agents = make([]agent, agents)
	err := parallel(agents, 4, func(i int) error {
		cmd := exec.Command(w.binary, "client", "add", "Load", "--secret", "--scope", "users:read", "--json")
		cmd.Dir = home
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("gatehouse client add: %w", err)
		}
		return json.Unmarshal(out, &w.agents[i])
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// hasProvider reports whether npm's oidc-provider can run. In CI it must.
func (w *world) hasProvider() bool {
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("../test/node/node_modules/oidc-provider")
	}
	if err != nil && os.Getenv("CI") == "true" {
		w.t.Fatalf("oidc-provider for Node is missing: %v", err)
	}
	return err == nil
}

func (w *world) folder(name string) string {
	w.t.Helper()
	dir := filepath.Join(w.dir, name+".d") // the binaries have the plain names
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

func (w *world) write(name, text string) {
	w.t.Helper()
	folder, file := filepath.Split(name)
	if err := os.WriteFile(filepath.Join(w.folder(filepath.Clean(folder)), file), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(dir string, args ...string) []byte {
	w.t.Helper()
	cmd := exec.Command(w.binary, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("gatehouse %s: %v %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) readKey(path string) {
	w.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := jose.ParsePrivate(data)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.key, err = jose.NewSigner(key); err != nil {
		w.t.Fatal(err)
	}
}

// document is an OpenAPI document of n operations.
func document(n int) string {
	paths := map[string]any{}
	for i := range n {
		paths[fmt.Sprintf("/users%s/{id}", strings.Repeat(fmt.Sprint(i), min(i, 1)))] = map[string]any{"get": map[string]any{
			"operationId": fmt.Sprintf("fetch-user-%d", i),
			"summary":     "Fetch a customer by number, with name and address",
			"security":    []any{map[string]any{"login": []string{"users:read"}}},
			"parameters": []any{map[string]any{
				"name": "id", "in": "path", "required": true, "schema": map[string]any{"type": "string", "maxLength": 40},
			}},
			"responses": map[string]any{"200": map[string]any{"description": "The customer", "content": map[string]any{
				"application/json": map[string]any{"schema": map[string]any{
					"type": "object", "required": []string{"id", "name", "email", "region"},
					"properties": map[string]any{
						"id": text, "name": text, "email": text, "region": text,
					},
				}},
			}}},
		}}
	}
	data, _ := json.Marshal(map[string]any{ // maps of texts: it cannot fail
		"openapi": "3.0.3", "info": map[string]any{"title": "Customers", "version": "1"}, "paths": paths,
		"components": map[string]any{"securitySchemes": map[string]any{"login": map[string]any{
			"type":  "oauth2",
			"flows": map[string]any{"clientCredentials": map[string]any{"tokenUrl": "/token", "scopes": map[string]any{"users:read": "Read"}}},
		}}},
	})
	return string(data)
}

var text = map[string]any{"type": "string"}

var asForm = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

// tokens gets n access tokens for an endpoint of the gateway, those of one agent
// as far apart as can be.
func (w *world) tokens(c *caller, resource string, n int) []string {
	w.t.Helper()
	found := make([]string, n)
	err := parallel(n, 16, func(i int) error {
		a := w.agents[i%agents]
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ID}, "client_secret": {a.Secret}, "resource": {resource}, "scope": {"users:read"}}
		answer, err := c.send(http.MethodPost, w.issuer+"/token", asForm, form.Encode(), http.StatusOK, "access_token")
		if err != nil {
			return err
		}
		var t struct {
			AccessToken string `json:"access_token"`
		}
		err = json.Unmarshal(answer, &t)
		found[i] = t.AccessToken
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// proven adds a client assertion to a form.
func (w *world) proven(form url.Values, client, issuer string) (string, error) {
	assertion, err := jose.Assertion(w.key, client, issuer, time.Now())
	if err != nil {
		return "", err
	}
	form.Set("client_id", client)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return form.Encode(), nil
}
