package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// feed is the revocation feed of the fake authorization server.
type feed struct {
	as http.Handler

	mu     sync.Mutex
	events []oauth.FeedEvent
	closed map[string]*oauth.Closed
	down   bool // answers no poll
}

// set changes the feed under its lock.
func (f *feed) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// closedOf is what is closed at a resource, and of all.
func (f *feed) closedOf(resource string) (*oauth.Closed, map[string]*oauth.Closed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed[resource], f.closed
}

func (f *feed) announce(subject, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, oauth.FeedEvent{Number: int64(len(f.events) + 1), Subject: subject, ID: id})
}

func (f *feed) position() oauth.FeedPosition {
	f.mu.Lock()
	defer f.mu.Unlock()
	return oauth.FeedPosition{Epoch: "e", Number: int64(len(f.events))}
}

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/revocations" {
		f.as.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	down := f.down
	f.mu.Unlock()
	if down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	after, _ := strconv.Atoi(r.FormValue("after"))
	a := oauth.FeedAnswer{FeedPosition: f.position(), Reset: r.FormValue("epoch") == ""}
	for range 8 {
		if a = (oauth.FeedAnswer{FeedPosition: f.position(), Reset: a.Reset}); a.Reset || a.Number > int64(after) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !a.Reset {
		f.mu.Lock()
		a.Events = f.events[after:a.Number]
		f.mu.Unlock()
	}
	_, a.Closed = f.closedOf("")
	writeJSON(w, 200, a)
}

// following runs a test in a bubble with a gateway that follows a feed.
func following(t *testing.T, test func(t *testing.T, w *world, f *feed)) {
	t.Helper()
	followingAs(t, &feed{}, nil, test)
}

// followingAs does so with a feed as it is already, and a changed gateway.
func followingAs(t *testing.T, f *feed, change func(*gateway.Server), test func(t *testing.T, w *world, f *feed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var follower *resource.Feed
		w := newWorld(t, func(s *gateway.Server) {
			network := s.Client.Transport.(hosts)
			f.as = network["login.example.com"]
			network["login.example.com"] = f
			follower = &resource.Feed{
				Server:   &resource.AuthorizationServer{Issuer: s.Issuer, ClientID: s.ClientID, Signer: s.Signer, Client: s.Client},
				Endpoint: loginURL + "/revocations",
			}
			s.Feed = follower
			if change != nil {
				change(s)
			}
		})
		w.as.introspect = func(rw http.ResponseWriter, r *http.Request) {
			answer := map[string]any{"active": false}
			if known, ok := w.as.tokens[r.PostForm.Get("token")]; ok {
				known["feed"], known["family"] = f.position(), "family"
				aud, _ := known["aud"].(string)
				known["closed"], _ = f.closedOf(aud)
				answer = known
			}
			writeJSON(rw, 200, answer)
		}
		w.as.exchange = func(rw http.ResponseWriter, _ *http.Request) { w.exchanged(rw, f.position()) }
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { follower.Run(ctx) })
		time.Sleep(10 * time.Millisecond)
		test(t, w, f)
		stop()
		running.Wait()
		time.Sleep(time.Second) // handlers whose askers are gone
	})
}

// exchanged answers an exchange as of a position.
func (w *world) exchanged(rw http.ResponseWriter, at oauth.FeedPosition) {
	writeJSON(rw, 200, map[string]any{
		"access_token": "exchanged-" + strconv.Itoa(len(w.as.exchanges)), "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_type": "Bearer", "expires_in": w.as.expiresIn, "feed": at,
	})
}

// architecture.md "warm tool call": no question to the authorization server.
func TestWarmCallsAskNobody(t *testing.T) {
	following(t, func(t *testing.T, w *world, _ *feed) {
		for range 500 {
			if got := w.callTool("reader", "fetch-users", nil); got.IsError {
				t.Fatal(got.text())
			}
			time.Sleep(100 * time.Millisecond)
		}
		if asked, exchanged := w.as.questions(), len(w.as.exchanged()); asked != 1 || exchanged != 1 {
			t.Errorf("%d questions and %d exchanges for 500 calls in 50 seconds", asked, exchanged)
		}
	})
}

// security.md 11: a token made for the API falls with what it hangs off, even
// if the caller's own token lives on: it may have been narrowed.
func TestExchangedTokensFall(t *testing.T) {
	sum := sha256.Sum256([]byte("reader"))
	for _, e := range []struct{ subject, id string }{
		{oauth.SubjectToken, base64.RawURLEncoding.EncodeToString(sum[:])}, {oauth.SubjectFamily, "family"},
		{oauth.SubjectGrant, "grant-reader"}, {oauth.SubjectClient, "notebook"}, {oauth.SubjectAccount, "alice"},
	} {
		t.Run(e.subject, func(t *testing.T) {
			following(t, func(t *testing.T, w *world, f *feed) {
				w.callTool("reader", "fetch-users", nil)
				f.announce("grant", "somebody else's")
				time.Sleep(time.Second)
				w.callTool("reader", "fetch-users", nil)
				if n := len(w.as.exchanged()); n != 1 {
					t.Fatalf("%d exchanges before anything happened to the token", n)
				}
				f.announce(e.subject, e.id)
				time.Sleep(time.Second)
				w.callTool("reader", "fetch-users", nil)
				got := w.api.requests()
				// A token that is named itself has ended, which its introspection shows.
				if last := got[len(got)-1].Header.Get("Authorization"); e.subject != oauth.SubjectToken && last != "Bearer exchanged-2" {
					t.Errorf("the API got %q", last)
				}
				w.as.revoke("reader")
				f.announce(e.subject, e.id)
				time.Sleep(time.Second)
				if rec := w.do(modern("reader", "tools/call", map[string]any{"name": "fetch-users"})); rec.Code != http.StatusUnauthorized {
					t.Errorf("ended: %d %s", rec.Code, rec.Body)
				}
				if n := len(w.api.requests()); n != len(got) {
					t.Errorf("%d requests to the API after the end", n-len(got))
				}
			})
		})
	}
}

// security.md 10: a token that was overtaken while it was made is not used.
func TestExchangeThatIsOvertaken(t *testing.T) {
	following(t, func(t *testing.T, w *world, f *feed) {
		overtake := 1
		w.as.exchange = func(rw http.ResponseWriter, _ *http.Request) {
			at := f.position()
			if overtake > 0 {
				overtake--
				f.announce(oauth.SubjectGrant, "grant-reader")
				time.Sleep(200 * time.Millisecond) // the event is there first
			}
			w.exchanged(rw, at)
		}
		if got := w.callTool("reader", "fetch-users", nil); got.IsError {
			t.Fatal(got.text())
		}
		if got := w.api.requests(); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer exchanged-2" {
			t.Errorf("%d requests to the API", len(got))
		}
		overtake = 100
		f.announce(oauth.SubjectGrant, "grant-reader")
		time.Sleep(time.Second)
		if got := w.callTool("reader", "fetch-users", nil); !got.IsError {
			t.Error("a call was made with an overtaken token")
		}
		if n := len(w.api.requests()); n != 1 {
			t.Errorf("%d requests to the API", n)
		}
	})
}
