// Package sampleapi is the demonstration customer API: a thousand generated
// customers, their orders and refunds, behind JWT access tokens.
//
// It stands for an API that a reader of Gatehouse already has. It therefore
// knows nothing of MCP, gateways or consent; it validates tokens as any API
// would, and decides from their claims which rows there are and what an agent
// may do. Its data is its own SQLite database, which its caller opens.
package sampleapi

import (
	"bytes"
	"database/sql"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/resource"
)

// Document is the OpenAPI document of the API, with the addresses of the
// demonstration in it. Do not change it.
//
//go:embed openapi.yaml
var Document []byte

// Server is the API. Its fields are set before Handler is called.
type Server struct {
	// DB is a SQLite database after Prepare. Writers wait for each other, so
	// it must be opened with a busy_timeout; any number of connections is fine.
	DB *sql.DB
	// Verifier knows the one issuer that is believed, and who we are to it.
	Verifier *resource.Verifier
}

// A route is one operation of the document.
type route struct {
	method, path string
	scope        string // what the access token must have
	serve        func(http.ResponseWriter, *http.Request, caller) error
}

func (s *Server) routes() []route {
	return []route{
		{http.MethodGet, "/users", "users:read", s.fetchUsers},
		{http.MethodPost, "/users", "users:write", s.createUser},
		{http.MethodGet, "/users/{id}", "users:read", s.fetchUser},
		{http.MethodPatch, "/users/{id}", "users:write", s.updateUser},
		{http.MethodDelete, "/users/{id}", "users:write", s.deleteUser},
		{http.MethodGet, "/users/{id}/orders", "orders:read", s.fetchOrders},
		{http.MethodPost, "/users/{id}/orders/{orderId}/refunds", "refunds:create", s.refundOrder},
	}
}

// Handler returns the API. The document needs no token; everything else does.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	allowed := map[string][]string{"/openapi.yaml": {http.MethodGet}}
	for _, rt := range s.routes() {
		mux.Handle(rt.method+" "+rt.path, s.protected(rt))
		allowed[rt.path] = append(allowed[rt.path], rt.method)
	}
	for path, methods := range allowed {
		mux.Handle(path, otherMethod(methods))
	}
	mux.Handle("GET /openapi.yaml", document(s.Verifier.Issuer))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		httpserver.WriteProblem(w, httpserver.Problem{Status: http.StatusNotFound,
			Detail: "there is nothing at this path; GET /openapi.yaml lists what there is"})
	})
	return mux
}

// document serves the OpenAPI document, with the issuer's address in place of
// the demonstration's.
func document(issuer string) http.Handler {
	body := bytes.ReplaceAll(Document, []byte("http://login.localhost:8080/"), []byte(strings.TrimSuffix(issuer, "/")+"/"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/yaml") // RFC 9512
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body) // a failed write means the client is gone
	})
}

// otherMethod answers at a path that exists with what may be done there.
func otherMethod(methods []string) http.Handler {
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	methods = append(methods, http.MethodOptions)
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		httpserver.WriteProblem(w, httpserver.Problem{Status: http.StatusMethodNotAllowed,
			Detail: "this path has no such method; use one of: " + allow})
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a failed write means the client is gone
	return nil
}

// A scanner is one row of a database answer.
type scanner interface{ Scan(dest ...any) error }

// scanAll reads all rows and closes them. The result is never nil, so that an
// empty list is written as one.
func scanAll[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
