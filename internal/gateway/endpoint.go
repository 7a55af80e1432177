package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/catalog"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/resource"
)

// endpoint is the MCP endpoint of one API: a protected resource of its own.
type endpoint struct {
	*shared
	api        *catalog.API
	challenger resource.Challenger
	page       EndpointView
	modern     prepared
	legacy     prepared
	discovery  []byte // result of server/discover
	server     implementation
}

// handler serves one method and returns its serialised result.
type handler func(*endpoint, context.Context, caller, *message) ([]byte, error)

// methods is the whole of MCP that is served, by era. What is not here is
// unknown, resources and prompts among it: this server has tools only.
func methods(modern bool) map[string]handler {
	if modern {
		return map[string]handler{
			"server/discover": (*endpoint).discover,
			"tools/list":      (*endpoint).list,
			"tools/call":      (*endpoint).call,
		}
	}
	return map[string]handler{
		"initialize": (*endpoint).initialize,
		"ping":       (*endpoint).ping,
		"tools/list": (*endpoint).list,
		"tools/call": (*endpoint).call,
	}
}

// ServeHTTP is the only writer of failures of an endpoint.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, err := e.serve(w, r); err != nil {
		e.tellRefused(r.Context(), err)
		httpserver.Note(r.Context(), "refused", err)
		e.writeFailure(w, r, id, err)
	}
}

// serve answers one request. The id is that of the message, as soon as it is
// known. Nothing about a message is looked at before its sender is known: its
// body is not even read (R-RS-6).
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) (id json.RawMessage, err error) {
	if r.Method == http.MethodGet && wantsPage(r) {
		return nil, e.pages.Render(w, http.StatusOK, "endpoint.html", e.openPage(r.Context()))
	}
	inspect.Of(r.Context()).Is(inspect.MCP, e.api.MCPPath)
	c, err := e.authenticate(r)
	if errors.Is(err, resource.ErrNoToken) && e.api.OpenListing && r.Method == http.MethodPost {
		c, err = caller{}, nil // nobody: dispatch serves what needs no token
		c.Closed, err = e.closedToNobody(r.Context())
	}
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		return nil, &rpcError{status: http.StatusMethodNotAllowed, code: codeInvalidRequest,
			message: "send each message in a POST; this server opens no streams and keeps no sessions"}
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	m, err := readMessage(body)
	if m != nil {
		id = m.id
	}
	if err == nil {
		err = m.settle(r.Header)
	}
	if err != nil {
		return id, err
	}
	httpserver.Note(r.Context(), "mcp_method", excerpt(m.method))
	e.tellMethod(r.Context(), m)
	if m.id == nil {
		return nil, accept(w, m)
	}
	result, err := e.dispatch(r.Context(), c, m)
	if err != nil {
		return id, err
	}
	writeResult(w, id, result)
	return id, nil
}

// authenticate finds out who sent r. The token must be one for this endpoint
// (R-RS-7): one for another API of this very gateway is refused like any other.
func (e *endpoint) authenticate(r *http.Request) (caller, error) {
	token, err := resource.Bearer(r)
	if err != nil {
		return caller{}, err
	}
	inspect.Of(r.Context()).Bearer(token)
	t, err := e.introspector.Introspect(r.Context(), token, e.api.Resource)
	if err != nil {
		return caller{}, err
	}
	httpserver.Note(r.Context(), "client_id", t.ClientID)
	if err := resource.CheckPossession(r, e.certificates, t.Confirmation); err != nil {
		return caller{}, err
	}
	if e.exchanger.external != nil {
		if t.Closed, err = e.closedHere(r.Context()); err != nil {
			return caller{}, err
		}
	}
	c := caller{token, t}
	tellCaller(r.Context(), c)
	return c, nil
}

// openToNobody reports whether a method may be served without a token where an
// API opens its listing (security.md 14). Everything else is refused alike,
// known or not.
func openToNobody(method string) bool {
	return slices.Contains([]string{"initialize", "ping", "server/discover", "tools/list"}, method)
}

// dispatch calls the method of m's era.
func (e *endpoint) dispatch(ctx context.Context, c caller, m *message) ([]byte, error) {
	if c.token == "" && !openToNobody(m.method) {
		return nil, resource.ErrNoToken
	}
	if how := c.Closed.All(); how != "" && m.method != "tools/call" { // whose refusals agents read
		return nil, m.refuse(codeInternal, "%s", e.closedText(how))
	}
	h, ok := e.methods[m.modern][m.method]
	if !ok {
		return nil, m.refuse(codeMethodNotFound, "method %q is not served", excerpt(m.method))
	}
	if !m.modern {
		// Up to 2025-11-25 a lost connection is no cancellation (Streamable
		// HTTP, Sending Messages); the call's own time limit remains.
		ctx = context.WithoutCancel(ctx)
	}
	return h(e, ctx, c, m)
}

// accept answers a notification. None matters to a server that keeps no
// state, so all are taken; a request without id is not.
func accept(w http.ResponseWriter, m *message) error {
	if !strings.HasPrefix(m.method, "notifications/") {
		return refuse(codeInvalidRequest, `method %q needs an "id"`, excerpt(m.method))
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// readBody reads a message within bounds. Answers are always JSON, so a client
// that does not also take event streams is served all the same.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, &rpcError{status: http.StatusUnsupportedMediaType, code: codeInvalidRequest, message: "Content-Type must be application/json"}
	}
	if !acceptsJSON(r.Header.Values("Accept")) {
		return nil, &rpcError{status: http.StatusNotAcceptable, code: codeInvalidRequest,
			message: "answers are JSON; Accept must list application/json and text/event-stream"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &rpcError{status: http.StatusRequestEntityTooLarge, code: codeInvalidRequest,
			message: fmt.Sprintf("the message is larger than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, refuse(codeParse, "the body could not be read")
	}
	return body, nil
}

func acceptsJSON(accept []string) bool {
	for _, value := range accept {
		for media := range strings.SplitSeq(value, ",") {
			media, _, _ = strings.Cut(media, ";")
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "application/json", "application/*", "*/*":
				return true
			}
		}
	}
	return len(accept) == 0
}

// wantsPage reports whether r comes from a browser that shows a page to a
// person. MCP clients never ask for HTML.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
