package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/grant"
)

// tried is what a gateway does when a call lacks a scope.
func (w *world) tried(token, scope string) {
	w.t.Helper()
	if a := w.form("/token", w.asGateway(exchange(token, scope))); a.str("error") != "invalid_scope" {
		w.t.Fatalf("%d %v", a.Status, a.Body)
	}
}

// security.md 3: what a gateway found missing is offered at the next consent,
// apart and unticked, also to a client that asks for the same as before; what
// the person ticks, it gets. One use, 15 minutes, and a denial forgets it.
func TestMissingScopeIsOffered(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	b := w.browser()
	first := w.consent(b, request(id, nil), "alice").Submit("action=allow", nil).Location().Query().Get("code")
	token := w.form("/token", redemption(id, first)).str("access_token")
	w.tried(token, "users:write")

	page := b.Get(request(id, nil)).Follow()
	if !strings.Contains(page.Text(), "It tried, without asking") || !strings.Contains(page.Text(), "Change customers") {
		t.Fatalf("not offered: %s", page.Text())
	}
	// As it stands, unticked, it is not granted, and the offer is used up.
	code := page.Submit("action=allow", nil).Location().Query().Get("code")
	if a := w.form("/token", redemption(id, code)); a.str("scope") != "users:read orders:read" {
		t.Errorf("unticked, but granted: %v", a.Body)
	}
	if again := b.Get(request(id, nil)).Follow(); strings.Contains(again.Text(), "It tried") {
		t.Error("the offer was good for two consents")
	}

	w.tried(token, "users:write")
	page = b.Get(request(id, nil)).Follow()
	code = page.Submit("action=allow", url.Values{"scope": {"users:read", "orders:read", "users:write"}}).Location().Query().Get("code")
	if a := w.form("/token", redemption(id, code)); a.str("scope") != "users:read orders:read users:write" {
		t.Errorf("ticked: %v", a.Body)
	}
}

// security.md 3: some clients name the scopes of their registration at each refresh, so that
// the token has less than the grant. What a call then lacks is offered again,
// and what is left switched off ends.
func TestMissingScopeOfTheGrantIsOffered(t *testing.T) {
	w := newWorld(t, options{})
	id, _ := w.refreshing()
	b := w.browser()
	all := map[string]string{"scope": "users:read orders:read users:write"}
	first := w.form("/token", redemption(id, w.consent(b, request(id, all), "alice").Submit("action=allow", nil).Location().Query().Get("code")))
	renewal := refreshForm(id, first.str("refresh_token"))
	renewal.Set("scope", "users:read orders:read")
	token := w.form("/token", renewal)
	if token.str("scope") != "users:read orders:read" {
		t.Fatalf("%v", token.Body)
	}
	for _, tt := range []struct {
		on   []string
		want string
	}{
		{[]string{"users:read", "orders:read", "users:write"}, "users:read orders:read users:write"},
		{[]string{"users:read", "orders:read"}, "users:read orders:read"},
	} {
		w.tried(token.str("access_token"), "users:write")
		page := b.Get(request(id, nil)).Follow()
		if !strings.Contains(page.Text(), "It tried, without asking") {
			t.Fatalf("not offered: %s", page.Text())
		}
		code := page.Submit("action=allow", url.Values{"scope": tt.on}).Location().Query().Get("code")
		if a := w.form("/token", redemption(id, code)); a.str("scope") != tt.want {
			t.Errorf("%v, want %s", a.Body, tt.want)
		}
	}
	if page := b.Get(request(id, all)).Follow(); !strings.Contains(page.Text(), "Change customers") {
		t.Errorf("what was left off is still granted: %s", page.Text())
	}
}

func TestDenyingForgetsWhatWasMissing(t *testing.T) {
	w := newWorld(t, options{})
	id := w.public()
	b := w.browser()
	code := w.consent(b, request(id, nil), "alice").Submit("action=allow", nil).Location().Query().Get("code")
	w.tried(w.form("/token", redemption(id, code)).str("access_token"), "users:write")
	b.Get(request(id, nil)).Follow().Submit("action=deny", nil)
	if page := b.Get(request(id, nil)).Follow(); strings.Contains(page.Text(), "It tried") {
		t.Error("a denial did not forget it")
	}
}

// Only the authenticated gateway says so, only of scopes that the API has, and
// only for a quarter of an hour.
func TestMissingScopeIsSetByTheGatewayAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		id, value := w.confidential()
		b := w.browser()
		address := request(id, map[string]string{"redirect_uri": "https://desk.example/cb"})
		values := redemption(id, w.consent(b, address, "alice").Submit("action=allow", nil).Location().Query().Get("code"))
		values.Set("redirect_uri", "https://desk.example/cb")
		values.Set("client_secret", value)
		token := w.form("/token", values).str("access_token")

		own := exchange(token, "users:write")
		own.Set("client_id", id)
		own.Set("client_secret", value)
		if a := w.form("/token", own); a.str("error") != "unauthorized_client" {
			t.Errorf("%v", a.Body)
		}
		w.tried(token, "no:such")
		if page := b.Get(address); page.Status != http.StatusSeeOther || !strings.HasPrefix(page.Location().String(), "https://desk.example/cb?") {
			t.Errorf("a consent was forced: %s", page.Location())
		}
		w.tried(token, "users:write")
		if page := b.Get(address); !strings.HasPrefix(page.Location().String(), issuer+"/consent") {
			t.Errorf("what is missing does not force a consent: %s", page.Location())
		}
		time.Sleep(grant.MissingLifetime + time.Second)
		if page := b.Get(address); !strings.HasPrefix(page.Location().String(), "https://desk.example/cb?") {
			t.Errorf("it is offered for longer than 15 minutes: %s", page.Location())
		}
	})
}
