package admin

import (
	"bytes"
	_ "embed" // for the document
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// Document is the OpenAPI document of the administration API. Do not change it.
//
//go:embed openapi.yaml
var Document []byte

// Scopes of the administration API.
const (
	ScopeRead = "administration:read" // see everything
	ScopeStop = "administration:stop" // pause and end
)

// APIPath is where the API is below the console's address.
const APIPath = "/admin/api"

// API is the same administration for programs. It is an API like any that this
// installation protects: agents reach it through the gateway, as tools, with a
// token for exactly this API that names the person and who acts. Every call has
// an agent in between, so what no agent may do (security.md 21: undoing,
// approving, keys, roles) is not here but in the console.
type API struct {
	Verifier *resource.Verifier
	Accounts account.Store
	Acts     *Acts
	Server   *Server // whose lists it answers from
}

// caller is who asks: a person with a role, and the client that acts.
type caller struct {
	account.Account
	claims *jose.AccessClaims
}

// operation is one of the document.
type operation struct {
	method, path string
	scope        string
	serve        func(*http.Request, caller) (any, error)
}

// operations are all that the API answers. What is no GET takes an
// administrator.
func (a *API) operations() []operation {
	return []operation{
		{"GET", "/agents", ScopeRead, a.listAgents},
		{"GET", "/agent", ScopeRead, a.getAgent},
		{"GET", "/people", ScopeRead, a.listPeople},
		{"GET", "/people/{person}", ScopeRead, a.getPerson},
		{"GET", "/keys", ScopeRead, a.listKeys},
		{"GET", "/connections", ScopeRead, a.listConnections},
		{"GET", "/audit", ScopeRead, a.listAudit},
		{"GET", "/audit/{id}", ScopeRead, a.getEntry},
		{"GET", "/apis", ScopeRead, a.listAPIs},
		{"GET", "/stops", ScopeRead, a.listStops},
		{"POST", "/stops", ScopeStop, a.pause},
		{"POST", "/ends", ScopeStop, a.end},
	}
}

// Handler returns the API, for everything below APIPath.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, op := range a.operations() {
		mux.Handle(op.method+" "+APIPath+op.path, a.protected(op))
	}
	mux.HandleFunc("GET "+APIPath+"/openapi.yaml", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/yaml") // RFC 9512
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(Document) // a failed write means the client is gone
	})
	mux.HandleFunc(APIPath+"/", func(w http.ResponseWriter, _ *http.Request) {
		httpserver.WriteProblem(w, httpserver.Problem{Status: http.StatusNotFound, Detail: "there is no such path or method; GET " + APIPath + "/openapi.yaml lists what there is"})
	})
	return mux
}

// protected serves an operation to whom it is open, and is the only writer of
// its failures.
func (a *API) protected(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		c, err := a.admit(r, op)
		var answer any
		if err == nil {
			answer, err = op.serve(r, c)
		}
		if err == nil {
			err = writeAnswer(w, r, answer)
		}
		if err != nil {
			httpserver.Note(r.Context(), "refused", err.Error())
			httpserver.WriteProblem(w, asProblem(w.Header(), r, op, err))
		}
	})
}

// apiError is an answer other than the one asked for.
type apiError struct {
	status int
	detail string
}

func (e *apiError) Error() string { return e.detail }

// admit is the one place that decides who may use an operation: the token is
// for this API and has the scope, and the person has the role now, whatever
// was true when the token was made.
func (a *API) admit(r *http.Request, op operation) (caller, error) {
	claims, err := a.Verifier.Verify(r.Context(), r)
	if err != nil {
		return caller{}, err
	}
	httpserver.Note(r.Context(), "jti", claims.ID)
	if !slices.Contains(strings.Fields(claims.Scope), op.scope) {
		return caller{}, &resource.ScopeError{Needed: []string{op.scope}}
	}
	acc, err := a.Accounts.Account(r.Context(), claims.Subject)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return caller{}, err
	}
	switch {
	case err != nil || acc.Role == account.NoRole:
		return caller{}, &apiError{http.StatusForbidden, "this account has no role in the administration; an administrator can give it one"}
	case op.method != http.MethodGet && acc.Role != account.Administrator:
		return caller{}, &apiError{http.StatusForbidden, "auditors read everything and change nothing; nothing was done"}
	}
	return caller{acc, claims}, nil
}

// actor is who acts, for the audit.
func (c caller) actor(r *http.Request) Actor {
	agent := c.claims.ClientID
	for act := c.claims.Act; act != nil; act = act.Act { // RFC 8693 §4.1: the first to act is innermost
		agent = act.Sub
	}
	return Actor{AccountID: c.ID, From: "the API", ClientID: agent, RequestID: httpserver.RequestID(r.Context())}
}

func writeAnswer(w http.ResponseWriter, r *http.Request, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodGet {
		h.Set("ETag", tag(body))
		if r.Header.Get("If-None-Match") == tag(body) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(body, '\n')) // a failed write means the client is gone
	return nil
}

// maxDepth bounds the nesting of a request's body.
const maxDepth = 4

// readBody decodes a request's body, in which every member must be known.
func readBody(r *http.Request, into any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return &apiError{http.StatusBadRequest, "the body is too large or broke off"}
	}
	if _, err := oauth.Members(data, maxDepth); err != nil {
		return &apiError{http.StatusBadRequest, "the body is no plain JSON object: " + err.Error()}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &apiError{http.StatusBadRequest, "the body does not fit the document: " + err.Error()}
	}
	return nil
}

// asProblem translates what an operation returns (RFC 9457). A refusal of the
// token also sets its challenge on h (RFC 6750 §3).
func asProblem(h http.Header, r *http.Request, op operation, err error) httpserver.Problem {
	if known, ok := errors.AsType[*apiError](err); ok {
		return httpserver.Problem{Status: known.status, Detail: known.detail}
	}
	if nothing, ok := errors.AsType[*problem](err); ok {
		return httpserver.Problem{Status: nothing.status, Detail: nothing.what}
	}
	if sentence := Refusal(err); sentence != "" {
		return httpserver.Problem{Status: http.StatusConflict, Detail: sentence}
	}
	if errors.Is(err, audit.ErrUnavailable) {
		return httpserver.Problem{Status: http.StatusServiceUnavailable, Detail: "the audit log takes no entries now, and what cannot be recorded is not done; try again in a few seconds"}
	}
	status, e := resource.Challenger{Scopes: []string{op.scope}}.Challenge(h, err)
	p := httpserver.Problem{Status: status, Detail: e.Description}
	if id := httpserver.RequestID(r.Context()); id != "" && status >= 500 {
		p.Instance = "urn:gatehouse:request:" + id
	}
	return p
}
