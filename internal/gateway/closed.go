package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// What is here refuses what an administrator has closed: an API to everybody in
// plain words, a tool as if there were none. What is closed comes with what is
// known of the caller's token, and is as new as that (security.md 11, 12, 14).

// closedHere returns what this installation has closed of the API, where the
// authorization server is not ours.
func (e *endpoint) closedHere(ctx context.Context) (*oauth.Closed, error) {
	read := e.exchanger.external.Closed
	if read == nil {
		return nil, nil
	}
	all, err := read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", resource.ErrUnavailable, err)
	}
	return all[e.api.Resource], nil
}

// closedToNobody is what is closed of the API for who shows no token, so that
// there is nothing to ask the authorization server about: the feed must know.
func (e *endpoint) closedToNobody(ctx context.Context) (*oauth.Closed, error) {
	switch {
	case e.exchanger.external != nil:
		return e.closedHere(ctx)
	case e.feed == nil:
		return nil, nil
	}
	closed, known := e.feed.Closed(time.Now(), e.api.Resource)
	if !known {
		return nil, fmt.Errorf("%w: the revocation feed is not read", resource.ErrUnavailable)
	}
	return closed, nil
}

// openPage is the endpoint's page without the tools that are closed.
func (e *endpoint) openPage(ctx context.Context) EndpointView {
	page := e.page
	closed, err := e.closedToNobody(ctx)
	page.Tools = slices.DeleteFunc(slices.Clone(page.Tools), func(t ToolView) bool {
		return err != nil || closed.All() != "" || closed.Tool(t.Name) != ""
	})
	return page
}

// closedText tells an agent and its person why nothing works.
func (e *endpoint) closedText(how oauth.Closure) string {
	if how == oauth.Ended {
		return "An administrator has closed " + e.api.Title + " to agents for good. Nothing was called. Signing in again does not help; ask whoever runs the gateway."
	}
	return "An administrator has paused " + e.api.Title + ". Nothing was called, and nothing has to be allowed anew: try again later, when it is resumed."
}

// recordClosed records a call of a known tool that was refused because of a
// closure, as often as that caller might call. The call does not happen in any
// case.
func (e *endpoint) recordClosed(ctx context.Context, c caller, tool *catalog.Tool, reason string) {
	httpserver.Note(ctx, "closed", reason)
	if tool == nil {
		return
	}
	if ok, _ := e.calls.Allow("closed " + c.limitKey()); !ok {
		return
	}
	entry := e.entry(ctx, c, tool, nil)
	entry.Outcome, entry.Reason, entry.Detail = audit.Denied, reason, nil // its arguments were not looked at
	if err := e.audit.Enqueue(ctx, entry); err != nil {
		httpserver.Note(ctx, "audit", fmt.Errorf("record a denied call: %w", err))
	}
}
