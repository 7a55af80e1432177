package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
)

// security.md 11: behind an identity provider, which tells of no revocations, a
// tool and an API are stopped from this installation's own terminal.
func TestStopsBehindAnIdentityProvider(t *testing.T) {
	var issuer string
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{"issuer": issuer, "token_endpoint": issuer + "/token", "introspection_endpoint": issuer + "/introspect"}
		if r.URL.Path == "/introspect" {
			answer = map[string]any{"active": true, "aud": "https://mcp.example.com/books", "sub": "alice", "client_id": "desk", "token_type": "Bearer",
				"scope": "books:read", "exp": time.Now().Add(time.Hour).Unix()}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer idp.Close()
	issuer = idp.URL
	dir := t.TempDir()
	for file, text := range map[string]string{"gatehouse.yaml": strings.Replace(external, "https://idp.example.com/tenant", issuer, 1), "books.yaml": books} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := app.Load(filepath.Join(dir, "gatehouse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), c, app.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	want := func(when, sentence string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/books", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "mcp.example.com"
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer token")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), sentence) {
			t.Errorf("%s: %s %s (%v); want %s", when, resp.Status, body, err, sentence)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tool, api := app.Target{Tool: "books/list-books"}, app.Target{API: "books"}
	want("at first", `"name":"list-books"`)
	must(app.Pause(t.Context(), c, tool, "test"))
	want("a paused tool", `"tools":[]`)
	must(app.Resume(t.Context(), c, tool, "test"))
	must(app.Pause(t.Context(), c, api, "test"))
	want("a paused API", "An administrator has paused Bookshop")
	must(app.Resume(t.Context(), c, api, "test"))
	want("resumed", `"name":"list-books"`)
}
