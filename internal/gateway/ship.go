package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/resource"
)

const (
	shipEvery   = time.Second        // when there is nothing, or all was sent
	shipBackoff = 30 * time.Second   // at most, while nobody takes anything
	shipTimeout = 20 * time.Second   // of one request
	shipEntries = 200                // in one request
	shipBytes   = 256 << 10          // of JSON in one request, but for one entry that is larger alone
	shipBegun   = 2 * time.Minute    // after which a call that has not ended is told of all the same
	keepShipped = 7 * 24 * time.Hour // what was sent stays here that long
	pruneEvery  = time.Hour
)

// Shipper sends what a gateway that is a process of its own has recorded to the
// authorization server, oldest first. Nothing is lost while that is away, and
// what it takes twice counts once.
type Shipper struct {
	Log      audit.Outbox
	Server   *resource.AuthorizationServer
	Endpoint string
	// Changed, if set, is called when sending begins to fail, with the reason, and
	// with nil when it works again.
	Changed func(error)
}

// Run sends until ctx ends.
func (s *Shipper) Run(ctx context.Context) {
	wait, failing, pruned := shipEvery, false, time.Now()
	for ctx.Err() == nil {
		sent, err := s.ship(ctx)
		if now := time.Now(); err == nil && now.Sub(pruned) >= pruneEvery {
			pruned = now
			err = s.Log.PruneShipped(ctx, now.Add(-keepShipped))
		}
		if ctx.Err() != nil {
			return
		}
		if failed := err != nil; failed != failing {
			failing = failed
			if s.Changed != nil {
				s.Changed(err)
			}
		}
		switch {
		case err != nil:
			wait = min(2*wait, shipBackoff)
		case sent == shipEntries:
			wait = 0
		default:
			wait = shipEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		wait = max(wait, shipEvery)
	}
}

// ship sends one batch.
func (s *Shipper) ship(ctx context.Context) (sent int, err error) {
	entries, err := s.Log.Unshipped(ctx, time.Now().Add(-shipBegun), shipEntries)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	text, n, err := batch(entries)
	if err != nil {
		return 0, err
	}
	status, _, err := s.Server.Post(ctx, s.Endpoint, url.Values{"entries": {string(text)}}, shipTimeout)
	if err != nil {
		return 0, err
	}
	if status != http.StatusNoContent {
		return 0, fmt.Errorf("send audit entries to %s: it answered %d; does it know client %s and its key?", s.Endpoint, status, s.Server.ClientID)
	}
	return n, s.Log.Shipped(ctx, entries[:n])
}

// batch writes as many entries as fit, at least one.
func batch(entries []audit.Entry) (text []byte, n int, err error) {
	text = []byte("[")
	for i, e := range entries {
		one, err := json.Marshal(e)
		if err != nil {
			return nil, 0, fmt.Errorf("write audit entry %s: %w", e.ID, err)
		}
		if i > 0 && len(text)+len(one) > shipBytes {
			break
		}
		if i > 0 {
			text = append(text, ',')
		}
		text, n = append(text, one...), i+1
	}
	return append(text, ']'), n, nil
}
