package sampleapi_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
	"gatehouse/internal/sampleapi"
)

const (
	issuer   = "https://login.example"
	audience = "https://api.example"
	allScope = "users:read users:write orders:read refunds:create"
)

// An api is a running Server over a database file of its own.
type api struct {
	t      *testing.T
	url    string
	db     *sql.DB
	server *sampleapi.Server
	signer *jose.Signer
}

func openDB(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// prepared is the database file that Prepare makes, made once, because under
// the race detector that takes seconds.
var prepared = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sampleapi")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "customers.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	err = sampleapi.Prepare(context.Background(), db)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

func newSigner(t *testing.T) (*jose.Signer, jose.Key) {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

func start(t *testing.T) *api {
	t.Helper()
	data, err := prepared()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "customers.db")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, file)
	signer, key := newSigner(t)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(jose.PublicSet(key))
	}))
	t.Cleanup(keys.Close)
	s := &sampleapi.Server{DB: db, Verifier: &resource.Verifier{
		Issuer: issuer, Audience: audience,
		Keys: &jose.RemoteKeySet{URL: keys.URL, Client: keys.Client()},
	}}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return &api{t: t, url: server.URL, db: db, server: s, signer: signer}
}

// claims returns those of a person of region, through an agent that an
// administrator created.
func claims(region string) jose.AccessClaims {
	c := jose.AccessClaims{
		Issuer: issuer, Subject: "acct-1", Audience: audience, ClientID: "gateway", ID: "jti-1", Scope: allScope,
		IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Add(time.Minute).Unix(),
		Act:   &jose.Actor{Sub: "gateway", Act: &jose.Actor{Sub: "agent-1"}},
		Extra: map[string]any{"client_type": "agent", "client_assurance_level": 1},
	}
	if region != "" {
		c.Extra["region"] = region
	}
	return c
}

func (a *api) token(c jose.AccessClaims) string {
	a.t.Helper()
	token, err := a.signer.Sign("at+jwt", c)
	if err != nil {
		a.t.Fatal(err)
	}
	return token
}

// An answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request, with body as JSON if there is one.
func (a *api) do(token, method, path, body string) answer {
	a.t.Helper()
	h := http.Header{}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	return a.send(method, path, body, h)
}

func (a *api) send(method, path, body string, h http.Header) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	maps.Copy(req.Header, h)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	got := answer{resp.StatusCode, resp.Header, b}
	a.checkDocumented(method, path, body, got)
	return got
}

// want fails the test unless the answer has the status, and returns its body;
// of a problem it checks the form (RFC 9457).
func (a *api) want(got answer, status int) map[string]any {
	a.t.Helper()
	if got.status != status {
		a.t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	if len(got.body) == 0 {
		return nil
	}
	var body map[string]any
	if err := json.Unmarshal(got.body, &body); err != nil {
		a.t.Fatalf("body %q: %v", got.body, err)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("Cache-Control is %q, want no-store", got.header.Get("Cache-Control"))
	}
	if status < 400 {
		return body
	}
	if ct := got.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("Content-Type of a problem is %q", ct)
	}
	if body["status"] != float64(status) || body["title"] == "" || body["detail"] == "" {
		a.t.Errorf("problem %s lacks a status of %d, a title or a detail", got.body, status)
	}
	return body
}

// detail returns what a problem says.
func (a *api) detail(got answer, status int) string {
	a.t.Helper()
	return fmt.Sprint(a.want(got, status)["detail"])
}

// list returns the rows of a page and its cursor.
func (a *api) list(got answer, name string) (rows []map[string]any, next string) {
	a.t.Helper()
	body := a.want(got, http.StatusOK)
	list, ok := body[name].([]any)
	if !ok {
		a.t.Fatalf("no list %s in %s", name, got.body)
	}
	for _, row := range list {
		rows = append(rows, row.(map[string]any))
	}
	next, _ = body["next"].(string)
	return rows, next
}
