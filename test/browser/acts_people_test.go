package browser_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// region tells where the customers are from that a token reads.
func (p *place) region(token string) string {
	p.t.Helper()
	_, _, body := p.call(token, "fetch-users", `{"limit":1}`)
	for _, region := range []string{"USA", "Europe"} {
		if strings.Contains(body, region) {
			return region
		}
	}
	return body
}

// People on a phone in the dark, from click to effect: somebody is invited and
// chooses a password in their own browser; attributes change what the API
// returns, a role what the console shows; sessions and connections end.
func TestConsolePeople(t *testing.T) {
	t.Parallel()
	p, b := office(t), chromium(t)
	b.looks(360, "dark")
	b.console(p, "root")
	b.press(`nav a[href="/admin/people"]`)
	b.follow("Invite somebody…")
	b.fill("#name", "Zoë")
	b.fill("#attributes", "region=USA")
	b.press(`button[value="invite"]`)
	b.says("Copy it now")
	b.axe("invited")
	link := strings.TrimSpace(evaluate[string](b, `document.querySelector("code.link").innerText`))
	b.open(p.Admin + "/admin/people?only=invited")
	b.says("zoë")

	zoe := b.other()
	zoe.looks(360, "dark")
	zoe.open(link)
	zoe.axe("invitation")
	zoe.fill("#password", password)
	zoe.fill("#again", password)
	zoe.press(`button[value="set"]`)
	zoe.open(link)
	if zoe.has("#password") {
		t.Error("the link works twice")
	}
	a := p.agent("Notebook", "none")
	token := zoe.lets(a, "zoë", "users:read")
	if got := p.region(token); got != "USA" {
		t.Errorf("before: %s", got)
	}

	// An attribute becomes a claim: what was made before is used no more.
	b.open(p.Admin + "/admin/people?q=zo")
	b.press("td a")
	person := evaluate[string](b, "location.href")
	b.says("Notebook", "region", "USA")
	if b.has("h1 .tag") {
		t.Error("who has a password is shown as invited")
	}
	b.follow("Change them…")
	b.fill("#attributes", "region=Europe")
	b.press(`button[value="look"]`)
	b.says("USA", "Europe")
	b.axe("attributes, looked at")
	b.does("save", "Moved to Lisbon")
	got := p.region(token) // the same token's; what gateways know is a second old at most
	for until := time.Now().Add(5 * time.Second); got != "Europe" && time.Now().Before(until); {
		got = p.region(token)
	}
	if got != "Europe" {
		t.Errorf("after: %s", got)
	}

	// A role opens the console, also where the person is signed in.
	zoe.open(p.Admin + "/admin")
	zoe.says("this account does not administer")
	b.follow("Change…")
	b.click(`input[value="auditor"]`)
	b.does("role", "Looks at the books")
	b.says("auditor")
	zoe.open(p.Admin + "/admin")
	if zoe.has("#password") {
		zoe.signIn("zoë", password)
	}
	zoe.says("What happens now")
	b.follow("Change…")
	b.click(`input[value="none"]`)
	b.does("role", "The books are looked at")
	zoe.open(p.Admin + "/admin/audit")
	zoe.says("You have no role here")
	zoe.axe("no role")

	// Sessions: one ends, then all, while agents go on.
	sessions := func() int { return evaluate[int](b, `document.querySelectorAll('button[name="session"]').length`) }
	before := sessions()
	b.fill("#reason", "Lent a telephone")
	b.press(`button[name="session"]`)
	b.says("Done.")
	if after := sessions(); after != before-1 {
		t.Errorf("%d sessions of %d are left", after, before)
	}
	b.does("everywhere", "Left a laptop in a train")
	b.says("Signed in nowhere.")
	zoe.open(p.Login + "/account")
	zoe.see("#password")
	if !p.live(token) {
		t.Error("signing out ended what agents may do")
	}

	// Disabled: neither person nor agent gets in; enabled again both do.
	b.follow("Pause or end everything of this person…")
	b.does("pause", "On leave")
	p.within(time.Second, "paused", func() bool { return !p.live(token) })
	zoe.signIn("zoë", password)
	zoe.see("#problem")
	b.open(p.Admin + "/admin/people?only=paused")
	b.says("zoë", "paused")
	b.press("td a")
	b.follow("This person is paused…")
	b.follow("Resume…")
	b.does("resume", "Back from leave")
	p.within(patience, "resumed", func() bool { return p.live(token) })

	// Everything ends; the password is reset, and the old one is worth nothing.
	b.press(`a[href^="/admin/end/"]`)
	b.does("end", "Left the company")
	p.within(time.Second, "ended", func() bool { return !p.live(token) })
	b.open(person)
	b.says("No agent may act for this person.")
	b.axe("person")
	b.follow("Reset the password…")
	b.fill("#reason", "To be sure")
	b.press(`button[value="reset"]`)
	b.says("Copy it now", "The password of before is no longer good")
	zoe.open(p.Login + "/account")
	zoe.signIn("zoë", password)
	zoe.see("#problem")
}

// The person's own page on a phone in the dark: what is switched off, what is
// ended and what is signed out is so within a second, for a live token.
func TestOwnPage(t *testing.T) {
	t.Parallel()
	p, b := demo(t), chromium(t)
	b.looks(360, "dark")
	b.open(p.Login + "/account")
	b.press(`button[value="alice"]`)
	b.says("No agent may act for you.")
	allow := func(a *agent) string {
		b.open(a.address(url.Values{"scope": {"users:read orders:read"}}))
		b.press(`button[value="allow"]`)
		b.see("#back")
		return a.token(a.answer().Get("code"))
	}
	desk, notebook := p.agent("Desk", "none"), p.agent("Notebook", "none")
	other := allow(desk)
	token := allow(notebook)
	orders := func(token string) int {
		status, _, _ := p.call(token, "fetch-orders", `{"id":1}`)
		return status
	}
	if orders(token) != http.StatusOK || !p.live(token) {
		t.Fatal("a new token opens nothing")
	}
	own := func(what string) string { return `section:has(h2 .said bdi[data-name="` + what + `"])` }
	mark := func() {
		b.open(p.Login + "/account")
		evaluate[bool](b, `document.querySelectorAll("section .said bdi").forEach((e) => e.setAttribute("data-name", e.innerText)) === undefined`)
	}

	mark()
	b.says("Notebook", "Desk", "Last call: fetch-users")
	b.axe("own page")
	b.click(own("Notebook") + ` input[value="orders:read"]`)
	b.press(own("Notebook") + ` form button:not(.ends)`)
	b.says("Done. The agent may do less now.")
	p.within(time.Second, "narrowed", func() bool { return orders(token) == http.StatusForbidden })
	if !p.live(token) || orders(other) != http.StatusOK {
		t.Error("more was switched off than that")
	}

	b.open(p.Login + "/account/messages")
	b.press(`a[href^="/account/messages/"]`)
	b.see(".messages")
	b.axe("own messages")
	text := b.text()
	for _, secret := range []string{token, other, verifier} {
		if strings.Contains(text, secret) {
			t.Error("messages show a secret")
		}
	}

	mark()
	b.press(own("Notebook") + ` button.ends`)
	b.says("Done. The connection has ended.")
	p.within(time.Second, "ended", func() bool { return !p.live(token) })
	b.silent("Notebook")
	if !p.live(other) {
		t.Error("the other connection ended, too")
	}

	// Another browser of the same person is signed out with this one; what
	// agents may do has its own end.
	second := b.other()
	second.open(p.Login + "/account")
	second.press(`button[value="alice"]`)
	second.says("Desk")
	b.press(`button[value="everywhere"]`)
	second.do(chromedp.Reload())
	second.see("#username")
	b.open(p.Login + "/account")
	b.see("#username")
}
