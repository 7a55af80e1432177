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
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// Document is the OpenAPI document of the administration API. Do not change it.
//
//go:embed openapi.yaml
var Document []byte

// Scopes of the administration API.
const (
	ScopeRead   = "administration:read"   // see everything
	ScopeStop   = "administration:stop"   // pause and end
	ScopeManage = "administration:manage" // what takes a person with no agent between
)

// APIPath is where the API is below the console's address.
const APIPath = "/admin/api"

// API is the same administration for programs, reached in two ways. Agents come
// through the gateway, like to any API that this installation protects, with a
// token for exactly this one that names the person and who acts. People at a
// terminal come to its own address with a token of theirs that has no actor, and
// do there what no agent may (security.md 21: undoing, approving, keys, roles).
type API struct {
	URL      string                 // its own address: the resource of tokens that have no actor
	Verifier *resource.Verifier     // of the tokens that the gateway brings
	Direct   *resource.Introspector // of the others
	Accounts account.Store
	Acts     *Acts
	Server   *Server // whose lists it answers from

	metadata *resource.Metadata
}

// caller is who asks: a person with a role, and the client that acts.
type caller struct {
	account.Account
	client string // that the person uses, or that acts for them
	scopes []string
	id     string // of the token, for the log
	// direct: no agent is between, and the person signed in at authTime by amr.
	direct   bool
	authTime int64
	amr      []string
}

// operation is one of the document.
type operation struct {
	method, path string
	scope        string // ScopeManage: no agent may
	fresh        bool   // takes a sign-in of the last minutes, as on the console's pages
	serve        func(*http.Request, caller) (any, error)
}

// operations are all that the API answers. What is no GET takes an
// administrator.
func (a *API) operations() []operation {
	return []operation{
		{"GET", "/overview", ScopeRead, false, a.overview},
		{"GET", "/agents", ScopeRead, false, a.listAgents},
		{"POST", "/agents", ScopeManage, true, a.addAgent},
		{"GET", "/agent", ScopeRead, false, a.getAgent},
		{"GET", "/people", ScopeRead, false, a.listPeople},
		{"POST", "/people", ScopeManage, true, a.invitePerson},
		{"GET", "/people/{person}", ScopeRead, false, a.getPerson},
		{"GET", "/people/{person}/role", ScopeRead, false, a.getRole},
		{"PUT", "/people/{person}/role", ScopeManage, true, a.putRole},
		{"GET", "/people/{person}/attributes", ScopeRead, false, a.getAttributes},
		{"PUT", "/people/{person}/attributes", ScopeManage, true, a.putAttributes},
		{"POST", "/people/{person}/invitations", ScopeManage, true, a.inviteAnew},
		{"GET", "/people/{person}/sessions", ScopeRead, false, a.listSessions},
		{"POST", "/people/{person}/sign-out", ScopeStop, false, a.signOutPerson},
		{"GET", "/keys", ScopeRead, false, a.listKeys},
		{"POST", "/keys", ScopeManage, true, a.rotateKey},
		{"GET", "/connections", ScopeRead, false, a.listConnections},
		{"GET", "/audit", ScopeRead, false, a.listAudit},
		{"GET", "/audit/{id}", ScopeRead, false, a.getEntry},
		{"GET", "/apis", ScopeRead, false, a.listAPIs},
		{"GET", "/apis/{api}/document", ScopeRead, false, a.getDocument},
		{"POST", "/apis/{api}/document", ScopeManage, true, a.takeDocumentLive},
		{"GET", "/stops", ScopeRead, false, a.listStops},
		{"POST", "/stops", ScopeStop, false, a.pause},
		{"POST", "/ends", ScopeStop, true, a.end},
		{"POST", "/resumptions", ScopeManage, true, a.resume},
		{"GET", "/recordings", ScopeRead, false, a.listRecordings},
		{"POST", "/recordings", ScopeManage, true, a.record},
		{"POST", "/recordings/ends", ScopeManage, false, a.stopRecording},
		{"GET", "/messages", ScopeManage, true, a.listMessages},
		{"GET", "/trust", ScopeRead, false, a.listTrust},
		{"POST", "/explanations", ScopeManage, false, a.explainToken},
		{"GET", "/settings", ScopeRead, false, a.getSettings},
	}
}

// Routes are all that the API answers, with what each takes. An agent may use
// what Document does not give to ScopeManage.
func (a *API) Routes() []Route {
	var routes []Route
	for _, op := range a.operations() {
		access := Reading
		switch {
		case op.method != http.MethodGet && op.fresh:
			access = ChangingBy
		case op.method != http.MethodGet:
			access = Changing
		case op.fresh:
			access = ReadingBy
		}
		routes = append(routes, Route{Pattern: op.method + " " + op.path, Access: access})
	}
	return routes
}

// Handler returns the API, for everything below APIPath, and its metadata for
// the path returned (RFC 9728 §3.1).
func (a *API) Handler() (h http.Handler, metadata http.Handler, path string, err error) {
	a.metadata, err = resource.NewMetadata(oauth.ResourceMetadata{
		Resource: a.URL, ResourceName: "Administration", AuthorizationServers: []string{a.Verifier.Issuer}, ScopesSupported: []string{ScopeRead},
	})
	if err != nil {
		return nil, nil, "", err
	}
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
	return mux, a.metadata, a.metadata.Path, nil
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
			httpserver.WriteProblem(w, asProblem(w.Header(), r, op, a.metadata.URL, err))
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
	c, subject, err := a.who(r)
	if err != nil {
		return caller{}, err
	}
	httpserver.Note(r.Context(), "jti", c.id)
	if op.scope == ScopeManage && !c.direct {
		return caller{}, &apiError{http.StatusForbidden, "no agent may do this, whoever it acts for; do it at the console, or at a terminal with `gatehouse … --server`"}
	}
	if !slices.Contains(c.scopes, op.scope) {
		return caller{}, &resource.ScopeError{Needed: []string{op.scope}}
	}
	acc, err := a.Accounts.Account(r.Context(), subject)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return caller{}, err
	}
	c.Account = acc
	switch {
	case err != nil || acc.Role == account.NoRole:
		return caller{}, &apiError{http.StatusForbidden, "this account has no role in the administration; an administrator can give it one"}
	case op.method != http.MethodGet && acc.Role != account.Administrator:
		return caller{}, &apiError{http.StatusForbidden, "auditors read everything and change nothing; nothing was done"}
	case op.fresh && c.direct && !freshly(c.amr, c.authTime, time.Now()):
		return caller{}, &resource.FreshError{MaxAge: freshFor} // RFC 9470
	}
	return c, nil
}

// who reads the token: a JWT is what the gateway brings, anything else is asked
// about, so that it is worth nothing as soon as it has ended.
func (a *API) who(r *http.Request) (c caller, subject string, err error) {
	token, err := resource.Bearer(r)
	if err != nil {
		return c, "", err
	}
	if !strings.Contains(token, ".") {
		t, err := a.Direct.Introspect(r.Context(), token, a.URL)
		if err != nil {
			return c, "", err
		}
		// No certificate is asked for here, where browsers come too.
		if err := resource.CheckPossession(r, httpserver.Certificates{}, t.Confirmation); err != nil {
			return c, "", err
		}
		return caller{client: t.ClientID, scopes: strings.Fields(t.Scope), id: t.GrantID, direct: true, authTime: t.AuthTime, amr: t.AMR}, t.Sub, nil
	}
	claims, err := a.Verifier.Verify(r.Context(), r)
	if err != nil {
		return c, "", err
	}
	c = caller{client: claims.ClientID, scopes: strings.Fields(claims.Scope), id: claims.ID}
	for act := claims.Act; act != nil; act = act.Act { // RFC 8693 §4.1: the first to act is innermost
		c.client = act.Sub
	}
	return c, claims.Subject, nil
}

// actor is who acts, for the audit.
func (c caller) actor(r *http.Request) Actor {
	from := "the API"
	if c.direct {
		from = "a terminal"
	}
	return Actor{AccountID: c.ID, From: from, ClientID: c.client, RequestID: httpserver.RequestID(r.Context())}
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
// token also sets its challenge on h, with where the metadata is (RFC 6750 §3).
func asProblem(h http.Header, r *http.Request, op operation, at string, err error) httpserver.Problem {
	if known, ok := errors.AsType[*apiError](err); ok {
		return httpserver.Problem{Status: known.status, Detail: known.detail}
	}
	if errors.Is(err, account.ErrChanged) {
		return httpserver.Problem{Status: http.StatusPreconditionFailed, Detail: "somebody has changed it since you read it; read it again, and decide anew"}
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
	status, e := resource.Challenger{MetadataURL: at, Scopes: []string{op.scope}}.Challenge(h, err)
	p := httpserver.Problem{Status: status, Detail: e.Description}
	if id := httpserver.RequestID(r.Context()); id != "" && status >= 500 {
		p.Instance = "urn:gatehouse:request:" + id
	}
	return p
}
