package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/oauth"
)

const (
	pollTimeout = 2 * time.Second        // an answer later than Freshness makes nothing fresh, but its events count
	minBackoff  = 25 * time.Millisecond  // after a poll that failed,
	maxBackoff  = 200 * time.Millisecond // and after several: what is cut off is back soon after it can be
	maxRecent   = 10_000                 // events that are remembered one by one
)

// Feed follows the revocation feed of an authorization server, so that answers
// about tokens can be kept and yet end with what they are about (security.md 10,
// 11). It is safe for concurrent use; exported fields are set before the first.
//
// Nothing that was kept is dropped when an event comes. Instead it is asked of
// each answer, whenever it is to be used, whether something came after it.
type Feed struct {
	Server   *AuthorizationServer
	Endpoint string
	// Changed, if set, is called by Run when polls begin to fail, with the
	// reason, and with nil when they are answered again.
	Changed func(error)

	token string // for polls; Run's alone

	mu       sync.RWMutex
	position oauth.FeedPosition
	sent     time.Time                // of the last answered poll that left nothing out
	floor    int64                    // what was read before this number cannot be judged,
	emptied  time.Time                // nor what was asked before this time, whatever its number: numbers may have been given anew
	latest   map[thing]int64          // the last event of each thing, above floor
	order    []oauth.FeedEvent        // the same events, oldest first
	live     map[string]string        // digests of the documents that are live, by resource, as of the last answer; never changed in place
	closed   map[string]*oauth.Closed // all that is closed, by resource, as of the last answer; never changed in place
}

// thing is what an event is about.
type thing struct{ subject, id string }

// Holder is what a token hangs off; empty members do not apply.
type Holder struct {
	Token, Family, Grant, Client, Account string
	Actors                                []string // clients beside Client
	API                                   string   // resource of the API's endpoint
	Tool                                  string   // the same, of a token that was made for a tool there
}

// HolderOf returns what an answer about a token tells of it.
func HolderOf(t oauth.Introspection) Holder {
	h := Holder{Family: t.Family, Grant: t.GrantID, Client: t.ClientID, Account: t.Sub, API: t.Aud}
	if t.Act != nil {
		h.Actors = append(h.Actors, t.GrantClientID)
	}
	for act := t.Act; act != nil; act = act.Act {
		h.Actors = append(h.Actors, act.Sub)
	}
	return h
}

// Standing is what a Feed knows of something that was read at a position.
type Standing int

// Standings.
const (
	Unknown   Standing = iota // it has no position, or one of another epoch
	Overtaken                 // what it is about was ended or narrowed since, or may have been
	Current                   // nothing that the feed knows of came after it
)

// Reading is when and where something was read.
type Reading struct {
	Asked time.Time           // when the question was sent
	At    *oauth.FeedPosition // what the answer knew of revocations; nil: it does not say
}

// Standing judges what was read of h.
func (f *Feed) Standing(r Reading, h Holder) Standing {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.standing(r, h)
}

// Trusts reports whether what was read of h can be relied on at now as if it
// had been read within the last second, and returns what is closed of its API.
func (f *Feed) Trusts(now time.Time, r Reading, h Holder) (closed *oauth.Closed, trusted bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.fresh(now) || f.standing(r, h) != Current {
		return nil, false
	}
	return f.closed[h.API], true
}

// Closed returns what is closed of the API of a resource, and whether that is
// known as of a second before now. If it is not, who must know asks the server.
func (f *Feed) Closed(now time.Time, resource string) (closed *oauth.Closed, known bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.fresh(now) {
		return nil, false
	}
	return f.closed[resource], true
}

// Documents returns the digests of the OpenAPI documents that are live, by
// resource, as far as the server has told.
func (f *Feed) Documents() map[string]string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.live
}

// Fresh reports whether the feed knows all that was ended up to a second before
// now.
func (f *Feed) Fresh(now time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.fresh(now)
}

// fresh looks at both clocks: the monotonic one stands still while a computer
// sleeps, the other one can be set back.
func (f *Feed) fresh(now time.Time) bool {
	return !f.sent.IsZero() && now.Sub(f.sent) < Freshness && now.Round(0).Sub(f.sent.Round(0)) < Freshness
}

func (f *Feed) standing(r Reading, h Holder) Standing {
	p := r.At
	if p == nil || p.Epoch == "" || p.Epoch != f.position.Epoch {
		return Unknown
	}
	if p.Number < f.floor || r.Asked.Before(f.emptied) {
		return Overtaken
	}
	if len(f.latest) == 0 {
		return Current
	}
	for _, t := range [...]thing{
		{oauth.SubjectToken, h.Token}, {oauth.SubjectFamily, h.Family}, {oauth.SubjectGrant, h.Grant},
		{oauth.SubjectClient, h.Client}, {oauth.SubjectAccount, h.Account}, {oauth.SubjectAPI, h.API},
		{oauth.SubjectTool, h.Tool},
	} {
		if f.latest[t] > p.Number {
			return Overtaken
		}
	}
	for _, id := range h.Actors {
		if f.latest[thing{oauth.SubjectClient, id}] > p.Number {
			return Overtaken
		}
	}
	return Current
}

// Run polls until ctx ends. The gateway that follows the feed must run it; an
// answer that nobody asked for tells nothing.
func (f *Feed) Run(ctx context.Context) {
	backoff, failing := minBackoff, false
	for ctx.Err() == nil {
		begun := time.Now()
		news, err := f.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		if failed := err != nil; failed != failing {
			failing = failed
			if f.Changed != nil {
				f.Changed(err)
			}
		}
		switch {
		case err != nil:
			pause(ctx, backoff)
			backoff = min(2*backoff, maxBackoff)
			continue
		case !news: // a server that holds no poll open must not be asked without end
			pause(ctx, minBackoff-time.Since(begun))
		}
		backoff = minBackoff
	}
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// poll asks once for what came after the feed's position, and applies it.
func (f *Feed) poll(ctx context.Context) (news bool, err error) {
	f.mu.RLock()
	at := f.position
	f.mu.RUnlock()
	sent := time.Now()
	status, body, err := f.ask(ctx, at)
	if err != nil {
		return false, err
	}
	if status != http.StatusOK {
		return false, fmt.Errorf("poll %s: it answered %d; does it know client %s and its key?", f.Endpoint, status, f.Server.ClientID)
	}
	var a oauth.FeedAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return false, fmt.Errorf("read the answer of %s: %w", f.Endpoint, err)
	}
	if a.Epoch == "" {
		return false, fmt.Errorf("read the answer of %s: %w", f.Endpoint, errNoEpoch)
	}
	if a.PollToken != "" {
		f.token = a.PollToken
	}
	f.apply(sent, at, a)
	return len(a.Events) > 0, nil
}

var errNoEpoch = errors.New("it names no epoch, so it is no revocation feed")

// ask sends a poll with the token that an earlier one got, or with an
// assertion.
func (f *Feed) ask(ctx context.Context, at oauth.FeedPosition) (status int, body []byte, err error) {
	form := url.Values{}
	if at.Epoch != "" {
		form.Set("epoch", at.Epoch)
		form.Set("after", strconv.FormatInt(at.Number, 10))
	}
	if f.token != "" {
		status, body, err = f.Server.send(ctx, f.Endpoint, form, "Bearer "+f.token, pollTimeout, maxAnswer)
		if err != nil || status != http.StatusUnauthorized {
			return status, body, err
		}
		f.token = "" // it is over, or another replica's
	}
	return f.Server.Post(ctx, f.Endpoint, form, pollTimeout)
}

// apply takes an answer to a poll that was sent at a time and from a position.
// Whatever does not follow that position without a hole empties the caches of
// all that was read earlier (security.md 11).
func (f *Feed) apply(sent time.Time, from oauth.FeedPosition, a oauth.FeedAnswer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.Reset || !follows(from, a) {
		f.position, f.floor, f.latest, f.order = a.FeedPosition, a.Number, nil, nil
		f.emptied = time.Now()
	} else {
		for _, e := range a.Events {
			f.remember(e)
		}
		f.position = a.FeedPosition
	}
	f.closed, f.live = a.Closed, a.Documents
	if !a.More {
		f.sent = sent
	}
}

// follows reports whether the events of a are all that happened between a
// position and that of a.
func follows(from oauth.FeedPosition, a oauth.FeedAnswer) bool {
	if a.Epoch != from.Epoch || a.Number != from.Number+int64(len(a.Events)) {
		return false
	}
	for i, e := range a.Events {
		if e.Number != from.Number+1+int64(i) {
			return false
		}
	}
	return true
}

func (f *Feed) remember(e oauth.FeedEvent) {
	switch e.Subject {
	case oauth.SubjectToken, oauth.SubjectFamily, oauth.SubjectGrant, oauth.SubjectClient, oauth.SubjectAccount, oauth.SubjectAPI:
	case oauth.SubjectTool: // a token made for it may do for other tools of its API too
		e.ID, _ = oauth.CutTool(e.ID)
	default: // a newer server ends what is not known here
		f.floor, f.latest, f.order = e.Number, nil, nil
		return
	}
	if f.latest == nil {
		f.latest = map[thing]int64{}
	}
	f.latest[thing{e.Subject, e.ID}] = e.Number
	if f.order = append(f.order, e); len(f.order) <= maxRecent {
		return
	}
	oldest := f.order[0]
	f.order = f.order[1:]
	f.floor = oldest.Number
	if t := (thing{oldest.Subject, oldest.ID}); f.latest[t] == oldest.Number {
		delete(f.latest, t)
	}
}
