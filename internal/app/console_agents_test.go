package app_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/jose"
)

// An administrator adds agents in the console: with a key, with nothing but what
// its platform says, or with a secret that is shown once and kept as a hash.
func TestConsoleAddsAgents(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	form := func(more ...string) url.Values {
		v := url.Values{"name": {"Exporter"}, "id": {"exporter"}, "proof": {"key"}, "keys": {string(jose.PublicSet(key))}, "scopes": {"users:read\norders:read"}, "attributes": {"region=Europe"}}
		for n := 0; n < len(more); n += 2 {
			v.Set(more[n], more[n+1])
		}
		return v
	}
	d.sees(d.get("/admin/agents"), 200, "Add an agent")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("keys", "no key")), 409, "neither JSON nor PEM")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("scopes", "a\"b")), 409, "is no scope")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("proof", "public")), 409, "cannot act for itself")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("redirects", "http://desk.example.com/cb")), 409, "plain http")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form()), 200, "Exporter is added", "no secret that could be lost")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form()), 409, "exists already")
	d.sees(d.get("/admin/agents/exporter"), 200, "a key of its own", "EdDSA "+key.KeyID, "region=Europe", "added by an administrator")
	d.newest("client added from the console")

	p := d.get("/admin/add-agent").Submit("act=add", form("id", "old", "proof", "secret"))
	d.sees(p, 200, "shown this once")
	value := regexp.MustCompile(`ghs_[A-Za-z0-9_-]{20,}`).FindString(p.Text())
	if value == "" || p.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page: %s, %s", p.Text(), p.Header.Get("Cache-Control"))
	}
	if strings.Contains(d.contents(), value) {
		t.Error("the store holds the secret")
	}
}

// Where agents may show certificates, the console registers one by its name or by
// itself; elsewhere it does not offer that (RFC 8705).
func TestConsoleAddsAgentsWithCertificates(t *testing.T) {
	d := startConsole(t, app.DemoOptions{TLS: true}, func(c *app.Config) {
		c.MutualTLS = &app.MutualTLS{URL: "https://mtls.localhost"}
	})
	d.signIn()
	form := func(more ...string) url.Values {
		v := url.Values{"name": {"Ledger"}, "id": {"ledger"}, "scopes": {"users:read"}}
		for n := 0; n < len(more); n += 2 {
			v.Set(more[n], more[n+1])
		}
		return v
	}
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("proof", "subject", "subject", "ledger")), 409, "begin with dns:")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("proof", "certificate", "keys", "no certificate")), 409, "this is not PEM")
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("proof", "subject", "subject", "uri:spiffe://example.org/ledger")), 200, "Ledger is added", "no secret that could be lost")
	d.sees(d.get("/admin/agents/ledger"), 200, "a certificate with the subject uri:spiffe://example.org/ledger")
	authority, err := os.ReadFile(filepath.Join(d.config.Data, "ca.pem")) // any will do: it is registered, not believed
	if err != nil {
		t.Fatal(err)
	}
	d.sees(d.get("/admin/add-agent").Submit("act=add", form("id", "own", "proof", "certificate", "keys", string(authority))), 200, "Ledger is added")
	d.sees(d.get("/admin/agents/own"), 200, "a certificate of its own")

	plain := startConsole(t, app.DemoOptions{})
	plain.signIn()
	if page := plain.get("/admin/add-agent"); strings.Contains(page.Text(), "certificate") {
		t.Error("certificates are offered where none can be shown")
	}
}
