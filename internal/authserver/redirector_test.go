package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// RFC 9700 §4.11.2, R-AS-18, "open redirect on error": anybody can register a
// client, so a link to here must not become a link to there before a person
// has signed in. Where it would, a page says where the link leads.
func TestNoOpenRedirectorByRegistration(t *testing.T) {
	w := newWorld(t, options{})
	id := w.register(`{"redirect_uris":["https://evil.example/phish?a=b"],"token_endpoint_auth_method":"none"}`).str("client_id")
	to := map[string]string{"redirect_uri": "https://evil.example/phish?a=b", "response_type": "x"}
	for name, changes := range map[string]map[string]string{
		"a bad request": to,
		"prompt=none":   {"redirect_uri": "https://evil.example/phish?a=b", "prompt": "none"},
	} {
		page := w.browser().Get(request(id, changes))
		if page.Header.Get("Location") != "" || page.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, page.Status, page.Header.Get("Location"))
		}
		if !strings.Contains(page.Text(), "Return to evil.example") || !strings.Contains(page.Body, "iss=http%3A%2F%2Flogin.localhost%3A8080") {
			t.Errorf("%s: %s", name, page.Text())
		}
	}
	// Somebody who has signed in here is sent back, and the registered query stays (RFC 6749 §3.1.2).
	b := w.browser()
	w.consent(b, request(w.public(), nil), "alice")
	if at := b.Get(request(id, to)).Location(); at.Host != "evil.example" || at.Query().Get("a") != "b" || at.Query().Get("error") == "" {
		t.Errorf("sent to %s", at)
	}
}

// A client that cannot begin with a code can begin with nothing, and its
// redirects would go unchecked.
func TestRegistrationNeedsTheCodeGrant(t *testing.T) {
	w := newWorld(t, options{})
	for _, body := range []string{
		`{"grant_types":["refresh_token"],"token_endpoint_auth_method":"none","redirect_uris":["javascript:alert(1)"]}`,
		`{"grant_types":["refresh_token"],"token_endpoint_auth_method":"none"}`,
		`{"grant_types":["refresh_token"],"redirect_uris":["http://evil.example/"]}`,
	} {
		if a := w.send(http.MethodPost, "/register", "application/json", body, nil); a.Status != 400 || a.str("error") != "invalid_client_metadata" {
			t.Errorf("%s: %d %v", body, a.Status, a.Body)
		}
	}
}

// security.md 17: a session cookie that a sibling host planted beside the
// person's own does not lead in circles.
func TestPlantedSessionCookieDoesNotLoop(t *testing.T) {
	w := newWorld(t, options{})
	b := w.browser()
	login := b.Get(request(w.public(), nil)).Follow()
	consent := login.Submit("Sign in", url.Values{"username": {"alice"}})
	var cookies []string
	for _, c := range b.Cookies(issuer) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, consent.Location().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "__Host-gatehouse-session=planted; "+strings.Join(cookies, "; "))
	resp, err := w.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

// Spellings of one name share one count of guesses.
func TestGuessesAreCountedByTheNormalName(t *testing.T) {
	w := passwords(t)
	id := w.public()
	slowed := false
	for i := range 12 {
		name := []string{"alice", "Alice", "ａlice", "aｌice", "ALICE", "alicｅ"}[i%6]
		page := w.browser().Get(request(id, nil)).Follow().Submit("Sign in", url.Values{"username": {name}, "password": {"wrong"}})
		slowed = slowed || page.Status == http.StatusTooManyRequests
	}
	if !slowed {
		t.Error("12 guesses at one account under several spellings")
	}
}
