package browser_test

import "github.com/chromedp/chromedp"

// auditViews are the audit and the search, behind what adminViews did.
func auditViews(b *tab, p *place) []view {
	at := func(path, wanted string) func() {
		return func() { b.open(p.Admin + path); b.see(wanted) }
	}
	return []view{
		{"audit", at("/admin/audit", "table")},
		{"audit-filtered", at("/admin/audit?kind=call&outcome=denied", "table")},
		{"audit-none", at("/admin/audit?person=nobody&tool=fetch-users", "form.filter")},
		{"audit-problem", at("/admin/audit?from=yesterday", "#problem")},
		{"audit-call", func() {
			b.open(p.Admin + "/admin/audit?kind=call&outcome=done")
			b.see("table")
			b.press(`tbody a`)
			b.see("ol.flow")
		}},
		{"audit-act", func() {
			b.open(p.Admin + "/admin/audit?kind=exchange")
			b.see("table")
			b.press(`tbody a`)
			b.see("dl")
		}},
		{"search", func() {
			b.open(p.Admin + "/admin")
			b.do(chromedp.SendKeys(chromedp.CSS("#search"), "o\r"))
			b.see("h1 bdi")
		}},
		{"search-agents", at("/admin/search?q=note", "ul.plain")},
		{"search-tools", at("/admin/search?q=order", "ul.plain")},
	}
}
