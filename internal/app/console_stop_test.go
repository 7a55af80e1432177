package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/admin"
	"gatehouse/internal/app"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

const somePassword = "correct horse battery"

// person adds an account with a role and returns it.
func (d *console) person(name string, role account.Role) account.Account {
	d.t.Helper()
	hash, err := new(secret.Passwords).Hash(d.t.Context(), somePassword)
	if err != nil {
		d.t.Fatal(err)
	}
	a := account.Account{ID: secret.ID(), Name: name, PasswordHash: hash, Role: role, CreatedAt: time.Now().Unix(), Claims: map[string]string{"region": "USA"}}
	if err := d.store().AddAccount(d.t.Context(), a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

// signInAs signs somebody in in a browser of their own.
func (d *console) signInAs(name, password string) *webtest.Browser {
	d.t.Helper()
	b := webtest.NewBrowser(d.t, nil)
	p := follow(b.Get(d.config.URLs.Admin + "/admin"))
	p = p.Submit("action=signin", url.Values{"username": {name}})
	p = follow(p.Submit("action=signin", url.Values{"username": {name}, "password": {password}}))
	if p.Status != http.StatusOK || p.URL.Path != "/admin" {
		d.t.Fatalf("%s signs in: %d at %s:\n%s", name, p.Status, p.URL, p.Text())
	}
	return b
}

// Each subject is paused, resumed and ended from its page; each act says so and
// is in the audit with its reason and who did it.
func TestConsoleStops(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	alice, err := d.store().AccountByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"api/customers", "tool/customers/fetch-users", "account/" + alice.ID, "everything"} {
		t.Run(subject, func(t *testing.T) {
			d.t = t
			p := d.get("/admin/stop/" + subject)
			if !strings.Contains(p.Text(), "It works.") {
				t.Fatalf("before: %d\n%s", p.Status, p.Text())
			}
			if empty := p.Submit("act=pause", url.Values{"reason": {"   "}}); empty.Status != http.StatusConflict || !strings.Contains(empty.Text(), "a reason is missing") {
				t.Errorf("without a reason: %d\n%s", empty.Status, empty.Text())
			}
			p = follow(p.Submit("act=pause", url.Values{"reason": {"looks wrong <b>"}}))
			if !strings.Contains(p.Text(), "Done.") || !strings.Contains(p.Text(), "paused now : looks wrong <b>") {
				t.Fatalf("paused: %d\n%s", p.Status, p.Text())
			}
			if front := d.get("/admin"); !strings.Contains(front.Text(), "looks wrong <b>") {
				t.Errorf("the first page does not tell of it:\n%s", front.Text())
			}
			p = follow(d.get("/admin/resume/"+subject).Submit("act=resume", url.Values{"reason": {"it was nothing"}}))
			if !strings.Contains(p.Text(), "It works.") {
				t.Fatalf("resumed: %d\n%s", p.Status, p.Text())
			}
			p = follow(d.get("/admin/end/"+subject).Submit("act=end", url.Values{"reason": {"it was something"}}))
			if subject == "everything" { // which signed this administrator out, too
				d.signIn()
				p = d.get("/admin/stop/everything")
			}
			over := "ended now : it was something"
			if strings.HasPrefix(subject, "account/") {
				over = "It works. 0 connections" // a person can come back
			}
			if !strings.Contains(p.Text(), over) {
				t.Errorf("ended: %d\n%s", p.Status, p.Text())
			}
			entries, err := d.store().Recent(t.Context(), 30)
			if err != nil {
				t.Fatal(err)
			}
			for _, reason := range []string{"paused from the console: looks wrong <b>", "resumed from the console: it was nothing", "ended from the console: it was something"} {
				found := false
				for _, e := range entries {
					found = found || strings.HasSuffix(e.Reason, reason) && e.Outcome == "done" && e.Detail["by"] != "" && e.RequestID != ""
				}
				if !found {
					t.Errorf("the audit does not have %q", reason)
				}
			}
		})
	}
}

// security.md 21: what cannot be undone, and what undoes a stop, takes a fresh
// sign-in; the person comes back to where they were, with what they had typed.
func TestConsoleAsksAgain(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	db := d.store()
	raw, err := sqlstore.OpenPlain(filepath.Join(d.config.Data, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	sure := d.get("/admin/end/api/customers")
	if _, err := raw.ExecContext(t.Context(), `UPDATE sessions SET auth_time = auth_time - 400`); err != nil {
		t.Fatal(err)
	}
	again := sure.Submit("act=end", url.Values{"reason": {"old sign-in"}})
	if again.Status != http.StatusSeeOther || again.Location().Path != "/admin/sign-in" || again.Location().Query().Get("fresh") == "" {
		t.Errorf("with an old sign-in: %d\n%s", again.Status, again.Text())
	}
	if stops, err := db.Stops(t.Context()); err != nil || len(stops) != 0 {
		t.Errorf("stops: %v %v", stops, err)
	}
	// Reading and pausing still work.
	if p := follow(d.get("/admin/stop/api/customers").Submit("act=pause", url.Values{"reason": {"quick"}})); !strings.Contains(p.Text(), "quick") {
		t.Errorf("a pause with an old sign-in: %d\n%s", p.Status, p.Text())
	}
	asked := d.get("/admin/resume/api/customers")
	if !strings.Contains(asked.Text(), "Sign in to administer") {
		t.Fatalf("the page is open with an old sign-in: %s\n%s", asked.URL, asked.Text())
	}
	asked = asked.Submit("action=signin", url.Values{"username": {app.DemoAdministrator}})
	back := follow(asked.Submit("action=signin", url.Values{"username": {app.DemoAdministrator}, "password": {d.password}}))
	if back.URL.Path != "/admin/resume/api/customers" || back.Status != http.StatusOK {
		t.Errorf("after signing in again: %d at %s", back.Status, back.URL)
	}
	if strings.Contains(back.Text(), "old sign-in") {
		t.Error("what was typed on one page is on another")
	}
	if kept := d.get("/admin/end/api/customers"); !strings.Contains(kept.Text(), "old sign-in") {
		t.Errorf("what was typed is gone:\n%s", kept.Text())
	}
	if once := d.get("/admin/end/api/customers"); strings.Contains(once.Text(), "old sign-in") {
		t.Errorf("what was typed comes back for ever:\n%s", once.Text())
	}
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// address fills a route's placeholders with something that exists.
func address(pattern string, names map[string]string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, placeholder.ReplaceAllStringFunc(path, func(p string) string {
		name := strings.Trim(strings.TrimSuffix(p, "...}"), "{}")
		if v, ok := names[name]; ok {
			return v
		}
		return "none"
	})
}

// An auditor reads everything and changes nothing, whichever route they try;
// who has no role, or nobody, gets nothing (security.md 21).
func TestAuditorChangesNothing(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.person("olga", account.Auditor)
	visitor := d.person("vera", account.NoRole)
	auditor := d.signInAs("olga", somePassword)
	nobody := webtest.NewBrowser(t, nil)
	before := d.contents()
	names := map[string]string{"kind": "account", "id": visitor.ID, "api": "customers", "tool": "fetch-users"}
	for _, route := range (&admin.Server{}).Routes() {
		method, path := address(route.Pattern, names)
		to := d.config.URLs.Admin + path
		if route.Access == admin.Anybody {
			continue
		}
		if method == http.MethodGet {
			p := auditor.Get(to)
			if route.Access < admin.Changing && p.Status != http.StatusOK && p.Status != http.StatusNotFound {
				t.Errorf("an auditor cannot read %s: %d", path, p.Status)
			}
			if route.Access >= admin.Changing && p.Status != http.StatusForbidden {
				t.Errorf("an auditor opens %s: %d", path, p.Status)
			}
			if p := nobody.Get(to); p.Status != http.StatusSeeOther {
				t.Errorf("nobody opens %s: %d", path, p.Status)
			}
			continue
		}
		if route.Access < admin.Changing {
			t.Errorf("%s %s changes something and takes no administrator", method, path)
		}
		form := url.Values{"reason": {"try"}, "name": {"x"}, "role": {"admin"}, "action": {"end"}}
		if p := auditor.Post(d.config.URLs.Admin+"/admin", to, form); p.Status != http.StatusForbidden {
			t.Errorf("an auditor posts to %s: %d", path, p.Status)
		}
		if p := nobody.Post(d.config.URLs.Admin+"/admin", to, form); p.Status != http.StatusUnauthorized {
			t.Errorf("nobody posts to %s: %d", path, p.Status)
		}
	}
	if after := d.contents(); after != before {
		t.Errorf("something changed:\n%s\nwas\n%s", after, before)
	}
}

// No route takes what another site's page sends (CSRF), and no page can be
// framed (security.md 18).
func TestConsoleTakesNothingFromOtherSites(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	names := map[string]string{"kind": "account", "id": d.person("vera", account.NoRole).ID, "api": "customers", "tool": "fetch-users"}
	before := d.contents()
	for _, route := range (&admin.Server{}).Routes() {
		method, path := address(route.Pattern, names)
		to := d.config.URLs.Admin + path
		if method == http.MethodGet {
			p := d.browser.Get(to)
			if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") && !strings.Contains(p.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") && p.Status != http.StatusSeeOther {
				t.Errorf("%s can be framed: %d", path, p.Status)
			}
			continue
		}
		for _, from := range []string{"http://evil.example/", d.config.URLs.Agent + "/", d.config.URLs.AuthServer + "/"} {
			if p := d.browser.Post(from, to, url.Values{"reason": {"forged"}}); p.Status != http.StatusForbidden {
				t.Errorf("%s takes a form of %s: %d", path, from, p.Status)
			}
		}
	}
	if after := d.contents(); after != before {
		t.Errorf("something changed:\n%s\nwas\n%s", after, before)
	}
}

// contents is all that the database holds, but for the audit and for what a
// sign-in leaves.
func (d *console) contents() string {
	d.t.Helper()
	raw, err := sqlstore.OpenPlain(filepath.Join(d.config.Data, "gatehouse.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer raw.Close()
	tables := []string{}
	rows, err := raw.QueryContext(d.t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	if err != nil {
		d.t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			d.t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	var all []string
	for _, table := range tables {
		if slices.Contains([]string{"audit", "sessions", "assertions", "requests", "codes", "tokens", "sqlite_sequence", "messages"}, table) {
			continue
		}
		all = append(all, d.rows(table)...)
	}
	return strings.Join(all, "\n")
}

func (d *console) rows(table string) []string {
	d.t.Helper()
	raw, err := sqlstore.OpenPlain(filepath.Join(d.config.Data, "gatehouse.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer raw.Close()
	rows, err := raw.QueryContext(d.t.Context(), `SELECT * FROM `+table)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		d.t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			d.t.Fatal(err)
		}
		line := table
		if table == "meta" && fmt.Sprint(*values[0].(*any)) == "synced" {
			continue // the writer's own
		}
		for _, v := range values {
			line += fmt.Sprintf(" | %v", *v.(*any))
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// Who signs in comes back to where they were, also where an agent's ID is an
// address, and never to anywhere but the console.
func TestConsoleComesBack(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	for next, want := range map[string]string{
		"/admin/agents?q=bank": "/admin/agents",
		"/admin/end/client/https%3A%2F%2Fagent.example%2Fc.json": "/admin/end/client/https%3A%2F%2Fagent.example%2Fc.json",
		"https://evil.example/admin":                             "/admin",
		"//evil.example/admin":                                   "/admin",
		"/admin//evil.example":                                   "/admin",
		"/admin/../x":                                            "/admin",
		"/admin/%2E%2e/x":                                        "/admin",
	} {
		if p := d.get("/admin/sign-in?" + url.Values{"next": {next}}.Encode()); p.URL.EscapedPath() != want || "http://"+p.URL.Host != d.config.URLs.Admin {
			t.Errorf("%s leads to %s", next, p.URL)
		}
	}
}
