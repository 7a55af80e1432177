package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

const (
	exchangeTimeout = 10 * time.Second
	// A cached token is not used in its last seconds, so that it does not
	// expire between here and the API, whose clock may be ahead.
	exchangeMargin = 15 * time.Second
	maxExchanged   = 5000            // tokens in one generation of the cache,
	maxGeneration  = 5 * time.Minute // and how long a generation is filled
)

// exchangeRefusal is a token exchange that the authorization server refused.
type exchangeRefusal struct {
	code        oauth.Code
	description string
}

func (e *exchangeRefusal) Error() string {
	return strings.TrimSuffix("token exchange refused: "+string(e.code)+": "+e.description, ": ")
}

// exchanger swaps a client's token for one that is good at one API with the
// scopes of one tool (RFC 8693), so that no token travels past the server it
// was issued for (R-RS-8).
//
// Tokens are kept, by the hash of what they were exchanged for, until shortly
// before they expire. That alone would outlive a revocation: a kept token is
// used only for a request whose own token was introspected, and no longer after an
// event about what it hangs off (security.md 10, 11).
type exchanger struct {
	server   *resource.AuthorizationServer
	endpoint string
	feed     *resource.Feed // nil: there is none
	external *External      // nil: the server is ours

	flights singleflight.Group
	mu      sync.Mutex
	young   map[string]exchanged
	old     map[string]exchanged // dropped when young is full or old enough
	since   time.Time            // when young was begun
}

type exchanged struct {
	token   string
	expires time.Time        // less exchangeMargin
	read    resource.Reading // of what it was made from
}

// key names what a token is exchanged for. The subject token itself is not
// kept; one that is got without it serves everybody.
func (x *exchanger) key(subject, audience string, scopes []string) string {
	if x.external != nil && x.external.OwnCredentials {
		subject = ""
	}
	hash := sha256.Sum256([]byte(subject))
	return string(hash[:]) + audience + " " + oauth.FormatScope(scopes)
}

// token returns a token for audience and scopes on behalf of c, and whether it
// was used before. Concurrent calls for the same share one exchange.
//
// The error is an *exchangeRefusal if the authorization server said no.
func (x *exchanger) token(ctx context.Context, c caller, audience string, scopes []string) (token string, kept bool, err error) {
	key, holder := x.key(c.token, audience, scopes), resource.HolderOf(c.Introspection)
	holder.Tool = holder.API
	if token, ok := x.get(key, holder); ok {
		return token, true, nil
	}
	for range 2 {
		v, err, _ := x.flights.Do(key, func() (any, error) {
			// Others wait for this exchange, so it does not end with the request
			// that began it.
			e, err := x.exchange(context.WithoutCancel(ctx), c.token, audience, scopes)
			if err == nil {
				x.put(key, e)
			}
			return e, err
		})
		if err != nil {
			return "", false, err
		}
		if e := v.(exchanged); x.feed == nil || x.feed.Standing(e.read, holder) != resource.Overtaken {
			return e.token, false, nil
		}
	}
	return "", false, errOvertaken
}

// errOvertaken: something was taken away each time while the token was made.
var errOvertaken = errors.New("what the token stands for was narrowed or ended meanwhile")

func (x *exchanger) exchange(ctx context.Context, subject, audience string, scopes []string) (exchanged, error) {
	form := url.Values{
		"grant_type":           {oauth.GrantTokenExchange},
		"subject_token":        {subject},
		"subject_token_type":   {oauth.TokenTypeAccessToken},
		"requested_token_type": {oauth.TokenTypeJWT},
		"audience":             {audience},
		"scope":                {oauth.FormatScope(scopes)},
	}
	if x.external != nil {
		form = x.forExternal(subject, audience, scopes)
	}
	endpoint, err := x.server.Endpoint(ctx, x.endpoint, func(m oauth.ServerMetadata) string { return m.TokenEndpoint })
	if err != nil {
		return exchanged{}, fmt.Errorf("exchange a token for %s: %w", audience, err)
	}
	now := time.Now()
	status, body, err := x.server.Post(ctx, endpoint, form, exchangeTimeout)
	if err != nil {
		return exchanged{}, fmt.Errorf("exchange a token for %s: %w", audience, err)
	}
	if status != http.StatusOK {
		return exchanged{}, readExchangeRefusal(status, body)
	}
	var t oauth.TokenResponse
	if err := json.Unmarshal(body, &t); err != nil {
		return exchanged{}, fmt.Errorf("exchange a token for %s: %w", audience, err)
	}
	if t.AccessToken == "" || t.AccessToken == subject || t.ExpiresIn <= 0 || x.external != nil && !acceptable(t, audience, scopes) {
		return exchanged{}, fmt.Errorf("exchange a token for %s: %w", audience, errUnusable)
	}
	expires := now.Add(time.Duration(t.ExpiresIn)*time.Second - exchangeMargin)
	return exchanged{t.AccessToken, expires, resource.Reading{Asked: now, At: t.Feed}}, nil
}

// errUnusable: what came back is no token of its own with an end, or another
// than was asked for.
var errUnusable = errors.New("the authorization server sent no usable token: a bearer token with expires_in, for this audience alone and no other scopes than asked for")

// readExchangeRefusal tells a refusal of this exchange (RFC 6749 §5.2) from a
// server that cannot answer.
func readExchangeRefusal(status int, body []byte) error {
	var e struct {
		Error       oauth.Code `json:"error"`
		Description string     `json:"error_description"`
	}
	if status >= 500 || json.Unmarshal(body, &e) != nil || e.Error == "" {
		return fmt.Errorf("exchange a token: the authorization server answered %d", status)
	}
	return &exchangeRefusal{e.Error, excerpt(oauth.Printable(e.Description))}
}

func (x *exchanger) get(key string, holder resource.Holder) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.young[key]
	if !ok {
		e, ok = x.old[key]
	}
	if !ok || !time.Now().Before(e.expires) {
		return "", false
	}
	return e.token, x.feed == nil || x.feed.Standing(e.read, holder) == resource.Current
}

func (x *exchanger) put(key string, e exchanged) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now := time.Now(); x.young == nil || len(x.young) >= maxExchanged || now.Sub(x.since) >= maxGeneration {
		x.young, x.old, x.since = map[string]exchanged{}, x.young, now
	}
	x.young[key] = e
}

// forget drops a token that its API did not accept.
func (x *exchanger) forget(subject, audience string, scopes []string) {
	key := x.key(subject, audience, scopes)
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.young, key)
	delete(x.old, key)
}
