package authserver_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
	"gatehouse/internal/webtest"
)

// ownPage signs somebody in at their own page.
func (w *world) ownPage(b *webtest.Browser, name string) *webtest.Page {
	w.t.Helper()
	login := b.Get(issuer + "/account").Follow()
	if !strings.Contains(login.Text(), "Sign in to see what you allowed your agents") {
		w.t.Fatalf("%d %s", login.Status, login.Text())
	}
	return login.Submit("Sign in", url.Values{"username": {name}}).Follow()
}

// called records a tool call under a grant, as a gateway does.
func (w *world) called(token, tool string, o audit.Outcome) {
	w.t.Helper()
	a := w.introspect(token)
	id := secret.ID()
	if err := w.DB.Append(w.t.Context(), audit.Entry{ID: id, Time: time.Now().UnixMilli(), Kind: audit.Call, Outcome: audit.Started, GrantID: a.str("grant_id"), Tool: tool}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.DB.Finish(w.t.Context(), id, o, "", nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestOwnPageShowsWhatWasAllowed(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	if empty := w.ownPage(b, "alice"); !strings.Contains(empty.Text(), "No agent may act for you") {
		t.Fatal(empty.Text())
	}
	_, token := w.token("alice", nil)
	w.called(token, "fetch-users", audit.Done)
	w.called(token, "fetch-orders", audit.Failed)
	_, _ = w.token("bob", nil)
	page := b.Get(issuer + "/account")
	text := page.Text()
	for _, want := range []string{
		"You are signed in as alice", "An agent that calls itself “ Notebook ” at Customer API", "It runs on a computer of yours.",
		"Last call: fetch-orders on", "not carried out", "Read customers", "Read orders", "Opens fetch-users",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page:\n%s", want, text)
		}
	}
	if n := strings.Count(page.Body, `name="connection"`); n != 1 { // and nothing of bob's
		t.Errorf("%d connections", n)
	}
	if page.Header.Get("Cache-Control") != "no-store" {
		t.Error(page.Header)
	}
}

func TestPersonEndsAConnection(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	_, others := w.token("bob", nil)
	b := w.browser()
	w.ownPage(b, "alice")
	done := b.Get(issuer+"/account").Submit("End this connection", nil)
	if done.Status != http.StatusSeeOther || done.Location().String() != issuer+"/account?done=ended" {
		t.Fatalf("%d %s", done.Status, done.Text())
	}
	if text := done.Follow().Text(); !strings.Contains(text, "The connection has ended.") || !strings.Contains(text, "No agent may act for you") {
		t.Error(text)
	}
	if a := w.introspect(token); a.Body["active"] != false {
		t.Errorf("its token lives on: %v", a.Body)
	}
	if a := w.introspect(others); a.Body["active"] != true {
		t.Errorf("somebody else's ended: %v", a.Body)
	}
	entries, err := w.DB.Recent(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		found = found || e.Kind == audit.Revocation && e.Reason == "the person ended the connection" && e.GrantID != ""
	}
	if !found {
		t.Error("the audit does not tell of it")
	}
}

func TestPersonNarrowsAConnection(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	b := w.browser()
	page := w.ownPage(b, "alice").Submit("Keep only what is switched on", url.Values{"scope": {"users:read", "users:write"}})
	if text := page.Follow().Text(); !strings.Contains(text, "may do less now") || strings.Contains(text, "Read orders") {
		t.Error(text)
	}
	// What was never allowed is not added by asking for it.
	if a := w.introspect(token); a.str("scope") != "users:read" {
		t.Errorf("the token has %q", a.str("scope"))
	}
	if page := b.Get(issuer+"/account").Submit("Keep only what is switched on", url.Values{"scope": {}}); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "Nothing was left switched on") {
		t.Errorf("%d %s", page.Status, page.Text())
	}
	if a := w.introspect(token); a.str("scope") != "users:read" {
		t.Errorf("the token has %q", a.str("scope"))
	}
}

// security.md 18: nobody changes a person's connections but that person, from
// this server's own pages.
func TestOwnPageIsGuarded(t *testing.T) {
	w := newWorld(t, options{})
	_, token := w.token("alice", nil)
	alice, bob := w.browser(), w.browser()
	connection := regexp.MustCompile(`name="connection" value="([^"]+)"`).FindStringSubmatch(w.ownPage(alice, "alice").Body)[1]
	w.ownPage(bob, "bob")
	form := func(account string) url.Values { return url.Values{"account": {account}, "connection": {connection}} }

	for name, page := range map[string]*webtest.Page{
		"bob, for himself":   bob.Post(issuer+"/account", issuer+"/account/end", form("bob")),
		"bob, for alice":     bob.Post(issuer+"/account", issuer+"/account/end", form("alice")),
		"bob, narrowing":     bob.Post(issuer+"/account", issuer+"/account/narrow", url.Values{"account": {"bob"}, "connection": {connection}, "scope": {"users:read"}}),
		"another site":       alice.Post("https://evil.example/", issuer+"/account/end", form("alice")),
		"another host of us": alice.Post("http://mcp.localhost:8080/", issuer+"/account/end", form("alice")),
		"a page of another":  alice.Post(issuer+"/account", issuer+"/account/end", form("bob")),
		"nobody":             w.browser().Post(issuer+"/account", issuer+"/account/end", form("alice")),
		"no connection":      alice.Post(issuer+"/account", issuer+"/account/end", url.Values{"account": {"alice"}}),
	} {
		if strings.Contains(page.Header.Get("Location"), "done=") {
			t.Errorf("%s: %d %s", name, page.Status, page.Header.Get("Location"))
		}
	}
	if a := w.introspect(token); a.Body["active"] != true || a.str("scope") != "users:read orders:read" {
		t.Errorf("the connection was changed: %v", a.Body)
	}
	// What the page says was done is not up to whoever made a link to it.
	if page := alice.Get(issuer + "/account?done=" + url.QueryEscape("<b>Call 0900 now</b>")); strings.Contains(page.Body, "0900") {
		t.Error(page.Body)
	}
	// A request of the page's own gives no agent anything.
	login := w.browser()
	id := login.Get(issuer + "/account").Location().Query().Get("request")
	for _, path := range []string{"/consent?request=" + id} {
		if page := login.Get(issuer + path); page.Status < 400 {
			t.Errorf("%s: %d %s", path, page.Status, page.Text())
		}
	}
	for _, action := range []string{"allow", "continue", "deny", "switch"} {
		if page := login.Post(issuer+"/login", issuer+"/consent", url.Values{"request": {id}, "action": {action}}); page.Status < 400 {
			t.Errorf("%s: %d %s", action, page.Status, page.Text())
		}
	}
}

func TestSigningOut(t *testing.T) {
	w := newWorld(t, options{})
	here, there := w.browser(), w.browser()
	w.ownPage(here, "alice")
	w.ownPage(there, "alice")
	if page := here.Get(issuer+"/account").Submit("where=here", nil); !strings.Contains(page.Text(), "signed out of this browser") {
		t.Error(page.Text())
	}
	if page := here.Get(issuer + "/account"); page.Status != http.StatusSeeOther {
		t.Errorf("still signed in: %d", page.Status)
	}
	if page := there.Get(issuer + "/account"); page.Status != http.StatusOK {
		t.Errorf("the other browser was signed out too: %d", page.Status)
	}
	w.ownPage(here, "alice")
	if page := here.Get(issuer+"/account").Submit("where=everywhere", nil); !strings.Contains(page.Text(), "every browser") {
		t.Error(page.Text())
	}
	if page := there.Get(issuer + "/account"); page.Status != http.StatusSeeOther {
		t.Errorf("the other browser is still signed in: %d", page.Status)
	}
}

func TestSignInForOwnPageCanBeLeft(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	page := b.Get(issuer+"/account").Follow().Submit("action=deny", nil)
	if page.Status != http.StatusSeeOther || page.Location().String() != issuer+"/" {
		t.Fatalf("%d %s", page.Status, page.Header.Get("Location"))
	}
	if text := page.Follow().Text(); !strings.Contains(text, "See what you allowed your agents") {
		t.Error(text)
	}
}
