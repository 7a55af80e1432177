package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/webtest"
)

// buffer collects log events; it is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) events(t *testing.T) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var events []map[string]any
	for line := range strings.Lines(b.b.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func newServer(role http.HandlerFunc) (*httpserver.Server, *buffer) {
	log := &buffer{}
	return &httpserver.Server{
		Hosts: map[string]http.Handler{"login.localhost:8080": role},
		Log:   slog.New(slog.NewJSONHandler(log, nil)),
	}, log
}

func get(s http.Handler, url string) *http.Response {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
	return w.Result()
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// TestUnknownHostIs421 is security.md 15.
func TestUnknownHostIs421(t *testing.T) {
	s, log := newServer(ok)
	for url, want := range map[string]int{
		"http://login.localhost:8080/":      200,
		"http://LOGIN.localhost:8080/":      200,
		"http://login.localhost/":           421,
		"http://login.localhost:8081/":      421,
		"http://login.localhost.:8080/":     421,
		"http://127.0.0.1:8080/token":       421,
		"http://evil.example/":              421,
		"http://login.localhost:8080.evil/": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = strings.Split(url, "/")[2]
		r.Header.Set("X-Forwarded-Host", "login.localhost:8080")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", url, w.Code, want)
		}
		if want == 421 && (strings.Contains(w.Body.String(), "evil") || !strings.Contains(w.Body.String(), "Check the address")) {
			t.Errorf("%s: body %q", url, w.Body.String())
		}
	}
	if n := len(log.events(t)); n != 8 {
		t.Errorf("%d events for 8 requests", n)
	}
}

func TestHealthIsAnsweredOnAnyHost(t *testing.T) {
	s, _ := newServer(http.NotFound)
	for _, url := range []string{"http://login.localhost:8080/healthz", "http://10.0.0.7:8080/healthz"} {
		resp := get(s, url)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || string(body) != "ok" {
			t.Errorf("%s: %d %q", url, resp.StatusCode, body)
		}
	}
}

func TestEveryAnswerHasSecurityHeaders(t *testing.T) {
	s, _ := newServer(func(http.ResponseWriter, *http.Request) { panic("x") })
	for _, url := range []string{"http://login.localhost:8080/", "http://evil.example/", "http://evil.example/healthz"} {
		h := get(s, url).Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", url, name, h.Get(name))
			}
		}
		if len(h.Get("X-Request-Id")) < 20 {
			t.Errorf("%s: request id %q", url, h.Get("X-Request-Id"))
		}
	}
}

// TestEventTellsNoSecret: one event per request, without query, and with the
// server's own request id.
func TestEventTellsNoSecret(t *testing.T) {
	var id string
	s, log := newServer(func(w http.ResponseWriter, r *http.Request) {
		id = httpserver.RequestID(r.Context())
		httpserver.Note(r.Context(), "client_id", "first")
		httpserver.Note(r.Context(), "client_id", "agent")
		for range 100 {
			httpserver.Note(r.Context(), string(make([]byte, 3)), 1)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "hello")
	})
	r := httptest.NewRequest(http.MethodPost, "http://login.localhost:8080/token/"+strings.Repeat("x", 1000)+"?code=sesame", strings.NewReader("client_secret=sesame"))
	r.Header.Set("Authorization", "Bearer sesame")
	r.Header.Set("X-Request-Id", "chosen-by-the-client")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	events := log.events(t)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e["request_id"] != id || w.Header().Get("X-Request-Id") != id || id == "chosen-by-the-client" {
		t.Errorf("request id is %v, the handler's is %q", e["request_id"], id)
	}
	if e["method"] != "POST" || e["host"] != "login.localhost:8080" || e["status"] != 201.0 || e["bytes"] != 5.0 || e["client_id"] != "agent" || e["level"] != "INFO" {
		t.Errorf("event is %v", e)
	}
	if path, _ := e["path"].(string); len(path) != 200 || !strings.HasPrefix(path, "/token/") {
		t.Errorf("path is %q", e["path"])
	}
	if _, ok := e["duration"].(float64); !ok {
		t.Errorf("duration is %v", e["duration"])
	}
	if strings.Contains(log.b.String(), "sesame") {
		t.Error("the event tells a secret")
	}
}

func TestNoteOutsideOfARequestDoesNothing(t *testing.T) {
	httpserver.Note(context.Background(), "a", 1)
	if id := httpserver.RequestID(context.Background()); id != "" {
		t.Errorf("request id %q", id)
	}
}

func TestPanicIs500WithoutDetail(t *testing.T) {
	s, log := newServer(func(http.ResponseWriter, *http.Request) { panic("sesame") })
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://login.localhost:8080/", nil))
	if w.Code != 500 || w.Header().Get("Content-Type") != "application/problem+json" || strings.Contains(w.Body.String(), "sesame") {
		t.Errorf("answer is %d %s", w.Code, w.Body)
	}
	e := log.events(t)[0]
	stack, _ := e["stack"].(string)
	if e["level"] != "ERROR" || e["panic"] != "sesame" || e["status"] != 500.0 || !strings.Contains(stack, "TestPanicIs500WithoutDetail") {
		t.Errorf("event is %v", e)
	}
}

// TestLatePanicCutsTheConnection: half an answer must not look complete.
func TestLatePanicCutsTheConnection(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"after the header": func(w http.ResponseWriter, r *http.Request) { ok(w, r); panic("late") },
		"asked for":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		s, log := newServer(handler)
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("%s: recovered %v", name, err)
				}
			}()
			get(s, "http://login.localhost:8080/")
		}()
		if len(log.events(t)) != 1 {
			t.Errorf("%s: no event", name)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	var err error
	s, _ := newServer(func(_ http.ResponseWriter, r *http.Request) { _, err = io.Copy(io.Discard, r.Body) })
	r := httptest.NewRequest(http.MethodPost, "http://login.localhost:8080/", strings.NewReader(strings.Repeat("x", httpserver.MaxBody+1)))
	s.ServeHTTP(httptest.NewRecorder(), r)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); !ok || tooLarge.Limit != httpserver.MaxBody {
		t.Errorf("error is %v", err)
	}
}

// serve runs s over a network in memory until the returned function is called.
func serve(t *testing.T, s *httpserver.Server) (*webtest.Network, func()) {
	t.Helper()
	network := webtest.NewNetwork()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, network) }()
	return network, func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// raw writes a request as it is and returns the answer; nil if the connection
// was closed without one.
func raw(t *testing.T, network *webtest.Network, request string) *http.Response {
	t.Helper()
	conn, err := network.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() { _, _ = io.WriteString(conn, request) }() // the server may answer before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil
	}
	return resp
}

// TestOversizedCookiesReachTheHandler is security.md 17: whatever a browser
// keeps for a site, at most 180 cookies of 4 KiB in Chromium, reaches the role,
// which starts clean; beyond, net/http answers.
func TestOversizedCookiesReachTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(ok)
		network, stop := serve(t, s)
		for size, want := range map[int]int{64 << 10: 200, 720 << 10: 200, 2 << 20: 431} {
			resp := raw(t, network, "GET / HTTP/1.1\r\nHost: login.localhost:8080\r\nConnection: close\r\nCookie: a="+strings.Repeat("x", size)+"\r\n\r\n")
			if resp == nil || resp.StatusCode != want {
				t.Errorf("%d bytes of cookies: %v, want %d", size, resp, want)
			}
		}
		stop()
	})
}

func TestSlowClientsAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(ok)
		network, stop := serve(t, s)
		start := time.Now()
		if resp := raw(t, network, "GET / HTTP/1.1\r\nHost: login"); resp != nil && resp.StatusCode == 200 {
			t.Errorf("half a header was answered: %v", resp)
		}
		if waited := time.Since(start); waited < time.Second || waited > 15*time.Second {
			t.Errorf("cut off after %s", waited)
		}
		stop()
	})
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := newServer(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Second)
			if r.Context().Err() != nil {
				t.Error("the request was cancelled")
			}
			ok(w, r)
		})
		network, stop := serve(t, s)
		client := &http.Client{Transport: &http.Transport{DialContext: network.DialContext}}
		answered := make(chan int, 1)
		go func() {
			resp, err := client.Get("http://login.localhost:8080/")
			if err != nil {
				t.Error(err)
				answered <- 0
				return
			}
			_ = resp.Body.Close()
			answered <- resp.StatusCode
		}()
		time.Sleep(time.Second)
		stop()
		if status := <-answered; status != 200 {
			t.Errorf("status %d", status)
		}
		if _, err := network.Dial(t.Context()); err == nil {
			t.Error("the network is still open")
		}
		if len(log.events(t)) != 1 {
			t.Error("no event")
		}
		client.CloseIdleConnections()
	})
}

func TestShutdownHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := newServer(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done(): // the connection was cut
			}
		})
		network, stop := serve(t, s)
		client := &http.Client{Transport: &http.Transport{DialContext: network.DialContext}}
		go func() {
			if resp, err := client.Get("http://login.localhost:8080/"); err == nil {
				_ = resp.Body.Close()
				t.Error("an answer came")
			}
		}()
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if waited := time.Since(start); waited < 9*time.Second || waited > 12*time.Second {
			t.Errorf("stopped after %s", waited)
		}
		close(release)
		client.CloseIdleConnections()
	})
}

func TestServeReportsABrokenListener(t *testing.T) {
	network := webtest.NewNetwork()
	if err := network.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (&httpserver.Server{}).Serve(t.Context(), network); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("error is %v", err)
	}
}

func TestStreamsAreFlushed(t *testing.T) {
	s, _ := newServer(func(w http.ResponseWriter, _ *http.Request) {
		f, ok := w.(http.Flusher)
		if !ok {
			t.Fatal("no Flusher")
		}
		f.Flush()
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("the recorder below was not reached: %v", err)
		}
	})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://login.localhost:8080/", nil))
	if !w.Flushed {
		t.Error("not flushed")
	}
}
