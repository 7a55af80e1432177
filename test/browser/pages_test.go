package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

// view is a page in a state, and how to get there from the view before it.
type view struct {
	name string
	open func()
}

// views are all pages that people see, in each state that looks different. What
// holds for one page holds for all: pictures, axe, zoom and keyboard go through
// this list.
func views(t *testing.T, b *tab) []view {
	t.Helper()
	site, lines := notebook(t)
	p, real := demo(t), installation(t, lines...)
	plain, careful, arabic := p.agent("Notebook", "none"), p.agent("Notebook", "none"), p.agent("مساعد العملاء", "none")
	hostile := p.agent(`Totally “Verified” Bank <script>alert(1)</script> `+strings.Repeat("Über-Assistent ", 5), "none")
	all := url.Values{"scope": {"users:read users:write orders:read refunds:create"}}
	anew := url.Values{"prompt": {"login"}}
	signIn := func(address string) {
		b.open(address)
		b.press(`button[value="alice"]`)
		b.see(`button[value="allow"]`)
	}
	pass := func(word string) {
		b.do(chromedp.SendKeys(chromedp.CSS("#username"), "alice"), chromedp.SendKeys(chromedp.CSS("#password"), word+"\r"))
	}
	return append([]view{
		{"sign-in", func() { b.open(plain.address(anew)) }},
		{"sign-in-password", func() { b.open(real.agent("Notebook", "none").address(nil)) }},
		{"sign-in-refused", func() { pass("wrong password"); b.see(`#problem`) }},
		{"consent", func() { signIn(plain.address(anew)) }},
		{"consent-risky", func() { b.open(plain.address(all)); b.see(`button[value="allow"]`) }},
		{"consent-exact", func() { b.click("summary"); b.see("details dl") }},
		{"consent-hostile", func() { b.open(hostile.address(all)); b.see(`button[value="allow"]`) }},
		{"confirm", func() {
			b.open(plain.address(nil))
			b.press(`button[value="allow"]`)
			b.see(`#back`)
			b.open(plain.address(nil))
			b.see(`button[value="continue"]`)
		}},
		{"consent-tried", func() {
			signIn(careful.address(anew))
			b.click(`input[value="orders:read"]`)
			b.press(`button[value="allow"]`)
			b.see(`#back`)
			p.call(careful.token(careful.answer().Get("code")), "fetch-orders", `{"id":1}`)
			b.open(careful.address(url.Values{"scope": {"users:read"}}))
			b.see(`input[value="orders:read"]:not(:checked)`)
			b.click("summary")
			b.see("details dl")
		}},
		{"consent-arabic", func() {
			b.open(arabic.address(anew))
			b.do(chromedp.SendKeys(chromedp.CSS("#username"), "ليلى\r"))
			b.see(`button[value="allow"]`)
		}},
		{"consent-verified", func() {
			a := &agent{place: real, ID: site + "/client.json", Redirect: site + "/callback"}
			b.open(a.address(all))
			pass(password)
			b.see(`button[value="allow"]`)
		}},
		{"account-sign-in", func() { b.open(real.Login + "/account") }},
		{"account-empty", func() {
			if b.open(real.Login + "/account"); b.has("#password") {
				pass(password)
			}
			b.see(`button[value="everywhere"]`)
		}},
		{"account", func() {
			signIn(plain.address(url.Values{"prompt": {"login"}, "scope": all["scope"]}))
			b.press(`button[value="allow"]`)
			b.see(`#back`)
			p.call(plain.token(plain.answer().Get("code")), "fetch-users", `{"limit":1}`)
			b.open(hostile.address(nil))
			b.see(`button[value="allow"]`)
			b.press(`button[value="allow"]`)
			b.see(`#back`)
			b.open(p.Login + "/account")
			b.see(`button.ends`)
		}},
		{"account-ended", func() { b.press(`button.ends`); b.see(`[role="status"]`) }},
		{"standing", func() { b.open(p.Login + "/account/standing"); b.see(`button.primary`) }},
		{"standing-allowed", func() { b.press(`button.primary`); b.see(`[role="status"]`) }},
		{"messages", func() { b.open(p.Login + "/account/messages"); b.see(`a[href^="/account/messages/"]`) }},
		{"messages-flow", func() {
			b.open(p.Login + "/account/messages")
			b.press(`li:nth-child(2) a[href^="/account/messages/"]`) // the one that called
			b.see(`.messages`)
		}},
		{"messages-token", func() {
			b.click(`li:has(b.at2.over1.back) ~ li:has(b.at2.over1.back) summary`)
			b.see(`.messages details[open]`)
		}},
		{"sign-out", func() { b.open(p.Login + "/logout"); b.see(`a.button`) }},
		{"signed-out", func() { b.press(`button[value="leave"]`); b.see(`a[href="/account"]`) }},
		{"error", func() { b.open(p.Login + "/authorize?client_id=nobody") }},
		{"front", func() { b.open(p.Login + "/") }},
		{"home", func() { b.open(p.Home + "/") }},
		{"scene-narrowed", func() { scene(b, p, "narrowed") }},
		{"scene-stolen", func() { scene(b, p, "stolen") }},
		{"scene-look-alike", func() { scene(b, p, "look-alike") }},
		{"endpoint", func() { b.open(p.MCP + "/") }},
		{"console-done", func() {
			signIn(console(t, p))
			b.press(`button[value="allow"]`)
			b.see("body > main:only-child")
		}},
		{"console-denied", func() {
			b.open(console(t, p))
			b.press(`button[value="deny"]`)
			b.see("body > main:only-child")
		}},
		{"console-strange", func() {
			u, err := url.Parse(console(t, p))
			if err != nil {
				t.Fatal(err)
			}
			b.open(u.Query().Get("redirect_uri") + "?code=x&state=y")
		}},
	}, slices.Concat(agentViews(b, demo(t)), adminViews(b, demo(t)), peopleViews(b, demo(t)))...)
}

// scene plays a scene of the demo's start page.
func scene(b *tab, p *place, name string) {
	b.t.Helper()
	b.open(p.Home + "/")
	b.press(`form[action="/scenes/` + name + `"] button`)
	b.see(`.messages`)
}

// notebook is a site that describes an agent in a metadata document, and what
// an installation's configuration needs to believe it.
func notebook(t *testing.T) (site string, lines []string) {
	t.Helper()
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"client_id":"%[1]s/client.json","client_name":"Notebook","redirect_uris":["%[1]s/callback"]}`, site)
	}), "localhost")
	site = "https://localhost:" + port
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return site, []string{`documents: {addresses: ["localhost:` + port + `"], roots: "` + file + `"}`}
}

// console has a client of mcpclient wait for its answer until the test ends, and
// returns where it sends the person.
func console(t *testing.T, p *place) string {
	t.Helper()
	addresses := make(chan string, 1)
	c := &mcpclient.Client{Name: "Gatehouse console", Open: func(_ context.Context, address string) error {
		addresses <- address
		return nil
	}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if session, err := c.Connect(ctx, p.MCP); err == nil {
			_ = session.Close() // the pages are what this is about
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return <-addresses
}
