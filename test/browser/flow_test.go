package browser_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A person signs in, switches one scope off and allows the rest; the tool
// behind that scope answers with the challenge. Without JavaScript.
func TestPersonSwitchesAScopeOff(t *testing.T) {
	p := demo(t)
	a := p.agent("Notebook", "none")
	b := chromium(t)
	b.open(a.address(nil))
	b.press(`button[value="alice"]`)
	b.see(`button[value="allow"]`)
	text := b.text()
	for _, want := range []string{"Notebook", "Customer API", "alice", "USA", "this computer"} {
		if !strings.Contains(text, want) {
			t.Errorf("the consent page does not say %q:\n%s", want, text)
		}
	}
	b.click("summary")
	b.see("details dl")
	if exact := b.text(); !strings.Contains(exact, "client_assurance_level: 0\n") || !strings.Contains(exact, a.Redirect) {
		t.Errorf("the exact terms are not exact:\n%s", exact)
	}
	b.click(`input[value="orders:read"]`)
	b.press(`button[value="allow"]`)
	b.see(`#back`)
	answer := a.answer()
	if answer.Get("iss") != p.Login || answer.Get("state") != "s" {
		t.Errorf("answer %v", answer)
	}
	token := a.token(answer.Get("code"))
	if status, _, body := p.call(token, "fetch-users", `{"limit":2}`); status != http.StatusOK || !strings.Contains(body, `"USA"`) {
		t.Errorf("fetch-users: %d %s", status, body)
	}
	status, challenge, _ := p.call(token, "fetch-orders", `{"id":1}`)
	if status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="orders:read"`) {
		t.Errorf("fetch-orders: %d %s", status, challenge)
	}
	// What it tried is offered the next time, switched off (security.md 3).
	b.open(a.address(url.Values{"scope": {"users:read"}}))
	b.see(`input[value="orders:read"]:not(:checked)`)
	// The button says the effect, which depends on the switches.
	if text := b.text(); !strings.Contains(text, "Allow what is switched on") || strings.Contains(text, "Allow it to") {
		t.Errorf("the button promises less than it does:\n%s", text)
	}
	b.press(`button[value="allow"]`)
	b.see(`#back`)
	a.answer()
	// And after that, what is allowed already needs one button; this client
	// cannot prove who it is, so it needs that one (security.md 1).
	b.open(a.address(url.Values{"scope": {"users:read"}}))
	b.press(`button[value="continue"]`)
	if a.answer().Get("code") == "" {
		t.Error("the confirmation gave no code")
	}
}

func TestPersonSaysNotNow(t *testing.T) {
	p := demo(t)
	a := p.agent("Notebook", "none")
	b := chromium(t)
	b.open(a.address(nil))
	b.press(`button[value="bruno"]`)
	b.see(`button[value="switch"]`)
	b.press(`button[value="switch"]`)
	b.press(`button[value="alice"]`)
	b.see(`button[value="switch"]`)
	if text := b.text(); !strings.Contains(text, "signed in as alice") {
		t.Errorf("the account was not switched:\n%s", text)
	}
	b.press(`button[value="deny"]`)
	if answer := a.answer(); answer.Get("error") != "access_denied" || answer.Has("code") {
		t.Errorf("answer %v", answer)
	}
}

// The whole flow by keyboard: nothing needs a mouse.
func TestKeyboardOnly(t *testing.T) {
	p := demo(t)
	a := p.agent("Notebook", "none")
	b := chromium(t)
	b.open(a.address(nil))
	b.see(`#username`)
	// Each Tab goes one control on; the name is behind the two people.
	focus := func(selector string) {
		t.Helper()
		for range 30 {
			b.do(chromedp.KeyEvent("\t"))
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			at, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.activeElement.matches(`+"`"+selector+"`"+`)`))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if at {
				return
			}
		}
		t.Fatalf("the keyboard does not reach %s", selector)
	}
	focus(`#username`)
	b.do(chromedp.KeyEvent("carol\r"))
	b.see(`button[value="allow"]`)
	focus(`input[value="orders:read"]`)
	b.do(chromedp.KeyEvent(" "))
	focus(`button[value="allow"]`)
	b.do(chromedp.KeyEvent("\r"))
	if status, challenge, _ := p.call(a.token(a.answer().Get("code")), "fetch-orders", `{"id":1}`); status != http.StatusForbidden {
		t.Errorf("the space key switched nothing off: %d %s", status, challenge)
	}
}

// security.md 17: in a real browser the cookies are what they should be.
func TestCookiesInChromium(t *testing.T) {
	p := demo(t)
	a := p.agent("Notebook", "none")
	b := chromium(t)
	b.open(a.address(nil))
	b.press(`button[value="alice"]`)
	b.see(`button[value="allow"]`)
	got, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{p.Login}})
	if err != nil {
		t.Fatal(err)
	}
	session := false
	for _, c := range got.Cookies {
		session = session || c.Name == "__Host-gatehouse-session"
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HTTPOnly || c.Path != "/" || c.SameSite != network.CookieSameSiteLax {
			t.Errorf("cookie %+v", c)
		}
	}
	if !session || len(got.Cookies) != 2 {
		t.Errorf("%d cookies, a session: %v", len(got.Cookies), session)
	}
}

// A person ends a connection on their own page: within a second the agent's
// token opens nothing, while that of another agent goes on.
func TestPersonEndsAConnection(t *testing.T) {
	p := demo(t)
	ended, other := p.agent("Notebook", "none"), p.agent("Desk", "none")
	b := chromium(t)
	b.open(other.address(nil))
	b.press(`button[value="alice"]`)
	b.see(`button[value="allow"]`)
	b.press(`button[value="allow"]`)
	b.see(`#back`)
	stays := other.token(other.answer().Get("code"))
	b.open(ended.address(nil))
	b.press(`button[value="allow"]`)
	b.see(`#back`)
	goes := ended.token(ended.answer().Get("code"))
	if status, _, body := p.call(goes, "fetch-users", `{"limit":1}`); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	b.open(p.Login + "/account")
	if text := b.text(); !strings.Contains(text, "Notebook") || !strings.Contains(text, "fetch-users") || !strings.Contains(text, "carried out") {
		t.Error(text)
	}
	evaluate[string](b, `[...document.querySelectorAll("section")].find((s) => s.innerText.includes("Notebook")).querySelector("button.ends").id = "that"`)
	b.press("#that")
	b.see(`[role="status"]`)
	time.Sleep(time.Second) // which is the promise
	if status, _, body := p.call(goes, "fetch-users", `{"limit":1}`); status != 401 {
		t.Errorf("the ended one: %d %s", status, body)
	}
	if status, _, body := p.call(stays, "fetch-users", `{"limit":1}`); status != 200 {
		t.Errorf("the other one: %d %s", status, body)
	}
	if text := b.text(); strings.Contains(text, "Notebook") || !strings.Contains(text, "Desk") {
		t.Error(text)
	}
}

// pages.md, Inspector: a flow is played back, without a script: its lines appear
// one after the other, and wait while it is paused.
func TestFlowIsPlayedBack(t *testing.T) {
	p := demo(t)
	b := chromium(t)
	scene(b, p, "look-alike")
	seen := func(line string) string {
		return evaluate[string](b, `getComputedStyle(document.querySelector(".messages li:`+line+`")).opacity`)
	}
	if first, last := seen("first-child"), seen("last-child"); first != "1" || last != "1" {
		t.Fatalf("before: %s %s", first, last)
	}
	b.click(`input[value="play"]`)
	b.click(`input[value="pause"]`)
	if last := seen("last-child"); last != "0" {
		t.Errorf("paused at the beginning, the last line is there already: %s", last)
	}
	b.click(`input[value="play"]`)
	for deadline := time.Now().Add(patience); seen("last-child") != "1"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the last line never came")
		}
	}
	b.click(`input[value="whole"]`)
	if first := seen("first-child"); first != "1" {
		t.Errorf("afterwards: %s", first)
	}
}
