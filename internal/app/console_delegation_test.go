package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/app"
)

// One entry of the audit shows the whole chain of agents that act one for
// another.
func TestConsoleShowsTheChainOfAgents(t *testing.T) {
	d := startConsole(t, app.DemoOptions{}, func(c *app.Config) {
		c.Delegation = append(c.Delegation, app.Delegation{Actor: "nightly-report", For: []string{"planner"}, APIs: []string{"customers"}})
	})
	d.signIn()
	added := d.get("/admin/add-agent").Submit("act=add", url.Values{"name": {"Planner"}, "id": {"planner"}, "proof": {"secret"}, "scopes": {"users:read"}, "attributes": {"region=Europe"}})
	value := regexp.MustCompile(`ghs_[A-Za-z0-9_-]{20,}`).FindString(added.Text())
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, d.config.Listen)
	}}}
	defer c.CloseIdleConnections()
	token := func(form url.Values) string {
		t.Helper()
		resp, err := c.PostForm(d.config.URLs.AuthServer+"/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		got, _ := body["access_token"].(string)
		if got == "" {
			t.Fatalf("%v", body)
		}
		return got
	}
	assertion, err := os.ReadFile(filepath.Join(d.config.Data, "workload", "token"))
	if err != nil {
		t.Fatal(err)
	}
	access := "urn:ietf:params:oauth:token-type:access_token"
	delegated := token(url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {token(url.Values{"grant_type": {"client_credentials"}, "client_id": {"planner"}, "client_secret": {value}, "resource": {d.config.URLs.Gateway}})}, "subject_token_type": {access},
		"actor_token": {token(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {strings.TrimSpace(string(assertion))}, "resource": {d.config.URLs.Gateway}})}, "actor_token_type": {access},
	})
	req, err := http.NewRequest(http.MethodPost, d.config.URLs.Gateway+"/", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","arguments":{"limit":1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+delegated)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || strings.Contains(string(text), `"isError":true`) {
		t.Fatalf("%d %s %v", resp.StatusCode, text, err)
	}
	list := d.get("/admin/audit?agent=nightly-report&kind=call")
	entry := regexp.MustCompile(`/admin/audit/[A-Za-z0-9_:-]{16,}`).FindString(list.Body)
	if entry == "" {
		t.Fatal(list.Text())
	}
	d.sees(d.get(entry), 200, "Who acted for whom", "Nightly report took over from Planner", "Nightly report called fetch-users for Planner", "Who acted, the last first", "exchanged it for a token")
}
