package browser_test

import (
	"testing"
	"time"
)

// security.md 11, 12: the stop button of each subject, on a desktop, from click
// to effect: paused, the agent's live token opens nothing within a second;
// resumed, the same token opens what it did; ended, it opens nothing for good.
// What has no token of its own can be opened again, for new connections.
func TestStopButtons(t *testing.T) {
	t.Parallel()
	p, b := office(t), chromium(t)
	b.looks(1280, "light")
	b.console(p, "root")
	alice := b.other()
	press := func(path, query, first, button string) func(*agent) {
		return func(a *agent) {
			b.open(p.Admin + path + query)
			b.press(first)
			b.follow(button)
		}
	}
	for _, tc := range []struct {
		what    string
		reach   func(*agent)
		reopens bool
		ended   string // the page says when it is ended
	}{
		{"agent", press("/admin/agents", "?q=agent", "td a", "Pause or end this agent…"), false, "Done. The agent has ended"},
		{"connection", func(a *agent) {
			b.open(p.Admin + "/admin/agents?q=connection")
			b.press("td a")
			b.follow("Stop…")
		}, false, "over The connection was ended"},
		{"person", press("/admin/people", "?q=alice", "td a", "Pause or end everything of this person…"), false, "It works. 0 connections"},
		{"tool", press("/admin/apis/customers", "", `td a[href$="/fetch-users"]`, "Switch this tool off…"), true, "ended now: it was something"},
		{"API", press("/admin/apis", "", "td a", "Stop this API…"), true, "ended now: it was something"},
		{"everything", func(*agent) { b.press("nav .stop a") }, true, "ended now: it was something"},
	} {
		a := p.agent(tc.what+" of tests", "none")
		token := alice.lets(a, "alice", "users:read")
		tc.reach(a)
		b.says("It works.")
		b.axe("stop " + tc.what)
		b.does("pause", "looks wrong <b>")
		p.within(time.Second, tc.what+" paused", func() bool { return !p.live(token) })
		b.says("paused now: looks wrong <b>")
		b.follow("Resume…")
		b.does("resume", "it was nothing")
		p.within(patience, tc.what+" resumed", func() bool { return p.live(token) })
		b.press(`a[href^="/admin/end/"]`)
		b.says("This cannot be undone.")
		b.axe("end " + tc.what)
		b.fill("#reason", "it was something")
		b.press(`button[value="end"]`)
		p.within(time.Second, tc.what+" ended", func() bool { return !p.live(token) })
		if tc.what == "everything" { // which signed this administrator out
			b.signIn("root", password)
		}
		b.says(tc.ended)
		b.axe("ended " + tc.what)
		b.silent("Resume…")
		if !tc.reopens {
			b.silent("Open it again")
			continue
		}
		b.follow("Open it again…")
		b.fill("#reason", "there is a new key")
		b.press(`button[value="resume"]`)
		if tc.what == "everything" { // once more, so that nobody was left in
			b.signIn("root", password)
		}
		b.says("Done.", "It works.")
		p.within(patience, tc.what+" open again", func() bool { return p.live(alice.lets(a, "alice", "users:read")) })
	}
}
