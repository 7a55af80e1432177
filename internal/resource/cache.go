package resource

import (
	"time"

	"gatehouse/internal/oauth"
)

// Answers that one generation of a cache holds.
const (
	maxGood = 10_000
	maxBad  = 2_000
)

// answer is what the authorization server said of a token: the zero
// Introspection if that the token is not active.
type answer struct {
	asked  time.Time // when the question was sent; what it says is at least as new
	token  oauth.Introspection
	holder Holder // if there is a feed
}

func (a answer) reading() Reading { return Reading{a.asked, a.token.Feed} }

// recent keeps answers; how long they are good for is its owner's to judge, who
// also locks it. It holds two generations and drops the older one whenever the
// younger is full or as old as answers may get, so it needs neither a sweeper
// nor an order.
type recent struct {
	young, old map[key]answer
	since      time.Time // when young was begun
}

func (c *recent) get(k key) (answer, bool) {
	a, ok := c.young[k]
	if !ok {
		a, ok = c.old[k]
	}
	return a, ok
}

func (c *recent) put(k key, a answer, limit int, age time.Duration) {
	now := time.Now()
	if len(c.young) >= limit || c.young == nil || now.Sub(c.since) >= age {
		c.young, c.old, c.since = make(map[key]answer), c.young, now
	}
	c.young[k] = a
}

func (c *recent) drop(k key) {
	delete(c.young, k)
	delete(c.old, k)
}
