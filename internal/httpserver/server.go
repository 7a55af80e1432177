// Package httpserver owns what every role's HTTP has in common: listening and
// graceful shutdown, which host leads to which role, timeouts and size limits,
// one log event per request, security headers, problem responses (RFC 9457),
// CORS, limits per client address, and the client for configured peers.
//
// It knows no endpoint, no token and no page; Content-Security-Policy belongs
// to package page, and requests to addresses that others chose to package
// egress.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Limits of the server. What is beyond is cut off by net/http: headers with
// 431, slow clients by closing the connection.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
	shutdownGrace     = 10 * time.Second

	// Whatever cookies a browser keeps for a site must reach the handlers, which
	// tidy them up: an answer of 431 could only be cured by clearing cookies
	// (security.md 17).
	maxHeaderBytes = 1 << 20
	// MaxBody bounds every request body, in bytes. Endpoints have lower limits
	// of their own; reading on fails with *http.MaxBytesError.
	MaxBody = 4 << 20
)

// Server leads each request to the role whose host it names. Set its fields
// before the first request; then it is safe for concurrent use.
type Server struct {
	// Hosts maps a Host, in lower case and with the port unless it is the
	// scheme's default, to a role. There is no fallback: any other Host is
	// answered 421 (security.md 15).
	Hosts map[string]http.Handler
	// Log receives one event per request; nil discards.
	Log *slog.Logger
}

// Serve answers requests on l until ctx ends. Then it accepts no more, gives
// running requests ten seconds to finish, and returns nil; it closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log().Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		// Out of patience: cut off what still runs.
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// ServeHTTP leads a request to its role, and writes its event when it is done.
//
// GET /healthz is answered on any host, because probes call by IP address; it
// says nothing but that the process answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := newEvent(w)
	h := e.Header()
	h.Set("X-Request-Id", e.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	r = r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
	r.Body = http.MaxBytesReader(e, r.Body, MaxBody)
	defer e.finish(s.log(), r)
	s.route(r).ServeHTTP(e, r)
}

func (s *Server) route(r *http.Request) http.Handler {
	if r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return plain(http.StatusOK, "ok")
	}
	if role, ok := s.Hosts[strings.ToLower(r.Host)]; ok {
		return role
	}
	return plain(http.StatusMisdirectedRequest, "This server does not serve the host that the request names. "+
		"Check the address; if it is right, configure it as one of the URLs of this server.\n")
}

func plain(status int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // a client that left needs no answer
	})
}
