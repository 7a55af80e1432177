package authserver

import (
	"math"
	"net/http"
	"time"

	"gatehouse/internal/httpserver"
)

// limits slow down what costs an attacker nothing and us something. Each is
// per address or per name, in memory and bounded; whoever is over a limit is
// told when to come back.
type limits struct {
	registrations  *httpserver.Limiter // by address: "registration flood"
	clientFailures *httpserver.Limiter // by address: failed client authentications
	signInAddress  *httpserver.Limiter // by address: one guesser, many names (password spraying)
	signInGuesser  *httpserver.Limiter // by name, whether it exists or not, and address: one guesser, one name
	signInName     *httpserver.Limiter // by name: many guessers, one name; wide, so that none of them locks its owner out
	requests       *httpserver.Limiter // by address: stored authorization requests
	fetches        *httpserver.Limiter // by address: documents that it makes this server fetch
	fetchedHosts   *httpserver.Limiter // by host that they are fetched from
}

const maxKeys = 20_000 // addresses or names remembered by one limiter

func newLimits() limits {
	return limits{
		registrations:  &httpserver.Limiter{Every: 6 * time.Second, Burst: 60, MaxKeys: maxKeys},
		clientFailures: &httpserver.Limiter{Every: time.Second, Burst: 60, MaxKeys: maxKeys},
		signInAddress:  &httpserver.Limiter{Every: 3 * time.Second, Burst: 40, MaxKeys: maxKeys},
		signInGuesser:  &httpserver.Limiter{Every: 20 * time.Second, Burst: 8, MaxKeys: maxKeys},
		signInName:     &httpserver.Limiter{Every: time.Second, Burst: 200, MaxKeys: maxKeys},
		requests:       &httpserver.Limiter{Every: time.Second, Burst: 120, MaxKeys: maxKeys},
		fetches:        &httpserver.Limiter{Every: 3 * time.Second, Burst: 30, MaxKeys: maxKeys},
		fetchedHosts:   &httpserver.Limiter{Every: time.Second, Burst: 60, MaxKeys: maxKeys},
	}
}

// addressKey is what a limiter knows a caller by.
func addressKey(r *http.Request) string {
	return httpserver.ClientKey(httpserver.ClientAddr(r))
}

// seconds rounds up, for Retry-After.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
