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

// A person of another organization makes an account at the agent, connects it
// with the demo's server as alice, and reads customers; then a refund needs more
// permission and the person's click.
func TestAgentCompletesTheDemosTasks(t *testing.T) {
	for name, o := range map[string]app.DemoOptions{"http": {}, "https": {TLS: true}} {
		t.Run(name, func(t *testing.T) {
			d := startAgentDemo(t, o)
			p := d.connect()
			if text := p.Text(); p.Status != http.StatusOK || !strings.Contains(text, "fetch-users") || !strings.Contains(text, "refund-order") {
				t.Fatalf("%d %s", p.Status, text)
			}
			p = follow(p.Submit("New chat with these tools", nil))
			chat := p.URL.String()
			p = follow(p.Submit("Fetch me my users", nil))
			p = d.until(chat, "Here are the first 20; there are more.")
			if text := p.Text(); !strings.Contains(text, "Moreno") || !strings.Contains(text, "firstName") {
				t.Errorf("no table of customers:\n%s", text)
			}
		})
	}
}

func tlsListener(l net.Listener, c tls.Certificate) net.Listener {
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12})
}
