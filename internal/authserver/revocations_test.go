package authserver_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// poll asks for what came after a position, with the gateway's key.
func (w *world) poll(epoch string, after int64) answer {
	w.t.Helper()
	return w.form("/revocations", w.asGateway(pollForm(epoch, after)))
}

func pollForm(epoch string, after int64) url.Values {
	if epoch == "" {
		return url.Values{}
	}
	return url.Values{"epoch": {epoch}, "after": {fmt.Sprint(after)}}
}

// pollAs polls with a poll token.
func (w *world) pollAs(token, epoch string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/revocations", "application/x-www-form-urlencoded", pollForm(epoch, 0).Encode(),
		map[string]string{"Authorization": "Bearer " + token})
}

func number(a answer) int64 { n, _ := a.Body["number"].(float64); return int64(n) }

// security.md 10, 11: a poll brings what was ended after a position, at once or
// as soon as it happens; who asks from nowhere is told to begin anew.
func TestPollBringsWhatWasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		begin := w.poll("", 0)
		epoch := begin.str("epoch")
		if begin.Status != 200 || epoch == "" || begin.Body["reset"] != true || begin.str("poll_token") == "" || begin.Body["expires_in"] != 60.0 || number(begin) != 0 {
			t.Fatalf("%d %v", begin.Status, begin.Body)
		}
		start := time.Now()
		if quiet := w.poll(epoch, 0); quiet.Body["reset"] != nil || len(quiet.Body["events"].([]any)) != 0 || time.Since(start) > 500*time.Millisecond || time.Since(start) < 300*time.Millisecond {
			t.Errorf("a poll without news came back after %v: %v", time.Since(start), quiet.Body)
		}

		id, token := w.token("alice", nil)
		in := w.introspect(token).Body
		if at, _ := in["feed"].(map[string]any); at["epoch"] != epoch || at["number"] != 0.0 {
			t.Errorf("the introspection answer is of %v", at)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			start := time.Now()
			news := w.poll(epoch, 0)
			events, _ := news.Body["events"].([]any)
			if len(events) != 1 || number(news) != 1 || time.Since(start) > 200*time.Millisecond {
				t.Errorf("after %v: %v", time.Since(start), news.Body)
				return
			}
			if e := events[0].(map[string]any); e["subject"] != "token" || e["number"] != 1.0 || e["id"] == token || e["id"] == "" {
				t.Errorf("event %v", e)
			}
		})
		time.Sleep(100 * time.Millisecond)
		if a := w.form("/revoke", url.Values{"client_id": {id}, "token": {token}}); a.Status != 200 {
			t.Fatalf("%v", a.Body)
		}
		waiting.Wait()
		for name, a := range map[string]answer{"ahead": w.poll(epoch, 2), "another epoch": w.poll("x", 1), "negative": w.poll(epoch, -1)} {
			if a.Body["reset"] != true || number(a) != 1 || a.str("epoch") != epoch {
				t.Errorf("%s: %v", name, a.Body)
			}
		}
		for _, after := range []string{"x", "9999999999999999999999", "1.5"} {
			if a := w.form("/revocations", w.asGateway(url.Values{"epoch": {epoch}, "after": {after}})); a.str("error") != "invalid_request" {
				t.Errorf("after %q: %d %v", after, a.Status, a.Body)
			}
		}
	})
}

// Many events come in answers of bounded size, without a hole.
func TestPollIsBounded(t *testing.T) {
	w := newWorld(t, options{})
	at := w.poll("", 0)
	for i := range 450 {
		id := fmt.Sprint("c", i)
		if err := w.DB.AddClient(t.Context(), client.Client{ID: id, Origin: client.Registered, AuthMethod: oauth.AuthNone}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.DB.EndClient(t.Context(), id, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int
	for number(at) < 450 {
		next := w.poll(at.str("epoch"), number(at))
		events := next.Body["events"].([]any)
		if more := next.Body["more"] == true; number(next) != number(at)+int64(len(events)) || more != (number(next) < 450) {
			t.Fatalf("after %d: %d events, number %d, more %t", number(at), len(events), number(next), more)
		}
		sizes, at = append(sizes, len(events)), next
	}
	if fmt.Sprint(sizes) != "[200 200 50]" {
		t.Errorf("answers of %v events", sizes)
	}
}

// security.md 11: the feed is for this installation's gateways, by their keys.
func TestPollAuthenticates(t *testing.T) {
	w := newWorld(t, options{})
	public := w.public()
	confidential, secret := w.confidential()
	_, token := w.token("alice", nil)
	apiKey, apiSigner := newKey(t)
	if err := w.DB.PutClient(t.Context(), client.Client{ID: "api", Origin: client.Registered, AuthMethod: oauth.AuthPrivateKey, Keys: jose.PublicSet(apiKey)}); err != nil {
		t.Fatal(err)
	}
	_, strangerSigner := newKey(t)
	assertion := func(s *jose.Signer, id string) url.Values {
		a, err := jose.Assertion(s, id, issuer, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return url.Values{"client_id": {id}, "client_assertion_type": {oauth.AssertionJWTBearer}, "client_assertion": {a}}
	}
	used := w.asGateway(url.Values{})
	first := w.form("/revocations", maps.Clone(used))
	for name, c := range map[string]struct {
		form   url.Values
		header string
		want   string
	}{
		"nobody":               {url.Values{}, "", "invalid_client"},
		"only a name":          {url.Values{"client_id": {"gateway"}}, "", "invalid_client"},
		"a public client":      {url.Values{"client_id": {public}}, "", "unauthorized_client"},
		"a client's secret":    {url.Values{"client_id": {confidential}, "client_secret": {secret}}, "", "unauthorized_client"},
		"an API's key":         {assertion(apiSigner, "api"), "", "unauthorized_client"},
		"a stranger's key":     {assertion(strangerSigner, "gateway"), "", "invalid_client"},
		"an assertion again":   {used, "", "invalid_client"},
		"an access token":      {url.Values{}, "Bearer " + token, "invalid_token"},
		"nothing":              {url.Values{}, "Bearer ", "invalid_token"},
		"an unsigned token":    {url.Values{}, "Bearer " + base64.RawURLEncoding.EncodeToString([]byte("9999999999 gateway")) + ".", "invalid_token"},
		"a token of other key": {url.Values{}, "Bearer " + first.str("poll_token")[:len(first.str("poll_token"))-4] + "AAAA", "invalid_token"},
	} {
		header := map[string]string{}
		if c.header != "" {
			header["Authorization"] = c.header
		}
		a := w.send(http.MethodPost, "/revocations", "application/x-www-form-urlencoded", c.form.Encode(), header)
		if a.str("error") != c.want || a.Body["epoch"] != nil || a.Body["events"] != nil || a.Status < 400 {
			t.Errorf("%s: %d %v, want %s", name, a.Status, a.Body, c.want)
		}
	}
	if a := w.send(http.MethodGet, "/revocations", "", "", nil); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.Status)
	}
	// A poll token opens nothing but the feed.
	for _, path := range []string{"/introspect", "/token", "/revoke"} {
		a := w.send(http.MethodPost, path, "application/x-www-form-urlencoded", "token="+token+"&grant_type=client_credentials",
			map[string]string{"Authorization": "Bearer " + first.str("poll_token")})
		if a.Status < 400 || a.Body["active"] != nil {
			t.Errorf("%s: %d %v", path, a.Status, a.Body)
		}
	}
}

// A poll token does for a minute, gets no other token, and ends with the client
// it was made for.
func TestPollTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		first := w.poll("", 0)
		token, epoch := first.str("poll_token"), first.str("epoch")
		if strings.Contains(token, "gateway") {
			t.Errorf("poll token %q", token)
		}
		time.Sleep(58 * time.Second)
		if a := w.pollAs(token, epoch); a.Status != 200 || a.Body["poll_token"] != nil {
			t.Errorf("%d %v", a.Status, a.Body)
		}
		time.Sleep(2 * time.Second)
		if a := w.pollAs(token, epoch); a.Status != http.StatusUnauthorized || a.str("error") != "invalid_token" {
			t.Errorf("after a minute: %d %v", a.Status, a.Body)
		}
		token = w.poll(epoch, 0).str("poll_token")
		if err := w.DB.PutClient(t.Context(), client.Client{ID: "gateway", Origin: client.Registered, AuthMethod: oauth.AuthNone}); err != nil {
			t.Fatal(err)
		}
		if a := w.pollAs(token, epoch); a.Status < 400 || a.Body["events"] != nil {
			t.Errorf("a client that is no gateway any more: %d %v", a.Status, a.Body)
		}
	})
}

// Polls that wait are bounded; beyond that they are told to come back.
func TestPollsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		first := w.poll("", 0)
		token, epoch := first.str("poll_token"), first.str("epoch")
		var mu sync.Mutex
		statuses := map[int]int{}
		var polls sync.WaitGroup
		for range 300 {
			polls.Go(func() {
				a := w.pollAs(token, epoch)
				mu.Lock()
				defer mu.Unlock()
				statuses[a.Status]++
			})
		}
		polls.Wait()
		if statuses[200] != 256 || statuses[503] != 44 {
			t.Errorf("%v", statuses)
		}
		if a := w.pollAs(token, epoch); a.Status != 200 {
			t.Errorf("afterwards: %d", a.Status)
		}
	})
}
