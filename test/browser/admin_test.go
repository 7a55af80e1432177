package browser_test

import (
	"net/url"
	"slices"

	"github.com/chromedp/chromedp"
)

// administrate signs the demo's administrator in.
func (b *tab) administrate(p *place) {
	b.t.Helper()
	b.open(p.Admin + "/admin")
	b.do(chromedp.SendKeys(chromedp.CSS("#username"), "admin\r"))
	b.see("#password")
	b.do(chromedp.SendKeys(chromedp.CSS("#password"), p.Password+"\r"))
	b.see("nav ul")
}

// busy lets some agents do something in a demo, and fail at something.
func (p *place) busy(b *tab) {
	p.t.Helper()
	for i, name := range []string{"Notebook", "Übersetzungs-Assistent für den Einkauf", `Bank <script>alert(1)</script>`} {
		a := p.agent(name, "none")
		b.open(a.address(url.Values{"prompt": {"login"}, "scope": {"users:read orders:read"}}))
		b.press(`button[value="alice"]`)
		b.press(`button[value="allow"]`)
		b.see("#back")
		token := a.token(a.answer().Get("code"))
		for range 3 * (i + 1) {
			p.call(token, "fetch-users", `{"limit":1}`)
		}
		p.call(token, "refund-order", `{"id":1}`)
		p.call(token, "fetch-users", `{"limit":"many"}`)
	}
}

// adminViews are the pages of the administration console.
func adminViews(b *tab, p *place) []view {
	at := func(path, wanted string) func() {
		return func() { b.open(p.Admin + path); b.see(wanted) }
	}
	return slices.Concat([]view{
		{"admin-sign-in", func() { b.open(p.Admin + "/admin"); b.see("#username") }},
		{"admin-password", func() { b.do(chromedp.SendKeys(chromedp.CSS("#username"), "admin\r")); b.see("#password") }},
		{"admin-home-empty", func() { b.administrate(p) }},
		{"admin-home", func() { p.busy(b); at("/admin", ".chart")() }},
		{"admin-agents", at("/admin/agents", "table")},
		{"admin-agents-none", at("/admin/agents?q=nobody", "form.filter")},
		{"admin-agent", func() { b.open(p.Admin + "/admin/agents?q=bank"); b.press("td a"); b.see("dl.facts") }},
		{"admin-messages", func() { b.press(`a[href^="/admin/messages"]`); b.see("table") }},
		{"admin-flow", func() {
			b.open(p.Admin + "/admin/agents?q=bank")
			b.press("td a")
			b.press(`a[href^="/admin/messages"]`)
			b.press("td a")
			b.see(".messages")
		}},
		{"admin-stop-agent", func() {
			b.open(p.Admin + "/admin/agents?q=bank")
			b.press("td a")
			b.press("main a.ends")
			b.see("#reason")
		}},
		{"admin-end-agent", func() { b.press(`a[href^="/admin/end/"]`); b.see("#reason") }},
	}, auditViews(b, p), []view{
		{"admin-apis", at("/admin/apis", "table")},
		{"admin-api", at("/admin/apis/customers", "table")},
		{"admin-document", at("/admin/apis/customers/document", "main")},
		{"admin-tool", at("/admin/apis/customers/tools/refund-order", "details")},
		{"admin-stop", at("/admin/stop/tool/customers/refund-order", "#reason")},
		{"admin-stop-problem", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#reason"), " "))
			b.press(`button[value="pause"]`)
			b.see("#problem")
		}},
		{"admin-stopped", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#reason"), "Refunds twice since this morning"))
			b.press(`button[value="pause"]`)
			b.see(`[role="status"]`)
		}},
		{"admin-stop-everything", at("/admin/stop/everything", "#reason")},
		{"admin-sure", at("/admin/end/api/customers", "#reason")},
		{"admin-over", func() {
			b.open(p.Admin + "/admin/agents?q=note")
			b.press("td a")
			b.press(`a[href^="/admin/stop/grant/"]`)
			b.press(`a[href^="/admin/end/"]`)
			b.do(chromedp.SetValue(chromedp.CSS("#reason"), "It is not needed any more"))
			b.press(`button[value="end"]`)
			b.see(`[role="status"]`)
		}},
		{"admin-agent-ended", func() {
			b.open(p.Admin + "/admin/agents?q=note")
			b.press("td a")
			b.press("main a.ends")
			b.press(`a[href^="/admin/end/"]`)
			b.do(chromedp.SetValue(chromedp.CSS("#reason"), "It is not needed any more"))
			b.press(`button[value="end"]`)
			b.see(`[role="status"]`)
		}},
		{"admin-nothing", func() { b.open(p.Admin + "/admin/apis/nothing") }},
		{"admin-norole", func() {
			b.open(p.Admin + "/admin/sign-in?switch=1")
			b.do(chromedp.SendKeys(chromedp.CSS("#username"), "alice\r"))
			b.see(`a[href="/admin/sign-in?switch=1"]`)
		}},
		{"admin-signed-out", at("/admin/signed-out", "main")},
	})
}
