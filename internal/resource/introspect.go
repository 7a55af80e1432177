package resource

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"gatehouse/internal/oauth"
)

const (
	// Freshness bounds the staleness of an answer: a request is judged by what
	// the authorization server knew at most this long before the request came.
	Freshness = time.Second

	askTimeout = 5 * time.Second
	maxFlights = 256 // tokens being asked about at one time; beyond it requests are told to come back
)

// key is the SHA-256 of a token. Tokens themselves are not kept.
type key [sha256.Size]byte

// Introspector finds out what opaque tokens are worth (RFC 7662). It is safe
// for concurrent use; its exported fields are set before the first.
//
// Answers, also negative ones, are kept for Freshness, counted from when the
// question was sent, and concurrent requests with one token share a question
// that is younger than that. So a token that is revoked is refused to every
// request that comes more than a second later, and costs its authorization
// server at most one question a second from here. Good and bad answers are
// kept apart and bounded, so that a flood of invented tokens pushes no good
// one out.
type Introspector struct {
	Server   *AuthorizationServer
	Endpoint string // introspection endpoint

	mu      sync.Mutex
	good    recent
	bad     recent
	flights map[key]*flight
}

// A flight is one question that is on its way.
type flight struct {
	asked time.Time
	done  chan struct{} // closed when answer and err are set
	answer
	err error
}

// Introspect returns what the authorization server says of token, which must
// be live and issued for audience, a canonical resource indicator (R-RS-7).
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
	k := key(sha256.Sum256([]byte(token)))
	now := time.Now()
	i.mu.Lock()
	if a, ok := i.good.get(k, now); ok {
		i.mu.Unlock()
		return a, nil
	}
	if a, ok := i.bad.get(k, now); ok {
		i.mu.Unlock()
		return a, nil
	}
	f, flying := i.flights[k]
	if flying && now.Sub(f.asked) < Freshness {
		i.mu.Unlock()
		return f.wait(ctx)
	}
	if !flying && len(i.flights) >= maxFlights {
		i.mu.Unlock()
		return answer{}, fmt.Errorf("%d tokens are being asked about already", maxFlights)
	}
	if i.flights == nil {
		i.flights = map[key]*flight{}
	}
	f = &flight{asked: now, done: make(chan struct{})}
	i.flights[k] = f
	i.mu.Unlock()

	// Others wait for this flight, so it does not end with the request that
	// began it.
	f.token, f.err = i.fetch(context.WithoutCancel(ctx), token)
	f.answer.asked = f.asked
	i.land(k, f)
	return f.answer, f.err
}

func (f *flight) wait(ctx context.Context) (answer, error) {
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// land hands the answer of f to those who wait and, unless f was overtaken or
// forgotten meanwhile, keeps it.
func (i *Introspector) land(k key, f *flight) {
	i.mu.Lock()
	if i.flights[k] == f {
		delete(i.flights, k)
		switch {
		case f.err != nil: // not kept: the next request tries again
		case f.token.Active:
			i.good.put(k, f.answer, maxGood)
		default:
			i.bad.put(k, f.answer, maxBad)
		}
	}
	i.mu.Unlock()
	close(f.done)
}

// fetch asks the authorization server. A token that it does not know is an
// answer, not an error (RFC 7662 §2.2).
func (i *Introspector) fetch(ctx context.Context, token string) (oauth.Introspection, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	status, body, err := i.Server.Post(ctx, i.Endpoint, form, askTimeout)
	if err != nil {
		return oauth.Introspection{}, err
	}
	if status != http.StatusOK {
		return oauth.Introspection{}, fmt.Errorf("ask %s: it answered %d; does it know client %s and its key?", i.Endpoint, status, i.Server.ClientID)
	}
	var t oauth.Introspection
	if err := json.Unmarshal(body, &t); err != nil {
		return oauth.Introspection{}, fmt.Errorf("read the answer of %s: %w", i.Endpoint, err)
	}
	if !t.Active || (t.Iss != "" && t.Iss != i.Server.Issuer) {
		return oauth.Introspection{}, nil
	}
	if t.Aud, err = oauth.CanonicalResource(t.Aud); err != nil {
		return oauth.Introspection{}, nil // for no resource, so not for this one
	}
	return t, nil
}
