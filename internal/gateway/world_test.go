package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/gateway"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
)

const (
	mcpURL   = "https://mcp.example.com"
	loginURL = "https://login.example.com"
	apiURL   = "https://api.example.com"
)

// world is a gateway with an authorization server, an API and an audit log
// that a test can bend. Peers answer without a network, so that it all runs in
// a synctest bubble too.
type world struct {
	t       testing.TB
	gateway gateway.Server
	handler http.Handler
	as      *fakeAS
	api     *fakeAPI
	audit   *auditLog
	log     *bytes.Buffer // the request events
}

func newWorld(t testing.TB, change func(*gateway.Server)) *world {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, as: newFakeAS(t, keys), api: &fakeAPI{}, audit: &auditLog{}, log: &bytes.Buffer{}}
	w.gateway = gateway.Server{
		URL: mcpURL, Version: "1.2.3", Issuer: loginURL, TokenEndpoint: loginURL + "/token", IntrospectionEndpoint: loginURL + "/introspect",
		ClientID: "gateway", Signer: signer, Client: &http.Client{Transport: hosts{"login.example.com": w.as, "api.example.com": w.api}},
		Audit: w.audit, AuditKey: bytes.Repeat([]byte("k"), 32), APIs: testAPIs(t),
		AllowedOrigins: []string{"https://app.example.com"},
	}
	if change != nil {
		change(&w.gateway)
	}
	h, err := w.gateway.Handler()
	if err != nil {
		t.Fatal(err)
	}
	w.handler = &httpserver.Server{Hosts: map[string]http.Handler{"mcp.example.com": h}, Log: slog.New(slog.NewTextHandler(w.log, nil))}
	return w
}

// hosts is a network in memory: handlers by host.
type hosts map[string]http.Handler

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	handler := h[r.URL.Host]
	if handler == nil {
		return nil, fmt.Errorf("dial %s: no such host", r.URL.Host)
	}
	var body []byte
	if r.Body != nil { // as a real server, which reads what was sent
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		handler.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// fakeAS knows some tokens and exchanges them.
type fakeAS struct {
	t    testing.TB
	keys *jose.KeySet

	mu         sync.Mutex
	tokens     map[string]map[string]any // introspection answers
	asked      int
	exchanges  []map[string]string // forms, without the assertions
	introspect http.HandlerFunc    // instead of the normal answer
	exchange   http.HandlerFunc
	expiresIn  int
	jtis       map[string]bool
}

func newFakeAS(t testing.TB, keys *jose.KeySet) *fakeAS {
	as := &fakeAS{t: t, keys: keys, tokens: map[string]map[string]any{}, jtis: map[string]bool{}, expiresIn: 300}
	as.add("reader", mcpURL+"/users", "users:read")
	as.add("writer", mcpURL+"/users", "users:read users:write")
	as.add("nothing", mcpURL+"/users", "")
	as.add("orders", mcpURL+"/orders", "orders:read")
	as.add("expired", mcpURL+"/users", "users:read")["exp"] = time.Now().Add(-time.Minute).Unix()
	return as
}

func (as *fakeAS) add(token, aud, scope string) map[string]any {
	as.tokens[token] = map[string]any{
		"active": true, "aud": aud, "iss": loginURL, "sub": "alice", "client_id": "notebook", "grant_id": "grant-" + token, "scope": scope,
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	return as.tokens[token]
}

func (as *fakeAS) revoke(token string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	delete(as.tokens, token)
}

func (as *fakeAS) questions() int {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.asked
}

func (as *fakeAS) exchanged() []map[string]string {
	as.mu.Lock()
	defer as.mu.Unlock()
	return slices.Clone(as.exchanges)
}

func (as *fakeAS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" {
		as.t.Errorf("question to %s: %v", r.URL, err)
	}
	jti, _, err := jose.VerifyAssertion(r.PostForm.Get("client_assertion"), as.keys, "gateway", []string{loginURL}, time.Now())
	if err != nil || as.jtis[jti] {
		as.t.Errorf("assertion at %s: %v, used before: %t", r.URL.Path, err, as.jtis[jti])
	}
	as.jtis[jti] = true
	switch r.URL.Path {
	case "/introspect":
		as.asked++
		if as.introspect != nil {
			as.introspect(w, r)
			return
		}
		answer, ok := as.tokens[r.PostForm.Get("token")]
		if !ok {
			answer = map[string]any{"active": false}
		}
		writeJSON(w, 200, answer)
	case "/token":
		form := map[string]string{}
		for name, values := range r.PostForm {
			if !strings.HasPrefix(name, "client_") {
				form[name] = strings.Join(values, "|")
			}
		}
		as.exchanges = append(as.exchanges, form)
		if as.exchange != nil {
			as.exchange(w, r)
			return
		}
		writeJSON(w, 200, map[string]any{
			"access_token": fmt.Sprintf("exchanged-%d", len(as.exchanges)), "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
			"token_type": "Bearer", "expires_in": as.expiresIn, "scope": form["scope"],
		})
	default:
		http.NotFound(w, r)
	}
}

// fakeAPI records what it gets and answers as told.
type fakeAPI struct {
	mu      sync.Mutex
	got     []*http.Request
	bodies  []string
	handler http.HandlerFunc // default: one customer
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.got, a.bodies = append(a.got, r), append(a.bodies, string(body))
	h := a.handler
	a.mu.Unlock()
	if h == nil {
		h = func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, 200, map[string]any{"id": "7", "name": "Ada"})
		}
	}
	h(w, r)
}

func (a *fakeAPI) requests() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.got)
}

// auditLog keeps entries in memory and can be made to fail.
type auditLog struct {
	mu                sync.Mutex
	entries           []audit.Entry
	place             map[string]int // of an entry, by its identifier
	appends, enqueues int
	err               error
}

func (l *auditLog) Append(_ context.Context, e audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.place == nil {
		l.place = map[string]int{}
	}
	l.place[e.ID] = len(l.entries)
	l.appends++
	l.entries = append(l.entries, e)
	return nil
}

func (l *auditLog) Enqueue(ctx context.Context, e audit.Entry) error {
	if err := l.Append(ctx, e); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends--
	l.enqueues++
	return nil
}

func (l *auditLog) Finish(_ context.Context, id string, o audit.Outcome, reason string, detail map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.place[id]
	if !ok {
		return fmt.Errorf("no entry %s", id)
	}
	e := &l.entries[i]
	e.Outcome, e.Reason, e.Detail = o, reason, maps.Clone(detail)
	return nil
}

func (l *auditLog) Recent(context.Context, int) ([]audit.Entry, error) { return l.all(), nil }

func (l *auditLog) all() []audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// request is one HTTP request to the gateway; its zero value is a POST to
// /users by nobody.
type request struct {
	method, path, token, body string
	header                    map[string]string
}

func (w *world) do(q request) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, q.build(w.t.Context()))
	return rec
}

func (q request) build(ctx context.Context) *http.Request {
	method, path := q.method, q.path
	if method == "" {
		method = "POST"
	}
	if path == "" {
		path = "/users"
	}
	r := httptest.NewRequest(method, mcpURL+path, strings.NewReader(q.body)).WithContext(ctx)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for name, value := range q.header {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

// modern completes a message of 2026-07-28: _meta and the headers that mirror
// it.
func modern(token, method string, params map[string]any) request {
	all := map[string]any{"_meta": map[string]any{
		"io.modelcontextprotocol/protocolVersion":    "2026-07-28",
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
	}}
	maps.Copy(all, params)
	header := map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
	if name, ok := params["name"].(string); ok {
		header["Mcp-Name"] = name
	}
	return request{token: token, header: header, body: rpc(method, all)}
}

// legacy makes a message of an earlier revision.
func legacy(token, revision, method string, params map[string]any) request {
	return request{token: token, header: map[string]string{"MCP-Protocol-Version": revision}, body: rpc(method, params)}
}

func rpc(method string, params map[string]any) string {
	m := map[string]any{"jsonrpc": "2.0", "id": 1, "method": method}
	if params != nil {
		m["params"] = params
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// callTool calls a tool in the newest revision and returns the result.
func (w *world) callTool(token, tool string, args map[string]any) result {
	w.t.Helper()
	rec := w.do(modern(token, "tools/call", map[string]any{"name": tool, "arguments": args}))
	return w.result(rec)
}

// result is a tool result.
type result struct {
	Content []struct{ Type, Text string }
	IsError bool            `json:"isError"`
	Data    json.RawMessage `json:"structuredContent"`
}

func (r result) text() string {
	if len(r.Content) != 1 || r.Content[0].Type != "text" {
		return ""
	}
	return r.Content[0].Text
}

func (w *world) result(rec *httptest.ResponseRecorder) result {
	w.t.Helper()
	var answer struct {
		Result *result
		Error  json.RawMessage
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 || answer.Result == nil {
		w.t.Fatalf("no result: %d %s (%v)", rec.Code, rec.Body, err)
	}
	if answer.Result.text() == "" {
		w.t.Errorf("a result without text: %s", rec.Body)
	}
	return *answer.Result
}

// errorCode returns the JSON-RPC error code of an answer, 0 for none.
func errorCode(rec *httptest.ResponseRecorder) int {
	var answer struct{ Error struct{ Code int } }
	_ = json.Unmarshal(rec.Body.Bytes(), &answer)
	return answer.Error.Code
}
