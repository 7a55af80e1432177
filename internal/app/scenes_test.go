package app_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/webtest"
)

const home = "http://localhost:8080"

// Each scene of the start page is a live run, and is shown with the messages of
// exactly that run.
func TestScenes(t *testing.T) {
	d := newDemo(t)
	for _, scene := range []struct {
		name string
		want []string // in this order
		not  []string
	}{
		{"read", []string{"Alice signed in and allowed", "3 customers came back", "Registration POST /register 201", "Token exchange POST /token 200", "The token, beside the one it came from", "Call of the API GET /users 200"}, []string{"insufficient"}},
		{"step-up", []string{"named the scope that this call needs: orders:read", "tools/call fetch-orders", "R-RS-11", "Authorization request GET /authorize", "The person decides POST /consent 303", "allow", "Call of the API GET /users/{id}/orders 200"}, nil},
		{"narrowed", []string{"switched off reading orders", "said no", "The person decides POST /consent 303", "users:read", "tools/call fetch-orders", "Needed: orders:read", "deny", "Refused. The person said no"}, []string{"GET /users/{id}/orders"}},
		{"revoked", []string{"ms later the gateway refused the same token", "Call of the API GET /users 200", "401", "worth nothing here", "Token request POST /token 400", "invalid_grant"}, nil},
		{"stolen", []string{"The API answered 401", "Call of the API, past the gateway GET /users 401", "What opens the gateway opens nothing here", "R-RS-8"}, nil},
		{"workload", []string{"The agent runs in a cluster", "3 customers", "those of Europe", "That takes a scope that this client was never given", "Token request POST /token 200", "jwt-bearer", "Token exchange POST /token 200", "Call of the API GET /users 200", "POST / 403", "tools/call refund-order", "Needed: refunds:create"}, []string{"Authorization request", "Registration POST"}},
		{"look-alike", []string{"calls itself", "agent-external.example", "said no", "What alice read on the consent page", "that calls itself", "Not verified", "The answer goes to agent-external.example", "See this consent page yourself", "deny", "access_denied"}, []string{"Token request POST"}},
	} {
		t.Run(scene.name, func(t *testing.T) {
			page := webtest.NewBrowser(t, d.Network.DialContext).Post(home, home+"/scenes/"+scene.name, nil)
			if page.Status != http.StatusSeeOther {
				t.Fatalf("%d %s", page.Status, page.Text())
			}
			page = page.Follow()
			text, at := page.Text(), 0
			if strings.Contains(text, "broke off") {
				t.Fatal(text)
			}
			for _, want := range scene.want {
				next := strings.Index(text[at:], want)
				if next < 0 {
					t.Fatalf("%q is not there, or out of order, in\n%s", want, text)
				}
				at += next
			}
			for _, not := range scene.not {
				if strings.Contains(text, not) {
					t.Errorf("it shows %q", not)
				}
			}
			if n := strings.Count(text, "Registration POST /register"); n != 1 && scene.name != "workload" {
				t.Errorf("it shows %d registrations, so other runs too", n)
			}
			if found := madeHere.FindString(page.Body); found != "" {
				t.Errorf("it shows %s", found)
			}
		})
	}
	// It leaves nothing behind that it allowed.
	if text := d.person("alice").Get(login + "/account").Text(); !strings.Contains(text, "No agent may act for you") {
		t.Errorf("alice's page after the scenes: %s", text)
	}
}

// Scenes are begun by the start page alone, one at a time, and not without end.
func TestScenesAreGuarded(t *testing.T) {
	d := newDemo(t)
	b := webtest.NewBrowser(t, d.Network.DialContext)
	for _, tc := range []struct {
		from, path string
		status     int
	}{
		{"http://evil.example", "/scenes/read", http.StatusForbidden},
		{home, "/scenes/nothing", http.StatusNotFound},
	} {
		if p := b.Post(tc.from, home+tc.path, nil); p.Status != tc.status {
			t.Errorf("%s from %s: %d, want %d", tc.path, tc.from, p.Status, tc.status)
		}
	}
	for _, path := range []string{"/scenes/read", "/scenes/nothing/export"} {
		if p := b.Get(home + path); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
	refused := 0
	for range 20 {
		if p := b.Post(home, home+"/scenes/look-alike", nil); p.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("twenty scenes at once were played")
	}
	if busy := b.Get(home + "/"); busy.Status != http.StatusOK {
		t.Errorf("the start page: %d", busy.Status)
	}
}
