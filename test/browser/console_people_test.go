package browser_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"
)

// peopleViews are the console's pages about people, keys and settings, and what
// somebody sees who is invited.
func peopleViews(b *tab, p *place) []view {
	at := func(path, wanted string) func() {
		return func() { b.open(p.Admin + path); b.see(wanted) }
	}
	person := func(path, wanted string) func() {
		return func() {
			b.open(p.Admin + "/admin/people?q=alice")
			b.press("td a")
			b.see("dl.facts")
			if path != "" {
				b.press(`a[href$="` + path + `"]`)
			}
			b.see(wanted)
		}
	}
	link := ""
	return []view{
		{"people", func() {
			b.open(p.Admin + "/admin/people")
			b.do(chromedp.SendKeys(chromedp.CSS("#username"), "admin\r"))
			b.see("#password")
			b.do(chromedp.SendKeys(chromedp.CSS("#password"), p.Password+"\r"))
			b.see("nav ul")
			a := p.agent(`Bank <script>alert(1)</script> `+strings.Repeat("Über-Assistent ", 4), "none")
			b.open(a.address(url.Values{"prompt": {"login"}, "scope": {"users:read orders:read"}}))
			b.press(`button[value="alice"]`)
			b.press(`button[value="allow"]`)
			b.see("#back")
			p.call(a.token(a.answer().Get("code")), "fetch-users", `{"limit":1}`)
			b.open(p.Admin + "/admin/people")
			b.see("table")
		}},
		{"people-none", at("/admin/people?q=zzz", "main p")},
		{"person", person("", "table")},
		{"person-problem", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#reason"), " "))
			b.press(`button[value="everywhere"]`)
			b.see("#problem")
		}},
		{"person-role", person("/role", `input[name="role"]`)},
		{"person-attributes", person("/attributes", "#attributes")},
		{"person-attributes-look", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#attributes"), "region=Europe\nteam=Verkauf und Beratung"))
			b.press(`button[value="look"]`)
			b.see("#reason")
		}},
		{"person-password", person("/password", "#reason")},
		{"invite", at("/admin/invite", "#name")},
		{"invite-refused", func() {
			b.do(chromedp.SendKeys(chromedp.CSS("#name"), "admin"))
			b.press(`button[value="invite"]`)
			b.see("#problem")
		}},
		{"invited", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#name"), "ليلى"))
			b.press(`button[value="invite"]`)
			b.see(`code.link`)
			link = evaluate[string](b, `document.querySelector("code.link").innerText`)
		}},
		{"people-invited", at("/admin/people?only=invited", "table")},
		{"invitation", func() { b.open(strings.TrimSpace(link)); b.see("#password") }},
		{"invitation-refused", func() {
			b.do(chromedp.SendKeys(chromedp.CSS("#password"), "password123"), chromedp.SendKeys(chromedp.CSS("#again"), "password123"))
			b.press(`button[value="set"]`)
			b.see("#problem")
		}},
		{"invitation-used", func() {
			b.do(chromedp.SendKeys(chromedp.CSS("#password"), "a heap of quiet stones"), chromedp.SendKeys(chromedp.CSS("#again"), "a heap of quiet stones"))
			b.press(`button[value="set"]`)
			b.see(`a[href="/account"]`)
		}},
		{"keys", at("/admin/keys", "table")},
		{"keys-rotate", at("/admin/keys/ES256/rotate", "#reason")},
		{"keys-done", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#reason"), "Once a year"))
			b.press(`button[value="rotate"]`)
			b.see(`[role="status"]`)
		}},
		{"trust", at("/admin/trust", "table")},
		{"trust-problem", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#token"), "gha_opaque"))
			b.press("main form button")
			b.see(`[role="alert"]`)
		}},
		{"trust-explained", func() {
			token, err := os.ReadFile(filepath.Join(p.Folder, "workload", "token"))
			if err != nil {
				p.t.Fatal(err)
			}
			b.do(chromedp.SetValue(chromedp.CSS("#token"), string(token)))
			b.press("main form button")
			b.see("#explained")
		}},
		{"add-agent", at("/admin/add-agent", "#name")},
		{"add-agent-refused", func() {
			b.do(chromedp.SetValue(chromedp.CSS("#name"), "Exporter"), chromedp.SetValue(chromedp.CSS("#scopes"), "users:read"), chromedp.SetValue(chromedp.CSS("#keys"), "no key"))
			b.press(`button[value="add"]`)
			b.see("#problem")
		}},
		{"add-agent-done", func() {
			b.do(chromedp.Click(chromedp.CSS(`input[value="secret"]`)))
			b.press(`button[value="add"]`)
			b.see("code.link")
		}},
		{"admin-agent-workload", at("/admin/agents/nightly-report", "dl")},
		{"settings", at("/admin/settings", "table")},
	}
}
