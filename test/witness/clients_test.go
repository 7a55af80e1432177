package witness_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/webtest"
)

// script runs one of our drivers of a package that others wrote.
func script(t *testing.T, data, name string, args ...string) *program {
	t.Helper()
	path, err := filepath.Abs("../node/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("../node/node_modules/.installed"); err != nil {
		lack(t, "the npm packages of test/node")
	}
	cmd := exec.Command(nodes(t)["22"], append([]string{path}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_OPTIONS=--import="+filepath.Join(data, "localhost.mjs"))
	return start(t, name, cmd)
}

// answer reads the JSON line with which a driver ends.
func answer(t *testing.T, p *program, into any) {
	t.Helper()
	line, _ := p.wait(`(?m)^(\{.*\})$`, 0)
	if err := json.Unmarshal([]byte(line[1]), into); err != nil {
		t.Fatalf("%v in %s", err, line[1])
	}
}

func authorize(t *testing.T, p *program, name string) {
	t.Helper()
	found, _ := p.wait(`(?m)^authorize (\S+)$`, 0)
	allow(t, found[1], name)
}

// The TypeScript SDK v2 in revision 2026-07-28, strict about iss and metadata.
func TestTypeScriptSDKv2(t *testing.T) {
	mcp, data := demo(t)
	p := script(t, data, "sdk-v2.mjs", mcp, "fetch-users", `{"limit": 2}`)
	authorize(t, p, "bruno")
	var got struct {
		Tools      []string
		IsError    bool
		Refresh    bool
		Structured struct{ Users []struct{ Region string } }
	}
	answer(t, p, &got)
	if got.IsError || len(got.Structured.Users) != 2 || got.Structured.Users[0].Region != "Europe" || len(got.Tools) != 7 || !got.Refresh {
		t.Errorf("%+v\n%s", got, p.text())
	}
}

// oauth4webapi: every answer of the authorization server by the letter, a
// refresh, and a revocation that is felt a second later.
func TestOAuth4WebAPI(t *testing.T) {
	mcp, data := demo(t)
	p := script(t, data, "oauth4webapi.mjs", strings.Replace(mcp, "mcp.", "login.", 1), mcp)
	authorize(t, p, "alice")
	var got struct {
		Before, After int
		Rotated       bool
		Body          struct{ Users []struct{ Region string } }
	}
	answer(t, p, &got)
	if got.Before != 200 || len(got.Body.Users) != 1 || got.After != 401 || !got.Rotated {
		t.Errorf("%+v\n%s", got, p.text())
	}
}

func TestOpenIDClient(t *testing.T) {
	mcp, data := demo(t)
	p := script(t, data, "openid-client.mjs", strings.Replace(mcp, "mcp.", "login.", 1), mcp)
	authorize(t, p, "alice")
	var got struct {
		Scope, Type string
		Rotated     bool
	}
	answer(t, p, &got)
	if got.Scope != "users:read orders:read" || !strings.EqualFold(got.Type, "bearer") || !got.Rotated {
		t.Errorf("%+v\n%s", got, p.text())
	}
}

// MCP Inspector's command line, in both eras.
func TestInspector(t *testing.T) {
	mcp, data := demo(t)
	bearer := token(t, mcp)
	for _, era := range []string{"modern", "legacy"} {
		t.Run(era, func(t *testing.T) {
			inspector := []string{"node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"}
			found, err := filepath.Glob("../node/node_modules/.bin/mcp-inspector")
			if err != nil || len(found) == 0 {
				lack(t, "@modelcontextprotocol/inspector in test/node")
			}
			if real, err := filepath.EvalSymlinks(found[0]); err == nil {
				inspector[0] = strings.TrimPrefix(real, "../node/")
			}
			run := func(extra ...string) *program {
				args := append([]string{"--cli", mcp, "--transport", "http", "--protocol-era", era}, extra...)
				return script(t, data, inspector[0], args...)
			}
			p := run("--header", "Authorization: Bearer "+bearer, "--method", "tools/list")
			<-p.ended
			if !strings.Contains(p.text(), "fetch-users") {
				t.Errorf("tools/list:\n%s", p.text())
			}
			p = run("--header", "Authorization: Bearer "+bearer, "--method", "tools/call", "--tool-name", "fetch-users", "--tool-arg", "limit=2")
			<-p.ended
			if !strings.Contains(p.text(), "USA") {
				t.Errorf("tools/call:\n%s", p.text())
			}
		})
	}
}

// mcp-remote takes plain http on exact localhost only, so it comes over https.
func TestMCPRemote(t *testing.T) {
	mcp, data := demo(t, "--tls")
	path, err := filepath.Abs("../node/node_modules/mcp-remote/dist/client.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		lack(t, "mcp-remote in test/node")
	}
	authority := filepath.Join(data, "ca.pem")
	cmd := exec.Command(nodes(t)["22"], path, mcp)
	cmd.Env = append(os.Environ(), "NODE_OPTIONS=--import="+filepath.Join(data, "localhost.mjs"), "NODE_EXTRA_CA_CERTS="+authority,
		"MCP_REMOTE_CONFIG_DIR="+t.TempDir(), "BROWSER=true", "DISPLAY=")
	p := start(t, "mcp-remote", cmd)
	found, _ := p.wait(`(https://login\.localhost:\d+/authorize\?\S+)`, 0)
	allowTrusting(t, authority, found[1], "alice")
	p.wait(`fetch-users`, 0)
}

// openid-client as a relying party: it signs a person in, checks the ID token by
// the letter, asks for userinfo, and signs the person out again.
func TestOpenIDLogin(t *testing.T) {
	mcp, data := demo(t)
	login := strings.Replace(mcp, "mcp.", "login.", 1)
	p := script(t, data, "openid-login.mjs", login)
	b := webtest.NewBrowser(t, nil)
	found, _ := p.wait(`(?m)^authorize (\S+)$`, 0)
	b.Get(found[1]).Follow().Submit("username=alice", nil).Follow().Submit("action=allow", nil).Follow()
	var got struct {
		Sub, Logout string
		Userinfo    map[string]string
	}
	answer(t, p, &got)
	if got.Sub == "" || got.Userinfo["sub"] != got.Sub || got.Userinfo["preferred_username"] != "alice" {
		t.Fatalf("%+v\n%s", got, p.text())
	}
	page := b.Get(got.Logout)
	if to := page.Location(); !strings.HasSuffix(to.String(), "/bye?state=after") {
		t.Errorf("after signing out: %d %s", page.Status, to)
	}
	if again := b.Get(login + "/account"); again.Status != 303 {
		t.Errorf("still signed in: %d", again.Status)
	}
}
