package gateway

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// Members of _meta that 2026-07-28 defines for every request.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaServer       = "io.modelcontextprotocol/serverInfo"
)

// settle decides which era m belongs to and checks what that era says about
// header fields and _meta. Nothing is ever decided from a header field alone:
// the fields mirror the body, and where they do not the message is refused
// (R-RS-26, security.md 13).
func (m *message) settle(h http.Header) error {
	header, err := field(h, "Mcp-Protocol-Version")
	if err != nil {
		return err
	}
	body, ok := readString(m.meta[metaVersion])
	if !ok && m.meta[metaVersion] != nil {
		return refuse(codeInvalidParams, "_meta member %q must be a string", metaVersion)
	}
	switch {
	case header == "" && body != "":
		return refuse(codeHeaderMismatch, "header MCP-Protocol-Version is missing; it must repeat _meta member %q", metaVersion)
	case header == "":
		header = unnamedLegacy
	case body != "" && body != header:
		return refuse(codeHeaderMismatch, "header MCP-Protocol-Version is %q but _meta member %q is %q", header, metaVersion, body)
	}
	if !known(header) {
		e := refuse(codeUnsupportedVersion, "protocol version %q is not supported", header)
		e.data = map[string]any{"supported": revisions(), "requested": header}
		return e
	}
	if m.modern = header == modernRevision; !m.modern {
		return nil
	}
	return m.settleModern(h)
}

// settleModern checks what 2026-07-28 wants of a message. A notification needs
// none of it, but what is there must be true.
func (m *message) settleModern(h http.Header) error {
	method, err := field(h, "Mcp-Method")
	if err != nil {
		return err
	}
	if m.id == nil && method == "" {
		return nil
	}
	if method != m.method {
		return refuse(codeHeaderMismatch, "header Mcp-Method is %q but the method is %q", method, m.method)
	}
	if m.id == nil {
		return nil
	}
	if m.meta[metaVersion] == nil {
		return refuse(codeInvalidParams, "_meta member %q is missing", metaVersion)
	}
	if c, ok := readObject(m.meta[metaCapabilities]); c == nil || !ok {
		return refuse(codeInvalidParams, "_meta member %q is missing or not an object", metaCapabilities)
	}
	if _, ok := readObject(m.meta[metaClient]); !ok {
		return refuse(codeInvalidParams, "_meta member %q must be an object", metaClient)
	}
	if m.method == "tools/call" { // the one method served that Mcp-Name is for
		return m.checkName(h)
	}
	return nil
}

// checkName compares Mcp-Name with the tool's name.
func (m *message) checkName(h http.Header) error {
	value, err := field(h, "Mcp-Name")
	if err != nil {
		return err
	}
	name, ok := readString(m.params["name"])
	if !ok {
		return refuse(codeInvalidParams, `member "name" of the params must be a string`)
	}
	decoded, ok := decodeField(value)
	if !ok {
		return refuse(codeHeaderMismatch, "header Mcp-Name is not valid Base64 between =?base64? and ?=")
	}
	if decoded != name {
		return refuse(codeHeaderMismatch, "header Mcp-Name is %q but the tool is %q", decoded, name)
	}
	return nil
}

// field returns the value of a header field that may come once.
func field(h http.Header, name string) (string, error) {
	values := h[name]
	if len(values) > 1 {
		return "", refuse(codeHeaderMismatch, "header %s is given more than once", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}

// decodeField undoes the encoding of values that a header field cannot carry
// (Streamable HTTP 2026-07-28, Value Encoding). The markers are case-sensitive.
func decodeField(value string) (string, bool) {
	encoded, ok := strings.CutPrefix(value, "=?base64?")
	if !ok {
		return value, true
	}
	if encoded, ok = strings.CutSuffix(encoded, "?="); !ok {
		return value, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return string(b), err == nil
}
