package app_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
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
	if err := a.SeedDemo(t.Context()); err != nil {
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
			p = d.say(chat, "show Ana Moreno's orders", "Here they are: 7.")
			d.contains(p, "Burr grinder", "First I look for Ana Moreno.")
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

	server = follow(server.Submit("Keep these settings", url.Values{"mode refund-order": {"ask"}}))
	p := d.say(chat, "Refund order 1007", "It is sent only if you say so")
	d.contains(p, "orderId", "1007", "may change or delete something")
	p = follow(p.Submit("Do not send", nil))
	d.until(chat, "You did not allow this call. Nothing was sent.")
	d.until(chat, "That was not done. The card above says why.")

	p = d.say(chat, "refund Ana Moreno's order 1007", "It is sent only if you say so")
	follow(p.Submit("Send this call", nil))
	p = d.until(chat, "More permission is needed")
	d.contains(p, "refunds:create")
	p = follow(p.Submit("action=go", nil)) // signed in at the demo already
	p = follow(p.Submit("action=deny", nil))
	p = d.until(chat, "You did not allow it at")
	follow(p.Submit("Ask me again", nil))
	p = d.until(chat, "More permission is needed")
	p = follow(p.Submit("action=go", nil))
	follow(p.Submit("action=allow", nil))
	p = d.until(chat, "Done. The card above has the answer of the server.")
	d.contains(p, "4900", "refundable")

	// Another turn with the same token needs no more permission.
	p = d.say(chat, "refund customer 1 order 1005", "orderId 1005")
	t.Log(p.Text())
}

func tlsListener(l net.Listener, c tls.Certificate) net.Listener {
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12})
}
