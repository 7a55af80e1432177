package httpserver

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ClientAddr returns the address that a request came from, or the zero Addr if
// the connection has none, as in memory. It is the peer of the connection:
// X-Forwarded-For and its like are what the client wants us to believe.
func ClientAddr(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap().WithZone("")
}

// ClientKey is the key of a Limiter for an address. Addresses of one IPv6 /64
// share a key, for whoever has one of them usually has all.
func ClientKey(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// Limiter allows each key Burst events at once and one more per Every. Set the
// fields, all above zero, before first use; then it is safe for concurrent use.
//
// It remembers at least MaxKeys and at most twice as many keys; one that was
// forgotten starts anew. So somebody with more than MaxKeys addresses is not
// held up by it.
type Limiter struct {
	Every   time.Duration
	Burst   int
	MaxKeys int

	mu    sync.Mutex
	young map[string]*rate.Limiter // used since the last change of generations
	old   map[string]*rate.Limiter
}

// Allow counts an event of key and reports whether it is within the limit. If
// not, it was not counted, and retryAfter says when one will be.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) {
	now := time.Now()
	r := l.bucket(key).ReserveN(now, 1)
	if !r.OK() { // Burst is zero: nothing is allowed
		return false, l.Every
	}
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return false, wait
	}
	return true, 0
}

func (l *Limiter) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.young[key]; ok {
		return b
	}
	b, ok := l.old[key]
	if !ok {
		b = rate.NewLimiter(rate.Every(l.Every), l.Burst)
	}
	if l.young == nil || len(l.young) >= l.MaxKeys {
		l.old, l.young = l.young, map[string]*rate.Limiter{}
	}
	l.young[key] = b
	return b
}
