package inspect

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

// Draft is the message that a request is, while it is served. Handlers tell it
// what they know; it keeps what the list of its kind permits. All methods of a
// nil Draft do nothing, and that is what there is while nothing is recorded.
// It belongs to its request's goroutine.
type Draft struct {
	recorder *Recorder
	row      kindRow
	message  Message
	bearer   string // the token that says whose message it is, until it is kept
	children []*Draft
}

type draftKey struct{}

// Of returns the draft of the request that ctx belongs to, or nil.
func Of(ctx context.Context) *Draft {
	d, _ := ctx.Value(draftKey{}).(*Draft)
	return d
}

// Wrap makes the requests to a role ones that its handlers can tell of. While
// nothing is recorded it costs one look at an atomic pointer.
func (r *Recorder) Wrap(next http.Handler) http.Handler {
	if r == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.active.Load() == nil {
			next.ServeHTTP(w, req)
			return
		}
		d := &Draft{recorder: r}
		d.message.Time = r.now()
		d.message.Method, d.message.Host = methodOf(req), req.Host // the server has matched the host
		d.message.RequestID = httpserver.RequestID(req.Context())
		d.message.Peer = r.peer(req)
		defer d.end()
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), draftKey{}, d)))
		d.message.Status = httpserver.Status(req.Context())
	})
}

// methodOf is the method of a request, if it is one that HTTP has: any word can
// stand there.
func methodOf(r *http.Request) string {
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodOptions} {
		if r.Method == m {
			return m
		}
	}
	return "another method"
}

// Is says what kind of message this is, and at which path of ours it came.
func (d *Draft) Is(k Kind, path string) {
	if d == nil {
		return
	}
	row, ok := rowOf(k)
	if !ok {
		return
	}
	if d.message.Kind == "" {
		d.recorder.begun.Add(1)
	}
	d.row, d.message.Kind, d.message.Path = row, k, path
}

// Belongs says which flow it is part of. What is empty stays as it was.
func (d *Draft) Belongs(k Keys) {
	if d == nil {
		return
	}
	have := &d.message.Keys
	for _, one := range []struct {
		into *string
		from string
	}{{&have.ClientID, k.ClientID}, {&have.GrantID, k.GrantID}, {&have.AccountID, k.AccountID}, {&have.AuthRequest, k.AuthRequest}} {
		if one.from != "" {
			*one.into = one.from
		}
	}
}

// Form tells the parameters of a request as they came. Of each the list says in
// which form it may be kept; of the rest only how many there were.
func (d *Draft) Form(form url.Values) {
	if d == nil {
		return
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		shape, listed := d.row.asked[name]
		switch {
		case len(form[name]) == 0 || form.Get(name) == "": // RFC 6749 §3.1: as if it was not there
		case !listed:
			d.message.Others++
		case shape != known:
			d.message.Asked = append(d.message.Asked, d.recorder.field(shape, name, form[name]))
		}
	}
}

// Asked adds a part of the request as the server knows it: never as it came,
// but the client or address found in the store, the tool of the catalog.
func (d *Draft) Asked(name string, values ...string) {
	if d != nil && d.row.asked[name] == known {
		d.message.Asked = add(d.message.Asked, name, values)
	}
}

// Answer adds a part of the answer, which is this server's own word. What the
// list masks or labels is, here too.
func (d *Draft) Answer(name string, values ...string) {
	if d == nil {
		return
	}
	switch shape, listed := d.row.answered[name]; {
	case !listed, len(values) == 0 || values[0] == "":
	case shape == known:
		d.message.Answered = add(d.message.Answered, name, values)
	default:
		d.message.Answered = append(d.message.Answered, d.recorder.field(shape, name, values))
	}
}

func add(list []Field, name string, values []string) []Field {
	if value := strings.Join(values, " "); value != "" && !slices.ContainsFunc(list, func(f Field) bool { return f.Name == name }) {
		list = append(list, Field{Name: name, Value: value})
	}
	return list
}

// Bearer tells of the token that a request presents. Whose message it is may be
// known from an earlier one with the same token, even if it is worth nothing any
// more.
func (d *Draft) Bearer(token string) {
	if d == nil {
		return
	}
	d.bearer = token
	if _, listed := d.row.asked["Authorization"]; listed {
		d.message.Asked = append(d.message.Asked, d.recorder.field(labelled, "Authorization", []string{token}))
	}
}

// Presented tells what the token is worth that a request presents.
func (d *Draft) Presented(t Token) {
	if d != nil {
		d.message.Presented = &t
	}
}

// Issued tells of an access token that the answer carries.
func (d *Draft) Issued(t Token) {
	if d != nil {
		d.message.Issued = &t
	}
}

// Refused names the rule behind a refusal, and the scopes that are needed
// instead. The first rule stands.
func (d *Draft) Refused(rule string, needs ...string) {
	if d != nil && d.message.Rule == "" {
		d.message.Rule, d.message.Needs = rule, needs
	}
}

// Then begins another message of the same flow: one that this server sends, or
// that its answer becomes. It ends with the request.
func (d *Draft) Then(k Kind, method, host, path string) *Draft {
	if d == nil {
		return nil
	}
	row, ok := rowOf(k)
	if !ok {
		return nil
	}
	child := &Draft{recorder: d.recorder, row: row}
	child.message = Message{Keys: d.message.Keys, Time: d.recorder.now(), Kind: k, Method: method, Host: host, Path: path, RequestID: d.message.RequestID}
	d.children = append(d.children, child)
	return child
}

// Answered sets the status of a message that Then began.
func (d *Draft) Answered(status int) {
	if d != nil {
		d.message.Status = status
	}
}

// end hands the message, and those that followed from it, to the recorder.
func (d *Draft) end() {
	if d.message.Kind == "" {
		return
	}
	d.recorder.attribute(&d.message.Keys, d.bearer)
	d.recorder.keep(d.message)
	for _, c := range d.children {
		c.Belongs(d.message.Keys)
		d.recorder.keep(c.message)
	}
	d.recorder.begun.Add(-1)
}

// field keeps of a value what its shape permits.
func (r *Recorder) field(s shape, name string, values []string) Field {
	f := Field{Name: name}
	var vocabulary []string
	switch s {
	case masked, known:
		return Field{Name: name, Masked: true}
	case labelled:
		if label := Label(values[0]); label != "" {
			f.Value = "‹" + label + "›"
		}
		f.Masked = true
		return f
	case scopes:
		vocabulary = r.Scopes
	case target:
		vocabulary = r.Targets
		values = slices.Clone(values)
		for i := range values {
			if canonical, err := oauth.CanonicalResource(values[i]); err == nil && slices.Contains(r.Targets, canonical) {
				values[i] = canonical
			}
		}
	case choice:
		vocabulary = words(name)
	}
	var kept []string
	others := 0
	for _, word := range strings.Fields(strings.Join(values, " ")) {
		if slices.Contains(vocabulary, word) {
			kept = append(kept, word)
		} else {
			others++
		}
	}
	if others > 0 {
		kept = append(kept, "+"+strconv.Itoa(others)+" not known here")
	}
	f.Value = strings.Join(kept, " ")
	return f
}
