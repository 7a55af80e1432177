package witness_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nodes are the Node versions to test with: the system's, and 22 from npm.
func nodes(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	if system, err := exec.LookPath("node"); err == nil {
		found["system"] = system
	} else {
		lack(t, "Node.js")
	}
	second, err := filepath.Abs("../node22/node_modules/node/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(second); err != nil {
		lack(t, "Node.js 22 in test/node22")
	}
	found["22"] = second
	return found
}

// The first witness: the example client of the TypeScript SDK, unmodified,
// registers itself, signs a person in through our pages and reads customers.
func TestTypeScriptSimpleOAuthClient(t *testing.T) {
	script, err := filepath.Abs("../node/node_modules/@modelcontextprotocol/sdk/dist/esm/examples/client/simpleOAuthClient.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil {
		lack(t, "@modelcontextprotocol/sdk in test/node")
	}
	for version, node := range nodes(t) {
		t.Run("node "+version, func(t *testing.T) {
			mcp, data := demo(t)
			run := func(t *testing.T) (*program, string) {
				cmd := exec.Command(node, script, mcp)
				// As the demo prints it: names below localhost where the system does not know them.
				cmd.Env = append(os.Environ(), "NODE_OPTIONS=--import="+filepath.Join(data, "localhost.mjs"), "DISPLAY=", "BROWSER=true")
				p := start(t, "simpleOAuthClient.js", cmd)
				found, _ := p.wait(`(http://login\.localhost:\d+/authorize\?\S+)`, 0)
				p.wait(`OAuth callback server started`, 0) // which it may print after the address
				return p, found[1]
			}
			t.Run("reads customers", func(t *testing.T) {
				p, address := run(t)
				allow(t, address, "alice")
				_, at := p.wait(`mcp> `, 0)
				p.say("list")
				_, at = p.wait(`fetch-users`, at)
				_, at = p.wait(`mcp> `, at)
				p.say(`call fetch-users {"limit": 3}`)
				_, at = p.wait(`Tool 'fetch-users' result:`, at)
				_, at = p.wait(`"region": ?"USA"`, at)
				_, at = p.wait(`mcp> `, at)
				p.say("call fetch-users {\"limit\": 5000}")
				p.wait(`(?i)limit.*100`, at)
				if strings.Contains(p.text(), `"Europe"`) {
					t.Errorf("alice sees customers in Europe:\n%s", p.text())
				}
				p.say("quit")
				<-p.ended
			})
			t.Run("reads customers over https", func(t *testing.T) {
				mcp, data := demo(t, "--tls")
				cmd := exec.Command(node, script, mcp)
				cmd.Env = append(os.Environ(), "NODE_OPTIONS=--import="+filepath.Join(data, "localhost.mjs"), "NODE_EXTRA_CA_CERTS="+filepath.Join(data, "ca.pem"), "DISPLAY=", "BROWSER=true")
				p := start(t, "simpleOAuthClient.js", cmd)
				found, _ := p.wait(`(https://login\.localhost:\d+/authorize\?\S+)`, 0)
				p.wait(`OAuth callback server started`, 0)
				allowTrusting(t, filepath.Join(data, "ca.pem"), found[1], "alice")
				_, at := p.wait(`mcp> `, 0)
				p.say("call fetch-users")
				p.wait(`"region": ?"USA"`, at)
				p.say("quit")
				<-p.ended
			})
			t.Run("is told about a scope that was switched off", func(t *testing.T) {
				p, address := run(t)
				allow(t, address, "bruno", "orders:read")
				_, at := p.wait(`mcp> `, 0)
				p.say("call fetch-users")
				_, at = p.wait(`"region": ?"Europe"`, at)
				_, at = p.wait(`mcp> `, at)
				p.say(`call fetch-orders {"id": 2}`)
				// The client starts over with the challenge's scope, as it should.
				found, _ := p.wait(`(http://login\.localhost:\d+/authorize\?\S+|Failed to call tool[^\n]*)`, at)
				t.Logf("the client answers the challenge with: %s", found[1])
				if strings.HasPrefix(found[1], "http") && !strings.Contains(found[1], "orders%3Aread") {
					t.Errorf("the client did not ask for the scope of the challenge: %s", found[1])
				}
				p.say("quit")
			})
		})
	}
}
