package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
)

// caller is who sent a message, as the authorization server vouches for it.
type caller struct {
	token string // what it presented; goes to the authorization server only
	oauth.Introspection
}

// forPerson reports whether the subject is a person: else a client acts for
// itself, or another for it.
func (c caller) forPerson() bool {
	if c.GrantClientID != "" {
		return c.Sub != c.GrantClientID
	}
	return c.Sub != c.ClientID
}

// chain is who acts for the subject, whoever came last first.
func (c caller) chain() (ids []string) {
	for act := c.Act; act != nil; act = act.Act {
		ids = append(ids, act.Sub)
	}
	if c.Act == nil && c.forPerson() {
		ids = []string{c.ClientID}
	}
	return ids
}

// limitKey names whose calls are counted together: those under one grant,
// whichever token of it they carry.
func (c caller) limitKey() string {
	if c.GrantID != "" {
		return "grant " + c.GrantID
	}
	return "client " + c.ClientID + " " + c.Sub
}

// toolCall is one well-formed call that its caller's scopes allow.
type toolCall struct {
	caller caller
	tool   *catalog.Tool
	scopes []string      // of the token that the API gets: no more than this call needs
	req    *http.Request // to the API, complete but for the token
}

// call serves tools/call. Refusals come in this order: a closed API, a tool that
// does not exist or is closed, too many calls, a missing scope, wrong arguments. So neither schema
// nor API answers to those who lack the scope. A missing scope is a challenge,
// because there a new token helps; every later refusal is a tool result that
// the agent can read, since clients take any 403 for a login problem.
func (e *endpoint) call(ctx context.Context, c caller, m *message) ([]byte, error) {
	name, _ := readString(m.params["name"]) // what is no string names no tool
	tool, ok := e.api.Tool(name)
	if how := c.Closed.All(); how != "" {
		e.recordClosed(ctx, c, tool, "the API is "+string(how)+" by an administrator")
		return e.encode(m, failure("", "%s", e.closedText(how)))
	}
	if ok && c.Closed.Tool(tool.Name) != "" {
		// To agents it is a tool like any that does not exist (security.md 14).
		e.recordClosed(ctx, c, tool, "the tool is "+string(c.Closed.Tool(tool.Name))+" by an administrator")
		ok = false
	}
	if !ok {
		return nil, m.refuse(codeInvalidParams, "unknown tool %q; tools/list says which there are", excerpt(name))
	}
	httpserver.Note(ctx, "tool", tool.Name)
	told := inspect.Of(ctx)
	told.Asked("tool", tool.Name)
	raw := m.params["arguments"]
	if string(raw) == "null" { // what some clients send for none
		raw = nil
	}
	args, ok := readObject(raw)
	if !ok {
		return nil, m.refuse(codeInvalidParams, `member "arguments" of the params must be an object`)
	}
	if ok, wait := e.calls.Allow(c.limitKey()); !ok {
		httpserver.Note(ctx, "refused", "too many calls")
		tellResult(ctx, "too-many-calls")
		return e.encode(m, failure("", "Too many calls in a short time. Wait %s before the next one.", wait.Truncate(time.Second)+time.Second))
	}
	entry := e.entry(ctx, c, tool, args)
	told.Asked("arguments", entry.Detail["arguments"])
	granted, _ := oauth.ParseScope(c.Scope) // what cannot be read grants nothing
	scopes, ok := tool.Allowed(e.api.Expand(granted))
	if !ok {
		e.tellMissing(ctx, c, tool)
		return nil, e.lacksScope(ctx, entry, tool)
	}
	valid, err := tool.Validate(raw)
	if err != nil {
		tellResult(ctx, "arguments")
		return e.encode(m, failure("", "The arguments do not fit tool %s: %s", tool.Name, clean(err.Error())))
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	req, err := tool.Request(ctx, e.api.URL, valid)
	if err != nil {
		tellResult(ctx, "arguments")
		return e.encode(m, failure("", "The arguments cannot be sent to %s: %s", e.api.Title, clean(err.Error())))
	}
	result, err := e.audited(ctx, entry, toolCall{c, tool, scopes, req})
	if err != nil {
		return nil, err
	}
	if result.failed {
		tellResult(ctx, "tool-failed")
	}
	return e.encode(m, result)
}

// lacksScope records and returns the refusal of a call whose token lacks a
// scope. It names all scopes that the call needs, those held too, so that one
// step-up is enough (R-RS-11, R-RS-12).
func (e *endpoint) lacksScope(ctx context.Context, entry audit.Entry, tool *catalog.Tool) error {
	refusal := &resource.ScopeError{Needed: tool.Needed()}
	entry.Outcome, entry.Reason = audit.Denied, refusal.Error()
	if err := e.audit.Enqueue(ctx, entry); err != nil {
		// The call does not happen in any case; the loss must be seen.
		return errors.Join(refusal, fmt.Errorf("record a denied call: %w", err))
	}
	return refusal
}

// tellMissing lets the authorization server know what a call lacked, by an
// exchange that it will refuse: so the next consent can offer it, to clients
// that repeat what they once asked for as to others (security.md 3). It is told
// once a minute for each token and tool, so that a person who was offered it and
// signed in without it finds it offered again; whether it hears does not matter
// to this call. Only ours listens for it: another might even give what is asked.
func (e *endpoint) tellMissing(ctx context.Context, c caller, tool *catalog.Tool) {
	if e.exchanger.external != nil {
		return
	}
	if ok, _ := e.missing.Allow(string(secret.Sum(c.token)) + " " + tool.Name); !ok {
		return
	}
	if _, _, err := e.exchanger.token(ctx, c, e.api.Audience, tool.Needed()); err != nil {
		httpserver.Note(ctx, "missing_scope", err)
	}
}

// audited performs a call between its two audit entries. A call that can
// change something waits until the first is durable; if that cannot be had,
// nothing leaves.
func (e *endpoint) audited(ctx context.Context, entry audit.Entry, c toolCall) (toolResult, error) {
	record := e.audit.Append
	if c.tool.ReadOnly {
		record = e.audit.Enqueue
	}
	if err := record(ctx, entry); err != nil {
		httpserver.Note(ctx, "refused", fmt.Errorf("record a call: %w", err))
		return failure("", "The call was not made, because it cannot be recorded: the gateway's audit log takes no entries now. Try again later, and tell whoever runs the gateway."), nil
	}
	result, err := e.perform(ctx, c)
	outcome, reason, detail := audit.Done, "", entry.Detail
	switch {
	case err != nil:
		outcome, reason = audit.Denied, err.Error()
	case result.failed:
		outcome, reason = audit.Failed, result.reason
	}
	if result.status != 0 {
		detail = maps.Clone(detail)
		detail["status"] = strconv.Itoa(result.status)
	}
	// What happened is recorded even if the client is gone. The call cannot be
	// undone if that fails: its entry then stays "started", which says so.
	if ferr := e.audit.Finish(context.WithoutCancel(ctx), entry.ID, outcome, reason, detail); ferr != nil {
		httpserver.Note(ctx, "audit", fmt.Errorf("record the outcome of a call: %w", ferr))
	}
	return result, err
}

// entry begins the record of a call. Of the arguments it holds the names and
// a keyed hash, by which an auditor can tell that two calls were the same, but
// not guess what was in them (security.md 22).
func (e *endpoint) entry(ctx context.Context, c caller, tool *catalog.Tool, args map[string]json.RawMessage) audit.Entry {
	now := time.Now()
	entry := audit.Entry{
		ID: audit.NewID(now), Time: now.UnixMilli(), Kind: audit.Call, Outcome: audit.Started,
		ClientID: c.ClientID, GrantID: c.GrantID, API: e.api.Name, Tool: tool.Name, RequestID: httpserver.RequestID(ctx),
	}
	if c.forPerson() {
		entry.AccountID = c.Sub
	}
	mac := hmac.New(sha256.New, e.auditKey)
	for _, name := range slices.Sorted(maps.Keys(args)) {
		fmt.Fprintf(mac, "%d:%s%d:%s", len(name), name, len(args[name]), args[name])
	}
	var names []string
	for _, a := range tool.Arguments { // other names are the client's words, and no call has them
		if args[a.Name] != nil {
			names = append(names, a.Name)
		}
	}
	entry.Detail = map[string]string{
		"arguments":      strings.Join(names, " "),
		"arguments_hmac": base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
	}
	if c.Act != nil {
		entry.Detail["actors"] = strings.Join(c.chain(), " ")
	}
	return entry
}

// encode serialises a tool result for the era of m.
func (e *endpoint) encode(m *message, r toolResult) ([]byte, error) {
	if m.modern {
		return r.encode(e.modern.meta)
	}
	return r.encode(nil)
}
