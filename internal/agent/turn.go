package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/mcpclient"
)

// Limits of one turn, which is what follows a person's message.
const (
	maxRounds = 16 // answers of the model
	maxCalls  = 30
	turnTime  = 30 * time.Minute
	modelTime = 3 * time.Minute // for one answer
	callTime  = 12 * time.Minute
)

// turn answers a person's message: the model speaks, calls tools, and speaks
// again. It runs apart from the request that began it.
type turn struct {
	server  *Server
	live    *live
	visit   visit
	chat    chat
	srv     server
	model   model
	past    []entry
	begun   func() error // writes what the person said, once it is sure that it is answered
	wire    *watched
	session *mcpclient.Session
	access  int // entry of the permission that is waited for; 0 none
	calls   int
	sending int // entry of the call that is on its way; 0 none
}

// run does the turn, and leaves a note where it ended early.
func (t *turn) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	t.wire = &watched{RoundTripper: t.server.wire}
	err := t.answer(ctx)
	switch {
	case err == nil:
		return
	case errors.Is(ctx.Err(), context.Canceled):
		t.note("Stopped.")
	case errors.Is(err, errFull):
		t.note("This chat is as long as a chat can be. Start a new one.")
	case errors.Is(err, errModel):
		t.note(sentence(err.Error()) + ".")
	default:
		t.note("This did not go on. " + explain(err, t.wire.failure()))
	}
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (t *turn) note(text string) {
	// The turn is over; a note that cannot be kept is lost.
	_, _ = t.live.add(context.Background(), entry{Kind: kindNote, Text: clip(text, 600)})
}

func (t *turn) answer(ctx context.Context) error {
	release, err := t.join(ctx)
	if err != nil {
		return err
	}
	defer release()
	defer func() { _ = t.session.Close() }() // tokens stay in the store
	if err := t.server.list(ctx, t.session, t.srv); err != nil {
		return err
	}
	for range maxRounds {
		more, err := t.round(ctx)
		if err != nil || !more {
			return err
		}
	}
	t.note(fmt.Sprintf("The model went on calling tools after %d rounds, and was stopped. Say how to go on.", maxRounds))
	return nil
}

// join opens the session; a person who said no may say yes in the same turn.
func (t *turn) join(ctx context.Context) (release func(), err error) {
	for {
		t.session, release, err = t.server.session(ctx, t.dialogue(), t.srv, t.wire)
		again, waited := t.retry(ctx, err)
		if waited != nil || !again {
			return release, errors.Join(err, waited)
		}
	}
}

// dialogue shows where the person's permission is asked for as a card.
func (t *turn) dialogue() *dialogue {
	d := &dialogue{visit: t.visit, back: "/chats/" + t.chat.ID}
	d.open = func(ctx context.Context, address *url.URL) error {
		scopes, err := oauth.ParseScope(address.Query().Get("scope"))
		if err != nil {
			scopes = nil
		}
		e := entry{Kind: kindAccess, Status: statusAsk, Host: address.Host, Scopes: scopes[:min(len(scopes), maxShownScopes)]}
		n, err := t.live.add(ctx, e)
		if err == nil {
			t.access = n
			t.live.offer(n, address.String())
			err = t.show(statusAsk)
		}
		return err
	}
	d.came = func(refusal string) {
		t.live.offer(0, "")
		state := statusFailed
		switch refusal {
		case "":
			state = statusDone
		case "access_denied":
			state = statusRefused
		}
		_ = t.live.change(context.WithoutCancel(t.live.ctx), t.access, func(e *entry) { e.Status = state }) // shown, nothing more
		_ = t.show(statusRunning)
	}
	return d
}

// show says on the card of the call that is on its way what it waits for.
func (t *turn) show(status string) error {
	if t.sending == 0 {
		return nil
	}
	return t.live.change(context.WithoutCancel(t.live.ctx), t.sending, func(e *entry) { e.Status = status })
}

// retry asks, after the person said no at the authorization server, whether to
// ask there again.
func (t *turn) retry(ctx context.Context, err error) (again bool, failed error) {
	refusal, ok := errors.AsType[*mcpclient.OAuthError](err)
	if !ok || refusal.Code != "access_denied" || t.access == 0 {
		return false, nil
	}
	n := t.access
	t.access = 0
	action, failed := t.live.wait(ctx, n)
	return action == "again", failed
}

// round has the model speak once and makes the calls that it wants. more is
// false when it wants none.
func (t *turn) round(ctx context.Context) (more bool, err error) {
	tools, err := t.server.store.tools(ctx, t.srv.ID)
	if err != nil {
		return false, err
	}
	n, err := t.live.add(ctx, entry{Kind: kindModel, Status: statusRunning})
	if err != nil {
		return false, err
	}
	said, err := t.ask(ctx, tools, n)
	state := statusDone
	if err != nil {
		state = statusStopped
	}
	// What was said so far stays, also of a turn that was stopped.
	if kept := t.live.change(context.WithoutCancel(ctx), n, func(e *entry) { e.Status = state }); kept != nil || err != nil {
		return false, errors.Join(err, kept)
	}
	if len(said.ToolCalls) > 0 {
		if t.calls += len(said.ToolCalls); t.calls > maxCalls {
			return false, fmt.Errorf("%w: it wants more than %d calls for one message", errModel, maxCalls)
		}
	}
	// All are there before the first is made, so that the model's next question
	// has a result for each.
	var calls []int
	for _, c := range said.ToolCalls {
		n, err := t.live.add(ctx, entry{Kind: kindCall, Status: statusStopped, CallID: clip(c.ID, 200), Tool: nameOf(tools, c.Function.Name), Arguments: c.Function.Arguments})
		if err != nil {
			return false, err
		}
		calls = append(calls, n)
	}
	for _, n := range calls {
		if err := t.call(ctx, n); err != nil {
			return false, err
		}
	}
	return len(calls) > 0, nil
}

// ask sends the conversation to the model, with the tools that are switched on.
func (t *turn) ask(ctx context.Context, tools []tool, n int) (message, error) {
	ctx, cancel := context.WithTimeout(ctx, modelTime)
	defer cancel()
	ask := completionRequest{Messages: history(append(slices.Clone(t.past), t.live.all()...), tools, t.srv)}
	for _, tool := range tools {
		if tool.Mode != modeOff {
			ask.Tools = append(ask.Tools, offer{Type: "function", Function: offeredNamed{alias(tool.Name), strings.TrimSpace(tool.Title + "\n" + tool.Description), tool.Parameters}})
		}
	}
	m, wire := t.model, &watched{RoundTripper: t.server.wire}
	if m.BaseURL == "" {
		m, wire.RoundTripper = model{BaseURL: "http://planner.invalid/v1", Name: plannerName}, t.server.planner
	}
	c := &http.Client{Transport: wire, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	said, err := complete(ctx, c, m, ask, func(text string) { t.live.say(n, text) })
	if err != nil && wire.failure() != nil {
		return said, fmt.Errorf("%w: %s", errModel, explain(err, wire.failure()))
	}
	return said, err
}

// call makes one call that the model wants: only of a tool that is switched on
// at this moment, and where the person wants to be asked, only after their
// click on what they see.
func (t *turn) call(ctx context.Context, n int) error {
	e := t.live.entry(n)
	// Raw, for a number must arrive as it was shown.
	arguments := map[string]json.RawMessage{}
	if e.Arguments != "" && json.Unmarshal([]byte(e.Arguments), &arguments) != nil {
		return t.end(ctx, n, statusFailed, "The model's arguments are no JSON object; nothing was sent.")
	}
	mode, err := t.mode(ctx, e.Tool)
	if err != nil {
		return err
	}
	if mode == modeAsk {
		if err := t.live.change(ctx, n, func(e *entry) { e.Status = statusAsk }); err != nil {
			return err
		}
		action, err := t.live.wait(ctx, n)
		if err != nil {
			return errors.Join(err, t.end(ctx, n, statusStopped, "Nothing was sent."))
		}
		if action != "allow" {
			return t.end(ctx, n, statusRefused, "You did not allow this call. Nothing was sent.")
		}
		if mode, err = t.mode(ctx, e.Tool); err != nil { // it may have taken an hour
			return err
		}
	}
	if mode == modeOff {
		return t.end(ctx, n, statusRefused, "This tool is not switched on. Nothing was sent.")
	}
	// If it cannot be written down, it is not sent.
	if err := t.live.change(ctx, n, func(e *entry) { e.Status = statusRunning }); err != nil {
		return err
	}
	return t.send(ctx, n, e.Tool, arguments)
}

// mode is what the person allows of a tool now; off for tools that there are
// not.
func (t *turn) mode(ctx context.Context, name string) (string, error) {
	tools, err := t.server.store.tools(ctx, t.srv.ID)
	if err != nil {
		return modeOff, err
	}
	for _, tool := range tools {
		if tool.Name == name {
			return tool.Mode, nil
		}
	}
	return modeOff, nil
}

// send sends a call, and again if the person said no and then yes.
func (t *turn) send(ctx context.Context, n int, name string, arguments map[string]json.RawMessage) error {
	t.sending = n
	defer func() { t.sending = 0 }()
	for {
		within, cancel := context.WithTimeout(ctx, callTime)
		result, err := t.session.Call(within, name, arguments)
		cancel()
		if err == nil {
			text, failed := resultText(result)
			state := statusDone
			if failed {
				state = statusFailed
			}
			return t.live.change(ctx, n, func(e *entry) { e.Status, e.Result = state, text })
		}
		again, waited := t.retry(ctx, err)
		switch {
		case waited != nil, ctx.Err() != nil:
			return errors.Join(waited, ctx.Err(), t.end(ctx, n, statusStopped, "Stopped. If the call was on its way already, the server may have done it."))
		case again:
			continue
		}
		state := statusFailed
		if errors.Is(err, mcpclient.ErrAuthorization) {
			state = statusRefused
		}
		return t.end(ctx, n, state, explain(err, t.wire.failure()))
	}
}

// end writes how a call ended that has no result, also of a turn that was
// stopped.
func (t *turn) end(ctx context.Context, n int, state, why string) error {
	return t.live.change(context.WithoutCancel(ctx), n, func(e *entry) { e.Status, e.Text = state, why })
}
