package authserver_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/webtest"
)

// onBoth runs f with a server on each engine.
func onBoth(t *testing.T, f func(w *world)) {
	t.Helper()
	for name, dsn := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
		"postgres": webtest.Postgres,
	} {
		t.Run(name, func(t *testing.T) { f(newWorld(t, options{dsn: dsn(t)})) })
	}
}

func (w *world) pause(subject, id string) {
	w.t.Helper()
	if ok, err := w.DB.Pause(w.t.Context(), subject, id, "why", time.Now()); err != nil || !ok {
		w.t.Fatal(ok, err)
	}
}

func (w *world) resume(subject, id string) {
	w.t.Helper()
	if ok, err := w.DB.Resume(w.t.Context(), subject, id); err != nil || !ok {
		w.t.Fatal(ok, err)
	}
}

// security.md 12: for an API that is paused nobody gets anything new, by any way
// in, and a person is told why. What there is lives on unconsumed, and gateways
// learn from every answer about a token that it opens nothing.
func TestPausedAPIGivesNothingNew(t *testing.T) {
	onBoth(t, func(w *world) {
		t := w.t
		id := w.register(`{"client_name":"Notebook","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`).str("client_id")
		first := w.form("/token", redemption(id, w.code(request(id, nil), "alice")))
		b := w.browser()
		again := request(id, map[string]string{"prompt": "consent"})
		waiting := w.consent(b, again, "alice").Submit("action=allow", nil).Location().Query().Get("code")
		open := b.Get(again).Follow()
		asked := map[string]url.Values{
			"refresh": {"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {first.str("refresh_token")}},
			"code":    redemption(id, waiting),
		}
		w.pause(oauth.SubjectAPI, resource)

		in := w.introspect(first.str("access_token"))
		if closed, _ := in.Body["closed"].(map[string]any); in.Body["active"] != true || closed["api"] != "paused" {
			t.Errorf("introspection: %v", in.Body)
		}
		if a := w.form("/token", w.asGateway(exchange(first.str("access_token"), "users:read"))); a.str("error") != "invalid_grant" || !strings.Contains(a.str("error_description"), "closed this API") {
			t.Errorf("exchange: %v", a.Body)
		}
		for name, form := range asked {
			if a := w.form("/token", form); a.str("error") != "invalid_grant" || !strings.Contains(a.str("error_description"), "closed this API") {
				t.Errorf("%s: %d %v", name, a.Status, a.Body)
			}
		}
		for name, page := range map[string]*webtest.Page{
			"authorization request": b.Get(request(id, nil)), "a page that was open": open.Submit("action=allow", nil),
			"signed in nowhere": w.browser().Get(request(id, nil)),
		} {
			if page.Status != http.StatusForbidden || !strings.Contains(page.Text(), "This API is closed to agents") || page.Header.Get("Location") != "" {
				t.Errorf("%s: %d %s", name, page.Status, page.Text())
			}
		}
		if page := b.Get(request(id, map[string]string{"resource": other, "scope": ""})); page.Status != http.StatusSeeOther {
			t.Errorf("another API: %d %s", page.Status, page.Text())
		}
		w.resume(oauth.SubjectAPI, resource)
		if in := w.introspect(first.str("access_token")); in.Body["active"] != true || in.Body["closed"] != nil {
			t.Errorf("introspection after resuming: %v", in.Body)
		}
		for name, form := range asked {
			if a := w.form("/token", form); a.Status != 200 {
				t.Errorf("%s after resuming: %d %v", name, a.Status, a.Body)
			}
		}
	})
}

// machine stores an agent that acts for itself.
func (w *world) machine(scope string) (id, value string) {
	w.t.Helper()
	value = secret.New("ghs_")
	if err := w.DB.AddClient(w.t.Context(), client.Client{
		ID: "report", Origin: client.Administrated, Name: "report", GrantTypes: []string{oauth.GrantClientCredentials},
		AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(value), Scope: scope,
	}); err != nil {
		w.t.Fatal(err)
	}
	return "report", value
}

// security.md 12: an API that was ended has no grants any more, and gives none,
// not even to agents that act for themselves, until it is opened anew.
func TestEndedAPIStaysClosed(t *testing.T) {
	onBoth(t, func(w *world) {
		t := w.t
		id, token := w.token("alice", nil)
		if _, err := w.DB.EndAll(t.Context(), oauth.SubjectAPI, resource, "why", time.Now()); err != nil {
			t.Fatal(err)
		}
		dead := func(when string) {
			t.Helper()
			if in := w.introspect(token); in.Body["active"] != false {
				t.Errorf("%s: %v", when, in.Body)
			}
		}
		dead("ended")
		if page := w.browser().Get(request(id, nil)); !strings.Contains(page.Text(), "closed it for good") {
			t.Errorf("authorization request: %d %s", page.Status, page.Text())
		}
		machine, value := w.machine("users:read")
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {machine}, "client_secret": {value}, "resource": {resource}}
		if a := w.form("/token", form); a.str("error") != "invalid_grant" {
			t.Errorf("an agent for itself: %v", a.Body)
		}
		if _, err := w.DB.Reopen(t.Context(), oauth.SubjectAPI, resource, time.Now()); err != nil {
			t.Fatal(err)
		}
		dead("opened anew")
		if a := w.form("/token", form); a.Status != 200 {
			t.Errorf("an agent for itself, once it is open: %v", a.Body)
		}
		if page := w.consent(w.browser(), request(id, nil), "alice"); page.Status != http.StatusOK || !strings.Contains(page.Text(), "read customers") {
			t.Errorf("consent once it is open: %d %s", page.Status, page.Text())
		}
	})
}

// security.md 11, 12: with everything ended nobody signs in or gets a token, and
// no grant, code or session is left when it is opened anew.
func TestEverythingEnds(t *testing.T) {
	onBoth(t, func(w *world) {
		t := w.t
		id, token := w.token("alice", nil)
		b := w.browser()
		waiting := w.consent(b, request(id, nil), "alice").Submit("action=continue", nil).Location().Query().Get("code")
		if waiting == "" {
			t.Fatal("no code")
		}
		if _, err := w.DB.EndAll(t.Context(), oauth.SubjectEverything, "", "why", time.Now()); err != nil {
			t.Fatal(err)
		}
		if page := b.Get(request(id, nil)); page.Status != http.StatusForbidden {
			t.Errorf("authorization request: %d %s", page.Status, page.Text())
		}
		if _, err := w.DB.Reopen(t.Context(), oauth.SubjectEverything, "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if in := w.introspect(token); in.Body["active"] != false {
			t.Errorf("token: %v", in.Body)
		}
		if a := w.form("/token", redemption(id, waiting)); a.str("error") != "invalid_grant" {
			t.Errorf("code: %v", a.Body)
		}
		if page := b.Get(issuer + "/account"); page.Status != http.StatusSeeOther {
			t.Errorf("still signed in: %d", page.Status)
		}
		if page := b.Get(request(id, nil)).Follow(); !strings.Contains(page.Text(), "Sign in") {
			t.Errorf("after reopening: %s", page.Text())
		}
	})
}

// security.md 11: every answer of the feed carries all that is closed, so that a
// gateway that has restarted, missed something or begun anew knows it; a pause
// wakes a poll that waits.
func TestPollCarriesWhatIsClosed(t *testing.T) {
	onBoth(t, func(w *world) {
		t := w.t
		begin := w.poll("", 0)
		epoch := begin.str("epoch")
		if begin.Body["closed"] != nil {
			t.Errorf("at first %v", begin.Body)
		}
		w.pause(oauth.SubjectTool, oauth.ToolID(resource, "fetch-users"))
		if _, err := w.DB.EndAll(t.Context(), oauth.SubjectAPI, other, "why", time.Now()); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{resource: map[string]any{"tools": map[string]any{"fetch-users": "paused"}}, other: map[string]any{"api": "ended"}}
		for name, a := range map[string]answer{
			"news": w.poll(epoch, 0), "nothing new": w.poll(epoch, 2), "begun anew": w.poll("", 0), "another epoch": w.poll("x", 1), "ahead": w.poll(epoch, 9),
		} {
			if diff := cmp.Diff(want, a.Body["closed"]); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
		token := w.poll("", 0).str("poll_token")
		news := make(chan answer, 1)
		go func() {
			news <- w.send(http.MethodPost, "/revocations", "application/x-www-form-urlencoded", pollForm(epoch, 2).Encode(), map[string]string{"Authorization": "Bearer " + token})
		}()
		w.resume(oauth.SubjectTool, oauth.ToolID(resource, "fetch-users"))
		w.pause(oauth.SubjectAPI, resource)
		if a := <-news; number(a) != 3 || !cmp.Equal(a.Body["closed"].(map[string]any)[resource], any(map[string]any{"api": "paused"})) {
			t.Errorf("a poll that waited: %v", a.Body)
		}
	})
}
