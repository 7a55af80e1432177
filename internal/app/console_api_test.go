package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/internal/account"
	"gatehouse/internal/app"
	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/shell"
	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

// administration connects to the administration's MCP endpoint as somebody.
func (d *console) administration(client, name, password string, scope ...string) (*mcpclient.Session, error) {
	transport := &http.Transport{DialContext: webtest.DialTCP}
	d.t.Cleanup(transport.CloseIdleConnections)
	c := &mcpclient.Client{
		Name: "Terminal", ClientID: client, Scope: scope, Transport: transport,
		Open: shell.SignIn{Name: name, Password: password, Transport: transport}.Open,
	}
	s, err := c.Connect(d.t.Context(), d.config.URLs.Gateway+"/administration")
	if err == nil {
		d.t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// call calls a tool and returns its structured answer, or what it says.
func call(t *testing.T, s *mcpclient.Session, tool string, arguments any, into any) (refusal string) {
	t.Helper()
	result, err := s.Call(t.Context(), tool, arguments)
	if err != nil {
		return err.Error()
	}
	if result.IsError {
		return result.Content[0].(*sdk.TextContent).Text
	}
	data, err := json.Marshal(result.StructuredContent)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return ""
}

// officer is an agent that an administrator has added.
const officer = "officer"

func (d *console) officer() {
	d.t.Helper()
	if err := d.store().PutClient(d.t.Context(), client.Client{
		ID: officer, Origin: client.Administrated, Name: "Officer", ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/callback"},
		AuthMethod: oauth.AuthNone, GrantTypes: []string{oauth.GrantAuthorizationCode}, ResponseTypes: []string{"code"}, CreatedAt: time.Now().Unix(),
	}); err != nil {
		d.t.Fatal(err)
	}
}

// The administration is an API like any other: an administrator's agent reads
// and stops through the gateway, an auditor's only reads, and nobody else's
// gets in; what is done is in the audit with person and agent (security.md 21).
func TestAdministrationThroughTheGateway(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.person("olga", account.Auditor)
	d.officer()
	both := []string{"administration:read", "administration:stop"}
	s, err := d.administration(officer, app.DemoAdministrator, d.password, both...)
	if err != nil {
		t.Fatal(err)
	}
	var done struct{ Audit string }
	if no := call(t, s, "pause", map[string]any{"subject": "tool", "id": "customers/refund-order", "reason": "twice"}, &done); no != "" || done.Audit == "" {
		t.Fatalf("pause: %s %+v", no, done)
	}
	var stops struct {
		Stops []struct{ Kind, ID, Name, State, Reason string }
	}
	if no := call(t, s, "list-stops", map[string]any{}, &stops); no != "" || len(stops.Stops) != 1 || stops.Stops[0].ID != "customers/refund-order" || stops.Stops[0].State != "paused" || stops.Stops[0].Reason != "twice" {
		t.Errorf("stops: %s %+v", no, stops)
	}
	if no := call(t, s, "pause", map[string]any{"subject": "tool", "id": "customers/refund-order", "reason": "twice"}, &done); !strings.Contains(no, "paused already") {
		t.Errorf("a second pause: %q", no)
	}
	if no := call(t, s, "pause", map[string]any{"subject": "tool", "id": "customers/nothing", "reason": "x"}, &done); !strings.Contains(no, "does not exist") {
		t.Errorf("a pause of nothing: %q", no)
	}
	entries, err := d.store().Recent(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		found = found || e.Reason == "tool paused from the API: twice" && e.Detail["by_client"] == officer && e.Detail["by"] != ""
	}
	if !found {
		t.Error("the audit does not tell who paused the tool through which client")
	}

	var lists struct {
		Agents []struct {
			Name   string `json:"client_name"`
			Grants int
		}
		People      []struct{ Name, Role string }
		Connections []struct{ Person, Scope string }
		Entries     []struct{ Kind, Reason string }
	}
	for tool, arguments := range map[string]map[string]any{
		"list-agents": {"name": "officer"}, "list-people": {"only": "admin"}, "list-connections": {"person": app.DemoAdministrator},
		"list-audit": {"kind": "admin", "tool": "refund-order"},
	} {
		if no := call(t, s, tool, arguments, &lists); no != "" {
			t.Errorf("%s: %s", tool, no)
		}
	}
	if len(lists.Agents) != 1 || lists.Agents[0].Grants != 1 || len(lists.People) != 1 || lists.People[0].Role != "admin" || len(lists.Connections) == 0 || len(lists.Entries) == 0 {
		t.Errorf("lists: %+v", lists)
	}
	var one struct {
		Name       string
		Client     string `json:"client_name"`
		Attributes map[string]string
		Keys       []struct{ Alg string }
	}
	for tool, arguments := range map[string]map[string]any{"get-agent": {"client_id": officer}, "get-person": {"person": "alice"}, "list-keys": {}} {
		if no := call(t, s, tool, arguments, &one); no != "" {
			t.Errorf("%s: %s", tool, no)
		}
	}
	if one.Name != "alice" || one.Attributes["region"] != "USA" || one.Client != "Officer" || len(one.Keys) == 0 {
		t.Errorf("one: %+v", one)
	}
	if no := call(t, s, "list-audit", map[string]any{"from": "yesterday"}, &lists); !strings.Contains(no, "is no time") {
		t.Errorf("a time that is none: %q", no)
	}

	auditor, err := d.administration(officer, "olga", somePassword, both...)
	if err != nil {
		t.Fatal(err)
	}
	if no := call(t, auditor, "list-stops", map[string]any{}, &stops); no != "" {
		t.Errorf("an auditor reads: %s", no)
	}
	if no := call(t, auditor, "end", map[string]any{"subject": "everything", "reason": "x"}, &done); !strings.Contains(no, "change nothing") {
		t.Errorf("an auditor ends everything: %q", no)
	}
	if _, err := d.administration(officer, "alice", ""); err == nil {
		t.Error("alice administers")
	}
	if _, err := d.administration("", app.DemoAdministrator, d.password); err == nil || !strings.Contains(err.Error(), "an administrator has added") {
		t.Errorf("an agent that registered itself administers: %v", err)
	}
	// A role that is taken away is gone at once, whatever token is out.
	acc, err := d.store().AccountByName(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.store().SetRole(t.Context(), acc.ID, account.NoRole); err != nil {
		t.Fatal(err)
	}
	if no := call(t, auditor, "list-stops", map[string]any{}, &stops); !strings.Contains(no, "no role") {
		t.Errorf("without a role: %q", no)
	}
}
