package jose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	keySetFresh   = 5 * time.Minute  // a key that was withdrawn is believed no longer than this while its issuer answers
	keySetStale   = time.Hour        // … and no longer than this while the issuer does not answer
	keySetRetry   = 10 * time.Second // between two fetches, whatever tokens ask for
	keySetTimeout = 5 * time.Second  // of one fetch
)

// ErrKeysUnavailable means that the token could not be judged, because the
// keys of its issuer could not be fetched. It is the verifier's trouble, not
// the token's.
var ErrKeysUnavailable = errors.New("keys of the issuer are unavailable")

// RemoteKeySet verifies tokens with the keys that an issuer publishes at its
// jwks_uri. They are fetched when first needed, again every five minutes, and
// when a token names an unknown key, but never twice within ten seconds. While
// the issuer does not answer, keys are used for at most an hour.
//
// It is safe for concurrent use; set the fields before the first call.
type RemoteKeySet struct {
	URL    string
	Client *http.Client // must follow no redirects
	// Locate, if set, is asked for the URL instead, before each fetch. It bounds
	// by itself what its own failures cost.
	Locate func(context.Context) (string, error)
	// Bundle: it is a SPIFFE bundle (ParseBundle) and URL its endpoint.
	Bundle bool

	flight singleflight.Group

	mu      sync.Mutex
	set     *KeySet
	fetched time.Time // when set came
	tried   time.Time // when it was last asked for
	failure error     // what came of that
}

// Verify is like the function Verify, with the issuer's keys.
func (r *RemoteKeySet) Verify(ctx context.Context, token string, e Expect, claims any) error {
	h, err := parseHeader(token)
	if err != nil {
		return err
	}
	keys, err := r.keys(ctx, h.KeyID)
	if err != nil {
		return err
	}
	return Verify(token, keys, e, claims)
}

// keys returns a key set to look for kid in.
func (r *RemoteKeySet) keys(ctx context.Context, kid string) (*KeySet, error) {
	if set, err, known := r.cached(kid); known {
		return set, err
	}
	// The fetch serves everybody who waits, so nobody's leaving ends it.
	flight := r.flight.DoChan("", func() (any, error) {
		if set, err, known := r.cached(kid); known {
			return set, err
		}
		r.refresh(context.WithoutCancel(ctx))
		return nil, nil
	})
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.usable(time.Now())
}

// cached reports whether no fetch is due for kid, and what to use then.
func (r *RemoteKeySet) cached(kid string) (set *KeySet, err error, known bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := now.Sub(r.fetched) < keySetFresh && r.set.has(kid)
	if !fresh && now.Sub(r.tried) >= keySetRetry {
		return nil, nil, false
	}
	set, err = r.usable(now)
	return set, err, true
}

// usable returns the keys unless they are too old. The caller holds mu.
func (r *RemoteKeySet) usable(now time.Time) (*KeySet, error) {
	if r.set == nil || now.Sub(r.fetched) >= keySetStale {
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, r.failure)
	}
	return r.set, nil
}

func (r *RemoteKeySet) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keySetTimeout)
	defer cancel()
	asked, from := time.Now(), r.URL
	if r.Locate != nil {
		var err error
		if from, err = r.Locate(ctx); err != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failure = fmt.Errorf("find the key set: %w", err)
			return // nobody was asked for keys, so the next token may try
		}
	}
	set, err := r.fetch(ctx, from)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried, r.failure = asked, err
	if err == nil {
		r.set, r.fetched = set, asked
	}
}

func (r *RemoteKeySet) fetch(ctx context.Context, from string) (*KeySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch key set %s: %w", from, err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch key set %s: %w", from, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch key set %s: status %d", from, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("fetch key set %s: %w", from, err)
	}
	// An empty set is an answer: the issuer withdrew its keys.
	use := "sig"
	if r.Bundle {
		use = useJWTSVID
	}
	set, err := parseKeySet(use, data)
	if err != nil {
		return nil, fmt.Errorf("fetch key set %s: %w", from, err)
	}
	return set, nil
}
