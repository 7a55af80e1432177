package sampleapi

import (
	"errors"
	"net/http"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// A refusal is an answer other than the one asked for. Its detail goes out and
// says what to do next.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return http.StatusText(r.status) + ": " + r.detail }

func refuse(status int, detail string) error { return &refusal{status, detail} }

// noCustomer says the same of a customer that does not exist and of one in
// another region (security.md 20).
func noCustomer() error {
	return refuse(http.StatusNotFound, "there is no such customer in your region; list the customers with GET /users to find its id")
}

// asProblem translates what an operation returns. A refusal of the token also
// sets its challenge on h (RFC 6750 §3), and its reason, which the caller is
// not told, goes to the request event. What is not known here is a server
// error and reveals nothing.
func (s *Server) asProblem(h http.Header, r *http.Request, scope string, err error) httpserver.Problem {
	if known, ok := errors.AsType[*refusal](err); ok {
		return httpserver.Problem{Status: known.status, Detail: known.detail}
	}
	httpserver.Note(r.Context(), "refused", err)
	status, e := resource.Challenger{Scopes: []string{scope}}.Challenge(h, err)
	p := httpserver.Problem{Status: status, Detail: e.Description}
	switch {
	case errors.Is(err, resource.ErrNoToken):
		p.Detail = "this needs an access token: send the header Authorization: Bearer <token> with one that " +
			s.Verifier.Issuer + " issued for " + s.Verifier.Audience + ", with scope " + scope + "; GET /openapi.yaml says more"
	case e.Code == oauth.InsufficientScope:
		p.Detail = "your access token is valid but lacks a scope; get one with scope " + scope
	case e.Code == oauth.ServerError:
		p.Detail = "something went wrong here, not with your request; try again later, or tell the operator the request id"
		if id := httpserver.RequestID(r.Context()); id != "" {
			p.Instance = "urn:gatehouse:request:" + id
		}
	}
	return p
}
