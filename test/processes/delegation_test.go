package processes_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDelegationAcrossProcesses has an agent act for another at a gateway of its
// own process: the audit has the chain, and within a second of a link's end the
// gateway, which remembers what a token is worth, lets nothing through.
func TestDelegationAcrossProcesses(t *testing.T) {
	p := newPlace(t)
	p.configure("one", p.one, p.one, "gateway-1")
	p.start("one", "gateway")
	keys, err := os.ReadFile(filepath.Join(p.folder, "data-one", "gateway.jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.write("gateway-1.jwks.json", string(keys))
	p.configure("login", p.one, p.authServer, "unused", "gateway-1")
	text, err := os.ReadFile(filepath.Join(p.folder, "login.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p.write("login.yaml", string(text)+"delegation:\n  - {actor: summary, for: [nightly], apis: [books], scopes: [\"books:read\"]}\n  - {actor: printer, for: [summary], apis: [books]}\n")
	p.run("migrate", "-c", "login.yaml")
	p.start("login", "authserver")
	secrets := map[string]string{}
	for _, id := range []string{"nightly", "summary", "printer"} {
		found := clientLines.FindStringSubmatch(p.run("client", "add", id, "--id", id, "--secret", "--scope", "books:read", "-c", "login.yaml"))
		if found == nil {
			t.Fatal("no client")
		}
		secrets[id] = found[2]
	}
	takeOver := func(subject, id string) string {
		t.Helper()
		resp, err := http.PostForm("http://"+strings.Replace(p.authServer, "127.0.0.1", "localhost", 1)+"/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {id}, "client_secret": {secrets[id]},
			"subject_token": {subject}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"actor_token": {p.token(p.one, id, secrets[id])}, "actor_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		token, _ := body["access_token"].(string)
		if token == "" {
			t.Fatalf("%s: %v", id, body)
		}
		return token
	}
	subject := p.token(p.one, "nightly", secrets["nightly"])
	p.await("the first call", func() bool { return works(p.call(p.one, subject)) })
	second := takeOver(subject, "summary")
	third := takeOver(second, "printer")
	for _, token := range []string{second, third} {
		if status, body := p.call(p.one, token); !works(status, body) {
			t.Fatalf("%d %s", status, body)
		}
	}
	p.await("the chain in the audit", func() bool {
		return p.count("", `SELECT count(*) FROM audit WHERE kind = 'call' AND client_id = 'printer' AND account_id = '' AND detail LIKE '%"actors":"printer summary"%'`) > 0
	})
	p.run("client", "end", "summary", "--reason", "not needed any more", "-c", "login.yaml")
	time.Sleep(time.Second)
	for name, token := range map[string]string{"the ended agent": second, "who hangs off it": third} {
		if status, _ := p.call(p.one, token); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, body := p.call(p.one, subject); !works(status, body) {
		t.Errorf("the one that it acted for: %d %s", status, body)
	}
}
