package witness_test

import (
	"fmt"
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

// The agent front end answers "Fetch me my users" with an MCP server and an
// authorization server that others wrote: it registers, a person signs in
// there, the tool that only reads is called, and signing out ends the tokens
// where they were issued (RFC 7009).
func TestAgentFrontEndWithServersOfOthers(t *testing.T) {
	if _, err := os.Stat("../node/node_modules/oidc-provider"); err != nil {
		lack(t, "oidc-provider in test/node")
	}
	own, signInPort, mcpPort := freePort(t), freePort(t), freePort(t)
	data := t.TempDir()
	if _, err := app.WriteLocalhostModule(data); err != nil {
		t.Fatal(err)
	}
	third := script(t, data, "third.mjs", fmt.Sprint(signInPort), fmt.Sprint(mcpPort))
	found, _ := third.wait(`"endpoint":"(\S+?)"`, 0)
	config := filepath.Join(data, "gatehouse.yaml")
	text := fmt.Sprintf("urls: {authserver: \"http://login.localhost:%[1]d\", gateway: \"http://mcp.localhost:%[1]d\", agent: \"http://localhost:%[1]d\"}\n"+
		"listen: 127.0.0.1:%[1]d\nstore: sqlite:gatehouse.db\ndata: .\nagent: {addresses: [\"localhost:%[2]d\", \"localhost:%[3]d\"]}\n"+
		"apis:\n  - {name: none, openapi: \"file:openapi.json\", url: http://127.0.0.1:9}\n", own, signInPort, mcpPort)
	document := `{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{"/x":{"get":{"operationId":"x","responses":{"200":{"description":"x"}}}}}}`
	for name, content := range map[string]string{config: text, filepath.Join(data, "openapi.json"): document} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gatehouse := start(t, "gatehouse serve", exec.Command(binary, "serve", "-c", config, "--role", "agent"))
	gatehouse.wait(`gatehouse serves`, 0)

	agent := fmt.Sprintf("http://localhost:%d", own)
	b := webtest.NewBrowser(t, nil)
	follow := func(p *webtest.Page) *webtest.Page {
		for p.Status == http.StatusSeeOther || p.Status == http.StatusFound {
			p = p.Follow()
		}
		return p
	}
	p := follow(b.Get(agent+"/create").Submit("Create the account", url.Values{"username": {"visitor"}, "password": {"correct horse battery"}}))
	p = follow(p.Submit("Add this server", url.Values{"url": {found[1]}}))
	p = follow(p.Submit("Connect", nil))
	p = follow(p.Submit("Sign-in", url.Values{"login": {"grace"}, "password": {"x"}}))
	p = follow(p.Submit("Continue", nil))
	if p.URL.Host != strings.TrimPrefix(agent, "http://") || !strings.Contains(p.Text(), "List users") {
		t.Fatalf("after the sign-in: %d at %s\n%s\n%s", p.Status, p.URL, p.Text(), gatehouse.text())
	}
	chat := follow(p.Submit("New chat with these tools", nil)).URL.String()
	follow(b.Get(chat).Submit("Send", url.Values{"text": {"Fetch me my users"}}))
	for i := 0; ; i++ {
		if p = b.Get(chat); strings.Contains(p.Text(), "Grace Hopper") && strings.Contains(p.Text(), "Ada Lovelace") {
			break
		}
		if i == 200 {
			t.Fatalf("the chat never shows the users:\n%s\n%s", p.Text(), gatehouse.text())
		}
		time.Sleep(50 * time.Millisecond) // the turn runs by itself
	}
	follow(p.Submit("Sign out visitor", nil))
	third.wait(`"destroyed":"(access|refresh)_token"`, 0)
}
