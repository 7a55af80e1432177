package gateway

import (
	"context"
	"encoding/json"
)

// discover serves server/discover (2026-07-28, R-RS-30).
func (e *endpoint) discover(context.Context, caller, *message) ([]byte, error) {
	return e.discovery, nil
}

// initialize serves the handshake of the revisions that have one. It starts
// no session: each later message is complete in itself, as in 2026-07-28
// (R-RS-31). Asked for a revision that it does not know, or that has no
// handshake, the server offers the newest that has (Lifecycle, Version
// Negotiation).
func (e *endpoint) initialize(_ context.Context, _ caller, m *message) ([]byte, error) {
	revision, ok := readString(m.params["protocolVersion"])
	if !ok {
		return nil, m.refuse(codeInvalidParams, `member "protocolVersion" of the params must be a string`)
	}
	if !known(revision) || revision == modernRevision {
		revision = newestLegacy
	}
	return serialise(struct {
		ProtocolVersion string         `json:"protocolVersion"`
		Capabilities    capabilities   `json:"capabilities"`
		ServerInfo      implementation `json:"serverInfo"`
		Instructions    string         `json:"instructions,omitempty"`
	}{revision, capabilities{}, e.server, e.instructions()})
}

// ping serves ping, which 2026-07-28 has no more.
func (e *endpoint) ping(context.Context, caller, *message) ([]byte, error) {
	return []byte("{}"), nil
}

// list serves tools/list. The list has one page, so no cursor is known.
func (e *endpoint) list(_ context.Context, c caller, m *message) ([]byte, error) {
	if cursor := m.params["cursor"]; cursor != nil {
		return nil, m.refuse(codeInvalidParams, "the cursor is unknown: the list has one page")
	}
	if m.modern {
		return e.modern.listOf(e.api, c.Closed, cacheable())
	}
	return e.legacy.listOf(e.api, c.Closed, nil)
}

// capabilities are what this server can do: tools. That their list changes when
// an administrator closes one is not announced: there are no streams to say it on.
type capabilities struct {
	Tools struct{} `json:"tools"`
}

// instructions tell an agent what this server is.
func (e *endpoint) instructions() string {
	return "Tools of " + e.api.Title + ". Every call is checked against what the person allowed. A call that needs more is refused with the scopes it needs; a failed call says what would help."
}

// discoveryResult makes the result of server/discover.
func (e *endpoint) discoveryResult(meta json.RawMessage) ([]byte, error) {
	return serialise(struct {
		*caching
		SupportedVersions []string        `json:"supportedVersions"`
		Capabilities      capabilities    `json:"capabilities"`
		Instructions      string          `json:"instructions,omitempty"`
		Meta              json.RawMessage `json:"_meta"`
	}{cacheable(), revisions(), capabilities{}, e.instructions(), meta})
}
