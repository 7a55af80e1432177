package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/webtest"
)

const accountType = "urn:gatehouse:params:oauth:token-type:account"

// later is a world where people may let summary act for them, to read.
func later(t *testing.T, dsn string) *world {
	t.Helper()
	w, _ := delegating(t, dsn)
	w.Server.Delegation = append(w.Server.Delegation, grant.Delegation{Actor: "summary", People: true, Resources: []string{resource}, Scopes: []string{"users:read", "orders:read"}},
		grant.Delegation{Actor: "gone", People: true, Resources: []string{resource}})
	return w
}

func day(in time.Duration) string { return time.Now().Add(in).UTC().Format(time.DateOnly) }

const month = 30 * 24 * time.Hour

// allow lets summary act for somebody.
func (w *world) allow(b *webtest.Browser, change url.Values) *webtest.Page {
	w.t.Helper()
	form := url.Values{"until": {day(month)}}
	for name, values := range change {
		form[name] = values
	}
	return b.Get(issuer+"/account/standing").Submit("Allow what is switched on", form)
}

func (w *world) actFor(who string, more ...string) answer {
	w.t.Helper()
	return w.form("/token", delegation(who, w.own("summary"), "summary", append([]string{"subject_token_type", accountType, "resource", resource}, more...)...))
}

// A person lets a named agent act for them later, sees it on their page, narrows
// it and ends it there; on both engines.
func TestStandingDelegation(t *testing.T) {
	eachEngine(t, func(t *testing.T, dsn func(*testing.T) string) {
		w := later(t, dsn(t))
		who := strings.ToLower("ana" + time.Now().Format("150405000000"))
		b := w.browser()
		if page := w.ownPage(b, who); !strings.Contains(page.Text(), "Let an agent act for you later") {
			t.Fatal(page.Text())
		}
		if a := w.actFor(who); a.str("error") != "invalid_request" {
			t.Fatalf("it acts for somebody who allowed nothing: %v", a.Body)
		}
		offer := b.Get(issuer + "/account/standing")
		if text := offer.Text(); !strings.Contains(text, "summary at Customer API") || strings.Contains(text, "Change customers") || strings.Contains(text, "gone") {
			t.Fatal(text)
		}
		if done := w.allow(b, nil).Follow(); !strings.Contains(done.Text(), "until the day that you chose") || !strings.Contains(done.Text(), "It may act with nobody there.") {
			t.Fatal(done.Text())
		}
		a := w.actFor(who)
		if a.Status != http.StatusOK || a.str("scope") != "orders:read users:read" && a.str("scope") != "users:read orders:read" || a.str("refresh_token") != "" {
			t.Fatalf("%d %v", a.Status, a.Body)
		}
		token := a.str("access_token")
		if i := w.introspect(token); i.str("client_id") != "summary" || i.str("sub") == "summary" || i.Body["auth_time"] != nil {
			t.Errorf("%v", i.Body)
		}
		if a := w.form("/token", w.asGateway(exchange(token, "orders:read"))); a.Status != http.StatusOK {
			t.Errorf("%v", a.Body)
		}
		narrowed := b.Get(issuer+"/account").Submit("Keep only what is switched on", url.Values{"scope": {"users:read"}})
		if narrowed.Status != http.StatusSeeOther {
			t.Fatal(narrowed.Text())
		}
		if a := w.form("/token", w.asGateway(exchange(token, "orders:read"))); a.str("error") != "invalid_scope" {
			t.Errorf("what was taken away works: %v", a.Body)
		}
		if a := w.actFor(who, "scope", "orders:read"); a.str("error") != "invalid_scope" {
			t.Errorf("what was taken away comes back with a new token: %v", a.Body)
		}
		if a := w.actFor(who); a.str("scope") != "users:read" {
			t.Errorf("%v", a.Body)
		}
		if ended := b.Get(issuer+"/account").Submit("End this connection", nil); ended.Status != http.StatusSeeOther {
			t.Fatal(ended.Text())
		}
		if w.lives(token) || w.actFor(who).str("error") != "invalid_request" {
			t.Error("it acts on after its end")
		}
	})
}

// What the page offers is all that can be chosen, and nobody chooses for another.
func TestStandingDelegationRefuses(t *testing.T) {
	w := later(t, "")
	b := w.browser()
	w.ownPage(b, "alice")
	for name, change := range map[string]url.Values{
		"a scope that is not offered": {"scope": {"users:write"}}, "nothing": {"scope": {}}, "another agent": {"agent": {"stranger"}}, "an agent that is gone": {"agent": {"gone"}},
		"another API": {"api": {"notes"}}, "no end": {"until": {""}}, "today": {"until": {day(0)}}, "too long": {"until": {day(367 * 24 * time.Hour)}}, "no day": {"until": {"later"}},
		"for another account": {"account": {"bob"}},
	} {
		if page := w.allow(b, change); page.Status == http.StatusSeeOther || !strings.Contains(page.Text(), "That did not work.") {
			t.Errorf("%s: %d %s", name, page.Status, page.Text())
		}
		if a := w.actFor("alice"); a.Status == http.StatusOK {
			t.Fatalf("%s: it may act", name)
		}
	}
	form := url.Values{"account": {"alice"}, "agent": {"summary"}, "api": {"customers"}, "scope": {"users:read"}, "until": {day(month)}}.Encode()
	for name, header := range map[string]map[string]string{"another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, "nobody": {}} {
		if a := w.send(http.MethodPost, "/account/standing", "application/x-www-form-urlencoded", form, header); a.Status == http.StatusOK || strings.Contains(a.Header.Get("Location"), "done=standing") {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if a := w.actFor("alice"); a.Status == http.StatusOK {
		t.Error("somebody else allowed it")
	}
}

// What an agent may try with what it has, or does not have.
func TestActingForPeopleRefuses(t *testing.T) {
	w := later(t, "")
	b := w.browser()
	w.ownPage(b, "alice")
	if page := w.allow(b, url.Values{"scope": {"users:read"}}); page.Status != http.StatusSeeOther {
		t.Fatal(page.Text())
	}
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"another person":               {delegation("bob", w.own("summary"), "summary", "subject_token_type", accountType, "resource", resource), "invalid_request"},
		"nobody":                       {delegation("\x00", w.own("summary"), "summary", "subject_token_type", accountType, "resource", resource), "invalid_request"},
		"another resource":             {delegation("alice", w.ownAt("summary", other), "summary", "subject_token_type", accountType, "resource", other), "invalid_request"},
		"an actor token for elsewhere": {delegation("alice", w.ownAt("summary", other), "summary", "subject_token_type", accountType, "resource", resource), "invalid_target"},
		"a token for here, elsewhere":  {delegation("alice", w.own("summary"), "summary", "subject_token_type", accountType, "resource", other), "invalid_target"},
		"another agent":                {delegation("alice", w.own("a_b"), "a_b", "subject_token_type", accountType, "resource", resource), "invalid_request"},
		"more than was allowed":        {delegation("alice", w.own("summary"), "summary", "subject_token_type", accountType, "resource", resource, "scope", "users:read orders:read"), "invalid_scope"},
		"no credentials":               {delegation("alice", w.own("summary"), "summary", "subject_token_type", accountType, "resource", resource, "client_secret", ""), "invalid_client"},
		"another agent's actor token":  {delegation("alice", w.own("a_b"), "summary", "subject_token_type", accountType, "resource", resource), "invalid_request"},
	} {
		if a := w.form("/token", tt.form); a.str("error") != tt.want {
			t.Errorf("%s: %d %v, want %s", name, a.Status, a.Body, tt.want)
		}
	}
	// An administrator takes the rule back.
	rules := w.Server.Delegation
	w.Server.Delegation = nil
	if a := w.actFor("alice"); a.Status == http.StatusOK {
		t.Error("it acts on without a rule")
	}
	w.Server.Delegation = rules
	w.pause(oauth.SubjectClient, "summary")
	w.pause(oauth.SubjectAccount, w.accountOf("alice"))
	w.resume(oauth.SubjectClient, "summary")
	if a := w.actFor("alice"); a.Status == http.StatusOK {
		t.Error("it acts for somebody who is paused")
	}
	w.resume(oauth.SubjectAccount, w.accountOf("alice"))
	if a := w.actFor("alice"); a.Status != http.StatusOK {
		t.Errorf("it does not come back: %v", a.Body)
	}
	// The end of the agent is the end of what people allowed it, by that ID for good.
	if _, err := w.DB.EndClient(t.Context(), "summary", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.AddClient(t.Context(), client.Client{ID: "summary", Origin: client.Administrated, Name: "summary", GrantTypes: []string{oauth.GrantClientCredentials}, AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(actorSecret), Scope: "users:read"}); err != nil {
		t.Fatal(err)
	}
	if a := w.actFor("alice"); a.str("error") != "invalid_request" {
		t.Errorf("%v", a.Body)
	}
}

func (w *world) accountOf(name string) string {
	w.t.Helper()
	acc, err := w.DB.AccountByName(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return acc.ID
}

// An agent that a person uses already is not given a second way there unseen.
func TestStandingBesideAConnection(t *testing.T) {
	w := later(t, "")
	b := w.browser()
	w.ownPage(b, "alice")
	now := time.Now()
	held := grant.Grant{ID: secret.ID(), AccountID: w.accountOf("alice"), ClientID: "summary", Resource: resource, Scopes: []string{"users:write"}, Agreed: "on a page", CreatedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix()}
	if err := w.DB.Issue(t.Context(), held, grant.Token{Hash: secret.Sum("gha_held"), GrantID: held.ID, Scopes: held.Scopes, IssuedAt: now.Unix(), ExpiresAt: held.ExpiresAt}, now); err != nil {
		t.Fatal(err)
	}
	if page := w.allow(b, nil); page.Status != http.StatusConflict || !strings.Contains(page.Text(), "End that connection") {
		t.Errorf("%d %s", page.Status, page.Text())
	}
	if a := w.actFor("alice"); a.str("error") != "invalid_request" {
		t.Errorf("a connection is taken for a standing delegation: %v", a.Body)
	}
}
