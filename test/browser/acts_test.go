package browser_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/app"
	"gatehouse/internal/sqlstore"
)

// office is an installation as an organization runs it, with the sample API
// behind it: root administers, olga audits, alice and bruno have agents.
func office(t *testing.T) *place {
	t.Helper()
	in := func(region string) map[string]string { return map[string]string{"region": region} }
	return install(t, func(port string) string {
		return strings.ReplaceAll(`
urls: {authserver: "http://login.localhost:PORT", gateway: "http://mcp.localhost:PORT", api: "http://api.localhost:PORT", admin: "http://admin.localhost:PORT"}
apis:
  - name: customers
    title: Customer API
    mcp_path: /
    openapi: file:api.yaml
    url: "http://api.localhost:PORT"
    audience: "http://api.localhost:PORT"
    claims: [region, client_type, client_assurance_level]
    default_scopes: ["users:read", "orders:read"]
    scopes:
      "users:read": {text: read customers}
      "users:write": {text: "add, change and delete customers", implies: ["users:read"]}
      "orders:read": {text: read the orders of customers}
      "refunds:create": {text: refund orders, implies: ["orders:read"]}
`, "PORT", port)
	}, app.NewPerson{Name: "root", Role: "admin"}, app.NewPerson{Name: "olga", Role: "auditor"},
		app.NewPerson{Name: "alice", Claims: in("USA")}, app.NewPerson{Name: "bruno", Claims: in("Europe")})
}

// age makes every sign-in of an office ten minutes older.
func (p *place) age() {
	p.t.Helper()
	raw, err := sqlstore.OpenPlain(filepath.Join(p.Folder, "test.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(p.t.Context(), `UPDATE sessions SET auth_time = auth_time - 600`); err != nil {
		p.t.Fatal(err)
	}
}

// live reports whether a token reads customers.
func (p *place) live(token string) bool {
	p.t.Helper()
	status, _, body := p.call(token, "fetch-users", `{"limit":1}`)
	return status == http.StatusOK && strings.Contains(body, `"region"`)
}

// offers reports whether an agent sees a tool.
func (p *place) offers(token, tool string) bool {
	p.t.Helper()
	list, err := json.Marshal(p.post(p.MCP, "application/json", token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Contains(string(list), `"`+tool+`"`)
}

// within waits for an effect, which is to be there after d.
func (p *place) within(d time.Duration, what string, there func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(d)
	for !there() {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not within %v", what, d)
		}
		time.Sleep(20 * time.Millisecond) // nothing here tells of it
	}
}

// looks gives the window a width and the person a liking, as on a phone in the
// dark.
func (b *tab) looks(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 800))
	b.colours(scheme)
}

// follow presses the link or the button that reads so.
func (b *tab) follow(text string) {
	b.t.Helper()
	found := evaluate[bool](b, `(() => {
		const e = [...document.querySelectorAll("a, button")].find((e) => e.innerText.trim() === `+strconv.Quote(text)+`);
		e?.setAttribute("data-chosen", "");
		return e !== undefined })()`)
	if !found {
		b.t.Fatalf("nothing to press reads %q:\n%s", text, b.text())
	}
	b.press(`[data-chosen]`)
}

// fill writes into a field, in place of what it has.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// does presses the button of an act, for a reason, and waits until the page
// says that it is done.
func (b *tab) does(act, reason string) {
	b.t.Helper()
	b.fill("#reason", reason)
	b.press(`button[value="` + act + `"]`)
	if !b.has(`[role="status"]`) {
		b.t.Fatalf("%s is not done:\n%s", act, b.text())
	}
}

// says fails unless the page has all of these words.
func (b *tab) says(words ...string) {
	b.t.Helper()
	text := strings.Join(strings.Fields(b.text()), " ")
	for _, word := range words {
		if !strings.Contains(text, word) {
			b.t.Errorf("the page does not say %q:\n%s", word, text)
		}
	}
}

// silent fails if the page has any of these words.
func (b *tab) silent(words ...string) {
	b.t.Helper()
	text := strings.Join(strings.Fields(b.text()), " ")
	for _, word := range words {
		if strings.Contains(text, word) {
			b.t.Errorf("the page says %q:\n%s", word, text)
		}
	}
}

// signIn fills in the page that asks who somebody is.
func (b *tab) signIn(name, word string) {
	b.t.Helper()
	b.fill("#username", name)
	b.fill("#password", word)
	b.press(`button[value="signin"]`)
}

// console opens the console as somebody.
func (b *tab) console(p *place, name string) {
	b.t.Helper()
	b.open(p.Admin + "/admin")
	b.signIn(name, password)
	b.see("nav ul")
}

// lets has somebody, in their own browser, allow an agent something.
func (b *tab) lets(a *agent, name string, scopes string) (token string) {
	b.t.Helper()
	b.open(a.address(url.Values{"scope": {scopes}}))
	if b.has("#password") {
		b.signIn(name, password)
	}
	b.press(`button[value="allow"], button[value="continue"]`)
	b.see("#back")
	token = a.token(a.answer().Get("code"))
	if !a.live(token) {
		b.t.Fatal("a new token opens nothing")
	}
	return token
}
