package witness_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/jose"
)

// cluster publishes what a Kubernetes API server does (Service Account Issuer
// Discovery): a discovery document, and its keys with their own media type. Its
// tokens have the claims of the TokenRequest API of Kubernetes 1.30 and later.
type cluster struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	signer *jose.Signer
	keys   []byte
	asked  int
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t}
	c.rotate()
	mux := http.NewServeMux()
	c.server = httptest.NewTLSServer(mux)
	t.Cleanup(c.server.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issuer":"`+c.server.URL+`","jwks_uri":"`+c.server.URL+`/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}`)
	})
	mux.HandleFunc("GET /openid/v1/jwks", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked++
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(c.keys)
	})
	return c
}

// rotate gives the cluster another key, as an administrator does.
func (c *cluster) rotate() {
	c.t.Helper()
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		c.t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signer, c.keys = signer, jose.PublicSet(key)
}

// token is that of a pod's projected volume.
func (c *cluster) token(audience, namespace, account string) string {
	c.t.Helper()
	now := time.Now().Unix()
	c.mu.Lock()
	defer c.mu.Unlock()
	// A cluster writes no typ.
	token, err := c.signer.Sign("", map[string]any{
		"aud": []string{audience}, "exp": now + 3607, "iat": now, "nbf": now, "iss": c.server.URL, "jti": "5e0bd49b-f040-43b0-99b7-22765a53f7f3",
		"sub": "system:serviceaccount:" + namespace + ":" + account,
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"node":           map[string]any{"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
			"pod":            map[string]any{"name": account + "-28", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f4"},
			"serviceaccount": map[string]any{"name": account, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
			"warnafter":      now + 3600,
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return token
}

// TestKubernetes has two clusters, whose keys are found as they publish them, and
// whose pods have the same names: each is trusted for its own.
func TestKubernetes(t *testing.T) {
	prod, staging, foreign := newCluster(t), newCluster(t), newCluster(t)
	o := &organization{t: t, folder: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o.login, o.mcp = "http://localhost:"+port, "http://127.0.0.1:"+port
	o.write("clusters.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: prod.server.Certificate().Raw})))
	o.write("openapi.yaml", `{openapi: 3.1.0, info: {title: Bookshop, version: "1"}, paths: {/books: {get: {operationId: list-books, responses: {"200": {description: ok}}}}}}`)
	entry := func(name string, c *cluster, client string) string {
		host := strings.TrimPrefix(c.server.URL, "https://")
		return fmt.Sprintf("  - {name: %s, kind: kubernetes, issuer: \"%s\", addresses: [\"%s\"], roots: clusters.pem, workloads: [{client: %s, when: {namespace: reports, service_account: nightly}}]}\n", name, c.server.URL, host, client)
	}
	o.write("gatehouse.yaml", fmt.Sprintf("urls: {authserver: \"%s\", gateway: \"%s\"}\nlisten: 127.0.0.1:%s\nstore: sqlite:gatehouse.db\ndata: data\ntrust:\n%s%sapis:\n  - {name: books, mcp_path: /, openapi: file:openapi.yaml, url: \"http://127.0.0.1:1\"}\n",
		o.login, o.mcp, port, entry("prod", prod, "nightly-prod"), entry("staging", staging, "nightly-staging")))
	o.run("", "migrate")
	for _, id := range []string{"nightly-prod", "nightly-staging"} {
		o.run("", "client", "add", id, "--id", id, "--workload", "--scope", "books:read")
	}
	cmd := exec.Command(binary, "serve")
	cmd.Dir = o.folder
	start(t, "gatehouse serve", cmd).wait("gatehouse serves", 0)
	ask := func(assertion, id string) (status int, code string) {
		t.Helper()
		resp, err := http.PostForm(o.login+"/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}, "resource": {o.mcp}, "client_id": {id}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body struct{ Error string }
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body.Error
	}
	for name, tt := range map[string]struct {
		token, id string
		want      string
	}{
		"a pod":                          {prod.token(o.login, "reports", "nightly"), "nightly-prod", ""},
		"a pod of the other cluster":     {staging.token(o.login, "reports", "nightly"), "nightly-staging", ""},
		"same name, another cluster":     {staging.token(o.login, "reports", "nightly"), "nightly-prod", "invalid_grant"},
		"a cluster that nobody trusts":   {foreign.token(o.login, "reports", "nightly"), "nightly-prod", "invalid_grant"},
		"look-alike namespace":           {prod.token(o.login, "reports-x", "nightly"), "nightly-prod", "invalid_grant"},
		"another account":                {prod.token(o.login, "reports", "default"), "nightly-prod", "invalid_grant"},
		"a token for the cluster itself": {prod.token(prod.server.URL, "reports", "nightly"), "nightly-prod", "invalid_grant"},
	} {
		if status, code := ask(tt.token, tt.id); code != tt.want {
			t.Errorf("%s: %d %q, want %q", name, status, code, tt.want)
		}
	}
	prod.rotate()
	// Keys are fetched anew for a token of an unknown one, ten seconds apart.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		status, code := ask(prod.token(o.login, "reports", "nightly"), "nightly-prod")
		if status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with the cluster's new key: %d %s", status, code)
		}
	}
	prod.mu.Lock()
	asked := prod.asked
	prod.mu.Unlock()
	if asked != 2 {
		t.Errorf("the cluster was asked %d times for its keys", asked)
	}
	explained := o.run(prod.token(o.login, "reports", "nightly"), "trust", "explain", "-")
	if !strings.Contains(explained, "nightly") || !strings.Contains(explained, "reports") {
		t.Errorf("%s", explained)
	}
}
