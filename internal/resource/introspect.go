package resource

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"gatehouse/internal/oauth"
)

const (
	// Freshness bounds the staleness of what is known: a request is judged by
	// what the authorization server knew at most this long before the request
	// came.
	Freshness = time.Second
	// maxAge is how long a good answer is kept while a Feed vouches for it.
	maxAge = time.Minute

	askTimeout = 5 * time.Second
	maxFlights = 256 // tokens being asked about at one time; beyond it requests are told to come back
	maxRounds  = 4   // questions for one request, each of whose answers was overtaken
)

// key is the SHA-256 of a token. Tokens themselves are not kept.
type key [sha256.Size]byte

// Introspector finds out what opaque tokens are worth (RFC 7662). It is safe
// for concurrent use; its exported fields are set before the first.
//
// Without a Feed, answers are kept for Freshness, counted from when the question
// was sent, and concurrent requests with one token share a question that is
// younger than that. So a token that is revoked is refused to every request that
// comes more than a second later, and costs its authorization server at most one
// question a second from here.
//
// With a Feed, good answers are kept for a minute, and used as long as the feed
// is fresh and nothing in it is about them. While it is not fresh every request
// asks, or shares a question that was sent after it came (security.md 10, 11).
//
// Good and bad answers are kept apart and bounded, so that a flood of invented
// tokens pushes no good one out.
type Introspector struct {
	Server   *AuthorizationServer
	Endpoint string // introspection endpoint; a foreign Server's is in its metadata
	Feed     *Feed  // of the same server; its owner runs it

	mu      sync.Mutex
	good    recent
	bad     recent
	flights map[key]*flight
}

// A flight is one question that is on its way.
type flight struct {
	done chan struct{} // closed when the rest is set
	answer
	standing Standing
	trusted  bool // by the feed, so that it serves requests from before the question too
	err      error
}

// Introspect returns what the authorization server says of token, which must
// be live and issued for audience, a canonical resource indicator (R-RS-7). What
// that knows of closed APIs and tools is no more than Freshness old either.
//
// Errors are ErrInvalid, and ErrUnavailable when no answer could be had: then
// the request must be refused (security.md 11).
func (i *Introspector) Introspect(ctx context.Context, token, audience string) (oauth.Introspection, error) {
	a, err := i.ask(ctx, token)
	if err != nil {
		return oauth.Introspection{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// An answer without expiry counts as expired: nothing here lives for ever.
	if !a.token.Active || a.token.Exp <= time.Now().Unix() || a.token.Aud != audience {
		return oauth.Introspection{}, ErrInvalid
	}
	return a.token, nil
}

// Forget drops what is known of a token, so that the next request asks again.
func (i *Introspector) Forget(token string) {
	k := key(sha256.Sum256([]byte(token)))
	i.mu.Lock()
	defer i.mu.Unlock()
	i.good.drop(k)
	i.bad.drop(k)
	delete(i.flights, k) // its answer is kept from later requests; see land
}

func (i *Introspector) ask(ctx context.Context, token string) (answer, error) {
	k, came := key(sha256.Sum256([]byte(token))), time.Now()
	for range maxRounds {
		a, f, mine, err := i.begin(k)
		if err != nil || f == nil {
			return a, err
		}
		if mine {
			// Others wait for this flight, so it does not end with the request
			// that began it.
			f.token, f.err = i.fetch(context.WithoutCancel(ctx), token)
			i.land(k, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
		if f.err != nil || i.serves(f, came) {
			return f.answer, f.err
		}
	}
	return answer{}, errOvertaken
}

var errOvertaken = errors.New("each answer about the token was overtaken by a revocation; ask again")

// begin returns a kept answer that can be used now, or else the flight to wait
// for, and whether it is the caller's own to fly.
func (i *Introspector) begin(k key) (a answer, f *flight, mine bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	if a, ok := i.good.get(k); ok {
		if closed, usable := i.usable(a, now); usable {
			a.token.Closed = closed
			return a, nil, false, nil
		}
	}
	if a, ok := i.bad.get(k); ok && now.Sub(a.asked) < Freshness {
		return a, nil, false, nil
	}
	f, flying := i.flights[k]
	if flying && now.Sub(f.asked) < Freshness {
		return answer{}, f, false, nil
	}
	if !flying && len(i.flights) >= maxFlights {
		return answer{}, nil, false, fmt.Errorf("%d tokens are being asked about already", maxFlights)
	}
	if i.flights == nil {
		i.flights = map[key]*flight{}
	}
	f = &flight{answer: answer{asked: now}, done: make(chan struct{})}
	i.flights[k] = f
	return answer{}, f, true, nil
}

// usable reports whether a kept good answer serves a request that comes now,
// and returns what is closed of its API: the answer itself may be too old to tell.
func (i *Introspector) usable(a answer, now time.Time) (closed *oauth.Closed, ok bool) {
	if i.Feed == nil {
		return a.token.Closed, now.Sub(a.asked) < Freshness
	}
	if now.Sub(a.asked) >= maxAge {
		return nil, false
	}
	return i.Feed.Trusts(now, a.reading(), a.holder)
}

// serves reports whether a flight's answer is good for a request that came
// when it was perhaps under way already. That a token is worth nothing is
// always believed: what is dead stays dead.
func (i *Introspector) serves(f *flight, came time.Time) bool {
	switch {
	case i.Feed == nil || !f.token.Active || f.trusted:
		return true
	case f.standing == Overtaken:
		return false
	}
	return !f.asked.Before(came)
}

// land judges the answer of f, hands it to those who wait and, unless f was
// itself overtaken or forgotten meanwhile, keeps it.
func (i *Introspector) land(k key, f *flight) {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer close(f.done)
	if i.Feed != nil && f.err == nil && f.token.Active {
		f.holder = HolderOf(f.token)
		f.holder.Token = base64.RawURLEncoding.EncodeToString(k[:])
		// In this order: an event that comes between the two is seen by the second.
		_, f.trusted = i.Feed.Trusts(time.Now(), f.reading(), f.holder)
		f.standing = i.Feed.Standing(f.reading(), f.holder)
	}
	if i.flights[k] != f {
		return
	}
	delete(i.flights, k)
	switch {
	case f.err != nil: // not kept: the next request tries again
	case !f.token.Active:
		i.good.drop(k)
		i.bad.put(k, f.answer, maxBad, Freshness)
	case i.Feed == nil:
		i.good.put(k, f.answer, maxGood, Freshness)
	case f.standing == Current: // it is judged again whenever it is to be used
		i.good.put(k, f.answer, maxGood, maxAge)
	}
}

// fetch asks the authorization server. A token that it does not know is an
// answer, not an error (RFC 7662 §2.2).
func (i *Introspector) fetch(ctx context.Context, token string) (oauth.Introspection, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	endpoint, err := i.Server.Endpoint(ctx, i.Endpoint, func(m oauth.ServerMetadata) string { return m.IntrospectionEndpoint })
	if err != nil {
		return oauth.Introspection{}, err
	}
	patience := askTimeout
	if i.Feed != nil && !i.Feed.Fresh(time.Now()) {
		// Nothing has come from there for a second. Callers learn soon that they
		// are cut off with us.
		patience = Freshness
	}
	status, body, err := i.Server.Post(ctx, endpoint, form, patience)
	if err != nil {
		return oauth.Introspection{}, err
	}
	if i.Server.Discovery != nil && notIntrospected(status, body) {
		return oauth.Introspection{}, nil
	}
	if status != http.StatusOK {
		return oauth.Introspection{}, fmt.Errorf("ask %s: it answered %d; does it know client %s and its key?", endpoint, status, i.Server.ClientID)
	}
	var t oauth.Introspection
	if i.Server.Discovery != nil {
		t, err = readForeign(body, i.Server.Issuer)
	} else {
		err = json.Unmarshal(body, &t)
	}
	if err != nil {
		return oauth.Introspection{}, fmt.Errorf("read the answer of %s: %w", endpoint, err)
	}
	if !t.Active || (t.Iss != "" && t.Iss != i.Server.Issuer) {
		return oauth.Introspection{}, nil
	}
	if t.Aud, err = oauth.CanonicalResource(t.Aud); err != nil {
		return oauth.Introspection{}, nil // for no resource, so not for this one
	}
	return t, nil
}
