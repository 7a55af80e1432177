package app_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/account"
	"gatehouse/internal/app"
	"gatehouse/internal/webtest"
)

// console is a running demo with its administrator's password.
type console struct {
	t        *testing.T
	config   app.Config
	password string
	browser  *webtest.Browser
}

func startConsole(t *testing.T, o app.DemoOptions, change ...func(*app.Config)) *console {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Address, o.Data = l.Addr().String(), t.TempDir()
	config, err := app.Demo(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&config)
	}
	d := &console{t: t, config: config, browser: webtest.NewBrowser(t, nil)}
	if c := config.TLSCertificate(); c != nil {
		l = tlsListener(l, *c)
		d.browser.Trust(o.Data + "/ca.pem")
	}
	a, err := app.New(t.Context(), config, app.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if d.password, err = a.SeedDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *console) get(path string) *webtest.Page {
	return follow(d.browser.Get(d.config.URLs.Admin + path))
}

// signIn signs the administrator in, by the pages.
func (d *console) signIn() *webtest.Page {
	d.t.Helper()
	p := d.get("/admin")
	p = p.Submit("action=signin", url.Values{"username": {app.DemoAdministrator}})
	p = follow(p.Submit("action=signin", url.Values{"username": {app.DemoAdministrator}, "password": {d.password}}))
	if p.URL.Path != "/admin" || p.Status != http.StatusOK {
		d.t.Fatalf("after the sign-in: %d at %s:\n%s", p.Status, p.URL, p.Text())
	}
	return p
}

// Who signs in by OpenID Connect with a role and a password gets into the
// console; signing out there ends both sessions.
func TestConsoleSignIn(t *testing.T) {
	for name, tls := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			d := startConsole(t, app.DemoOptions{TLS: tls})
			p := d.signIn()
			for _, place := range []string{"Home", "Agents", "People", "APIs & tools", "Keys", "Audit", "Settings", app.DemoAdministrator} {
				if !strings.Contains(p.Text(), place) {
					t.Errorf("the console does not show %s:\n%s", place, p.Text())
				}
			}
			for _, c := range d.browser.Cookies(d.config.URLs.Admin) {
				if !strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly {
					t.Errorf("cookie %s", c.Name)
				}
			}
			p = follow(p.Submit("Sign out", nil))
			if !strings.Contains(p.Text(), "You are signed out") {
				t.Errorf("after signing out: %s\n%s", p.URL, p.Text())
			}
			if p := d.get("/admin"); !strings.HasSuffix(p.URL.Host, strings.TrimPrefix(d.config.URLs.AuthServer, p.URL.Scheme+"://")) || !strings.Contains(p.Text(), "Sign in to administer") {
				t.Errorf("signed out, the console shows %s:\n%s", p.URL, p.Text())
			}
		})
	}
}

// security.md 19: in a demo anybody is anybody, but nobody an administrator.
func TestDemoSignInOpensNoConsole(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	p := d.get("/admin")
	refused := follow(p.Submit("action=signin", url.Values{"username": {"alice"}}))
	if refused.Status != http.StatusForbidden || !strings.Contains(refused.Text(), "You have no role here") {
		t.Errorf("alice sees %d:\n%s", refused.Status, refused.Text())
	}
	// The name alone, also in another spelling, and with a wrong password.
	d.browser.ClearCookies()
	p = d.get("/admin")
	for _, name := range []string{"admin", " ADMIN ", "ａｄｍｉｎ"} {
		asked := p.Submit("action=signin", url.Values{"username": {name}})
		if asked.Status != http.StatusOK || !strings.Contains(asked.Text(), "This name has a password") {
			t.Fatalf("%q: %d %s", name, asked.Status, asked.Text())
		}
		wrong := asked.Submit("action=signin", url.Values{"username": {name}, "password": {"wrong password"}})
		if wrong.Status != http.StatusUnauthorized {
			t.Errorf("%q with a wrong password: %d", name, wrong.Status)
		}
	}
	if p := d.get("/admin"); !strings.Contains(p.Text(), "Sign in to administer") {
		t.Errorf("the console is open:\n%s", p.Text())
	}
	if account.NoRole != "" {
		t.Error("an account without a role must be the zero value")
	}
}

// What comes to the callback counts only in the browser that began, once, and
// from the authorization server that was asked (RFC 9207); and a session of the
// one host is none of the other.
func TestConsoleCallback(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	begun := d.browser.Get(d.config.URLs.Admin + "/admin/sign-in")
	answered := begun.Follow()
	for answered.Status == http.StatusSeeOther && !strings.HasPrefix(answered.Location().Path, "/admin/callback") {
		answered = answered.Follow()
	}
	callback := answered.Location()
	if callback.Query().Get("code") == "" {
		t.Fatalf("no code in %s", callback)
	}
	changed := func(key, value string) string {
		u := *callback
		q := u.Query()
		q.Set(key, value)
		u.RawQuery = q.Encode()
		return u.String()
	}
	other := webtest.NewBrowser(t, nil)
	if p := other.Get(callback.String()); p.Status != http.StatusBadRequest {
		t.Errorf("another browser: %d %s", p.Status, p.Text())
	}
	flow := d.browser.Cookies(d.config.URLs.Admin)
	for key, value := range map[string]string{"state": "x", "iss": "https://evil.example", "code": "x"} {
		for _, c := range flow {
			d.browser.AddCookie(d.config.URLs.Admin, c)
		}
		if p := d.browser.Get(changed(key, value)); p.Status != http.StatusBadRequest {
			t.Errorf("%s changed: %d %s", key, p.Status, p.Text())
		}
	}
	for _, c := range d.browser.Cookies(d.config.URLs.Admin) {
		if strings.HasSuffix(c.Name, "gatehouse-console") {
			stranger := webtest.NewBrowser(t, nil)
			moved := *c
			moved.Name = "__Host-gatehouse-session"
			stranger.AddCookie(d.config.URLs.AuthServer, &moved)
			if p := follow(stranger.Get(d.config.URLs.AuthServer + "/account")); !strings.Contains(p.Text(), "Sign in to see") {
				t.Errorf("the console's session opens the authorization server:\n%s", p.Text())
			}
		}
	}
}

// The next page after a sign-in is one of the console's, whatever a link says
// (open redirect).
func TestConsoleGoesNowhereElse(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	for _, next := range []string{"https://evil.example/admin", "//evil.example/admin", "/\\evil.example", "/admin@evil.example", "javascript:alert(1)", "/elsewhere", "/admin/../x", "%2F%2Fevil.example"} {
		p := follow(d.browser.Get(d.config.URLs.Admin + "/admin/sign-in?" + url.Values{"next": {next}}.Encode()))
		if p.URL.Scheme+"://"+p.URL.Host != d.config.URLs.Admin {
			t.Errorf("%s leads to %s", next, p.URL)
		}
	}
}
