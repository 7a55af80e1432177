package witness_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/webtest"
)

// suite returns a command of the official conformance suite, on Node 22.
func suite(t *testing.T, data string, args ...string) *exec.Cmd {
	t.Helper()
	script, err := filepath.Abs("../node/node_modules/@modelcontextprotocol/conformance/dist/index.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil {
		lack(t, "@modelcontextprotocol/conformance in test/node")
	}
	cmd := exec.Command(nodes(t)["22"], append([]string{script}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	if data != "" { // of a demo whose names this system may not resolve
		cmd.Env = append(cmd.Env, "NODE_OPTIONS=--import="+filepath.Join(data, "localhost.mjs"))
	}
	return cmd
}

// local is a client of the demo's names, which this system may not resolve.
func local(t *testing.T) *http.Client {
	t.Helper()
	b := &http.Transport{DialContext: webtest.DialTCP}
	t.Cleanup(b.CloseIdleConnections)
	return &http.Client{Transport: b}
}

// registered is a fresh client of the demo's authorization server.
func registered(t *testing.T, login, redirect string) string {
	t.Helper()
	resp, err := local(t).Post(login+"/register", "application/json", strings.NewReader(`{"client_name":"Conformance","redirect_uris":["`+redirect+`"],"token_endpoint_auth_method":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.ID == "" {
		t.Fatalf("register: %d %v", resp.StatusCode, err)
	}
	return body.ID
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// check is one result of the suite.
type check struct {
	ID, Status, ErrorMessage string
}

// results reads what the suite wrote into a folder.
func results(t *testing.T, folder string) []check {
	t.Helper()
	var all []check
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var some []check
		if err := json.Unmarshal(data, &some); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, some...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Both authorization server scenarios of the official suite, 0.2.0-alpha.12.
func TestConformanceAuthorizationServer(t *testing.T) {
	mcp, data := demo(t)
	login := strings.Replace(mcp, "mcp.", "login.", 1)
	port := freePort(t)
	id := registered(t, login, fmt.Sprintf("http://127.0.0.1:%d/callback", port))
	out := t.TempDir()
	p := start(t, "conformance", suite(t, data, "authorization", "--url", login, "--client-id", id, "--resource", mcp, "-p", fmt.Sprint(port), "-o", out))
	found, _ := p.wait(`(http://login\.localhost:\d+/authorize\?\S+)`, 0)
	allow(t, found[1], "alice")
	<-p.ended
	checks := results(t, out)
	passed := map[string]bool{}
	for _, c := range checks {
		passed[c.ID] = c.Status == "SUCCESS"
		if c.Status == "FAILURE" {
			t.Errorf("%s: %s", c.ID, c.ErrorMessage)
		}
	}
	if !passed["authorization-server-metadata"] || !passed["authorization-code-grant"] {
		t.Errorf("%v\n%s", checks, p.text())
	}
}

// injecting is a proxy in front of the demo's MCP server that adds a token,
// because the suite has no way to send one. It maps exactly its own Host to the
// server's and passes others on as they are, for the rebinding scenario.
func injecting(t *testing.T, mcp, token string) string {
	t.Helper()
	target, err := url.Parse(mcp)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if r.In.Host == own {
				r.Out.Host = target.Host
			}
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
		Transport: &http.Transport{DialContext: webtest.DialTCP},
	}
	// The body is read whole first: a transport that looks once more for its end,
	// while the answer already goes back, finds it closed and gives up.
	server := &http.Server{Handler: http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}), 1<<20)}
	go func() { _ = server.Serve(l) }() // until Close
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + own + "/"
}

// token signs alice in and returns an access token.
func token(t *testing.T, mcp string) string {
	t.Helper()
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	login := strings.Replace(mcp, "mcp.", "login.", 1)
	const redirect = "http://127.0.0.1:1/callback" // never followed
	id := registered(t, login, redirect)
	q := url.Values{"client_id": {id}, "response_type": {"code"}, "redirect_uri": {redirect}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}, "resource": {mcp}, "scope": {"users:read users:write orders:read refunds:create"}}
	b := webtest.NewBrowser(t, nil)
	consent := b.Get(login+"/authorize?"+q.Encode()).Follow().Submit("username=alice", nil).Follow()
	code := consent.Submit("action=allow", nil).Location().Query().Get("code")
	resp, err := local(t).PostForm(login+"/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {redirect}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(data, &body); err != nil || body.Token == "" {
		t.Fatalf("token: %d %s", resp.StatusCode, data)
	}
	return body.Token
}

// needsFixture are checks that the suite makes with tools of its own, which an
// API behind a gateway does not have.
var needsFixture = map[string]string{
	"sep-2575-server-rejects-undeclared-capability":          "test_missing_capability: no tool of an API asks the client for anything",
	"sep-2575-missing-capability-http-400":                   "test_missing_capability",
	"sep-2575-http-server-no-independent-requests-on-stream": "test_streaming_elicitation: answers are never streams",
	"sep-2575-server-no-log-without-loglevel":                "test_logging_tool: nothing is logged to clients",
	"sep-2549-prompts-list-caching-hints":                    "an API has no prompts, and the capability is not declared",
	"sep-2549-resources-list-caching-hints":                  "an API has no resources in MCP's sense, and the capability is not declared",
	"sep-2549-resources-templates-list-caching-hints":        "the same",
}

// The server scenarios of the official suite that need no fixture tools; in
// them, each check that needs one is listed above.
func TestConformanceServer(t *testing.T) {
	mcp, data := demo(t)
	address := injecting(t, mcp, token(t, mcp))
	for revision, scenarios := range map[string][]string{
		"2026-07-28": {"server-stateless", "tools-list", "caching", "http-header-validation", "dns-rebinding-protection"},
		"2025-11-25": {"server-initialize", "ping", "tools-list", "dns-rebinding-protection"},
	} {
		for _, scenario := range scenarios {
			t.Run(revision+" "+scenario, func(t *testing.T) {
				out := t.TempDir()
				p := start(t, "conformance", suite(t, data, "server", "--url", address, "--scenario", scenario, "--spec-version", revision, "-o", out))
				<-p.ended
				passed := 0
				for _, c := range results(t, out) {
					switch {
					case c.Status == "SUCCESS":
						passed++
					case needsFixture[c.ID] != "" && (strings.Contains(c.ErrorMessage, "Not testable") || strings.Contains(c.ErrorMessage, "-32601")):
					case c.Status == "FAILURE" || c.Status == "WARNING":
						t.Errorf("%s: %s %s", c.Status, c.ID, c.ErrorMessage)
					}
				}
				if passed == 0 {
					t.Errorf("nothing was checked:\n%s", p.text())
				}
			})
		}
	}
}
