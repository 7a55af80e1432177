package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"gatehouse/internal/egress"
	"gatehouse/internal/jose"
)

// How long what was fetched is used. Headers decide within these bounds
// (R-AS-10); after an hour at most a change has arrived.
const (
	freshLeast   = time.Minute
	freshUsual   = 5 * time.Minute // headers say nothing
	freshMost    = time.Hour
	freshKeys    = 10 * time.Minute // the most, for a key set
	staleMost    = time.Hour        // while the document's server fails (security.md 4); never for keys
	fetchRetry   = 10 * time.Second // between two fetches of one address, if the first failed or brought keys
	maxHeld      = 2000
	maxKeySet    = 64 << 10 // bytes
	acceptKeySet = "application/jwk-set+json, application/json"
)

// DocumentError says why an address leads to no client or no keys.
type DocumentError struct {
	Reason    string // for who wrote the document; it tells nothing of this server's network
	Temporary bool   // its server does not answer, and may later
	Cause     error
}

func (e *DocumentError) Error() string {
	if e.Cause == nil {
		return "metadata document: " + e.Reason
	}
	return fmt.Sprintf("metadata document: %s: %v", e.Reason, e.Cause)
}

func (e *DocumentError) Unwrap() error { return e.Cause }

// Documents fetches client ID metadata documents and the key sets that they
// name, and keeps them for a while. What failed is not asked for again within
// ten seconds. Set the fields before first use; then it is safe for concurrent
// use.
type Documents struct {
	Egress *egress.Client
	Rules  Rules

	flights singleflight.Group

	mu   sync.Mutex
	held map[address]held
}

// address is what is fetched, and as what.
type address struct {
	url  string
	keys bool
}

// held is what came of fetching one address.
type held struct {
	client  *Client      // of a document
	keys    *jose.KeySet // of a key set
	etag    string
	asked   time.Time
	fresh   time.Time // used until then,
	stale   time.Time // and until then while its server fails
	retry   time.Time // not asked for again before
	failure *DocumentError
}

// Client returns the client that the document at id describes, as it is now or
// was a while ago. Before it fetches it calls permit, whose error it returns.
// Other errors are *DocumentError.
func (d *Documents) Client(ctx context.Context, id string, permit func() error) (Client, error) {
	c, _, err := d.Newer(ctx, id, time.Time{}, permit)
	return c, err
}

// Newer is Client for a caller that wants to know what the document was after
// a time; ok is false if that cannot be had and the client is an older one.
func (d *Documents) Newer(ctx context.Context, id string, than time.Time, permit func() error) (c Client, ok bool, err error) {
	if err := CheckDocumentID(id); err != nil {
		return Client{}, false, &DocumentError{Reason: "this address cannot be a client_id: " + err.Error()}
	}
	h, err := d.get(ctx, address{url: id}, than, permit)
	if err != nil {
		return Client{}, false, err
	}
	c = *h.client
	c.RedirectURIs, c.GrantTypes, c.ResponseTypes = slices.Clone(c.RedirectURIs), slices.Clone(c.GrantTypes), slices.Clone(c.ResponseTypes)
	return c, h.failure == nil && !h.asked.Before(than), nil
}

// Keys returns the key set at a client's jwks_uri and when it was asked for.
// A caller that misses a key in it can ask for one newer than that. Keys are
// never used longer than they are fresh.
func (d *Documents) Keys(ctx context.Context, url string, newer time.Time, permit func() error) (*jose.KeySet, time.Time, error) {
	if err := CheckDocumentID(url); err != nil {
		return nil, time.Time{}, &DocumentError{Reason: "this address cannot be a jwks_uri: " + err.Error()}
	}
	h, err := d.get(ctx, address{url, true}, newer, permit)
	if err != nil {
		return nil, time.Time{}, err
	}
	return h.keys, h.asked, nil
}

func (d *Documents) get(ctx context.Context, a address, newer time.Time, permit func() error) (held, error) {
	if h, settled := d.known(a, newer); settled {
		return h.use(time.Now())
	}
	if err := permit(); err != nil {
		return held{}, err
	}
	// The fetch serves everybody who waits, so nobody's leaving ends it.
	flight := d.flights.DoChan(fmt.Sprint(a.keys, a.url), func() (any, error) {
		if _, settled := d.known(a, newer); !settled {
			d.fetch(context.WithoutCancel(ctx), a)
		}
		return nil, nil
	})
	select {
	case <-flight:
	case <-ctx.Done():
		return held{}, &DocumentError{Reason: "it did not come in time", Temporary: true, Cause: ctx.Err()}
	}
	h, _ := d.known(a, newer)
	return h.use(time.Now())
}

// known returns what is held and reports whether nothing needs to be fetched.
func (d *Documents) known(a address, newer time.Time) (held, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, ok := d.held[a]
	now := time.Now()
	fresh := now.Before(h.fresh) && h.asked.After(newer)
	return h, ok && (fresh || now.Before(h.retry))
}

// use returns h if it may be used now.
func (h held) use(now time.Time) (held, error) {
	switch {
	case h.client == nil && h.keys == nil && h.failure == nil: // evicted as soon as it came
		return held{}, &DocumentError{Reason: "too many are asked for just now", Temporary: true}
	case now.Before(h.fresh), h.failure != nil && now.Before(h.stale):
		return h, nil
	case h.failure != nil:
		return held{}, h.failure
	}
	return held{}, &DocumentError{Reason: "it is out of date", Temporary: true}
}

func (d *Documents) fetch(ctx context.Context, a address) {
	d.mu.Lock()
	old := d.held[a]
	d.mu.Unlock()
	r := egress.Request{URL: a.url, Accept: "application/json", ETag: old.etag, MaxBody: maxDocument}
	if a.keys {
		r.Accept, r.MaxBody = acceptKeySet, maxKeySet
	}
	asked := time.Now()
	answer, err := d.Egress.Get(ctx, r)
	h := d.judge(a, old, answer, err)
	h.asked = asked
	if h.failure != nil || a.keys {
		h.retry = time.Now().Add(fetchRetry)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.makeRoom()
	d.held[a] = h
}

// judge decides what is held after an answer. What fails to answer leaves what
// was held, to be used a little longer; what answers with anything but the
// document has withdrawn it (security.md 4).
func (d *Documents) judge(a address, old held, answer egress.Response, err error) held {
	withdrawn := func(reason string, cause error) held {
		return held{failure: &DocumentError{Reason: reason, Cause: cause}}
	}
	failing := func(cause error) held {
		old.failure = &DocumentError{Reason: "its server does not answer", Temporary: true, Cause: cause}
		return old
	}
	switch {
	case errors.Is(err, egress.ErrAddress):
		return withdrawn("its address is not one that is fetched from", err)
	case errors.Is(err, egress.ErrAnswer):
		return withdrawn("it is too large or compressed", err)
	case err != nil:
		return failing(err)
	case answer.Status == http.StatusNotModified && old.etag != "":
		old.failure, old.retry = nil, time.Time{}
		return old.renewed(a, answer)
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		return failing(fmt.Errorf("status %d", answer.Status))
	case answer.Status != http.StatusOK: // §5: redirects too
		return withdrawn("its server does not serve it with status 200", fmt.Errorf("status %d", answer.Status))
	}
	h := held{etag: answer.Header.Get("ETag")}
	if a.keys {
		if h.keys, err = jose.ParseKeySet(answer.Body); err != nil {
			return withdrawn("its jwks_uri leads to no usable key set", err)
		}
		return h.renewed(a, answer)
	}
	c, err := parseDocument(a.url, answer.Header.Get("Content-Type"), answer.Body, d.Rules)
	if err != nil {
		return withdrawn(err.Error(), nil)
	}
	h.client = &c
	return h.renewed(a, answer)
}

// renewed sets how long h is used from now on.
func (h held) renewed(a address, answer egress.Response) held {
	now := time.Now()
	fresh, told := answer.Fresh()
	if !told {
		fresh = freshUsual
	}
	most := freshMost
	if a.keys {
		most = freshKeys
	}
	h.fresh = now.Add(min(max(fresh, freshLeast), most))
	h.stale = h.fresh
	if h.client != nil && !h.client.Confidential() { // a document with keys, or that says where they are, is as good as keys
		h.stale = h.fresh.Add(answer.StaleIfError(staleMost))
	}
	return h
}

// makeRoom keeps the number of held documents bounded: what is of no use goes
// first, then any. The caller holds mu.
func (d *Documents) makeRoom() {
	if d.held == nil {
		d.held = map[address]held{}
	}
	if len(d.held) < maxHeld {
		return
	}
	now := time.Now()
	for a, h := range d.held {
		if now.After(h.stale) && now.After(h.retry) {
			delete(d.held, a)
		}
	}
	for a := range d.held {
		if len(d.held) < maxHeld {
			return
		}
		delete(d.held, a)
	}
}
