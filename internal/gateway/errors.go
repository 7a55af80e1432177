package gateway

import (
	"encoding/json"
	"errors"
	"net/http"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/resource"
)

// writeFailure answers with err in the form its reader expects: a bearer
// challenge for what concerns the token, so that clients find their way to a
// new one, and a JSON-RPC error for what concerns the message. What it does
// not know is an internal error and reveals nothing but a reference.
func (e *endpoint) writeFailure(w http.ResponseWriter, r *http.Request, id json.RawMessage, err error) {
	_, isScope := errors.AsType[*resource.ScopeError](err)
	switch {
	case isScope, errors.Is(err, resource.ErrNoToken), errors.Is(err, resource.ErrInvalid),
		errors.Is(err, resource.ErrMalformed), errors.Is(err, resource.ErrUnavailable):
		e.challenger.Write(w, err)
		return
	}
	refusal, ok := errors.AsType[*rpcError](err)
	if !ok {
		refusal = &rpcError{status: http.StatusInternalServerError, code: codeInternal,
			message: "internal error; whoever runs this server finds it under " + httpserver.RequestID(r.Context())}
	}
	writeError(w, id, refusal)
}
