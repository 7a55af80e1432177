package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/internal/account"
	"gatehouse/internal/admin"
	"gatehouse/internal/app"
	"gatehouse/internal/secret"
	"gatehouse/internal/shell"
	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>'{{.}}`

// What an agent or a person chose as a name, an address, an argument or a
// reason is text on every page of the console, whatever it looks like (proving.md:
// injection through client name, scope text, arguments; stored and reflected).
func TestConsoleShowsHostileTextAsText(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	transport := &http.Transport{DialContext: webtest.DialTCP}
	defer transport.CloseIdleConnections()
	victim := account.Account{ID: secret.ID(), Name: "<script>alert(3)</script>", Claims: map[string]string{"region": hostile}}
	if err := d.store().AddAccount(t.Context(), victim); err != nil {
		t.Fatal(err)
	}
	c := &mcpclient.Client{Name: hostile, Transport: transport, Open: shell.SignIn{Name: victim.Name, Transport: transport}.Open}
	s, err := c.Connect(t.Context(), d.config.URLs.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"fetch-users", "fetch-user"} {
		_, _ = s.Call(t.Context(), tool, map[string]any{"id": 1, "name": hostile, hostile: hostile}) // refused; it is in the audit all the same
	}
	client := s.Authorization().ClientID
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	grants, err := d.store().GrantsOf(t.Context(), victim.ID, 9, time.Now())
	if err != nil || len(grants) != 1 {
		t.Fatalf("%v %v", grants, err)
	}
	post := func(path string, form url.Values) {
		t.Helper()
		if p := follow(d.browser.Post(d.config.URLs.Admin+"/admin", d.config.URLs.Admin+path, form)); p.Status != http.StatusOK {
			t.Fatalf("%s: %d\n%s", path, p.Status, p.Text())
		}
	}
	post("/admin/pause/client/"+client, url.Values{"reason": {hostile}})
	post("/admin/pause/account/"+victim.ID, url.Values{"reason": {hostile}})
	entries, err := d.store().Recent(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"/admin/search?q=" + url.QueryEscape(hostile), "/admin/agents?q=" + url.QueryEscape(hostile), "/admin/people?q=" + url.QueryEscape(hostile),
		"/admin/audit?person=" + url.QueryEscape(hostile) + "&tool=" + url.QueryEscape(hostile) + "&from=" + url.QueryEscape(hostile),
		"/admin/audit?agent=" + url.QueryEscape(hostile), "/admin/messages?client=" + client, "/admin/stop/grant/" + grants[0].ID, "/admin/end/grant/" + grants[0].ID,
		"/admin/apis/" + url.PathEscape(hostile), "/admin/sign-in?next=" + url.QueryEscape(hostile)}
	for _, e := range entries {
		pages = append(pages, "/admin/audit/"+e.ID)
	}
	for _, kind := range []string{"client", "account"} {
		names := map[string]string{"kind": kind, "id": map[string]string{"client": client, "account": victim.ID}[kind], "api": "customers", "tool": "fetch-users"}
		for _, route := range (&admin.Server{}).Routes() {
			if method, path := address(route.Pattern, names); method == http.MethodGet && route.Access != admin.Anybody {
				pages = append(pages, path)
			}
		}
	}
	seen := 0
	for _, path := range pages {
		p := follow(d.browser.Get(d.config.URLs.Admin + path))
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			harmless(t, path, p.Body)
			if strings.Contains(p.Body, "alert(") {
				seen++
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d pages show anything hostile: the test looks at the wrong ones", seen)
	}
	own := webtest.NewBrowser(t, nil)
	page := follow(own.Get(d.config.URLs.AuthServer + "/account"))
	harmless(t, "/account", page.Body)
}

// harmless parses a page and reports what could run or load something.
func harmless(t *testing.T, path, body string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" || n.Data == "img" || n.Data == "iframe" || n.Data == "style" || n.Data == "base" {
			t.Errorf("%s has an element %s", path, n.Data)
		}
		for _, a := range n.Attr {
			value := strings.ToLower(strings.TrimSpace(a.Val))
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") {
				t.Errorf("%s has an attribute %s=%q", path, a.Key, a.Val)
			}
		}
	}
}
