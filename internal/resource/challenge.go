package resource

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"gatehouse/internal/oauth"
)

// retryAfter, in seconds, is what a client is told to wait when nobody could
// be asked about its token.
const retryAfter = 2

// A Challenger answers refusals at one protected resource. It is safe for
// concurrent use.
type Challenger struct {
	// MetadataURL is where the resource's metadata is (RFC 9728 §5.1). Empty
	// means that there is none, and the challenge does not name it.
	MetadataURL string
	// Scopes are named in challenges that are not about one call: what a
	// client should ask for first (R-RS-4).
	Scopes []string
}

// Challenge sets WWW-Authenticate, or Retry-After, on h as err demands, and
// returns the status and the protocol error to answer with. The caller writes
// both; Write does it with a JSON body.
//
// An error that this package does not know is a server error that reveals
// nothing.
func (c Challenger) Challenge(h http.Header, err error) (status int, e *oauth.Error) {
	challenge := oauth.Challenge{ResourceMetadata: c.MetadataURL, Scope: c.Scopes}
	scope, isScope := errors.AsType[*ScopeError](err)
	fresh, isFresh := errors.AsType[*FreshError](err)
	switch {
	case errors.Is(err, ErrNoToken):
		// RFC 6750 §3.1: a request without a token gets no error code.
		h.Set("WWW-Authenticate", challenge.String())
		return http.StatusUnauthorized, &oauth.Error{Code: oauth.InvalidToken, Cause: err,
			Description: "an access token is needed; the WWW-Authenticate header says where to get one"}
	case errors.Is(err, ErrInvalid):
		e = &oauth.Error{Code: oauth.InvalidToken, Cause: err,
			Description: "the access token is expired, revoked, malformed or was issued for another resource; get a new one"}
		status = http.StatusUnauthorized
	case errors.Is(err, ErrMalformed):
		e = &oauth.Error{Code: oauth.InvalidRequest, Cause: err,
			Description: "send the access token once, in the Authorization header, and nowhere else"}
		status = http.StatusBadRequest
	case isScope:
		challenge.Scope = scope.Needed
		e = &oauth.Error{Code: oauth.InsufficientScope, Cause: err,
			Description: "this needs an access token with the scopes named here"}
		status = http.StatusForbidden
	case isFresh:
		challenge.MaxAge = int(fresh.MaxAge / time.Second)
		e = &oauth.Error{Code: oauth.InsufficientAuthentication, Cause: err,
			Description: "this takes a sign-in of the last few minutes; send the person through sign-in with the max_age named here"}
		status = http.StatusUnauthorized
	case errors.Is(err, ErrUnavailable):
		h.Set("Retry-After", strconv.Itoa(retryAfter))
		return http.StatusServiceUnavailable, &oauth.Error{Code: oauth.TemporarilyUnavailable, Cause: err, RetryAfter: retryAfter,
			Description: "the access token could not be checked just now; keep it and try again"}
	default:
		return http.StatusInternalServerError, &oauth.Error{Code: oauth.ServerError, Cause: err, Description: "internal error"}
	}
	challenge.Error, challenge.Description = e.Code, e.Description
	h.Set("WWW-Authenticate", challenge.String())
	return status, e
}

// Write answers with err as Challenge has it and a JSON body that says the
// same as the header.
func (c Challenger) Write(w http.ResponseWriter, err error) {
	h := w.Header()
	status, e := c.Challenge(h, err)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body := map[string]string{"error": string(e.Code), "error_description": e.Description}
	_ = json.NewEncoder(w).Encode(body) // a failed write means the client is gone
}
