package resource_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// fedAS is an authorization server with a revocation feed, which tests cut and
// bend. Its tokens hang off things that are named after them: "t" off "family
// t", "grant t", "client t" and "account t".
type fedAS struct {
	t testing.TB

	mu       sync.Mutex
	epoch    string
	number   int64
	events   []oauth.FeedEvent
	first    int64 // number of events[0]
	dead     map[string]bool
	down     bool           // answers nothing
	feedDown bool           // answers no poll
	hold     time.Duration  // of a poll without news
	late     time.Duration  // of every answer, after it was made
	asked    map[string]int // questions by token
	polls    []poll
	onAsk    func(token string) // while a question is answered, after the token was read
	bend     func(a *oauth.FeedAnswer)
	refuse   bool // refuses poll tokens
	closed   map[string]*oauth.Closed
}

type poll struct {
	at     time.Time
	bearer string
}

func newFedAS(t testing.TB) *fedAS {
	return &fedAS{t: t, epoch: "e1", first: 1, dead: map[string]bool{}, asked: map[string]int{}, hold: 400 * time.Millisecond}
}

// set changes the server under its lock.
func (s *fedAS) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// announce appends an event. The caller holds mu.
func (s *fedAS) announce(subject, id string) {
	s.number++
	s.events = append(s.events, oauth.FeedEvent{Number: s.number, Subject: subject, ID: id})
}

// end ends a token by what it hangs off.
func (s *fedAS) end(token, subject string) {
	s.set(func() {
		s.dead[token] = true
		id := subject + " " + token
		if subject == oauth.SubjectToken {
			sum := sha256.Sum256([]byte(token))
			id = base64.RawURLEncoding.EncodeToString(sum[:])
		}
		s.announce(subject, id)
	})
}

func (s *fedAS) questions() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.asked {
		n += i
	}
	return n
}

func (s *fedAS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	down := s.down || s.feedDown && r.URL.Path == "/revocations"
	s.mu.Unlock()
	switch {
	case down:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/revocations":
		s.poll(w, r)
	default:
		s.introspect(w, r)
	}
}

func (s *fedAS) introspect(w http.ResponseWriter, r *http.Request) {
	token := r.FormValue("token")
	s.mu.Lock()
	s.asked[token]++
	a := oauth.Introspection{}
	if !s.dead[token] {
		a = oauth.Introspection{
			Active: true, Aud: users, Sub: "account " + token, ClientID: "client " + token, GrantID: "grant " + token, Family: "family " + token,
			Scope: "users:read", Exp: time.Now().Add(time.Hour).Unix(), Feed: &oauth.FeedPosition{Epoch: s.epoch, Number: s.number}, Closed: s.closed[users],
			GrantClientID: "first " + token, Act: &oauth.Actor{Sub: "client " + token, Act: &oauth.Actor{Sub: "between " + token}},
		}
	}
	then, late := s.onAsk, s.late
	s.mu.Unlock()
	if then != nil {
		then(token)
	}
	time.Sleep(late)
	answer(w, a)
}

func (s *fedAS) poll(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if (bearer == "") == (r.FormValue("client_assertion") == "") {
		s.t.Errorf("a poll with bearer token %q and form %v", bearer, r.PostForm)
	}
	s.mu.Lock()
	s.polls = append(s.polls, poll{time.Now(), bearer})
	refused, count := s.refuse && bearer != "", len(s.polls)
	hold, late := s.hold, s.late
	s.mu.Unlock()
	if refused {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	after, _ := strconv.ParseInt(r.FormValue("after"), 10, 64)
	a := s.news(r.FormValue("epoch"), after)
	for until := time.Now().Add(hold); len(a.Events) == 0 && !a.Reset && time.Now().Before(until); a = s.news(r.FormValue("epoch"), after) {
		time.Sleep(50 * time.Millisecond)
	}
	if bearer == "" {
		a.PollToken, a.ExpiresIn = fmt.Sprint("poll-", count), 60
	}
	s.set(func() {
		if s.bend != nil {
			s.bend(&a)
		}
	})
	time.Sleep(late)
	answer(w, a)
}

func (s *fedAS) news(epoch string, after int64) oauth.FeedAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := oauth.FeedAnswer{FeedPosition: oauth.FeedPosition{Epoch: s.epoch, Number: s.number}, Closed: s.closed}
	if epoch != s.epoch || after > s.number || after < s.first-1 {
		a.Reset = true
		return a
	}
	a.Events = slices.Clone(s.events[after-s.first+1:])
	return a
}

// fed runs a test in a bubble, with an introspector whose feed has been polled.
func fed(t *testing.T, f func(t *testing.T, s *fedAS, i *resource.Introspector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newFedAS(t)
		i := newIntrospector(t, s.ServeHTTP)
		i.Feed = &resource.Feed{Server: i.Server, Endpoint: issuer + "/revocations"}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { i.Feed.Run(ctx) })
		time.Sleep(50 * time.Millisecond)
		f(t, s, i)
		stop()
		running.Wait()
		time.Sleep(2 * time.Second) // handlers whose askers are gone
	})
}

// wants asks for a token's worth.
func wants(t *testing.T, i *resource.Introspector, token string, want error) {
	t.Helper()
	if _, err := i.Introspect(t.Context(), token, users); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", token, err, want)
	}
}

// architecture.md "warm tool call: 0 AS round trips"; security.md 11: entries
// live at most 60 s.
func TestFeedSavesQuestions(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
			wants(t, i, "t", nil)
		}
		if n := s.questions(); n != 1 {
			t.Errorf("%d questions in the first minute", n)
		}
		wants(t, i, "t", nil)
		if n := s.questions(); n != 2 {
			t.Errorf("%d questions after the first minute", n)
		}
	})
}

// security.md 11: every subject ends what hangs off it within a second, and
// nothing else.
func TestFeedEndsTokens(t *testing.T) {
	for _, subject := range []string{oauth.SubjectToken, oauth.SubjectFamily, oauth.SubjectGrant, oauth.SubjectClient, oauth.SubjectAccount} {
		t.Run(subject, func(t *testing.T) {
			fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
				wants(t, i, "t", nil)
				wants(t, i, "other", nil)
				s.end("t", subject)
				time.Sleep(time.Second)
				wants(t, i, "t", resource.ErrInvalid)
				wants(t, i, "other", nil)
				if n := s.questions(); n != 3 {
					t.Errorf("%d questions; only the ended token needs a second one", n)
				}
			})
		})
	}
}

// Who acts for somebody by way of others loses it with each of them.
func TestFeedEndsWhatHangsOffALink(t *testing.T) {
	for _, link := range []string{"client t", "between t", "first t"} {
		t.Run(link, func(t *testing.T) {
			fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
				wants(t, i, "t", nil)
				wants(t, i, "other", nil)
				s.set(func() {
					s.dead["t"] = true
					s.announce(oauth.SubjectClient, link)
				})
				time.Sleep(time.Second)
				wants(t, i, "t", resource.ErrInvalid)
				wants(t, i, "other", nil)
				if n := s.questions(); n != 3 {
					t.Errorf("%d questions; only the ended token needs a second one", n)
				}
			})
		})
	}
}

// security.md 11: without the feed each request asks, and is refused if that
// cannot be; with it again they go on, and what was ended meanwhile stays so.
func TestFeedIsCut(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		wants(t, i, "t", nil)
		wants(t, i, "ended", nil)
		s.set(func() { s.feedDown = true })
		time.Sleep(time.Second)
		before := s.questions()
		for range 5 {
			wants(t, i, "t", nil)
		}
		if n := s.questions() - before; n != 5 {
			t.Errorf("%d questions for 5 requests without the feed", n)
		}
		s.end("ended", oauth.SubjectGrant)
		wants(t, i, "ended", resource.ErrInvalid) // at once
		s.set(func() { s.down = true })
		wants(t, i, "t", resource.ErrUnavailable)
		s.set(func() { s.down, s.feedDown = false, false })
		time.Sleep(time.Second)
		before = s.questions()
		for range 50 {
			wants(t, i, "t", nil)
			time.Sleep(20 * time.Millisecond)
		}
		wants(t, i, "ended", resource.ErrInvalid)
		if n := s.questions() - before; n > 2 {
			t.Errorf("%d questions after the feed was back", n)
		}
	})
}

// security.md 11: a gateway that is cut off by silence refuses within a second,
// instead of waiting as long as for a server that is only slow.
func TestSilenceIsToldSoon(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		s.set(func() { s.late = 2 * time.Second })
		begun := time.Now()
		wants(t, i, "while the feed is fresh", nil)
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("a slow answer took %v", took)
		}
		s.set(func() { s.late = time.Minute })
		time.Sleep(3 * time.Second)
		begun = time.Now()
		wants(t, i, "after a silence", resource.ErrUnavailable)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("refused after %v", took)
		}
		s.set(func() { s.late = 0 })
		time.Sleep(time.Minute)
	})
}

// security.md 11: freshness counts from when the last answered poll was sent.
func TestFreshnessCountsFromThePollThatWasSent(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		s.set(func() { s.hold, s.late = 0, 900*time.Millisecond })
		time.Sleep(3 * time.Second) // the polls that were quicker are answered
		s.mu.Lock()
		sent := s.polls[len(s.polls)-1].at.Add(s.late) // when that is answered, the next one is sent
		s.mu.Unlock()
		for _, step := range []struct {
			after time.Duration
			fresh bool // 1 s after the poll before was sent it is not, for 800 ms
		}{
			{50 * time.Millisecond, true}, {150 * time.Millisecond, false}, {850 * time.Millisecond, false},
			{950 * time.Millisecond, true}, {1050 * time.Millisecond, false},
		} {
			time.Sleep(time.Until(sent.Add(step.after)))
			if fresh := i.Feed.Fresh(time.Now()); fresh != step.fresh {
				t.Errorf("%v after the last poll was sent: fresh is %t", step.after, fresh)
			}
		}
	})
}

// security.md 11: what the feed cannot account for empties the cache.
func TestFeedThatDoesNotFollowEmptiesTheCache(t *testing.T) {
	for name, change := range map[string]func(s *fedAS){
		"new epoch":      func(s *fedAS) { s.epoch, s.number, s.events = "e2", 0, nil },
		"pruned history": func(s *fedAS) { s.number, s.events, s.first = 10, nil, 11 },
		"rewind":         func(s *fedAS) { s.number, s.events = 1, s.events[:1] },
		"gap": func(s *fedAS) {
			s.announce("grant", "x")
			s.announce("grant", "y")
			s.bend = func(a *oauth.FeedAnswer) {
				if len(a.Events) == 2 {
					a.Events = a.Events[1:]
				}
				s.bend = nil
			}
		},
		"fewer events than numbers": func(s *fedAS) {
			s.announce("grant", "x")
			s.bend = func(a *oauth.FeedAnswer) { a.Number, s.bend = a.Number+1, nil }
		},
		"unknown subject": func(s *fedAS) { s.announce("planet", "earth") },
	} {
		t.Run(name, func(t *testing.T) {
			fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
				for n := range 3 {
					s.set(func() { s.announce("grant", fmt.Sprint("somebody", n)) })
				}
				time.Sleep(time.Second)
				wants(t, i, "t", nil)
				s.set(func() { change(s) })
				time.Sleep(time.Second)
				wants(t, i, "t", nil)
				wants(t, i, "t", nil)
				if n := s.questions(); n != 2 {
					t.Errorf("%d questions; want one before and one after", n)
				}
			})
		})
	}
}

// A database that was restored gives numbers anew: what was read before counts
// for nothing, although its number is still ahead.
func TestNumbersThatAreGivenAnew(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		for range 5 {
			s.set(func() { s.announce("grant", "somebody") })
		}
		time.Sleep(time.Second)
		wants(t, i, "t", nil) // as of 5
		s.set(func() { s.number, s.events = 2, s.events[:2] })
		time.Sleep(time.Second)
		s.end("t", oauth.SubjectGrant) // number 3
		time.Sleep(time.Second)
		wants(t, i, "t", resource.ErrInvalid)
	})
}

// security.md 10: an answer that was read before an event which was applied
// meanwhile is discarded.
func TestAnswerThatWasOvertakenIsDiscarded(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		s.onAsk = func(token string) {
			if s.onAsk = nil; token == "t" {
				s.end("t", oauth.SubjectGrant)
			}
			time.Sleep(300 * time.Millisecond) // the event is there first
		}
		wants(t, i, "t", resource.ErrInvalid)
		if n := s.questions(); n != 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// If that goes on, the request is refused.
func TestAnswersThatAreAlwaysOvertaken(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		s.onAsk = func(string) {
			s.set(func() { s.announce("client", "client t") })
			time.Sleep(300 * time.Millisecond)
		}
		wants(t, i, "t", resource.ErrUnavailable)
		if n := s.questions(); n > 4 {
			t.Errorf("%d questions for one request", n)
		}
	})
}

// security.md 10: no request joins a flight that began earlier, unless the feed
// vouches for its answer.
func TestNoRequestJoinsAnEarlierFlight(t *testing.T) {
	for _, cut := range []bool{true, false} {
		t.Run(fmt.Sprint("cut ", cut), func(t *testing.T) {
			fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
				s.set(func() { s.feedDown = cut })
				time.Sleep(2 * time.Second)
				s.set(func() { s.late = 800 * time.Millisecond })
				var requests sync.WaitGroup
				requests.Go(func() { _, _ = i.Introspect(t.Context(), "t", users) })
				time.Sleep(100 * time.Millisecond)
				s.end("t", oauth.SubjectGrant)
				time.Sleep(100 * time.Millisecond)
				if cut { // else the second has not passed
					wants(t, i, "t", resource.ErrInvalid)
				}
				requests.Wait()
				time.Sleep(time.Second)
				wants(t, i, "t", resource.ErrInvalid)
			})
		})
	}
}

// While the feed is fresh, requests share a question.
func TestRequestsShareAQuestionWhileTheFeedIsFresh(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		var requests sync.WaitGroup
		s.onAsk = func(string) { time.Sleep(100 * time.Millisecond) }
		for n := range 20 {
			requests.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				wants(t, i, "t", nil)
			})
		}
		requests.Wait()
		if n := s.questions(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

// An assertion is spent on the first poll; then poll tokens do, until one is
// refused. A server that holds no poll open is not asked without end.
func TestPollsAuthenticate(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		time.Sleep(2 * time.Second)
		s.set(func() {
			for n, p := range s.polls {
				if (n == 0) != (p.bearer == "") {
					t.Errorf("poll %d with token %q", n, p.bearer)
				}
			}
			s.polls, s.refuse = nil, true
		})
		time.Sleep(time.Second)
		s.set(func() {
			assertions := 0
			for _, p := range s.polls {
				if p.bearer == "" {
					assertions++
				}
			}
			if assertions == 0 {
				t.Error("a refused poll token was not followed by an assertion")
			}
			s.refuse, s.hold = false, 0
		})
		time.Sleep(time.Second)
		s.set(func() { s.polls = nil })
		time.Sleep(time.Second)
		s.set(func() {
			if n := len(s.polls); n > 41 {
				t.Errorf("%d polls in a second", n)
			}
		})
	})
}

// What is no answer of a feed makes nothing fresh, and is told once.
func TestFeedDoesNotTakeAnythingForAnAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"no epoch":  func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]any{"number": 7}) },
		"page":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"silence":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"more than was asked for": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", 8<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIntrospector(t, h)
				var told []error
				feed := &resource.Feed{Server: i.Server, Endpoint: issuer + "/revocations", Changed: func(err error) { told = append(told, err) }}
				ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
				defer stop()
				feed.Run(ctx)
				if feed.Fresh(time.Now()) || len(told) != 1 || told[0] == nil {
					t.Errorf("fresh: %t; told: %v", feed.Fresh(time.Now()), told)
				}
			})
		})
	}
}

// The memory for events is bounded; what falls out of it is asked about anew.
func TestFeedRemembersBoundedly(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		wants(t, i, "t", nil)
		s.set(func() {
			s.bend = func(a *oauth.FeedAnswer) { // as many as one answer may bring
				if len(a.Events) > 200 {
					a.Events, a.More = a.Events[:200], true
					a.Number = a.Events[199].Number
				}
			}
		})
		s.end("t", oauth.SubjectGrant)
		s.set(func() {
			for n := range 10_001 {
				s.announce("grant", fmt.Sprint(n))
			}
		})
		time.Sleep(2 * time.Second)
		if !i.Feed.Fresh(time.Now()) {
			t.Error("the feed has not caught up")
		}
		wants(t, i, "t", resource.ErrInvalid)
	})
}
