package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/oauth"
)

// security.md 12: what is paused gets nothing, by any way in, and is told so
// where a person sees it; nothing was consumed when it is resumed.
func TestPausedAgentsGetNothing(t *testing.T) {
	w := newWorld(t, options{})
	id := w.register(`{"client_name":"Notebook","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`).str("client_id")
	first := w.form("/token", redemption(id, w.code(request(id, nil), "alice")))
	b := w.browser()
	open := w.consent(b, request(id, map[string]string{"prompt": "consent"}), "alice")
	waiting := open.Submit("action=allow", nil).Location().Query().Get("code")
	open = b.Get(request(id, map[string]string{"prompt": "consent"})).Follow()

	pause := func(subject, id string) {
		t.Helper()
		if ok, err := w.DB.Pause(t.Context(), subject, id, "why", time.Now()); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	resume := func(subject, id string) {
		t.Helper()
		if ok, err := w.DB.Resume(t.Context(), subject, id); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {first.str("refresh_token")}}

	pause(oauth.SubjectClient, id)
	if a := w.introspect(first.str("access_token")); a.Body["active"] != false {
		t.Errorf("introspection: %v", a.Body)
	}
	if a := w.form("/token", w.asGateway(exchange(first.str("access_token"), "users:read"))); a.Status == 200 {
		t.Errorf("exchange: %v", a.Body)
	}
	for name, form := range map[string]url.Values{"refresh": refresh, "code": redemption(id, waiting)} {
		if a := w.form("/token", form); a.Status != 400 || a.str("error") != "invalid_grant" || !strings.Contains(a.str("error_description"), "paused") {
			t.Errorf("%s: %d %v", name, a.Status, a.Body)
		}
	}
	if page := b.Get(request(id, nil)); page.Status != http.StatusForbidden || !strings.Contains(page.Text(), "This agent is paused") {
		t.Errorf("authorization request: %d %s", page.Status, page.Text())
	}
	if page := open.Submit("action=allow", nil); page.Status != http.StatusForbidden || !strings.Contains(page.Text(), "This agent is paused") {
		t.Errorf("a page that was open: %d %s", page.Status, page.Text())
	}
	other, _ := w.token("alice", nil)
	if page := b.Get(request(other, nil)); page.Status != http.StatusSeeOther {
		t.Errorf("another agent: %d %s", page.Status, page.Text())
	}
	resume(oauth.SubjectClient, id)
	for name, form := range map[string]url.Values{"refresh": refresh, "code": redemption(id, waiting)} {
		if a := w.form("/token", form); a.Status != 200 {
			t.Errorf("%s after resuming: %d %v", name, a.Status, a.Body)
		}
	}
}

func TestPausedPeopleDoNotSignIn(t *testing.T) {
	w := newWorld(t, options{})
	id, token := w.token("alice", nil)
	b := w.browser()
	w.ownPage(b, "alice")
	alice, err := w.DB.AccountByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Pause(t.Context(), oauth.SubjectAccount, alice.ID, "why", time.Now()); err != nil {
		t.Fatal(err)
	}
	if a := w.introspect(token); a.Body["active"] != false {
		t.Errorf("introspection: %v", a.Body)
	}
	if page := b.Get(issuer + "/account"); page.Status != http.StatusSeeOther {
		t.Errorf("still signed in: %d", page.Status)
	}
	page := b.Get(request(id, nil)).Follow().Submit("Sign in", url.Values{"username": {"alice"}})
	if page.Status != http.StatusForbidden || !strings.Contains(page.Text(), "has paused your account") {
		t.Errorf("sign-in: %d %s", page.Status, page.Text())
	}
	if page := w.consent(w.browser(), request(id, nil), "bob"); page.Status != http.StatusOK {
		t.Errorf("somebody else: %d %s", page.Status, page.Text())
	}
}
