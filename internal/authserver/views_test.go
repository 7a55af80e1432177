package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/authserver"
	"gatehouse/internal/page"
)

// show renders one of this server's pages as a browser gets it.
func show(t *testing.T, name string, view any) string {
	t.Helper()
	set, err := page.Parse(os.DirFS("pages"), "*.html")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := set.Render(w, http.StatusOK, name, view); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

// words is what a person reads of a page: no tags, single blanks.
func words(body string) string {
	body = body[strings.Index(body, "<main"):]
	text := regexp.MustCompile(`</(dt|dd|h1|h2|p|li|button)>`).ReplaceAllString(body, " ")
	text = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(text, "")
	return strings.Join(strings.Fields(text), " ")
}

func sampleConsent() authserver.ConsentView {
	return authserver.ConsentView{
		Host:    "login.example.com",
		Request: "rq1",
		Agent:   authserver.AgentView{Name: "Notebook", RedirectHost: "localhost:8090", Loopback: true, ClientID: "c1"},
		API:     "Customer API",
		Account: "alice",
		Until:   time.Now().Add(time.Hour),
		Scopes: []authserver.ScopeView{
			{Name: "users:read", Text: "read customers", Tools: []string{"fetch-users"}, Risk: "read", Checked: true},
			{Name: "users:write", Text: "change customers", Risk: "change"},
		},
		Claims:   []authserver.ClaimView{{Name: "region", Value: "USA", Text: "Your region"}},
		Resource: "https://mcp.example.com",
		Redirect: "http://localhost:8090/callback",
	}
}

func TestConsentSaysWhoWhatWhereAsWhomHowLong(t *testing.T) {
	text := words(show(t, "consent.html", sampleConsent()))
	for _, want := range []string{
		"An agent that calls itself “Notebook” (runs on this computer) wants to read customers and change customers at Customer API as alice, for 1 hour.",
		"Your region USA", "region: USA",
		"Opens fetch-users",
		"Not verified.",
		"The answer goes to this computer (localhost:8090).", // R-AS-12
		"Any program on this computer could be asking.",
		"http://localhost:8090/callback", // R-RS-20
		"https://mcp.example.com",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("consent page does not say %q:\n%s", want, text)
		}
	}
}

func TestConsentSwitchesFollowTheView(t *testing.T) {
	v := sampleConsent()
	v.Scopes = append(v.Scopes, authserver.ScopeView{Name: "x", Text: "do something", Risk: "unheard of"})
	body := show(t, "consent.html", v)
	on := regexp.MustCompile(`name="scope" value="([^"]*)" checked`).FindAllStringSubmatch(body, -1)
	if len(on) != 1 || on[0][1] != "users:read" {
		t.Errorf("switched on: %v, want users:read alone", on)
	}
	risky := body[strings.Index(body, "It also asks to make changes"):]
	for _, scope := range []string{`value="users:write"`, `value="x"`} {
		if !strings.Contains(risky, scope) {
			t.Errorf("%s does not stand among the changes", scope)
		}
	}
	if strings.Contains(risky, `value="users:read"`) {
		t.Error("users:read stands among the changes")
	}
}

// Return in a form presses its first button: that one must be the safe one.
func TestFirstButtonOfADecisionIsTheSafeOne(t *testing.T) {
	confirm := authserver.ConfirmView{Agent: sampleConsent().Agent, Scopes: sampleConsent().Scopes}
	for name, view := range map[string]any{"consent.html": sampleConsent(), "confirm.html": confirm} {
		first := regexp.MustCompile(`<button[^>]*value="([^"]*)"`).FindStringSubmatch(show(t, name, view))
		if first == nil || first[1] != "deny" {
			t.Errorf("%s: first button is %v, want deny", name, first)
		}
	}
}

func TestOnlyOffThisComputerIsAgentVerified(t *testing.T) {
	for _, tc := range []struct {
		agent     authserver.AgentView
		want, not string
	}{
		{authserver.AgentView{Name: "Ledger", Verified: true, RedirectHost: "ledger.example.com"}, "Ledger (verified, at ledger.example.com)", "calls itself"},
		{authserver.AgentView{Name: "Ledger", RedirectHost: "ledger.example.com"}, "calls itself “Ledger” (at ledger.example.com)", "Verified."},
		// RFC 8252 §8.6: any program on the computer can use the client_id.
		{authserver.AgentView{Name: "Ledger", Verified: true, Loopback: true, RedirectHost: "127.0.0.1:9"}, "Any program on this computer could be asking in its name.", "erified"},
	} {
		v := sampleConsent()
		v.Agent = tc.agent
		text := words(show(t, "consent.html", v))
		if !strings.Contains(text, tc.want) || strings.Contains(text, tc.not) {
			t.Errorf("%+v: want %q and not %q in\n%s", tc.agent, tc.want, tc.not, text)
		}
	}
}

// security.md 18: a hostile name stays a name, on every page that shows one.
func TestHostileNameIsOnlyAName(t *testing.T) {
	v := sampleConsent()
	v.Agent.Name = "<script>alert(1)</script>\u202e” (verified by Gatehouse)"
	for name, view := range map[string]any{
		"consent.html": v,
		"login.html":   authserver.LoginView{Agent: v.Agent, Name: v.Agent.Name, API: "A", Method: "password"},
		"confirm.html": authserver.ConfirmView{Agent: v.Agent, Account: v.Agent.Name, Scopes: v.Scopes},
		"error.html":   authserver.ErrorView{Title: v.Agent.Name, What: v.Agent.Name},
	} {
		body := show(t, name, view)
		if strings.Contains(body, "<script") {
			t.Errorf("%s carries a script:\n%s", name, body)
		}
		if name != "error.html" && strings.Contains(words(body), "script>” (verified") {
			t.Errorf("%s lets the name close its quotation marks:\n%s", name, body)
		}
	}
}

func TestLoginByNameSaysSoAndByPasswordAsks(t *testing.T) {
	v := authserver.LoginView{Agent: sampleConsent().Agent, API: "Customer API", Method: "username", Demo: true,
		People: []authserver.PersonView{{Name: "alice", Where: "customers in USA"}}}
	body := show(t, "login.html", v)
	if !strings.Contains(words(body), "Any name signs in without a password") || strings.Contains(body, `type="password"`) {
		t.Errorf("demo sign-in page:\n%s", words(body))
	}
	if !strings.Contains(body, `name="username" value="alice"`) {
		t.Error("alice has no button")
	}
	v.Method, v.Demo, v.Problem = "password", false, "Check both."
	body = show(t, "login.html", v)
	if !strings.Contains(body, `type="password"`) || strings.Contains(words(body), "Any name") || strings.Contains(words(body), "customers in USA") {
		t.Errorf("password sign-in page:\n%s", words(body))
	}
	if !strings.Contains(body, `role="alert"`) || !strings.Contains(body, "<title>Problem: ") {
		t.Error("the problem is not announced")
	}
}

// pages.md: small, without script, readable where the stylesheet is missing;
// the CSP forbids what these pages must not need.
func TestPagesAreSmallAndScriptless(t *testing.T) {
	c := sampleConsent()
	for name, view := range map[string]any{
		"login.html":   authserver.LoginView{Agent: c.Agent, Method: "password"},
		"consent.html": c,
		"confirm.html": authserver.ConfirmView{Agent: c.Agent, Scopes: c.Scopes, Claims: c.Claims, Since: time.Now()},
		"error.html":   authserver.ErrorView{Title: "Gone", What: "It ended.", Next: "Start again.", Reference: "r1"},
		"notice.html":  authserver.NoticeView{Title: "You are signed out", What: "Done.", Next: "Close this page."},
	} {
		body := show(t, name, view)
		if len(body) > 20_000 {
			t.Errorf("%s has %d bytes", name, len(body))
		}
		for _, forbidden := range []string{"<script", " style=", "<style", " onclick", "http-equiv", "!</"} {
			if strings.Contains(body, forbidden) {
				t.Errorf("%s contains %q", name, forbidden)
			}
		}
		for _, action := range regexp.MustCompile(`action="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if action[1] != "/login" && action[1] != "/consent" {
				t.Errorf("%s posts to %s", name, action[1])
			}
		}
	}
}
