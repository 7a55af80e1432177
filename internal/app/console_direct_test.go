package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/admin"
	"gatehouse/internal/app"
	"gatehouse/internal/openapi"
	"gatehouse/internal/shell"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

// terminal is somebody at a terminal, with a token for the console's API itself.
type terminal struct {
	t    *testing.T
	http *http.Client
	base string
	open int // how often the person was sent through sign-in
}

func (d *console) terminal(name, password string) *terminal {
	d.t.Helper()
	transport := &http.Transport{DialContext: webtest.DialTCP}
	d.t.Cleanup(transport.CloseIdleConnections)
	term := &terminal{t: d.t, base: app.AdministrationAt(d.config.URLs.Admin)}
	signIn := shell.SignIn{Name: name, Password: password, Transport: transport}
	c := &mcpclient.Client{
		Name: "Terminal", ClientID: app.TerminalID, Scope: app.TerminalScopes(), Transport: transport,
		Open: func(ctx context.Context, address string) error { term.open++; return signIn.Open(ctx, address) },
	}
	var err error
	if term.http, err = c.Protected(d.t.Context(), term.base); err != nil {
		d.t.Fatal(err)
	}
	return term
}

// send sends a request, and returns its status, header and body.
func (x *terminal) send(method, path, body, ifMatch string) (int, http.Header, string) {
	x.t.Helper()
	return send(x.t, x.http, method, x.base+path, body, map[string]string{"If-Match": ifMatch})
}

func send(t *testing.T, c *http.Client, method, address, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// Editing asks for what was read (RFC 9110 §13.1.1, RFC 6585 §3), so that of two
// who edit at once one is told; and is recorded with who did it.
func TestEditsAskForWhatWasRead(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	x := d.terminal(app.DemoAdministrator, d.password)
	status, header, body := x.send("GET", "/people/alice/attributes", "", "")
	etag := header.Get("ETag")
	if status != 200 || !strings.HasPrefix(etag, `"`) || !strings.Contains(body, `"region":"USA"`) {
		t.Fatalf("%d %v %s", status, header, body)
	}
	const moved = `{"attributes":{"region":"Europe"},"reason":"moved"}`
	if status, _, body := x.send("PUT", "/people/alice/attributes", moved, ""); status != 428 || !strings.Contains(body, "If-Match") {
		t.Errorf("without If-Match: %d %s", status, body)
	}
	if status, _, body := x.send("PUT", "/people/alice/attributes", moved, "*"); status != 428 {
		t.Errorf("with If-Match *: %d %s", status, body)
	}
	if status, _, body := x.send("PUT", "/people/alice/attributes", moved, etag); status != 200 || !strings.Contains(body, `"audit"`) {
		t.Fatalf("with it: %d %s", status, body)
	}
	if status, header, body := x.send("PUT", "/people/alice/attributes", `{"attributes":{},"reason":"x"}`, etag); status != 412 || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("with what was read before: %d %s", status, body)
	}
	if acc, err := d.store().AccountByName(t.Context(), "alice"); err != nil || acc.Claims["region"] != "Europe" {
		t.Errorf("attributes %v %v", acc.Claims, err)
	}
	e := d.newest("attributes changed from a terminal: moved")
	if e.Detail["by"] == "" || e.Detail["by_client"] != app.TerminalID || strings.Contains(e.Detail["attributes"], "Europe") {
		t.Errorf("audit %+v", e)
	}
	if status, _, body := x.send("PUT", "/people/alice/role", `{"role":"king","reason":"x"}`, tagOf(x, "/people/alice/role")); status != 409 || !strings.Contains(body, "no role") {
		t.Errorf("a role that is none: %d %s", status, body)
	}
	if status, _, body := x.send("PUT", "/people/alice/attributes", `{"attribute":{},"reason":"x"}`, etag); status != 400 {
		t.Errorf("a member that is none: %d %s", status, body)
	}
	if status, _, body := x.send("PUT", "/people/nobody/role", `{"role":"none","reason":"x"}`, etag); status != 404 {
		t.Errorf("nobody: %d %s", status, body)
	}
}

func tagOf(x *terminal, path string) string {
	_, header, _ := x.send("GET", path, "", "")
	return header.Get("ETag")
}

// RFC 9470 §3: what cannot be undone, or undoes a stop, takes a sign-in of the
// last five minutes; the terminal sends the person through it once more.
func TestTerminalSignsInAgain(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	x := d.terminal(app.DemoAdministrator, d.password)
	if status, _, body := x.send("POST", "/stops", `{"subject":"tool","id":"customers/refund-order","reason":"x"}`, ""); status != 200 || x.open != 1 {
		t.Fatalf("pause: %d %s, %d sign-ins", status, body, x.open)
	}
	raw, err := sqlstore.OpenPlain(filepath.Join(d.config.Data, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, table := range []string{"sessions", "tokens", "refresh_tokens"} {
		if _, err := raw.ExecContext(t.Context(), `UPDATE `+table+` SET auth_time = auth_time - 400 WHERE auth_time > 0`); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, body := x.send("GET", "/stops", "", ""); status != 200 || x.open != 1 {
		t.Errorf("reading: %d %s, %d sign-ins", status, body, x.open)
	}
	// What is known of the token may be a second old (security.md 11).
	for until := time.Now().Add(10 * time.Second); x.open == 1 && time.Now().Before(until); {
		x.send("POST", "/resumptions", `{}`, "")
	}
	if status, _, body := x.send("POST", "/resumptions", `{"subject":"tool","id":"customers/refund-order","reason":"x"}`, ""); status != 200 || x.open != 2 {
		t.Errorf("resume: %d %s, %d sign-ins", status, body, x.open)
	}
}

// A pause of everything does not stop the terminal: somebody must resume.
func TestTerminalResumesEverything(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	x := d.terminal(app.DemoAdministrator, d.password)
	for _, path := range []string{"/stops", "/resumptions"} {
		if status, _, body := x.send("POST", path, `{"subject":"everything","id":"","reason":"drill"}`, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Who is refused: no token, one for something else, an agent's, one without the
// scope; the challenge leads to the metadata (RFC 9728 §5.1).
func TestConsoleAPIRefuses(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	base := app.AdministrationAt(d.config.URLs.Admin)
	plain := &http.Client{Transport: &http.Transport{DialContext: webtest.DialTCP}}
	t.Cleanup(plain.CloseIdleConnections)
	status, header, _ := send(t, plain, "GET", base+"/agents", "", nil)
	found := regexp.MustCompile(`resource_metadata="([^"]+)"`).FindStringSubmatch(header.Get("WWW-Authenticate"))
	if status != 401 || found == nil {
		t.Fatalf("without a token: %d %v", status, header)
	}
	_, _, text := send(t, plain, "GET", found[1], "", nil)
	var metadata struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal([]byte(text), &metadata); err != nil || metadata.Resource != base || !slices.Equal(metadata.Servers, []string{d.config.URLs.AuthServer}) || !slices.Equal(metadata.Scopes, []string{"administration:read"}) {
		t.Errorf("metadata %s %v", text, err)
	}
	for name, token := range map[string]string{"nonsense": "gha_nonsense", "a JWT of nobody": "x.y.z"} {
		if status, _, body := send(t, plain, "GET", base+"/agents", "", map[string]string{"Authorization": "Bearer " + token}); status != 401 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// Another client, however trusted, does not get there.
	d.officer()
	c := &mcpclient.Client{ClientID: officer, Transport: plain.Transport, Open: shell.SignIn{Name: app.DemoAdministrator, Password: d.password, Transport: plain.Transport}.Open}
	other, err := c.Protected(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := send(t, other, "GET", base+"/agents", "", nil); status != 0 || !strings.Contains(body, "people at a terminal") {
		t.Errorf("another client: %d %s", status, body)
	}
	// And the terminal gets to nothing else.
	if _, err := d.administration(app.TerminalID, app.DemoAdministrator, d.password); err == nil || !strings.Contains(err.Error(), "terminal for that alone") {
		t.Errorf("the terminal at the gateway: %v", err)
	}
	// Who has no role, and whose role is gone.
	if status, _, body := d.terminal("alice", "").send("GET", "/agents", "", ""); status == 200 {
		t.Errorf("alice: %d %s", status, body)
	}
	acc := d.person("olga", account.Auditor)
	olga := d.terminal("olga", somePassword)
	if status, _, body := olga.send("GET", "/agents", "", ""); status != 200 {
		t.Errorf("an auditor: %d %s", status, body)
	}
	if err := d.store().SetRole(t.Context(), acc.ID, account.NoRole); err != nil {
		t.Fatal(err)
	}
	if status, _, body := olga.send("GET", "/agents", "", ""); status != 403 {
		t.Errorf("without the role: %d %s", status, body)
	}
}

// security.md 21: no agent may do what takes a person, and none is offered it;
// an auditor changes nothing, whichever operation is tried.
func TestAgentsAndAuditorsMayNotManage(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.officer()
	d.person("olga", account.Auditor)
	agent, err := d.administration(officer, app.DemoAdministrator, d.password, "administration:read", "administration:stop")
	if err != nil {
		t.Fatal(err)
	}
	tools, err := agent.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	auditor := d.terminal("olga", somePassword)
	if status, _, body := auditor.send("GET", "/agents", "", ""); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	before := d.contents()
	document, err := openapi.Load(admin.Document)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range document.Operations {
		managing := slices.Contains(op.Security[0], admin.ScopeManage)
		offered := false
		for _, tool := range tools {
			offered = offered || tool.Name == op.ID
		}
		if offered == managing {
			t.Errorf("%s takes %v, and agents are offered it: %v", op.ID, op.Security, offered)
		}
		if op.Method == http.MethodGet {
			continue
		}
		path := strings.NewReplacer("{person}", "alice", "{api}", "customers").Replace(op.Path)
		body := `{"reason":"try","subject":"account","id":"alice","role":"admin","name":"eve","alg":"ES256","minutes":5,"sha256":"x"}`
		if status, _, text := auditor.send(op.Method, path, body, tagOf(auditor, path)); status != 403 || !strings.Contains(text, "change nothing") {
			t.Errorf("an auditor: %s %s: %d %s", op.Method, path, status, text)
		}
	}
	if after := d.contents(); after != before {
		t.Errorf("something changed:\n%s\nwas\n%s", after, before)
	}
}

// TestAPIDoesWhatThePagesDo: every route of the console has its operation, or a
// reason to have none; and the document describes exactly what there is.
func TestAPIDoesWhatThePagesDo(t *testing.T) {
	covered := map[string]string{
		"GET /admin/sign-in": "", "GET /admin/callback": "", "GET /admin/signed-out": "", "POST /admin/sign-out": "", // of a browser; tokens have their own
		"GET /admin": "GET /overview", "GET /admin/agents": "GET /agents", "GET /admin/agents/{id...}": "GET /agent",
		"GET /admin/messages": "GET /messages", "GET /admin/messages/flow": "GET /messages", "GET /admin/messages/export": "GET /messages",
		"POST /admin/messages/on": "POST /recordings", "POST /admin/messages/off": "POST /recordings/ends",
		"GET /admin/apis": "GET /apis", "GET /admin/apis/{api}": "GET /apis", "GET /admin/apis/{api}/tools/{tool}": "GET /apis",
		"GET /admin/apis/{api}/document": "GET /apis/{api}/document", "GET /admin/apis/{api}/live": "GET /apis/{api}/document", "POST /admin/apis/{api}/live": "POST /apis/{api}/document",
		"GET /admin/audit": "GET /audit", "GET /admin/audit.jsonl": "GET /audit", "GET /admin/audit/{id}": "GET /audit/{id}",
		"GET /admin/search": "GET /agents", // and people and audit: it only puts those on one page
		"GET /admin/people": "GET /people", "GET /admin/people/{id}": "GET /people/{person}", "POST /admin/people/{id}/sessions": "POST /people/{person}/sign-out",
		"GET /admin/invite": "POST /people", "POST /admin/invite": "POST /people",
		"GET /admin/people/{id}/role": "GET /people/{person}/role", "POST /admin/people/{id}/role": "PUT /people/{person}/role",
		"GET /admin/people/{id}/attributes": "GET /people/{person}/attributes", "POST /admin/people/{id}/attributes": "PUT /people/{person}/attributes",
		"GET /admin/people/{id}/password": "POST /people/{person}/invitations", "POST /admin/people/{id}/password": "POST /people/{person}/invitations",
		"GET /admin/keys": "GET /keys", "GET /admin/keys/{algorithm}/rotate": "GET /keys", "POST /admin/keys/{algorithm}/rotate": "POST /keys",
		"GET /admin/add-agent": "POST /agents", "POST /admin/add-agent": "POST /agents", "GET /admin/trust": "GET /trust", "POST /admin/trust": "POST /explanations",
		"GET /admin/settings": "GET /settings",
	}
	for act, operation := range map[string]string{"stop": "GET /stops", "pause": "POST /stops", "resume": "POST /resumptions", "end": "POST /ends"} {
		for _, tail := range []string{"", "/{id...}"} {
			covered["GET /admin/"+act+"/{kind}"+tail] = operation
			covered["POST /admin/"+act+"/{kind}"+tail] = operation
		}
	}
	there := map[string]admin.Access{}
	for _, route := range (&admin.API{}).Routes() {
		there[route.Pattern] = route.Access
	}
	for _, route := range (&admin.Server{}).Routes() {
		operation, ok := covered[route.Pattern]
		if !ok {
			t.Errorf("the API has nothing for %s", route.Pattern)
			continue
		}
		access, ok := there[operation]
		if operation != "" && !ok {
			t.Errorf("%s: there is no operation %s", route.Pattern, operation)
		}
		// What takes a fresh sign-in on a page takes one there.
		if method, _, _ := strings.Cut(route.Pattern, " "); operation != "" && method == http.MethodPost && (route.Access == admin.ChangingBy) != (access == admin.ChangingBy) {
			t.Errorf("%s takes %v and %s takes %v", route.Pattern, route.Access, operation, access)
		}
	}
	document, err := openapi.Load(admin.Document)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range document.Operations {
		if _, ok := there[op.Method+" "+op.Path]; !ok {
			t.Errorf("the document has %s %s, which is not there", op.Method, op.Path)
		}
		delete(there, op.Method+" "+op.Path)
	}
	for pattern := range there {
		t.Errorf("the document lacks %s", pattern)
	}
}
