package browser_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdp "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// security.md 19, 21: on a phone in the dark. The administrator signs in by name
// and then by password; a dangerous act takes a fresh sign-in and keeps what was
// typed; an auditor reads all of it and finds nothing to press; signing out
// leaves nothing open.
func TestConsoleSignInAndAuditor(t *testing.T) {
	t.Parallel()
	d, p, b := demo(t), office(t), chromium(t)
	b.looks(360, "dark")
	b.open(d.Admin + "/admin")
	b.fill("#username", "admin")
	b.press(`button[value="signin"]`)
	b.says("This name has a password.")
	b.axe("second step")
	b.fill("#password", "wrong password")
	b.press(`button[value="signin"]`)
	b.see("#problem")
	b.fill("#password", d.Password)
	b.press(`button[value="signin"]`)
	b.says("What happens now")
	b.follow("Sign out")
	b.says("You are signed out")
	b.open(d.Admin + "/admin")
	b.see("#username")

	b.console(p, "root")
	b.open(p.Admin + "/admin/end/api/customers")
	p.age()
	b.fill("#reason", "The supplier <b>told</b> us")
	b.press(`button[value="end"]`)
	b.says("Sign in to administer")
	b.signIn("root", password)
	b.says("End the API Customer API", "This cannot be undone.")
	if kept := evaluate[string](b, `document.querySelector("#reason").value`); kept != "The supplier <b>told</b> us" {
		t.Errorf("what was typed: %q", kept)
	}
	b.axe("asked again")
	b.follow("Not now")
	b.says("It works.")
	b.follow("Sign out")
	b.says("You are signed out")

	b.console(p, "olga")
	for path, says := range map[string]string{
		"": "What happens now", "/agents": "Agents", "/people": "root", "/people?q=alice": "alice", "/apis": "Customer API", "/apis/customers": "fetch-users",
		"/keys": "ES256", "/audit": "sign-in", "/settings": "Version", "/stop/api/customers": "It works.", "/stop/everything": "It works.",
	} {
		b.open(p.Admin + "/admin" + path)
		b.says(says)
		// But for searching, looking and signing out there is nothing to press.
		if extra := evaluate[[]string](b, `[...document.querySelectorAll('form[method="post"]:not([action="/admin/sign-out"]), a[href^="/admin/invite"], a[href$="/rotate"], a[href$="/live"], nav .stop')].map((e) => e.outerHTML)`); len(extra) > 0 {
			t.Errorf("an auditor can press something at %s: %v", path, extra)
		}
	}
	b.open(p.Admin + "/admin/people?q=alice")
	b.press("td a")
	b.silent("Change…", "Change them…", "Sign out everywhere", "Reset the password")
	b.axe("person, of an auditor")
	for _, path := range []string{"/invite", "/end/api/customers", "/keys/ES256/rotate", "/apis/customers/live"} {
		b.open(p.Admin + "/admin" + path)
		b.says("Auditors change nothing")
	}
	b.axe("auditor refused")
}

// APIs, keys, settings and messages on a desktop, from click to effect.
func TestConsoleToolsKeysAndMessages(t *testing.T) {
	t.Parallel()
	p, b := office(t), chromium(t)
	b.looks(1280, "light")
	a := p.agent("Notebook", "none")
	token := b.other().lets(a, "alice", "users:read orders:read")
	b.console(p, "root")

	// A tool is switched off, and vanishes from the list.
	b.open(p.Admin + "/admin/apis/customers")
	b.press(`td a[href$="/fetch-orders"]`)
	b.follow("Switch this tool off…")
	b.does("pause", "Orders of others show")
	p.within(patience, "no fetch-orders", func() bool { return !p.offers(token, "fetch-orders") })
	b.open(p.Admin + "/admin/apis")
	b.says("Stopped")
	if off := evaluate[string](b, `document.querySelector("td:nth-child(3)").innerText`); off != "1" {
		t.Errorf("%s tools stopped", off)
	}
	b.axe("apis")

	// A document that changed is looked at, and taken live.
	file := filepath.Join(p.Folder, "api.yaml")
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(document), "operationId: fetch-users", "operationId: list-customers", 1)
	if changed == string(document) {
		t.Fatal("the document has no fetch-users")
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	b.press("td a")
	b.follow("Reload its document…")
	b.says("The file has changed", "fetch-users", "list-customers")
	b.axe("document")
	if p.offers(token, "list-customers") {
		t.Error("it is live before anybody took it live")
	}
	b.follow("Take it live…")
	b.axe("take live")
	b.fill("#reason", "The new names")
	b.press(`button[value="live"]`)
	b.says("Done.", "is the one that is live")
	p.within(patience, "the new tools", func() bool { return p.offers(token, "list-customers") && !p.offers(token, "fetch-users") })

	// The key is replaced: what agents do goes on.
	b.press(`nav a[href="/admin/keys"]`)
	b.follow("Replace the ES256 key…")
	b.does("rotate", "Once a year")
	b.says("published, signs later", "signs")
	b.axe("keys")
	b.follow("Replace the ES256 key…")
	b.click(`input[value="compromised"]`)
	b.does("rotate", "A backup was lost")
	b.says("published no more")
	p.within(patience, "calls go on", func() bool {
		status, _, body := p.call(token, "list-customers", `{"limit":1}`)
		return status == http.StatusOK && strings.Contains(body, `"region"`)
	})

	b.press(`nav a[href="/admin/settings"]`)
	b.says("urls.admin", "sqlite", "authserver")
	b.silent(password)
	b.axe("settings")

	// Messages are recorded from now on, and no more.
	b.open(p.Admin + "/admin/agents?q=note")
	b.press("td a")
	b.follow("Its messages, as far as they are recorded")
	b.says("This agent is not recorded now.")
	b.does("on", "It asks for too much")
	b.says("recording", "It asks for too much")
	p.within(patience, "a message", func() bool {
		p.call(token, "list-customers", `{"limit":1}`)
		b.do(chromedp.Reload())
		return b.has(`td a[href^="/admin/messages/flow"]`)
	})
	b.axe("messages")
	b.press(`td a[href^="/admin/messages/flow"]`)
	b.says("list-customers")
	b.open(p.Admin + "/admin/messages?" + url.Values{"client": {a.ID}}.Encode())
	b.follow("Stop recording")
	b.says("Done.", "This agent is not recorded now.")
}

// The audit and the search on a phone in the dark: every part of the filter,
// an entry with its chain, and the export.
func TestConsoleAuditAndSearch(t *testing.T) {
	t.Parallel()
	p, b := office(t), chromium(t)
	b.looks(360, "dark")
	alice := b.other()
	notebook, desk := p.agent("Notebook", "none"), p.agent("Desk", "none")
	token := alice.lets(notebook, "alice", "users:read orders:read")
	p.call(token, "refund-order", `{"id":1}`)
	p.call(alice.lets(desk, "alice", "users:read"), "fetch-users", `{"limit":"many"}`)
	b.console(p, "root")
	rows := func() []string {
		return evaluate[[]string](b, `[...document.querySelectorAll("tbody tr")].map((e) => e.innerText)`)
	}
	for _, tc := range []struct {
		fill          func()
		some, nowhere string
	}{
		{func() { b.fill("#person", "alice") }, "Notebook", "root"},
		{func() { b.fill("#agent", "desk") }, "Desk", "Notebook"},
		{func() { b.fill("#outcome", "denied") }, "denied", "sign-in"},
		{func() { b.click("main summary"); b.fill("#tool", "refund-order") }, "refund-order", "fetch-users"},
	} {
		b.open(p.Admin + "/admin/audit")
		tc.fill()
		b.follow("Show these")
		shown := rows()
		if !strings.Contains(strings.Join(shown, "\n"), tc.some) || strings.Contains(strings.Join(shown, "\n"), tc.nowhere) {
			t.Errorf("looked for %s, not %s:\n%v", tc.some, tc.nowhere, shown)
		}
	}
	b.axe("audit, filtered")
	b.open(p.Admin + "/admin/audit")
	b.click("main summary")
	b.fill("#to", "2020-01-01T00:00")
	b.follow("Show these")
	if shown := rows(); len(shown) > 0 {
		t.Errorf("before there was anything: %v", shown)
	}

	// One call opens to all of its chain.
	b.open(p.Admin + "/admin/audit?kind=call&outcome=done")
	b.press("tbody a")
	b.says("Who acted for whom", "alice signed in", "alice allowed", "got a token", "exchanged it for a token", "called fetch-users for alice")
	b.axe("entry")
	b.follow("Pause or end it")
	b.says("Stop the connection alice with")

	folder := t.TempDir()
	if _, err := chromedp.Call(b.ctx, cdp.SetDownloadBehavior, cdp.SetDownloadBehaviorParams{Behavior: cdp.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder}); err != nil {
		t.Fatal(err)
	}
	b.open(p.Admin + "/admin/audit?agent=desk")
	b.click("a[download]")
	var exported []byte
	p.within(patience, "an export", func() bool {
		files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
		if err != nil || len(files) != 1 {
			return false
		}
		exported, err = os.ReadFile(files[0])
		return err == nil && len(exported) > 0
	})
	if text := string(exported); !strings.Contains(text, desk.ID) || strings.Contains(text, notebook.ID) {
		t.Errorf("exported:\n%s", text)
	}

	for word, says := range map[string]string{"note": "Notebook", "ali": "alice", "refund": "refund-order", "zzz": "No agent and no person"} {
		b.fill("#search", word)
		b.do(chromedp.Submit(chromedp.CSS("#search")))
		b.see(`input[name="q"]`)
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		p.within(patience, "the search for "+word, func() bool {
			text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main")?.innerText ?? ""`))
			return err == nil && strings.Contains(text, says)
		})
		cancel()
	}
	b.axe("search")
}
