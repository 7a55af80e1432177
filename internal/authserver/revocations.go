package authserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

const (
	// pollHold is how long a poll waits for an event. A reader counts the age of
	// what it knows from sending the poll before the one that waits, so twice
	// this and the way must be less than its second (security.md 11).
	pollHold = 400 * time.Millisecond
	// pollPause is between looks into the store, which shows what every replica
	// and the terminal commit.
	pollPause        = 50 * time.Millisecond
	pollEvents       = 200 // in one answer
	maxPolls         = 256 // that wait at one time
	pollTokenLife    = time.Minute
	pollTokenPurpose = "gatehouse poll token\x00"
)

// revocations serves the revocation feed to this installation's gateways, as a
// poll that is held open (in the manner of RFC 8936): what was ended after a
// position, at once if there is something, else when there is or after
// pollHold (security.md 10, 11).
func (s *Server) revocations(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	fresh, err := s.authenticateReader(r, form)
	if err != nil {
		return err
	}
	after := oauth.FeedPosition{Epoch: form.Get("epoch")}
	if form.Has("after") {
		if after.Number, err = strconv.ParseInt(form.Get("after"), 10, 64); err != nil {
			return &oauth.Error{Code: oauth.InvalidRequest, Description: "after must be a number of the feed", Cause: err}
		}
	}
	select {
	case s.polls <- struct{}{}:
		defer func() { <-s.polls }()
	default:
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "too many polls are waiting; try again shortly", RetryAfter: 1}
	}
	httpserver.Quiet(r.Context()) // several a second, of each gateway, for ever
	answer, err := s.awaitEvents(r.Context(), after)
	if err == nil {
		answer.Closed, err = s.Revocations.Closed(r.Context()) // after the events, so that it is no older
	}
	answer.Documents = s.digests
	if r.Context().Err() != nil {
		return nil // nobody listens any more, as whenever a gateway is stopped
	}
	if err != nil {
		return err
	}
	if fresh != "" {
		answer.PollToken, answer.ExpiresIn = s.pollToken(fresh, time.Now().Add(pollTokenLife)), int64(pollTokenLife/time.Second)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// awaitEvents looks until there is something after a position.
func (s *Server) awaitEvents(ctx context.Context, after oauth.FeedPosition) (oauth.FeedAnswer, error) {
	timeout := time.NewTimer(pollHold)
	defer timeout.Stop()
	pause := time.NewTicker(pollPause)
	defer pause.Stop()
	for last := false; ; {
		events, at, err := s.Revocations.Events(ctx, after, pollEvents)
		switch {
		case errors.Is(err, grant.ErrGap):
			return oauth.FeedAnswer{FeedPosition: at, Events: []oauth.FeedEvent{}, Reset: true}, nil
		case err != nil:
			return oauth.FeedAnswer{}, err
		case len(events) > 0:
			reached := oauth.FeedPosition{Epoch: at.Epoch, Number: events[len(events)-1].Number}
			return oauth.FeedAnswer{FeedPosition: reached, Events: events, More: reached != at}, nil
		case last:
			return oauth.FeedAnswer{FeedPosition: at, Events: []oauth.FeedEvent{}}, nil
		}
		select {
		case <-pause.C:
		case <-timeout.C:
			last = true
		case <-ctx.Done():
			return oauth.FeedAnswer{}, ctx.Err()
		}
	}
}

// authenticateReader makes sure that a gateway is asking, by its key or by the
// poll token that an earlier poll got it. fresh names the gateway if it is to
// get a token: one that came by a token gets none, so that it shows its key
// once a minute.
func (s *Server) authenticateReader(r *http.Request, form url.Values) (fresh string, err error) {
	var c client.Client
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		id, ok := s.polledBy(token, time.Now())
		if !ok {
			return "", oauth.NewError(oauth.InvalidToken, "the poll token is over or unknown here; authenticate with your key again")
		}
		c, err = s.Clients.Client(r.Context(), id) // it may have been removed since
	} else {
		c, _, err = s.authenticateClient(r, form)
		fresh = c.ID
	}
	if err != nil {
		return "", err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	if c.Origin != client.Gateway || !c.Confidential() {
		return "", oauth.NewError(oauth.UnauthorizedClient, "the revocation feed is for this installation's gateways")
	}
	return fresh, nil
}

// pollToken makes the token by which a gateway goes on polling: an assertion
// for each poll would cost a durable write each (its jti is good for one use).
// It opens nothing but the feed.
func (s *Server) pollToken(clientID string, expires time.Time) string {
	text := strconv.FormatInt(expires.Unix(), 10) + " " + clientID
	return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + base64.RawURLEncoding.EncodeToString(s.pollMAC(text))
}

// polledBy returns whose a poll token is.
func (s *Server) polledBy(token string, now time.Time) (clientID string, ok bool) {
	head, tail, _ := strings.Cut(token, ".")
	text, errText := base64.RawURLEncoding.DecodeString(head)
	mac, errMAC := base64.RawURLEncoding.DecodeString(tail)
	if errors.Join(errText, errMAC) != nil || !hmac.Equal(mac, s.pollMAC(string(text))) {
		return "", false
	}
	expires, clientID, _ := strings.Cut(string(text), " ")
	end, err := strconv.ParseInt(expires, 10, 64)
	return clientID, err == nil && now.Unix() < end
}

func (s *Server) pollMAC(text string) []byte {
	h := hmac.New(sha256.New, s.PollKey)
	h.Write([]byte(pollTokenPurpose + text))
	return h.Sum(nil)
}
