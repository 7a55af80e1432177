// Package quickstart_test follows docs/quickstart.md to the letter, with an API
// that others could have written: it shares no code with Gatehouse.
package quickstart_test

import (
	"bytes"
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
)

// binary is the built product, as in `make build`.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-quickstart-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "gatehouse")
		if out, err := exec.Command("go", "build", "-o", binary, "gatehouse/cmd/gatehouse").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build gatehouse: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

const password = "correct horse battery"

// The criterion: the quickstart takes a reader's own document and
// running API to a protected MCP endpoint. Once with each of its examples.
func TestQuickstart(t *testing.T) {
	for name, start := range map[string]func(*reader) *program{"Node": startNode, "Go": startGo} {
		t.Run(name, func(t *testing.T) {
			r := newReader(t)
			r.follow(start)
			shop, mcp := r.shop, r.yours("http://127.0.0.1:8080/bookshop")

			client := thisComputer(t).connect(mcp, "alice", "")
			checkTools(t, client)
			checkClaim(t, r, client)
			checkRefusals(t, r, client)
			checkTry(t, r, mcp)
			checkConsole(t, mcp)

			shop.stop()
			if got := client.call("list-books", `{}`); !got.IsError || !strings.Contains(got.text(), "cannot be reached just now") {
				t.Errorf("the API is down, and the agent hears %+v", got)
			}
		})
	}
}

// checkTry does what the section "Try" proposes beyond the first reading.
func checkTry(t *testing.T, r *reader, mcp string) {
	// What the challenge named is asked for, as agents do.
	allowed := thisComputer(t).connect(mcp, "alice", "books:write")
	if got := allowed.call("add-book", `{"title":"Message","author":"Pessoa"}`); got.IsError || got.Structured["branch"] != "Lisbon" {
		t.Errorf("add-book: %+v", got)
	}
	r.run("gatehouse person add bruno")
	if got := thisComputer(t).connect(mcp, "bruno", "").call("list-books", `{}`); got.IsError || fmt.Sprint(got.Structured["books"]) != "[]" {
		t.Errorf("a person without the claim sees %+v", got)
	}
}

func checkTools(t *testing.T, c *client) {
	var list struct{ Tools []struct{ Name string } }
	if err := json.Unmarshal(c.rpc("tools/list", `{}`).result, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != 2 || list.Tools[0].Name != "add-book" || list.Tools[1].Name != "list-books" {
		t.Errorf("tools/list: %+v", list.Tools)
	}
}

// The API got a token of its own: bound to it by audience, with the claim and
// this call's scope; and the agent sees what is alice's.
func checkClaim(t *testing.T, r *reader, c *client) {
	got := c.call("list-books", `{"author":"Pessoa"}`)
	if books, _ := got.Structured["books"].([]any); got.IsError || len(books) != 1 {
		t.Errorf("list-books: %+v", got)
	}
	token := r.accepted()
	var header, claims map[string]any
	for i, part := range []*map[string]any{&header, &claims} {
		if err := json.Unmarshal(decode(t, strings.Split(token, ".")[i]), part); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{"iss": r.yours("http://localhost:8080"), "aud": r.yours("http://127.0.0.1:9000"), "branch": "Lisbon", "scope": "books:read"}
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("claim %s is %v, want %v", name, claims[name], value)
		}
	}
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" || claims["act"] == nil || claims["sub"] == "alice" {
		t.Errorf("header %v, claims %v", header, claims)
	}
	if strings.Contains(token, c.token) {
		t.Error("the agent's own token reached the API (R-RS-8)")
	}
}

// Who may not is told so, by the gateway and by the API.
func checkRefusals(t *testing.T, r *reader, c *client) {
	token := r.accepted()
	parts := strings.Split(token, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + "."
	api, mcp := r.yours("http://127.0.0.1:9000/books"), r.yours("http://127.0.0.1:8080/bookshop")
	initialize := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`
	for name, tt := range map[string]struct {
		method, address, token, body string
		status                       int
		challenge                    string
	}{
		"API without a token":                  {"GET", api, "", "", 401, ""},
		"API with the agent's token":           {"GET", api, c.token, "", 401, ""},
		"API with a changed token":             {"GET", api, parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), "", 401, ""},
		"API with an unsigned token":           {"GET", api, none, "", 401, ""},
		"API with the token of another call":   {"POST", api, token, `{"title":"x","author":"y"}`, 403, ""},
		"API with its own token":               {"GET", api, token, "", 200, ""},
		"gateway without a token (R-RS-3)":     {"POST", mcp, "", initialize, 401, "resource_metadata="},
		"gateway with the API's token":         {"POST", mcp, token, initialize, 401, `error="invalid_token"`},
		"gateway, scope not granted (R-RS-11)": {"POST", mcp, c.token, callBody("add-book", `{"title":"x","author":"y"}`), 403, `scope="books:write"`},
	} {
		resp := c.send(tt.method, tt.address, tt.token, "application/json", tt.body)
		if resp.status != tt.status || !strings.Contains(resp.header.Get("WWW-Authenticate"), tt.challenge) {
			t.Errorf("%s: %d %q %s", name, resp.status, resp.header.Get("WWW-Authenticate"), resp.body)
		}
	}
	if got := c.call("list-books", `{"writer":"Pessoa"}`); !got.IsError || !strings.Contains(got.text(), "writer: is not known here") {
		t.Errorf("wrong arguments: %+v", got)
	}
	other := strings.Replace(mcp, "127.0.0.1", "mcp.localhost", 1)
	if page := c.browser().Get(other); page.Status != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d %s", page.Status, page.Text())
	}
	signIn, _, _ := c.authorizeURL(mcp, "")
	page := c.browser().Get(signIn).Follow().Submit("Sign in", url.Values{"username": {"alice"}, "password": {"wrong"}})
	if page.Status != http.StatusUnauthorized || !strings.Contains(page.Text(), "do not belong together") {
		t.Errorf("wrong password: %d %s", page.Status, page.Text())
	}
}

// startNode is a reader whose API is written for Node.
func startNode(r *reader) *program {
	r.t.Helper()
	modules, err := filepath.Abs("../node/node_modules")
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "jose")); err != nil {
		lack(r.t, "jose for Node")
	}
	if err := os.Symlink(modules, filepath.Join(r.dir, "node_modules")); err != nil { // stands for npm install
		r.t.Fatal(err)
	}
	r.copy("bookshop.mjs")
	return r.start("node", "bookshop.mjs", r.apiPort)
}

// startGo is a reader whose API is written in Go.
func startGo(r *reader) *program {
	r.t.Helper()
	r.copy("bookshop.go")
	// Built from here, because this module has go-jose: it stands for go get.
	build := exec.Command("go", "build", "-o", filepath.Join(r.dir, "bookshop"), filepath.Join(r.dir, "bookshop.go"), filepath.Join(r.dir, "gatehouse.go"))
	if out, err := build.CombinedOutput(); err != nil {
		r.t.Fatalf("the Go example does not build: %v\n%s", err, out)
	}
	return r.start("./bookshop", r.apiPort)
}

// The table of errors quotes what the program really says.
func TestQuickstartQuotesErrors(t *testing.T) {
	document := read(t, "../../docs/quickstart.md")
	_, table, _ := strings.Cut(document, "## What errors mean")
	table, _, _ = strings.Cut(table, "## ")
	var source bytes.Buffer
	for _, pattern := range []string{"../../internal/*/*.go", "../../cmd/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				source.WriteString(strings.ReplaceAll(read(t, f), "\" +\n\t\t\"", ""))
			}
		}
	}
	for _, quote := range []string{
		"does not exist; create it with gatehouse migrate", "This server does not serve the host that the request names",
		"The gateway's token was not accepted", "cannot be reached just now", "is not what its own description promises",
	} {
		if !strings.Contains(table, quote) || !strings.Contains(source.String(), quote) {
			t.Errorf("%q is not in the table, or the program does not say it", quote)
		}
	}
}

// lack ends a test whose witness is missing: a failure in CI, where nothing is
// left out.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; make test installs it", what)
	}
	t.Skipf("%s is missing; make test installs it", what)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// patience bounds what waits for another process.
const patience = 30 * time.Second

// checkConsole uses the console, which signs alice in without a browser here.
func checkConsole(t *testing.T, mcp string) {
	t.Helper()
	cmd := exec.Command(binary, "connect", mcp, "--store", t.TempDir(), "--login-with", "alice", "call", "list-books")
	cmd.Env = append(os.Environ(), "GATEHOUSE_PASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Lisbon") {
		t.Errorf("gatehouse connect: %v\n%s", err, out)
	}
}
