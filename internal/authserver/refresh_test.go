package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/secret"
)

// refreshing registers a public client that refreshes, and signs alice in.
func (w *world) refreshing() (id string, first answer) {
	w.t.Helper()
	id = w.register(`{"client_name":"Notebook","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`).str("client_id")
	first = w.form("/token", redemption(id, w.code(request(id, nil), "alice")))
	if first.Status != http.StatusOK || first.str("refresh_token") == "" {
		w.t.Fatalf("%d %v", first.Status, first.Body)
	}
	return id, first
}

func refreshForm(id, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {token}}
}

// OAuth 2.1 §4.3.1, R-AS-21: rotated for public clients; R-AS-22: the binding
// to the resource is kept when resource is not repeated.
func TestRefreshRotates(t *testing.T) {
	w := newWorld(t, options{})
	id, first := w.refreshing()
	second := w.form("/token", refreshForm(id, first.str("refresh_token")))
	if second.Status != http.StatusOK || second.str("refresh_token") == first.str("refresh_token") || second.str("access_token") == first.str("access_token") || second.str("scope") != "users:read orders:read" {
		t.Fatalf("%d %v", second.Status, second.Body)
	}
	if in := w.introspect(second.str("access_token")); in.Body["active"] != true || in.str("aud") != resource {
		t.Errorf("%v", in.Body)
	}
	narrow := refreshForm(id, second.str("refresh_token"))
	narrow.Set("scope", "users:read users:write")
	narrow.Set("resource", resource+"/")
	third := w.form("/token", narrow)
	if third.str("scope") != "users:read" {
		t.Errorf("narrower: %d %v", third.Status, third.Body)
	}
	if fourth := w.form("/token", refreshForm(id, third.str("refresh_token"))); fourth.str("scope") != "users:read orders:read" {
		t.Errorf("narrowing once narrowed for ever: %v", fourth.Body)
	}
}

// A client that did not register for it gets no refresh token and cannot use one.
func TestRefreshIsByRegistration(t *testing.T) {
	w := newWorld(t, options{})
	_, first := w.refreshing()
	id := w.public()
	a := w.form("/token", redemption(id, w.code(request(id, nil), "alice")))
	if a.Body["refresh_token"] != nil {
		t.Error("a refresh token came unasked")
	}
	if a := w.form("/token", refreshForm(id, first.str("refresh_token"))); a.str("error") != "unauthorized_client" {
		t.Errorf("%v", a.Body)
	}
}

func TestRefreshRefuses(t *testing.T) {
	w := newWorld(t, options{})
	id, first := w.refreshing()
	stranger, _ := w.refreshing()
	for _, tt := range []struct {
		name    string
		changes map[string]string
		want    string
	}{
		{"another client's attempt ends nothing", map[string]string{"client_id": stranger}, "invalid_grant"},
		{"an unknown token", map[string]string{"refresh_token": "ghr_x"}, "invalid_grant"},
		{"an access token", map[string]string{"refresh_token": first.str("access_token")}, "invalid_grant"},
		{"no token", map[string]string{"refresh_token": ""}, "invalid_request"},
		{"another resource", map[string]string{"resource": other}, "invalid_target"},
		{"scopes that were never granted", map[string]string{"scope": "users:write"}, "invalid_scope"},
	} {
		values := refreshForm(id, first.str("refresh_token"))
		for name, value := range tt.changes {
			values.Set(name, value)
			if value == "" {
				values.Del(name)
			}
		}
		if a := w.form("/token", values); a.Status != 400 || a.str("error") != tt.want {
			t.Errorf("%s: %d %v, want %s", tt.name, a.Status, a.Body, tt.want)
		}
	}
	if a := w.form("/token", refreshForm(id, first.str("refresh_token"))); a.Status != http.StatusOK {
		t.Errorf("a refused attempt used the token up: %v", a.Body)
	}
}

// security.md 6: many processes of one client refresh at once, with 1 ms of
// store latency, on both engines: all get the same answer and go on working.
func TestConcurrentRefreshGivesOneAnswer(t *testing.T) {
	for name, dsn := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{dsn: dsn(t), latency: time.Millisecond})
			id, last := w.refreshing()
			for range 3 {
				answers := make([]answer, 50)
				var wg sync.WaitGroup
				for i := range answers {
					wg.Go(func() { answers[i] = w.form("/token", refreshForm(id, last.str("refresh_token"))) })
				}
				wg.Wait()
				for i, a := range answers {
					if a.Status != http.StatusOK || a.str("access_token") != answers[0].str("access_token") || a.str("refresh_token") != answers[0].str("refresh_token") {
						t.Fatalf("process %d got %d %v, process 0 %v", i, a.Status, a.Body, answers[0].Body)
					}
				}
				if w.introspect(answers[0].str("access_token")).Body["active"] != true {
					t.Fatal("what everybody got is worth nothing")
				}
				last = answers[0]
			}
		})
	}
}

// security.md 6, RFC 9700 §4.14.2, "refresh reuse by a thief": after the window
// any reuse by the client ends the family, with its access tokens, and shows in
// the audit.
func TestRefreshReplayEndsTheFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		id, first := w.refreshing()
		second := w.form("/token", refreshForm(id, first.str("refresh_token")))
		time.Sleep(grant.ReplayWindow + 2*time.Second)
		if a := w.form("/token", refreshForm(id, first.str("refresh_token"))); a.str("error") != "invalid_grant" {
			t.Errorf("a replay: %d %v", a.Status, a.Body)
		}
		for name, token := range map[string]string{"first": first.str("access_token"), "second": second.str("access_token")} {
			if w.introspect(token).Body["active"] != false {
				t.Errorf("the %s access token lives on", name)
			}
		}
		if a := w.form("/token", refreshForm(id, second.str("refresh_token"))); a.str("error") != "invalid_grant" {
			t.Errorf("the family lives on: %v", a.Body)
		}
		entries, err := w.DB.Recent(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, e := range entries {
			seen = seen || e.Kind == audit.Revocation && e.ClientID == id
		}
		if !seen {
			t.Error("the audit does not show it")
		}
		// What the person allowed is still remembered: signing in again is enough.
		if page := w.consent(w.browser(), request(id, nil), "alice"); !strings.Contains(page.Text(), "What you allowed") {
			t.Errorf("%s", page.Text())
		}
	})
}

// security.md 6: the kept answer ends when its successor is used, and the
// window is never extended by using it.
func TestRefreshAnswerIsKeptNoLongerThanNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		id, first := w.refreshing()
		second := w.form("/token", refreshForm(id, first.str("refresh_token")))
		time.Sleep(6 * time.Second)
		if again := w.form("/token", refreshForm(id, first.str("refresh_token"))); again.str("refresh_token") != second.str("refresh_token") {
			t.Errorf("within the window: %v", again.Body)
		}
		different := refreshForm(id, first.str("refresh_token"))
		different.Set("scope", "users:read")
		if a := w.form("/token", different); a.str("error") != "invalid_grant" {
			t.Errorf("another scope within the window: %v", a.Body)
		}
		if w.introspect(second.str("access_token")).Body["active"] != true {
			t.Fatal("a different request within the window ended the family")
		}
		time.Sleep(6 * time.Second)
		if a := w.form("/token", refreshForm(id, first.str("refresh_token"))); a.str("error") != "invalid_grant" {
			t.Errorf("the window was extended: %v", a.Body)
		}
	})
	w := newWorld(t, options{})
	id, first := w.refreshing()
	second := w.form("/token", refreshForm(id, first.str("refresh_token")))
	third := w.form("/token", refreshForm(id, second.str("refresh_token")))
	if a := w.form("/token", refreshForm(id, first.str("refresh_token"))); a.str("error") != "invalid_grant" {
		t.Errorf("the answer was kept although its successor was used: %v", a.Body)
	}
	if w.introspect(third.str("access_token")).Body["active"] != false {
		t.Error("a replay behind a used successor ends nothing")
	}
}

// RFC 7009 §2.1, §2.2.
func TestRevocation(t *testing.T) {
	w := newWorld(t, options{})
	id, first := w.refreshing()
	stranger := w.public()
	revoke := func(client, token string) answer {
		return w.form("/revoke", url.Values{"client_id": {client}, "token": {token}, "token_type_hint": {"access_token"}})
	}
	if a := revoke(stranger, first.str("access_token")); a.str("error") != "invalid_grant" {
		t.Errorf("a stranger: %d %v", a.Status, a.Body)
	}
	if a := revoke(stranger, first.str("refresh_token")); a.str("error") != "invalid_grant" {
		t.Errorf("a stranger: %d %v", a.Status, a.Body)
	}
	if w.introspect(first.str("access_token")).Body["active"] != true {
		t.Fatal("a stranger revoked a token")
	}
	if a := revoke(id, first.str("access_token")); a.Status != http.StatusOK || w.introspect(first.str("access_token")).Body["active"] != false {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	second := w.form("/token", refreshForm(id, first.str("refresh_token")))
	if second.Status != http.StatusOK {
		t.Fatalf("an access token's end ended the refresh token: %v", second.Body)
	}
	if a := revoke(id, second.str("refresh_token")); a.Status != http.StatusOK {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	if w.introspect(second.str("access_token")).Body["active"] != false {
		t.Error("the access token outlives its refresh token")
	}
	if a := w.form("/token", refreshForm(id, second.str("refresh_token"))); a.str("error") != "invalid_grant" {
		t.Errorf("%v", a.Body)
	}
	for _, token := range []string{"gha_unknown", secret.New("ghr_"), first.str("access_token")} {
		if a := revoke(id, token); a.Status != http.StatusOK {
			t.Errorf("unknown token: %d %v", a.Status, a.Body)
		}
	}
	if a := w.form("/revoke", url.Values{"token": {"x"}}); a.Status != 401 {
		t.Errorf("nobody: %d", a.Status)
	}
	if a := revoke(id, ""); a.str("error") != "invalid_request" {
		t.Errorf("no token: %v", a.Body)
	}
}
