package app_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/account"
	"gatehouse/internal/app"
	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

// store is a second handle on the demo's store.
func (d *console) store() *sqlstore.DB {
	d.t.Helper()
	db, err := sqlstore.Open(d.t.Context(), "sqlite:"+filepath.Join(d.config.Data, "gatehouse.db"), sqlstore.Options{NoMigrate: true})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = db.Close() })
	return db
}

var invitationLink = regexp.MustCompile(`http\S+/invitation\?token=[A-Za-z0-9_-]{43}`)

// invite invites somebody and returns the link.
func (d *console) invite(name, role, attributes string) string {
	d.t.Helper()
	p := d.get("/admin/invite").Submit("act=invite", url.Values{"name": {name}, "role": {role}, "attributes": {attributes}})
	link := invitationLink.FindString(p.Text())
	if p.Status != http.StatusOK || link == "" {
		d.t.Fatalf("invite %s: %d\n%s", name, p.Status, p.Text())
	}
	return link
}

// newest returns the newest entry of the audit whose reason begins so.
func (d *console) newest(reason string) audit.Entry {
	d.t.Helper()
	list, err := d.store().Recent(d.t.Context(), 50)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Reason, reason) {
			return e
		}
	}
	d.t.Fatalf("the audit has no %q", reason)
	return audit.Entry{}
}

func (d *console) sees(p *webtest.Page, status int, words ...string) {
	d.t.Helper()
	for _, w := range words {
		if p.Status != status || !strings.Contains(p.Text(), w) {
			d.t.Errorf("%s: %d, want %d with %q:\n%s", p.URL, p.Status, status, w, p.Text())
			return
		}
	}
}

// Who is invited chooses a password by the link and signs in with the role and
// the attributes they were given; the link is good once.
func TestConsoleInvites(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	link := d.invite("Ines", "auditor", "region=Europe\nteam = sales\n")
	if e := d.newest("person invited from the console"); e.Outcome != audit.Done || e.Detail["role"] != "auditor" || e.Detail["attributes"] != "region team" || e.Detail["by"] == "" || strings.Contains(link, e.ID) {
		t.Errorf("audit: %+v", e)
	}
	d.sees(d.get("/admin/people?only=invited"), 200, "ines", "invited")

	guest := webtest.NewBrowser(t, nil)
	opened := guest.Get(link)
	if at := opened.Location(); opened.Status != http.StatusSeeOther || at.Path != "/invitation" || at.RawQuery != "" {
		t.Fatalf("the link leads to %v with %d", at, opened.Status)
	}
	form := opened.Follow()
	d.sees(form, 200, "Choose a password", "ines")
	for _, password := range []string{"short", "password123", "ines", "InesInes", strings.Repeat("x", 1025), "12345678"} {
		refused := form.Submit("action=set", url.Values{"password": {password}, "again": {password}})
		d.sees(refused, 400, "This password cannot be used")
	}
	d.sees(form.Submit("action=set", url.Values{"password": {somePassword}, "again": {"another one"}}), 400, "The two passwords differ")
	d.sees(form.Submit("action=set", url.Values{"username": {"else"}, "password": {somePassword}, "again": {somePassword}}), 409, "another invitation")
	d.sees(form.Submit("action=set", url.Values{"password": {somePassword}, "again": {somePassword}}), 200, "Your password is set")
	d.sees(form.Submit("action=set", url.Values{"password": {"another password"}, "again": {"another password"}}), 404, "not good any more")
	d.sees(follow(webtest.NewBrowser(t, nil).Get(link)), 404, "not good any more")
	d.newest("the person chose a password by an invitation")
	if e := d.newest("the person chose"); e.Kind != audit.SignIn || e.Outcome != audit.Done {
		t.Errorf("audit: %+v", e)
	}
	if p := guest.Get(d.config.URLs.AuthServer + "/account"); p.Status == http.StatusOK {
		t.Error("the link signed somebody in")
	}

	b := d.signInAs("ines", somePassword)
	d.sees(b.Get(d.config.URLs.Admin+"/admin/people"), 200, "ines", "auditor")
	a, err := d.store().AccountByName(t.Context(), "ines")
	if err != nil || a.Claims["region"] != "Europe" || a.Claims["team"] != "sales" {
		t.Errorf("%+v, %v", a, err)
	}
}

// Two who open the same link at once: one chooses the password.
func TestInvitationHasOneWinner(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	link := d.invite("ines", "none", "")
	passwords := []string{"the first of the two", "the other of the two"}
	pages, forms := make([]*webtest.Page, 2), make([]*webtest.Page, 2)
	for i := range forms {
		forms[i] = follow(webtest.NewBrowser(t, nil).Get(link))
	}
	var wg sync.WaitGroup
	for i, f := range forms {
		wg.Go(func() {
			pages[i] = f.Submit("action=set", url.Values{"password": {passwords[i]}, "again": {passwords[i]}})
		})
	}
	wg.Wait()
	if pages[0].Status+pages[1].Status != http.StatusOK+http.StatusNotFound {
		t.Fatalf("the two saw %d and %d", pages[0].Status, pages[1].Status)
	}
	a, err := d.store().AccountByName(t.Context(), "ines")
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range pages {
		match, err := new(secret.Passwords).Verify(t.Context(), a.PasswordHash, passwords[i])
		if err != nil || match != (p.Status == http.StatusOK) {
			t.Errorf("password %d: %v, %v after %d", i, match, err, p.Status)
		}
	}
}

// What cannot be is refused in words: names, roles, attributes.
func TestInviteRefuses(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	for want, form := range map[string]url.Values{
		"exists already":              {"name": {"admin"}},
		"without blanks":              {"name": {"two words"}},
		"is no role":                  {"name": {"x"}, "role": {"root"}},
		"a claim of the token itself": {"name": {"x"}, "attributes": {"sub=somebody"}},
		"tells of the agent":          {"name": {"x"}, "attributes": {"client_type=internal"}},
		"one name=value in each line": {"name": {"x"}, "attributes": {"region"}},
		"an attribute of its own":     {"name": {"x"}, "attributes": {"a=1\na=2"}},
		"must have 1 to 256 bytes":    {"name": {"x"}, "attributes": {"a=" + strings.Repeat("v", 257)}},
		"more than 32":                {"name": {"x"}, "attributes": {strings.Join(strings.Split("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,aa,bb,cc,dd,ee,ff,gg", ","), "=1\n") + "=1"}},
	} {
		p := d.get("/admin/invite").Submit("act=invite", form)
		d.sees(p, 409, want)
	}
	if _, err := d.store().AccountByName(t.Context(), "x"); err == nil {
		t.Error("x was stored")
	}
}

// One person's page: role, attributes, sessions and password are changed there,
// each with its reason, before and after, and an audit entry.
func TestConsolePerson(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	hostile := "<script>alert(1)</script>"
	a := d.person(hostile, account.NoRole)
	at := "/admin/people/" + a.ID
	p := d.get(at)
	d.sees(p, 200, hostile, "none", "is told region", "No agent may act", "Signed in nowhere")
	if strings.Contains(p.Body, hostile) || strings.Contains(d.get("/admin/people?q=%3Cscript").Body, hostile) {
		t.Error("a name is not escaped")
	}

	p = d.get(at + "/role")
	d.sees(p.Submit("act=role", url.Values{"role": {"admin"}}), 409, "a reason is missing")
	d.sees(p.Submit("act=role", url.Values{"role": {"none"}, "reason": {"why"}}), 409, "is none already")
	d.sees(follow(p.Submit("act=role", url.Values{"role": {"admin"}, "reason": {"second pair of eyes"}})), 200, "Done.", "administrator")
	if e := d.newest("role changed from the console: second pair of eyes"); e.AccountID != a.ID || e.Detail["before"] != "none" || e.Detail["after"] != "admin" {
		t.Errorf("audit: %+v", e)
	}

	look := d.get(at+"/attributes").Submit("act=look", url.Values{"attributes": {"region=Asia\nteam=" + hostile}})
	d.sees(look, 200, "USA", "Asia", "team")
	if got, err := d.store().Account(t.Context(), a.ID); err != nil || got.Claims["region"] != "USA" {
		t.Errorf("looking changed them: %+v, %v", got, err)
	}
	if strings.Contains(look.Body, hostile) {
		t.Error("an attribute is not escaped")
	}
	d.sees(look.Submit("act=save", nil), 409, "a reason is missing")
	d.sees(follow(look.Submit("act=save", url.Values{"reason": {"moved"}})), 200, "Done.", "Asia")
	if e := d.newest("attributes changed from the console: moved"); e.Detail["attributes"] != "region team" {
		t.Errorf("audit: %+v", e)
	}
	d.sees(d.get(at+"/attributes").Submit("act=look", url.Values{"attributes": {"iss=me"}}), 409, "a claim of the token itself")

	first, second := d.signInAs(hostile, somePassword), d.signInAs(hostile, somePassword)
	p = d.get(at)
	d.sees(p, 200, "with a password")
	if n := strings.Count(p.Body, `name="session"`); n != 4 { // of login host and console each
		t.Errorf("%d sessions", n)
	}
	d.sees(p.Submit("act=everywhere", nil), 409, "a reason is missing")
	d.sees(follow(p.Submit("End", url.Values{"reason": {"a lost telephone"}})), 200, "Done.")
	d.newest("person signed out of a session from the console: a lost telephone")
	d.sees(follow(d.get(at).Submit("act=everywhere", url.Values{"reason": {"all of them"}})), 200, "Signed in nowhere")
	for _, b := range []*webtest.Browser{first, second} {
		d.sees(follow(b.Get(d.config.URLs.Admin+"/admin")), 200, "Sign in to administer")
	}

	p = d.get(at + "/password")
	d.sees(p.Submit("act=reset", nil), 409, "a reason is missing")
	p = p.Submit("act=reset", url.Values{"reason": {"forgotten"}})
	d.sees(p, 200, "no longer good")
	link := invitationLink.FindString(p.Text())
	if got, err := d.store().Account(t.Context(), a.ID); err != nil || got.PasswordHash != account.Unset || got.Claims["region"] != "Asia" || got.Role != account.Administrator {
		t.Errorf("after the reset: %+v, %v", got, err)
	}
	follow(webtest.NewBrowser(t, nil).Get(link)).Submit("action=set", url.Values{"password": {"the password after"}, "again": {"the password after"}})
	d.signInAs(hostile, "the password after")

	// Agents' doings and acts are there, the newest first.
	d.sees(d.get(at), 200, "the person chose a password", "password reset from the console: forgotten")
	d.sees(d.get("/admin/people/nobody"), 404, "There is nothing here")
}

// security.md 21: the last administrator stays one, also by their own hand.
func TestConsoleKeepsItsLastAdministrator(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	admin, err := d.store().AccountByName(t.Context(), app.DemoAdministrator)
	if err != nil {
		t.Fatal(err)
	}
	p := d.get("/admin/people/" + admin.ID + "/role")
	d.sees(p.Submit("act=role", url.Values{"role": {"none"}, "reason": {"why not"}}), 409, "the last administrator", "make somebody else one first")
	d.invite("ines", "admin", "") // who cannot sign in yet
	d.sees(p.Submit("act=role", url.Values{"role": {"auditor"}, "reason": {"why not"}}), 409, "the last administrator")
	d.person("bert", account.Administrator)
	changed := p.Submit("act=role", url.Values{"role": {"auditor"}, "reason": {"bert does it now"}})
	if changed.Status != http.StatusSeeOther {
		t.Errorf("with another administrator: %d\n%s", changed.Status, changed.Text())
	}
	d.sees(d.get("/admin/invite"), 403, "Auditors change nothing")
}

// Auditors see people and change nothing of them.
func TestAuditorsChangeNobody(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.person("aud", account.Auditor)
	a := d.person("anna", account.NoRole)
	b := d.signInAs("aud", somePassword)
	at := d.config.URLs.Admin + "/admin/people/" + a.ID
	d.sees(b.Get(at), 200, "anna", "region")
	if strings.Contains(b.Get(at).Body, "/role") {
		t.Error("an auditor is offered acts")
	}
	for _, path := range []string{"/admin/invite", "/admin/people/" + a.ID + "/role", "/admin/people/" + a.ID + "/attributes", "/admin/people/" + a.ID + "/password"} {
		d.sees(b.Get(d.config.URLs.Admin+path), 403, "Auditors change nothing")
		d.sees(b.Post(at, d.config.URLs.Admin+path, url.Values{"name": {"x"}, "role": {"admin"}, "reason": {"mine"}, "attributes": {"a=b"}, "act": {"save"}}), 403, "Auditors change nothing")
	}
	d.sees(b.Post(at, at+"/sessions", url.Values{"reason": {"mine"}}), 403, "Auditors change nothing")
	if got, err := d.store().Account(t.Context(), a.ID); err != nil || got.Role != account.NoRole || got.PasswordHash != a.PasswordHash {
		t.Errorf("%+v, %v", got, err)
	}
}
