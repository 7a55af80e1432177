package resource_test

import (
	"testing"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// closedAt returns how the API is closed, to who asks with a token.
func closedAt(t *testing.T, i *resource.Introspector, token string) oauth.Closure {
	t.Helper()
	in, err := i.Introspect(t.Context(), token, users)
	if err != nil {
		t.Errorf("%s: %v", token, err)
	}
	return in.Closed.All()
}

// security.md 11, 12: within a second of a pause, and of its end, every kept
// answer tells so without a question about it; what is paused is no reason to ask
// about tokens of other APIs.
func TestKeptAnswersTellWhatIsClosed(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		for range 3 {
			for _, how := range []oauth.Closure{"", oauth.Paused} {
				s.set(func() {
					s.closed = map[string]*oauth.Closed{users: {API: how}, "https://other.example": {API: oauth.Paused}}
				})
				time.Sleep(time.Second)
				if got := closedAt(t, i, "t"); got != how {
					t.Errorf("told %q, want %q", got, how)
				}
				if got, known := i.Feed.Closed(time.Now(), users); !known || got.All() != how {
					t.Errorf("the feed tells %q, %v; want %q", got.All(), known, how)
				}
			}
		}
		s.set(func() { s.announce(oauth.SubjectAPI, "https://other.example") })
		time.Sleep(time.Second)
		closedAt(t, i, "t")
		if n := s.questions(); n != 1 {
			t.Errorf("%d questions", n)
		}
		s.set(func() { s.announce(oauth.SubjectAPI, users) }) // it may have been ended
		time.Sleep(time.Second)
		closedAt(t, i, "t")
		if n := s.questions(); n != 2 {
			t.Errorf("%d questions after the API's own event", n)
		}
	})
}

// security.md 11: whatever becomes of the feed, what is closed is not forgotten:
// a rewind, a new epoch, a pruned history, a feed that is cut. What is kept is
// then not believed about it.
func TestNothingForgetsWhatIsClosed(t *testing.T) {
	for name, act := range map[string]func(s *fedAS){
		"rewind":         func(s *fedAS) { s.events, s.number = s.events[:1], 1 },
		"new epoch":      func(s *fedAS) { s.epoch, s.events, s.number = "e2", nil, 0 },
		"pruned history": func(s *fedAS) { s.announce(oauth.SubjectGrant, "x"); s.first, s.events = 4, s.events[3:] },
		"cut":            func(s *fedAS) { s.feedDown = true },
	} {
		t.Run(name, func(t *testing.T) {
			fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
				s.set(func() {
					for range 3 {
						s.announce(oauth.SubjectGrant, "somebody's")
					}
				})
				time.Sleep(time.Second)
				closedAt(t, i, "t") // kept while it is open
				s.set(func() { s.closed = map[string]*oauth.Closed{users: {API: oauth.Paused}} })
				time.Sleep(time.Second)
				s.set(func() { act(s) })
				for range 20 {
					for _, token := range []string{"t", "never seen"} {
						if got := closedAt(t, i, token); got != oauth.Paused {
							t.Errorf("%s: told %q", token, got)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				s.set(func() { s.closed = nil })
				time.Sleep(time.Second)
				if got := closedAt(t, i, "t"); got != "" {
					t.Errorf("resumed: told %q", got)
				}
			})
		})
	}
}

// security.md 11: a pause that comes while the feed is cut stops the next call,
// though an answer from before is kept, and though a feed that has just failed
// told that all was open.
func TestPausedWhileTheFeedIsCut(t *testing.T) {
	fed(t, func(t *testing.T, s *fedAS, i *resource.Introspector) {
		if got := closedAt(t, i, "t"); got != "" {
			t.Fatalf("told %q", got)
		}
		s.set(func() { s.feedDown = true })
		time.Sleep(500 * time.Millisecond)
		s.set(func() { s.closed = map[string]*oauth.Closed{users: {API: oauth.Paused}} })
		time.Sleep(time.Second)
		if got := closedAt(t, i, "t"); got != oauth.Paused {
			t.Errorf("told %q", got)
		}
		if _, known := i.Feed.Closed(time.Now(), users); known {
			t.Error("a feed that is cut says that it knows")
		}
	})
}
