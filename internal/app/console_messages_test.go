package app_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/shell"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

// security.md 22: what was recorded of an agent is shown to a role with a fresh
// sign-in alone, and that it was shown is in the audit; recording is turned on
// for a while, with a reason.
func TestConsoleShowsRecordedMessages(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	transport := &http.Transport{DialContext: webtest.DialTCP}
	defer transport.CloseIdleConnections()
	c := &mcpclient.Client{Name: "Notebook", Transport: transport, Open: shell.SignIn{Name: "alice", Transport: transport}.Open}
	s, err := c.Connect(t.Context(), d.config.URLs.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Call(t.Context(), "fetch-users", map[string]any{"limit": 1}); err != nil {
		t.Fatal(err)
	}
	client := s.Authorization().ClientID
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := d.get("/admin/messages?client=" + client)
	link := regexp.MustCompile(`/admin/messages/flow\?client=[^"]*`).FindString(p.Body)
	for i := 0; i < 100 && link == ""; i++ {
		time.Sleep(20 * time.Millisecond)
		p = d.get("/admin/messages?client=" + client)
		link = regexp.MustCompile(`/admin/messages/flow\?client=[^"]*`).FindString(p.Body)
	}
	if link == "" || !strings.Contains(p.Text(), "alice") {
		t.Fatalf("the list: %d\n%s", p.Status, p.Text())
	}
	address := strings.ReplaceAll(link, "&amp;", "&")
	flow := d.get(address)
	for i := 0; i < 100 && !strings.Contains(flow.Text(), "tools/call"); i++ {
		time.Sleep(20 * time.Millisecond) // what is told is stored by itself
		flow = d.get(address)
	}
	for _, wanted := range []string{"authorization server", "gateway", "tools/call", "/token"} {
		if !strings.Contains(flow.Text(), wanted) {
			t.Errorf("the flow lacks %q:\n%s", wanted, flow.Text())
		}
	}
	entries, err := d.store().Recent(t.Context(), 20)
	if err != nil {
		t.Fatal(err)
	}
	read := false
	for _, e := range entries {
		read = read || e.Reason == "recorded messages read from the console" && e.ClientID == client && e.Detail["by"] != ""
	}
	if !read {
		t.Error("the audit does not tell who read the messages")
	}
	post := func(path string, form url.Values) *webtest.Page {
		form.Set("client", client)
		return follow(d.browser.Post(d.config.URLs.Admin+"/admin", d.config.URLs.Admin+path, form))
	}
	for _, bad := range []url.Values{{"minutes": {"15"}}, {"minutes": {"61"}, "reason": {"x"}}, {"minutes": {"-1"}, "reason": {"x"}}, {"reason": {"x"}}} {
		if p := post("/admin/messages/on", bad); p.Status != http.StatusConflict {
			t.Errorf("%v: %d", bad, p.Status)
		}
	}
	if p := post("/admin/messages/on", url.Values{"minutes": {"15"}, "reason": {"support case 7"}}); !strings.Contains(p.Text(), "support case 7") && !strings.Contains(p.Text(), "Done.") {
		t.Errorf("turned on: %d\n%s", p.Status, p.Text())
	}
	if p := post("/admin/messages/off", url.Values{}); !strings.Contains(p.Text(), "Done.") {
		t.Errorf("turned off: %d\n%s", p.Status, p.Text())
	}
	raw, err := sqlstore.OpenPlain(filepath.Join(d.config.Data, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), `UPDATE sessions SET auth_time = auth_time - 400`); err != nil {
		t.Fatal(err)
	}
	if p := d.get("/admin/messages?client=" + client); !strings.Contains(p.Text(), "Sign in to administer") {
		t.Errorf("with an old sign-in: %d\n%s", p.Status, p.Text())
	}
}
