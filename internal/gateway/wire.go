package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/oauth"
)

// The revisions of MCP that are served, newest first. The newest is the only
// one that has no handshake ("modern" in its words); those before it are
// served alike, for what they disagree about is nothing this server does.
const (
	modernRevision = "2026-07-28"
	newestLegacy   = "2025-11-25"
	// Streamable HTTP 2026-07-28, Protocol Version Header: a request without
	// the header may be taken for this revision.
	unnamedLegacy = "2025-03-26"
)

func revisions() []string {
	return []string{modernRevision, newestLegacy, "2025-06-18", unnamedLegacy, "2024-11-05"}
}

const (
	maxBody  = 1 << 20 // bytes of a message
	maxDepth = 64      // of nested values in a message
)

// JSON-RPC 2.0 §5.1 and, from -32020 on, MCP 2026-07-28 (R-RS-42: no other
// code of that range is ever sent).
const (
	codeParse              = -32700
	codeInvalidRequest     = -32600
	codeMethodNotFound     = -32601
	codeInvalidParams      = -32602
	codeInternal           = -32603
	codeHeaderMismatch     = -32020
	codeUnsupportedVersion = -32022
)

// rpcError is a refusal that is answered with a JSON-RPC error.
type rpcError struct {
	status  int // of HTTP
	code    int
	message string
	data    any
}

func (e *rpcError) Error() string { return fmt.Sprintf("JSON-RPC %d: %s", e.code, e.message) }

// refuse returns a refusal with status 400, which is right for everything that
// is wrong with a message as such.
func refuse(code int, format string, args ...any) *rpcError {
	return &rpcError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// statusOf is the HTTP status of what a method refuses. Before 2026-07-28 any
// status but 200 means that the transport failed; since then the status
// mirrors the code (R-RS-29).
func statusOf(modern bool, code int) int {
	switch {
	case modern && code == codeMethodNotFound:
		return http.StatusNotFound
	case modern:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// message is one JSON-RPC request or notification.
type message struct {
	id     json.RawMessage // byte for byte as it came; nil in a notification
	method string
	params map[string]json.RawMessage
	meta   map[string]json.RawMessage // params._meta
	modern bool                       // set by settle
}

// refuse returns the refusal of a method of m's era.
func (m *message) refuse(code int, format string, args ...any) *rpcError {
	return &rpcError{status: statusOf(m.modern, code), code: code, message: fmt.Sprintf(format, args...)}
}

// readMessage reads the one message of a request body. It is strict, because
// two readers that understand one body differently are a way around
// authorization (security.md 13): names are case-exact, a name in another case
// is refused rather than ignored, and so are repeated members at any depth and
// anything after the message.
//
// A batch is refused in every revision: 2025-03-26 alone had them, hardly any
// client sends them, and each element would need its own authorization.
func readMessage(body []byte) (*message, error) {
	body = bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(body) == 0:
		return nil, refuse(codeParse, "the body is empty; send one JSON-RPC message")
	case body[0] == '[':
		return nil, refuse(codeInvalidRequest, "batches are not served; send each message in its own POST")
	case !utf8.Valid(body):
		return nil, refuse(codeParse, "the body is not valid UTF-8")
	}
	members, err := oauth.Members(body, maxDepth)
	if err != nil {
		return nil, refuse(codeParse, "%v", err)
	}
	m := &message{}
	if m.id, err = readID(members["id"]); err != nil {
		return nil, err
	}
	return m, m.read(members)
}

// read fills m from the members of its envelope. m has its id already, so that
// refusals can carry it.
func (m *message) read(members map[string]json.RawMessage) error {
	if err := caseExact(members, "jsonrpc", "id", "method", "params"); err != nil {
		return err
	}
	if string(members["jsonrpc"]) != `"2.0"` {
		return refuse(codeInvalidRequest, `member "jsonrpc" must be "2.0"`)
	}
	if members["result"] != nil || members["error"] != nil {
		return refuse(codeInvalidRequest, "this is a response, but this server asks nothing of clients; send requests and notifications only")
	}
	var ok bool
	if m.method, ok = readString(members["method"]); !ok || m.method == "" {
		return refuse(codeInvalidRequest, `member "method" must be a string`)
	}
	if m.params, ok = readObject(members["params"]); !ok {
		return refuse(codeInvalidRequest, `member "params" must be an object`)
	}
	if err := caseExact(m.params, "_meta", "name", "arguments", "cursor", "protocolVersion"); err != nil {
		return err
	}
	if m.meta, ok = readObject(m.params["_meta"]); !ok {
		return refuse(codeInvalidParams, `member "_meta" of the params must be an object`)
	}
	return nil
}

// caseExact refuses names that differ from a known one in case only: a reader
// like encoding/json would take them for it.
func caseExact(members map[string]json.RawMessage, known ...string) error {
	for name := range members {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return refuse(codeInvalidRequest, "member %q must be spelled %q", name, k)
			}
		}
	}
	return nil
}

// readID checks a request's id: a string or an integer, never null
// (MCP basic, Requests). No id makes a notification.
func readID(raw json.RawMessage) (json.RawMessage, error) {
	if raw == nil || raw[0] == '"' {
		return raw, nil
	}
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(bytes.Trim(digits, "0123456789")) > 0 {
		return nil, refuse(codeInvalidRequest, `member "id" must be a string or an integer`)
	}
	return raw, nil
}

// readString returns the string that raw is.
func readString(raw json.RawMessage) (string, bool) {
	var s *string
	if raw == nil || json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// readObject returns the members of the object that raw is; none if it is
// absent.
func readObject(raw json.RawMessage) (map[string]json.RawMessage, bool) {
	if raw == nil {
		return nil, true
	}
	var members map[string]json.RawMessage
	err := json.Unmarshal(raw, &members)
	return members, err == nil && members != nil
}

// known reports whether this server serves a revision.
func known(revision string) bool { return slices.Contains(revisions(), revision) }

// writeResult answers with a result that has been serialised already. It is
// not copied, for it may be a long list.
func writeResult(w http.ResponseWriter, id json.RawMessage, result []byte) {
	parts := [][]byte{[]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"result":`), result, []byte("}")}
	writeJSON(w, http.StatusOK, parts...)
}

// writeError answers with a JSON-RPC error. An id that could not be read is
// left out, as the transport has it.
func writeError(w http.ResponseWriter, id json.RawMessage, e *rpcError) {
	type body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}
	b, err := json.Marshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Error   body            `json:"error"`
	}{"2.0", id, body{e.code, e.message, e.data}})
	if err != nil { // no error of this package has data that cannot be serialised
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	writeJSON(w, e.status, b)
}

func writeJSON(w http.ResponseWriter, status int, parts ...[]byte) {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	for _, p := range parts {
		_, _ = w.Write(p) // a failed write means the client is gone
	}
}
