package witness_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/webtest"
)

// chat is LibreChat beside the demo and a person's browser.
type chat struct {
	*libreChat
	browser *webtest.Browser
	person  func() *webtest.Browser // another person's
}

// newChat starts the demo as docs/librechat.md does, on another port, and
// LibreChat at agent.external.example.
func newChat(t *testing.T, scheme string) *chat {
	t.Helper()
	flags := []string{"--domain", "example.com", "--agent-host", "agent.external.example"}
	if scheme == "https" {
		flags = append(flags, "--tls")
	}
	mcp, data := demo(t, flags...)
	// As the hosts file does it: every name is this computer.
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return webtest.DialTCP(ctx, network, "localhost:"+port)
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	authority := filepath.Join(data, "ca.pem")
	if scheme == "https" {
		transport.TLSClientConfig = &tls.Config{RootCAs: pool(t, authority), MinVersion: tls.VersionTLS12}
	}
	c := &chat{person: func() *webtest.Browser {
		b := webtest.NewBrowser(t, dial)
		if scheme == "https" {
			b.Trust(authority)
		}
		return b
	}}
	c.browser = c.person()
	c.libreChat = &libreChat{t: t, http: &http.Client{Transport: transport}, domain: scheme + "://agent.external.example", server: "customers", url: mcp}
	return c
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// consent opens the sign-in button's address and goes as far as the consent page.
func (c *chat) consent(name string) *webtest.Page {
	c.t.Helper()
	page := c.browser.Get(c.authorization()).Follow()
	if strings.Contains(page.URL.Path, "/login") {
		page = page.Submit("username="+name, nil).Follow()
	}
	return page
}

// ready is LibreChat after its first sign-in.
func (c *chat) ready(name string) {
	c.t.Helper()
	c.readResource(c.probe(http.MethodHead).hint())
	c.readServer(probing(c.t, c.resource.AuthorizationServers[0])[0])
	c.register()
	c.answered(c.consent(name).Submit("action=allow", nil).Location())
}

// What LibreChat does, request by request, on plain http with names of its own
// and on https. Each documented behaviour is one part; they build on another.
func TestLibreChat(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			c := newChat(t, scheme)
			for _, part := range []struct {
				name string
				run  func(*chat, *testing.T)
			}{
				{"HEAD and then POST {} are 401 and name the metadata", (*chat).discovers},
				{"resource metadata is of the same origin and a prefix", (*chat).readsResource},
				{"server metadata at each address that is tried, with S256", (*chat).readsServer},
				{"two initialize at once without a token are 401", (*chat).startsUnauthenticated},
				{"registration with response_types copied and the first method that is not none", (*chat).registers},
				{"a redirect to another plain host is refused", (*chat).redirectsElsewhere},
				{"all scopes of the resource, and resource with a trailing slash", (*chat).signsIn},
				{"initialize, GET 405, ping, tools/list, tools/call, DELETE, and again", (*chat).runsSession},
				{"401 on a call: refresh with scope and resource, and repeat", (*chat).refreshes401},
				{"ordinary denials are tool results", (*chat).isDenied},
				{"403 on a call: same scopes, no new registration, the tried scope offered", (*chat).stepsUp},
				{"a denial by the API itself is a tool result", (*chat).apiDenies},
				{"a refresh keeps to what was registered; the next 403 offers again", (*chat).narrowsByRefresh},
				{"offline_access in librechat.yaml, with prompt=consent", (*chat).asksForOfflineAccess},
				{"another user of LibreChat has a client and tokens of their own", (*chat).hasUsers},
				{"revoke button: access token, then refresh token, and nothing goes on", (*chat).revokes},
				{"a refresh afterwards is invalid_grant, and signing in works again", (*chat).comesBack},
			} {
				if !t.Run(part.name, func(t *testing.T) {
					c.t = t
					part.run(c, t)
				}) {
					break // what follows builds on it
				}
			}
		})
	}
}

func (c *chat) discovers(t *testing.T) {
	head, post := c.probe(http.MethodHead), c.probe(http.MethodPost)
	if head.hint() == "" || head.hint() != post.hint() {
		t.Errorf("HEAD: %d %q; POST: %d %q", head.Status, head.Header.Get("WWW-Authenticate"), post.Status, post.Header.Get("WWW-Authenticate"))
	}
}

func (c *chat) readsResource(t *testing.T) {
	c.readResource(c.probe(http.MethodHead).hint())
	// All of these are asked for at once, so they are to be few, and
	// offline_access among them would make it send prompt=consent.
	if !slices.Equal(c.resource.ScopesSupported, []string{"users:read", "orders:read"}) {
		t.Errorf("scopes_supported is %q", c.resource.ScopesSupported)
	}
	if len(c.resource.AuthorizationServers) != 1 {
		t.Errorf("it takes the first of %q", c.resource.AuthorizationServers)
	}
}

func (c *chat) readsServer(t *testing.T) {
	issuer := c.resource.AuthorizationServers[0]
	for _, address := range slices.Backward(probing(t, issuer)) { // the first is what counts, so it is last
		c.readServer(address)
		if c.metadata.Issuer != issuer || c.metadata.Register == "" || c.metadata.Revoke == "" {
			t.Errorf("%s: %+v", address, c.metadata)
		}
	}
}

func (c *chat) startsUnauthenticated(t *testing.T) {
	var both sync.WaitGroup
	got := make([]reply, 2)
	for i := range got {
		both.Go(func() {
			// Not c.rpc: failing a test belongs to its own goroutine.
			resp, err := c.http.Post(c.url, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":`+initializing+`}`))
			if err != nil {
				got[i].Body = err.Error()
				return
			}
			_ = resp.Body.Close() // its header is what counts
			got[i] = reply{Status: resp.StatusCode, Header: resp.Header}
		})
	}
	both.Wait()
	for _, r := range got {
		if r.hint() == "" {
			t.Errorf("%d %q %s", r.Status, r.Header.Get("WWW-Authenticate"), r.Body)
		}
	}
}

func (c *chat) registers(t *testing.T) {
	c.register()
	if c.client.ID == "" || c.client.Secret == "" || c.client.AuthMethod != "client_secret_basic" || c.client.Scope != "users:read orders:read" ||
		!slices.Equal(c.client.Redirects, []string{c.callback()}) {
		t.Errorf("%+v", c.client)
	}
}

// The exception for plain http is for the named host alone (security.md 17).
func (c *chat) redirectsElsewhere(t *testing.T) {
	elsewhere := `{"redirect_uris":["http://agent.elsewhere.example/api/mcp/customers/oauth/callback"]}`
	if r := c.do(http.MethodPost, c.metadata.Register, "application/json", "", elsewhere); r.Status != http.StatusBadRequest || r.json()["error"] != "invalid_redirect_uri" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func (c *chat) signsIn(t *testing.T) {
	if !strings.HasSuffix(c.indicator(), "/") || c.indicator() == c.resource.Resource {
		t.Fatalf("the resource is sent as %s", c.indicator())
	}
	page := c.consent("alice")
	if text := page.Text(); !strings.Contains(text, "LibreChat MCP Client") || !strings.Contains(text, "agent.external.example") {
		t.Errorf("the page does not say who asks: %s", text)
	}
	c.answered(page.Submit("action=allow", nil).Location())
	if c.tokens.Access == "" || c.tokens.Refresh == "" || c.tokens.Scope != "users:read orders:read" {
		t.Errorf("scope %q", c.tokens.Scope)
	}
}

func (c *chat) runsSession(t *testing.T) {
	for range 2 {
		if r := c.rpc("initialize", initializing); r.Status != http.StatusOK || !strings.Contains(r.Body, `"protocolVersion":"2025-11-25"`) {
			t.Fatalf("initialize: %d %s", r.Status, r.Body)
		}
		if r := c.rpc("notifications/initialized", `{}`); r.Status != http.StatusAccepted {
			t.Errorf("initialized: %d %s", r.Status, r.Body)
		}
		bearer := "Bearer " + c.tokens.Access
		if r := c.do(http.MethodGet, c.url, "", bearer, "", "Accept", "text/event-stream"); r.Status != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", r.Status)
		}
		if r := c.rpc("ping", `{}`); r.Status != http.StatusOK || r.json()["result"] == nil {
			t.Errorf("ping: %d %s", r.Status, r.Body)
		}
		if r := c.rpc("tools/list", `{}`); r.Status != http.StatusOK || !strings.Contains(r.Body, `"fetch-users"`) {
			t.Errorf("tools/list: %d %s", r.Status, r.Body)
		}
		if r := c.call("fetch-users", `{}`); !succeeded(r) || !strings.Contains(r.Body, `"USA"`) || strings.Contains(r.Body, `"Europe"`) {
			t.Errorf("fetch-users: %d %s", r.Status, r.Body)
		}
		// The transport ends what it takes for a session; none is kept.
		if r := c.do(http.MethodDelete, c.url, "", bearer, ""); r.Status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE: %d", r.Status)
		}
	}
}

// succeeded reports whether a call brought a result that is no error.
func succeeded(r reply) bool {
	result, ok := r.json()["result"].(map[string]any)
	return r.Status == http.StatusOK && ok && result["isError"] != true
}

func (c *chat) refreshes401(t *testing.T) {
	before := c.tokens
	if r := c.revoke("access_token", before.Access); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	c.refused(t)
	if r := c.call("fetch-users", `{}`); !succeeded(r) {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if c.libreChat.refreshes != 1 || c.tokens.Access == before.Access || c.tokens.Refresh == before.Refresh || c.tokens.Scope != before.Scope {
		t.Errorf("%d refreshes, scope %q", c.libreChat.refreshes, c.tokens.Scope)
	}
}

// refused waits until the access token is refused, which must be so for each
// call that starts a second from now (security.md 11).
func (c *chat) refused(t *testing.T) {
	t.Helper()
	for ended := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		begun := time.Now()
		r := c.rpc("tools/call", `{"name":"fetch-users","arguments":{}}`)
		if r.hint() != "" && strings.Contains(r.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			return
		}
		if begun.Sub(ended) > time.Second {
			t.Fatalf("%d %s a second after its end", r.Status, r.Body)
		}
	}
}

// It takes any 403 for a login problem, so these must not be one.
func (c *chat) isDenied(t *testing.T) {
	for tool, arguments := range map[string]string{"fetch-user": `{"id":999999}`, "fetch-users": `{"limit":-1}`, "fetch-orders": `{"id":999999}`} {
		if r := c.call(tool, arguments); !failed(r) {
			t.Errorf("%s %s: %d %s", tool, arguments, r.Status, r.Body)
		}
	}
}

// failed reports whether a call brought a result that says what went wrong.
func failed(r reply) bool {
	result, ok := r.json()["result"].(map[string]any)
	return r.Status == http.StatusOK && ok && result["isError"] == true
}

// apiDenies lets the agent change customers, and the API lets no agent of its
// standing delete one: its 403 is not to look like ours.
func (c *chat) apiDenies(t *testing.T) {
	const gone = `{"id":1}`
	if r := c.call("delete-user", gone); r.Status != http.StatusForbidden {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	c.answered(c.consent("alice").Submit("action=allow", url.Values{"scope": {"users:read", "orders:read", "users:write"}}).Location())
	if r := c.call("delete-user", gone); !failed(r) || !strings.Contains(r.Body, "client_assurance_level") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

const refund = `{"id":1,"orderId":1007,"reason":"The grinder arrived broken."}`

func (c *chat) stepsUp(t *testing.T) {
	c.tryRefund()
	page := c.consent("alice") // the sign-in button: the same scopes as ever
	if text := page.Text(); !strings.Contains(text, "It tried, without asking") || !strings.Contains(text, "Refund orders") {
		t.Fatalf("what was tried is not offered: %s", text)
	}
	c.answered(page.Submit("action=allow", url.Values{"scope": {"users:read", "orders:read", "refunds:create"}}).Location())
	if !strings.Contains(c.tokens.Scope, "refunds:create") || c.registrations != 1 {
		t.Errorf("scope %q, %d registrations", c.tokens.Scope, c.registrations)
	}
	if r := c.call("refund-order", refund); !succeeded(r) {
		t.Errorf("repeated: %d %s", r.Status, r.Body)
	}
}

// Its refresh names the scope that it registered with, so what a person added
// lasts as long as the access token, and is offered again when it is tried.
func (c *chat) narrowsByRefresh(t *testing.T) {
	c.tryRefund()
	c.answered(c.consent("alice").Submit("action=allow", url.Values{"scope": {"users:read", "orders:read", "refunds:create"}}).Location())
	c.refresh()
	if c.tokens.Scope != "users:read orders:read" {
		t.Errorf("scope %q", c.tokens.Scope)
	}
	c.tryRefund()
	c.answered(c.consent("alice").Submit("action=allow", url.Values{"scope": {"users:read", "orders:read", "refunds:create"}}).Location())
	if !strings.Contains(c.tokens.Scope, "refunds:create") {
		t.Errorf("scope %q", c.tokens.Scope)
	}
}

// tryRefund calls a tool whose scope is missing.
func (c *chat) tryRefund() {
	c.t.Helper()
	r := c.call("refund-order", refund)
	if r.Status != http.StatusForbidden || !strings.Contains(r.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		c.t.Fatalf("%d %s", r.Status, r.Body)
	}
}

func (c *chat) asksForOfflineAccess(t *testing.T) {
	configured := c.resource.ScopesSupported
	defer func() { c.resource.ScopesSupported = configured }()
	c.resource.ScopesSupported = append(slices.Clone(configured), "offline_access")
	page := c.browser.Get(c.authorization() + "&prompt=consent").Follow()
	c.answered(page.Submit("action=allow", nil).Location())
	if strings.Contains(c.tokens.Scope, "offline_access") || c.tokens.Refresh == "" {
		t.Errorf("scope %q", c.tokens.Scope)
	}
}

func (c *chat) hasUsers(t *testing.T) {
	other := &chat{browser: c.person(), libreChat: &libreChat{t: t, http: c.http, domain: c.domain, server: c.server, url: c.url}}
	other.ready("bruno")
	if other.client.ID == c.client.ID || other.client.Secret == c.client.Secret {
		t.Error("two registrations gave one client")
	}
	if r := other.call("fetch-users", `{}`); !succeeded(r) || !strings.Contains(r.Body, `"Europe"`) || strings.Contains(r.Body, `"USA"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	// One user's client can do nothing with another's tokens.
	if r := other.revoke("refresh_token", c.tokens.Refresh); r.Status != http.StatusBadRequest {
		t.Errorf("revoking another's: %d %s", r.Status, r.Body)
	}
}

func (c *chat) revokes(t *testing.T) {
	for _, end := range [][2]string{{"access_token", c.tokens.Access}, {"refresh_token", c.tokens.Refresh}} {
		if r := c.revoke(end[0], end[1]); r.Status != http.StatusOK {
			t.Errorf("%s: %d %s", end[0], r.Status, r.Body)
		}
	}
	c.refused(t)
}

func (c *chat) comesBack(t *testing.T) {
	// Any other code it would take for fatal (R-AS-26).
	r := c.do(http.MethodPost, c.metadata.Token, "application/x-www-form-urlencoded", c.basic(), c.refreshing().Encode())
	if r.Status != http.StatusBadRequest || r.json()["error"] != "invalid_grant" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	// Its tokens are gone, what the person allowed is not: no page stands between.
	c.answered(c.browser.Get(c.authorization()).Location())
	if r := c.call("fetch-users", `{}`); !succeeded(r) || c.registrations != 1 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
