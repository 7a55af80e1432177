package browser_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// agentAccount makes an account at the agent front end.
func (b *tab) agentAccount(p *place) {
	b.t.Helper()
	b.open(p.Agent + "/create")
	b.do(chromedp.SendKeys(chromedp.CSS("#username"), "visitor"), chromedp.SendKeys(chromedp.CSS("#password"), password+"\r"))
	b.see("#url")
}

// agentConnect adds the demo's server and connects it as alice.
func (b *tab) agentConnect() {
	b.t.Helper()
	b.press(`form[action="/servers"] button`)
	b.see(`form[action$="/connect"]`)
	b.press(`form[action$="/connect"] button`)
	b.see(`button[value="alice"]`)
	b.press(`button[value="alice"]`)
	b.press(`button[value="allow"]`)
	b.see("#tools")
}

// askForRefunds switches a tool on and waits for the page that says so.
func (b *tab) askForRefunds() {
	b.t.Helper()
	b.click(`input[name="mode refund-order"][value="ask"]`)
	b.press(`form[action$="/tools"] .acts button`)
	b.see(`input[name="mode refund-order"][value="ask"]:checked`)
}

// say says something in the chat that is open.
func (b *tab) say(text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS("#text"), text))
	b.press(`#writing form:last-of-type button`)
	b.see("#log .person")
}

// until waits until the page says something. Without scripts it is loaded anew.
func (b *tab) until(wanted string, reload bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		// Between two pages there is nothing to read.
		if text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main")?.innerText ?? ""`)); err == nil && strings.Contains(text, wanted) {
			return
		}
		time.Sleep(50 * time.Millisecond) // the turn runs by itself
		if reload {
			_ = chromedp.Do(ctx, chromedp.Reload()) // between two pages there is nothing to load
		}
	}
	b.t.Fatalf("the page never says %q:\n%s", wanted, b.text())
}

// agentViews are the pages of the agent front end.
func agentViews(b *tab, p *place) []view {
	chat := ""
	tell := func(text, wanted string) {
		for b.open(chat); !b.has("#writing:not([hidden])"); b.open(chat) {
			time.Sleep(50 * time.Millisecond) // the turn before ends by itself
		}
		b.say(text)
		b.until(wanted, true)
	}
	return []view{
		{"agent-front", func() { b.open(p.Agent + "/") }},
		{"agent-create", func() { b.open(p.Agent + "/create") }},
		{"agent-sign-in-refused", func() {
			b.open(p.Agent + "/sign-in")
			b.do(chromedp.SendKeys(chromedp.CSS("#username"), "nobody"), chromedp.SendKeys(chromedp.CSS("#password"), "wrong password\r"))
			b.see("#problem")
		}},
		{"agent-home-empty", func() { b.agentAccount(p) }},
		{"agent-server-new", func() {
			b.press(`form[action="/servers"] button`)
			b.see(`form[action$="/connect"]`)
			b.open(p.Agent + "/")
		}},
		{"agent-server", func() {
			b.press(`.lines a`)
			b.press(`form[action$="/connect"] button`)
			b.see(`button[value="alice"]`)
			b.press(`button[value="alice"]`)
			b.press(`button[value="allow"]`)
			b.see("#tools")
		}},
		{"agent-chat-empty", func() {
			b.askForRefunds()
			b.press(`form[action="/chats"] button`)
			b.see("#text")
			chat = evaluate[string](b, "location.href")
		}},
		{"agent-chat-users", func() { tell("Fetch me my users", "Here are the first 20") }},
		{"agent-chat-orders", func() { tell("Show Ana Moreno's orders", "Here they are: 7.") }},
		{"agent-chat-asks", func() { tell("Refund order 1007", "It is sent only if you say so") }},
		{"agent-chat-step-up", func() {
			b.press(`button[value="allow"]`)
			b.until("Continue at", true)
		}},
		{"agent-chat-denied", func() {
			b.press(`button[value="go"]`)
			b.press(`button[value="deny"]`)
			b.see("#log")
			b.until("Ask me again", true)
		}},
		{"agent-chat-refunded", func() {
			b.press(`button[value="again"]`)
			b.until("Continue at", true)
			b.press(`button[value="go"]`)
			b.press(`button[value="allow"]`)
			b.see("#log")
			b.until("Done. The card above", true)
		}},
		{"agent-chat-cannot", func() { tell("Write a poem about <script>alert(1)</script>", "I do not understand this.") }},
		{"agent-model", func() { b.open(p.Agent + "/model") }},
		{"agent-home", func() { b.open(p.Agent + "/") }},
		{"agent-nothing", func() { b.open(p.Agent + "/chats/nothing") }},
	}
}

// A person asks for customers and sees them come, without loading the page
// again; and a refund that waits for their click is stopped.
func TestAgentChatWithScript(t *testing.T) {
	p, b := demo(t), chromium(t)
	b.scripts(true)
	b.agentAccount(p)
	b.agentConnect()
	b.askForRefunds()
	b.press(`form[action="/chats"] button`)
	b.see("#text")
	b.say("Fetch me my users")
	b.until("Here are the first 20", false)
	b.see("#log table tbody tr:nth-child(20)")
	b.see("#text") // the next message can be written
	if got := evaluate[int](b, `document.querySelectorAll("#log table").length`); got != 1 {
		t.Errorf("%d tables", got)
	}
	b.say("Refund order 1007")
	b.see(`button[value="allow"]`)
	b.press("#going button")
	b.see("#text")
	b.until("Nothing was sent.", false)
	// The click, the way to the authorization server and back, and the same turn.
	b.say("Refund order 1007")
	b.press(`button[value="allow"]`)
	b.press(`button[value="go"]`)
	b.press(`button[value="allow"]`)
	b.until("Done. The card above has the answer of the server.", false)
	if text := b.text(); !strings.Contains(text, "4900") {
		t.Errorf("the refund does not show:\n%s", text)
	}
}

// On a phone in the dark: what is switched off is not used, what is removed and
// what is signed out of ends at the authorization server, too.
func TestAgentLetsGo(t *testing.T) {
	t.Parallel()
	p, b := demo(t), chromium(t)
	b.looks(360, "dark")
	b.agentAccount(p)
	b.axe("agent, no servers")
	b.agentConnect()
	server := evaluate[string](b, "location.href")
	admin := b.other()
	admin.administrate(p)
	revoked := func(n int) {
		t.Helper()
		p.within(patience, "a token that the agent revoked", func() bool {
			admin.open(p.Admin + "/admin/audit?kind=revocation")
			admin.see("form.filter")
			return evaluate[int](admin, `[...document.querySelectorAll("tbody tr")].filter((e) => e.innerText.includes("the client revoked a token")).length`) == n
		})
	}
	mode := func(how string) {
		b.open(server)
		b.click(`input[name="mode fetch-users"][value="` + how + `"]`)
		b.press(`form[action$="/tools"] .acts button`)
		b.see(`input[name="mode fetch-users"][value="` + how + `"]:checked`)
	}
	ask := func(wanted string) {
		b.press(`form[action="/chats"] button`)
		b.say("Fetch me my users")
		b.until(wanted, true)
	}
	mode("off")
	b.axe("agent, tools")
	ask("For fetch-user I need") // another one
	b.silent("Here are the first 20")
	mode("free")
	ask("Here are the first 20")
	b.axe("agent, chat")

	revoked(0)
	b.open(server)
	b.follow("Remove this server")
	b.says("There are none yet.")
	revoked(1)

	b.press(`form[action="/servers"] button`)
	b.press(`form[action$="/connect"] button`)
	b.press(`button[value="allow"], button[value="continue"]`)
	b.see("#tools")
	b.open(p.Agent + "/")
	b.press(`form[action="/sign-out"] button`)
	b.open(p.Agent + "/")
	b.see(`a[href="/create"]`)
	b.axe("agent, signed out")
	revoked(2)
}
