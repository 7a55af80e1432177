package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

// agentDemo is a demo on TCP with a person's browser, signed in at the agent.
type agentDemo struct {
	t       *testing.T
	config  app.Config
	browser *webtest.Browser
}

func startAgentDemo(t *testing.T, o app.DemoOptions) *agentDemo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Address, o.Data = l.Addr().String(), t.TempDir()
	config, err := app.Demo(o)
	if err != nil {
		t.Fatal(err)
	}
	d := &agentDemo{t: t, config: config, browser: webtest.NewBrowser(t, nil)}
	if c := config.TLSCertificate(); c != nil {
		l = tlsListener(l, *c)
		d.browser.Trust(o.Data + "/ca.pem")
	}
	a, err := app.New(t.Context(), config, app.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.SeedDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *agentDemo) agent(path string) *webtest.Page {
	return d.browser.Get(d.config.URLs.Agent + path)
}

// until loads a page again until it says something.
func (d *agentDemo) until(address, wanted string) *webtest.Page {
	d.t.Helper()
	var p *webtest.Page
	for range 200 {
		if p = d.browser.Get(address); strings.Contains(p.Text(), wanted) {
			return p
		}
		time.Sleep(50 * time.Millisecond) // another process's time passes, too
	}
	d.t.Fatalf("%s never says %q:\n%s", address, wanted, p.Text())
	return nil
}

// follow follows redirects to the next page that is one.
func follow(p *webtest.Page) *webtest.Page {
	for p.Status == http.StatusSeeOther || p.Status == http.StatusFound {
		p = p.Follow()
	}
	return p
}

// connect makes an account, adds the demo's server and connects it as alice.
func (d *agentDemo) connect() *webtest.Page {
	d.t.Helper()
	p := follow(d.agent("/create").Submit("Create the account", url.Values{"username": {"visitor"}, "password": {"correct horse battery"}}))
	p = follow(p.Submit("Add this server", nil))
	p = follow(p.Submit("Connect", nil))
	p = follow(p.Submit("username=alice", nil))
	if !strings.Contains(p.Text(), "Errand") {
		d.t.Fatalf("the consent page does not name the agent:\n%s", p.Text())
	}
	return follow(p.Submit("action=allow", nil))
}

// newChat starts a chat with the server of a page.
func (d *agentDemo) newChat(server *webtest.Page) (address string) {
	d.t.Helper()
	return follow(server.Submit("New chat with these tools", nil)).URL.String()
}

// say says something in a chat, and waits until the page says what is wanted.
func (d *agentDemo) say(chat, text, wanted string) *webtest.Page {
	d.t.Helper()
	follow(d.browser.Get(chat).Submit("Send", url.Values{"text": {text}}))
	return d.until(chat, wanted)
}

func (d *agentDemo) contains(p *webtest.Page, wanted ...string) {
	d.t.Helper()
	for _, w := range wanted {
		if text := p.Text(); !strings.Contains(text, w) {
			d.t.Fatalf("the page does not say %q:\n%s", w, text)
		}
	}
}

// token opens what the agent keeps, as only who has its key can.
func (d *agentDemo) token() string {
	d.t.Helper()
	key, err := os.ReadFile(filepath.Join(d.config.Data, "agent.key"))
	if err != nil {
		d.t.Fatal(err)
	}
	db, err := sqlstore.OpenPlain(filepath.Join(d.config.Data, "agent.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	var account, server, sealed string
	if err := db.QueryRow(`SELECT account_id, id, sealed FROM servers`).Scan(&account, &server, &sealed); err != nil {
		d.t.Fatal(err)
	}
	text, err := secret.Open(strings.TrimSpace(string(key)), "tokens of "+account+" for "+server, sealed)
	if err != nil {
		d.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), `"access_token":"`)
	token, _, _ := strings.Cut(after, `"`)
	return token
}

// works reports how the MCP server answers a token.
func (d *agentDemo) works(token string) int {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.config.URLs.Gateway, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	transport := &http.Transport{DialContext: webtest.DialTCP}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// ends waits until a token is refused, which takes a second at most.
func (d *agentDemo) ends(token string) {
	d.t.Helper()
	for range 60 {
		if d.works(token) == http.StatusUnauthorized {
			return
		}
		time.Sleep(50 * time.Millisecond) // the revocation travels
	}
	d.t.Error("the token lives on")
}

// A person of another organization makes an account at the agent, connects it
// with the demo's server as alice, and reads customers and orders, by a metadata
// document on https and a registration on http.
func TestAgentCompletesTheDemosTasks(t *testing.T) {
	for name, o := range map[string]app.DemoOptions{"http": {}, "https": {TLS: true}} {
		t.Run(name, func(t *testing.T) {
			d := startAgentDemo(t, o)
			server := d.connect()
			d.contains(server, "fetch-users", "refund-order")
			chat := d.newChat(server)
			p := d.say(chat, "Fetch me my users", "Here are the first 20; there are more.")
			d.contains(p, "Moreno", "firstName", "20 in the answer")
			p = d.say(chat, "show Ana's orders", "Here they are: 7.")
			d.contains(p, "Burr grinder", "First I look for Ana.")
			p = d.say(chat, "sing me a song", "I do not understand this.")
			d.contains(p, "not a language model")
		})
	}
}

// A refund needs more permission (step-up) and the person's click: in any order
// of yes and no, the same turn goes on (security.md 3; R-CL-11).
func TestAgentRefundsAfterStepUpAndClick(t *testing.T) {
	d := startAgentDemo(t, app.DemoOptions{})
	server := d.connect()
	chat := d.newChat(server)
	d.contains(d.say(chat, "Refund order 1007", "Errand"), "Errand")
	d.until(chat, "I found no tool here that does this.") // it is off until the person switches it on

	follow(server.Submit("Keep these settings", url.Values{"mode refund-order": {"ask"}}))
	p := d.say(chat, "Refund order 1007", "It is sent only if you say so")
	d.contains(p, "orderId", "1007", "may change or delete something")
	follow(p.Submit("Do not send", nil))
	d.until(chat, "You did not allow this call. Nothing was sent.")
	d.until(chat, "That was not done. The card above says why.")

	p = d.say(chat, "refund Ana Moreno's order 1007", "It is sent only if you say so")
	follow(p.Submit("Send this call", nil))
	p = d.until(chat, "Continue at")
	d.contains(p, "refunds:create")
	p = follow(p.Submit("action=go", nil)) // signed in at the demo already
	follow(p.Submit("action=deny", nil))
	p = d.until(chat, "Ask me again")
	follow(p.Submit("Ask me again", nil))
	p = d.until(chat, "Continue at")
	p = follow(p.Submit("action=go", nil))
	follow(p.Submit("action=allow", nil))
	p = d.until(chat, "Done. The card above has the answer of the server.")
	d.contains(p, "4900", "refundable")

}

// What the agent holds for a person is sealed where it lies, and is revoked when
// they sign out; nothing of it is on any page.
func TestAgentTokensEndWithSignOut(t *testing.T) {
	d := startAgentDemo(t, app.DemoOptions{})
	server := d.connect()
	chat := d.newChat(server)
	p := d.say(chat, "Fetch me my users", "Here are the first 20")
	kept := 0
	for _, name := range []string{"agent.db", "agent.db-wal"} {
		data, err := os.ReadFile(filepath.Join(d.config.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		kept += len(data)
		for _, page := range []string{string(data), p.Body, server.Body} {
			for _, word := range []string{"access_token", "refresh_token", "gha_", "ghr_"} {
				if strings.Contains(page, word) {
					t.Errorf("%s or a page holds %s", name, word)
				}
			}
		}
	}
	if info, err := os.Stat(filepath.Join(d.config.Data, "agent.key")); err != nil || info.Mode().Perm() != 0o600 || kept == 0 {
		t.Errorf("the key: %v %v", info, err)
	}
	token := d.token()
	if status := d.works(token); status != http.StatusOK || strings.Contains(p.Body, token) {
		t.Fatalf("the token: %d", status)
	}
	follow(p.Submit("Sign out visitor", nil))
	d.ends(token)
	if d.token() != "" {
		t.Error("the token is kept")
	}
	if p := d.browser.Get(chat); p.Status != http.StatusSeeOther {
		t.Errorf("the chat is still open: %d", p.Status)
	}
	p = follow(d.agent("/sign-in").Submit("Sign in", url.Values{"username": {"visitor"}, "password": {"correct horse battery"}}))
	d.contains(p, "Not signed in", "Fetch me my users")
	// In the chat, the permission is asked for again, in the same turn.
	p = d.say(chat, "Fetch me my users", "Continue at")
	p = follow(p.Submit("action=go", nil))
	follow(p.Submit("action=continue", nil))
	d.until(chat, "You were asked at")
	d.until(chat, "What shall it do?")
	// Removing the server ends it, too.
	token = d.token()
	follow(d.agent(server.URL.Path).Submit("Remove this server", nil))
	d.ends(token)
	d.contains(d.agent("/"), "There are none yet.")
}

// R-CL-17: an answer from an authorization server counts in the browser session
// that asked for it, once.
func TestAgentCallbackBelongsToItsSession(t *testing.T) {
	d := startAgentDemo(t, app.DemoOptions{})
	p := follow(d.agent("/create").Submit("Create the account", url.Values{"username": {"visitor"}, "password": {"correct horse battery"}}))
	p = follow(p.Submit("Add this server", nil)).Submit("Connect", nil)
	p = follow(follow(p).Submit("username=alice", nil)).Submit("action=allow", nil)
	answer := p.Location().String() // the callback, with code and state
	if !strings.HasPrefix(answer, d.config.URLs.Agent+"/callback?") {
		t.Fatal(answer)
	}
	thief := webtest.NewBrowser(t, nil)
	if got := thief.Get(answer); got.Status != http.StatusUnauthorized {
		t.Errorf("nobody's browser: %d", got.Status)
	}
	follow(thief.Get(d.config.URLs.Agent+"/create").Submit("Create the account", url.Values{"username": {"thief"}, "password": {"correct horse battery"}}))
	for _, address := range []string{answer, d.config.URLs.Agent + "/callback", d.config.URLs.Agent + "/callback?state=x&code=y"} {
		if got := thief.Get(address); got.Status != http.StatusBadRequest {
			t.Errorf("%s in another's browser: %d", address, got.Status)
		}
	}
	d.contains(follow(p), "fetch-users")
	if got := d.browser.Get(answer); got.Status != http.StatusBadRequest {
		t.Errorf("a second time: %d", got.Status)
	}
}

// The agent's host is of another organization, so it may be anywhere.
func TestDemoTakesAnyAgentHost(t *testing.T) {
	for _, o := range []app.DemoOptions{
		{AgentHost: "agent.external.example"}, {AgentHost: "agent.external.example", TLS: true},
		{Domain: "example.com", AgentHost: "agent.external.example"}, {Domain: "example.com", AgentHost: "agent.external.example", TLS: true}, {Domain: "example.com"},
	} {
		o.Address, o.Data = "127.0.0.1:8443", t.TempDir()
		config, err := app.Demo(o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		a, err := app.New(t.Context(), config, app.Options{Migrate: true})
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if c := config.TLSCertificate(); c != nil {
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			authority, err := x509.ParseCertificate(c.Certificate[1])
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(authority)
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: o.AgentHost, Roots: roots}); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

func tlsListener(l net.Listener, c tls.Certificate) net.Listener {
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12})
}
