package inspect_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/inspect"
	"gatehouse/internal/sqlstore"
)

// server serves a handler that tells of a token request of the client that the
// header X names.
func server(r *inspect.Recorder) func(clientID string, form url.Values) {
	h := r.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		d := inspect.Of(req.Context())
		d.Is(inspect.TokenRequest, "/token")
		d.Belongs(inspect.Keys{ClientID: req.Header.Get("X")})
		_ = req.ParseForm()
		d.Form(req.PostForm)
	}))
	return func(clientID string, form url.Values) {
		req := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X", clientID)
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
}

func run(t *testing.T, r *inspect.Recorder) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
}

func open(t *testing.T) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func recorded(t *testing.T, db *sqlstore.DB) []inspect.Message {
	t.Helper()
	list, err := db.Messages(t.Context(), inspect.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// security.md 22: outside of the demo nothing is recorded until an administrator
// turns it on, then only the named client, and no longer than was said.
func TestRecordingIsTurnedOnForOneClientAndATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t)
		r := inspect.New(&inspect.Recorder{Store: db})
		run(t, r)
		send := server(r)
		send("a", nil)
		synctest.Wait()
		if list := recorded(t, db); len(list) != 0 {
			t.Fatalf("recorded before it was turned on: %+v", list)
		}
		for _, length := range []time.Duration{0, inspect.MaxSwitch + time.Second} {
			if _, err := inspect.NewSwitch("client", "a", length, "it fails", time.Now()); err == nil {
				t.Errorf("recording can be turned on for %s", length)
			}
		}
		s, err := inspect.NewSwitch("client", "a", time.Minute, "it fails", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := db.TurnOn(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		send("a", nil)
		send("b", nil)
		send("", nil)
		synctest.Wait()
		if list := recorded(t, db); len(list) != 1 || list[0].ClientID != "a" {
			t.Fatalf("recorded %+v, want one message of a", list)
		}
		time.Sleep(time.Minute)
		send("a", nil)
		synctest.Wait()
		if list := recorded(t, db); len(list) != 1 {
			t.Errorf("recorded after the time was over: %+v", list)
		}
	})
}

// While nothing is recorded a handler has no draft, and telling it costs nothing.
func TestWithoutRecordingThereIsNoDraft(t *testing.T) {
	r := inspect.New(&inspect.Recorder{Store: open(t)})
	var none *inspect.Recorder
	for _, r := range []*inspect.Recorder{r, none} {
		served := false
		r.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			served = inspect.Of(req.Context()) == nil
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		if !served {
			t.Error("there is a draft, or the request was not served")
		}
	}
}

// stuck is a store that never answers, or fails.
type stuck struct {
	inspect.Store
	block chan struct{}
}

func (s stuck) SaveMessages(ctx context.Context, _ []inspect.Message) error {
	select {
	case <-s.block:
		return errors.New("no space left")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Recording never delays or fails what it tells of: a store that hangs costs
// messages, and nothing else.
func TestAStoreThatHangsDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := stuck{Store: open(t), block: make(chan struct{})}
		failures := make(chan error, 8)
		r := inspect.New(&inspect.Recorder{Store: store, Everything: true, Failed: func(err error) { failures <- err }})
		run(t, r)
		send, before := server(r), time.Now()
		for range 5000 {
			send("a", nil)
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("5000 requests waited %v", took)
		}
		close(store.block)
		if err := <-failures; err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("the operator is told %v", err)
		}
	})
}

// Of a field only words that exist here are kept; of what is no field, the number.
func TestFieldsAreKeptByTheirShape(t *testing.T) {
	db := open(t)
	r := inspect.New(&inspect.Recorder{Store: db, Everything: true, Scopes: []string{"users:read"}, Targets: []string{"http://mcp.localhost"}})
	run(t, r)
	server(r)("a", url.Values{
		"grant_type": {"authorization_code"}, "scope": {"users:read hunter2 users:read"}, "resource": {"http://mcp.localhost/"},
		"code": {"ghc_" + strings.Repeat("x", 43)}, "code_verifier": {"hunter2"}, "refresh_token": {"hunter2"}, "client_id": {"hunter2"},
		"hunter2": {"hunter2"}, "redirect_uri": {"hunter2"}, "state": {""},
	})
	if err := r.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := recorded(t, db)[0]
	got := map[string]inspect.Field{}
	for _, f := range m.Asked {
		got[f.Name] = f
		if strings.Contains(f.Name+f.Value, "hunter2") {
			t.Errorf("kept %+v", f)
		}
	}
	for name, want := range map[string]inspect.Field{
		"grant_type": {Value: "authorization_code"}, "scope": {Value: "users:read users:read +1 not known here"}, "resource": {Value: "http://mcp.localhost"},
		"code_verifier": {Masked: true}, "refresh_token": {Masked: true}, "code": {Masked: true, Value: "‹" + inspect.Label("ghc_"+strings.Repeat("x", 43)) + "›"},
	} {
		if want.Name = name; got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
	if m.Others != 1 || len(m.Asked) != 6 {
		t.Errorf("%d others, asked %+v", m.Others, m.Asked)
	}
}

// A word that could be guessed gets no label: a hash of it would tell it.
func TestOnlyTokensHaveLabels(t *testing.T) {
	for _, word := range []string{"", "hunter2", "gha_", "gha_hunter2", "a.b.c", "eyJ.eyJ.x"} {
		if label := inspect.Label(word); label != "" {
			t.Errorf("%q has the label %s", word, label)
		}
	}
	if label := inspect.Label("gha_" + strings.Repeat("a", 43)); len(label) != 8 {
		t.Errorf("a token has the label %q", label)
	}
}

// What came of a token beside what it came from.
func TestDiff(t *testing.T) {
	outer := inspect.Token{Label: "1", Audience: "mcp", Subject: "alice", Scope: []string{"users:read", "orders:read"}, Actors: []string{"agent"}, Expires: 3600}
	inner := inspect.Token{Label: "2", JWT: true, Audience: "api", Subject: "alice", Scope: []string{"users:read"}, Actors: []string{"gateway", "agent"}, Expires: 300, From: &outer}
	changes := map[string]inspect.Change{}
	for _, c := range inner.Diff() {
		changes[c.What] = c
	}
	if c := changes["Scope"]; c.Same || len(c.Gone) != 1 || c.Gone[0] != "orders:read" || len(c.Kept) != 1 || len(c.Added) != 0 {
		t.Errorf("scope: %+v", c)
	}
	if c := changes["Actors"]; c.Same || len(c.Added) != 1 || c.Added[0] != "gateway" || len(c.Gone) != 0 {
		t.Errorf("actors: %+v", c)
	}
	if c := changes["Audience"]; c.Same || c.Before != "mcp" || c.After != "api" {
		t.Errorf("audience: %+v", c)
	}
	if c := changes["Subject"]; !c.Same {
		t.Errorf("subject: %+v", c)
	}
	if outer.Diff() != nil {
		t.Error("a token that came from none differs from something")
	}
}

func message(at int64, k inspect.Kind, keys inspect.Keys, peer string) inspect.Message {
	return inspect.Message{Keys: keys, Time: at * 1000, Kind: k, Peer: peer}
}

// security.md 22: of what is recorded, people see their own and nobody else's.
func TestVisible(t *testing.T) {
	k := func(client, account, request string) inspect.Keys {
		return inspect.Keys{ClientID: client, AccountID: account, AuthRequest: request}
	}
	all := []inspect.Message{
		message(1, inspect.Registration, k("c", "", ""), "p"),
		message(2, inspect.AuthorizationRequest, k("c", "", "mine"), ""),
		message(3, inspect.SignIn, k("c", "alice", "mine"), ""),
		message(4, inspect.AuthorizationRequest, k("c", "", "other"), ""),
		message(5, inspect.SignIn, k("c", "bruno", "other"), ""),
		message(6, inspect.MCP, k("c", "bruno", ""), "p"),
		message(7, inspect.TokenRequest, k("c", "", ""), "p"), // a failed one: whose it is nobody knows
		message(8, inspect.Registration, k("d", "", ""), "p"),
		message(9, inspect.ServerMetadata, inspect.Keys{}, "p"),
	}
	var seen []int64
	for _, m := range inspect.Visible(all, "alice") {
		seen = append(seen, m.Time/1000)
	}
	if want := []int64{1, 2, 3, 9}; !equal(seen, want) {
		t.Errorf("alice sees %v, want %v", seen, want)
	}
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A flow begins where its client found the way here, and ends where the next
// authorization request begins.
func TestFlows(t *testing.T) {
	first := inspect.Keys{ClientID: "c", AccountID: "a", AuthRequest: "r1"}
	second := inspect.Keys{ClientID: "c", AccountID: "a", AuthRequest: "r2"}
	consent := first
	consent.GrantID = "g"
	again := second
	again.GrantID = "g"
	grant := inspect.Keys{ClientID: "c", AccountID: "a", GrantID: "g"}
	list := []inspect.Message{
		message(0, inspect.ServerMetadata, inspect.Keys{}, "somebody else"),
		message(1, inspect.MCP, inspect.Keys{}, "p"),
		message(2, inspect.ServerMetadata, inspect.Keys{}, "p"),
		message(3, inspect.Registration, inspect.Keys{ClientID: "c"}, "p"),
		message(4, inspect.AuthorizationRequest, first, ""),
		message(5, inspect.Consent, consent, ""),
		message(6, inspect.TokenRequest, grant, "p"),
		message(7, inspect.MCP, grant, "p"),
		message(8, inspect.AuthorizationRequest, second, ""),
		message(9, inspect.Consent, again, ""),
		message(10, inspect.MCP, grant, "p"),
		message(99999, inspect.ServerMetadata, inspect.Keys{}, "p"), // long after
	}
	flows := inspect.Flows(list)
	if len(flows) != 2 || flows[0].ID != "r2" || flows[1].ID != "r1" {
		t.Fatalf("flows %+v", flows)
	}
	times := func(f inspect.Flow) (all []int64) {
		for _, m := range f.Messages {
			all = append(all, m.Time/1000)
		}
		return all
	}
	if got := times(flows[1]); !equal(got, []int64{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("the first flow has %v", got)
	}
	if got := times(flows[0]); !equal(got, []int64{8, 9, 10}) {
		t.Errorf("the second flow has %v", got)
	}
	if f := inspect.Run(list, "c"); len(f.Messages) != 10 || f.GrantID != "g" {
		t.Errorf("all of the client: %v", times(f))
	}
}

// Every rule says why, and where that is written; every reference that is an RFC
// leads to it.
func TestRulesLeadToTheirRequirement(t *testing.T) {
	for _, name := range []string{"no-token", "insufficient-scope", "verifier", "exchange-scope", "invalid_grant", "not-for-api"} {
		r := inspect.RuleOf(name)
		if r.Text == "" || r.ID != name || !strings.HasPrefix(inspect.Link(r.Ref), "https://www.rfc-editor.org/rfc/rfc") || !strings.Contains(inspect.Link(r.Ref), "#section-") {
			t.Errorf("%s: %+v leads to %q", name, r, inspect.Link(r.Ref))
		}
	}
	if got := inspect.Link("RFC 6750 §3.1"); got != "https://www.rfc-editor.org/rfc/rfc6750#section-3.1" {
		t.Errorf("link %q", got)
	}
}

// The export is one file: no script, and nothing that is loaded.
func TestExportNeedsNothingElse(t *testing.T) {
	d, err := inspect.NewDrawing()
	if err != nil {
		t.Fatal(err)
	}
	m := message(1, inspect.MCP, inspect.Keys{ClientID: "c"}, "p")
	m.Method, m.Path, m.Status, m.Rule, m.Needs = "POST", "/", 403, "insufficient-scope", []string{"orders:read"}
	m.Asked = []inspect.Field{{Name: "tool", Value: `<script>alert(1)</script>`}}
	var b bytes.Buffer
	if err := d.Export(&b, `<b>title`, inspect.Flow{ID: "f", Messages: []inspect.Message{m}}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, forbidden := range []string{"<script", "<link", "<img", "src=", "url(", "@import", "<iframe", "<b>title", "javascript:"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("the export has %s", forbidden)
		}
	}
	for _, want := range []string{"R-RS-11", "https://www.rfc-editor.org/rfc/rfc6750#section-3.1", "orders:read", "<style>", "403", "&lt;script"} {
		if !strings.Contains(text, want) {
			t.Errorf("the export lacks %s", want)
		}
	}
	if err := d.Export(failing{}, "x", inspect.Flow{}); err == nil {
		t.Error("a lost connection is no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
