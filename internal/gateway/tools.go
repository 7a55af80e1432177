package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"gatehouse/internal/catalog"
	"gatehouse/internal/oauth"
)

// listTTL, in milliseconds, is how long a client may keep a list or the answer
// to server/discover. The scope of such a cache is always private: what is
// listed may come to depend on who asks (R-RS-33).
const listTTL = 5 * 60 * 1000

// prepared is what an endpoint answers again and again, serialised once per
// API and era, because serialising a thousand tools for each list costs
// more than anything else a gateway does.
type prepared struct {
	list []byte // result of tools/list
	meta []byte // _meta of every result, nil before 2026-07-28

	mu      sync.Mutex
	closed  map[string]oauth.Closure // tools that were closed last,
	without []byte                   // and the list of the others
}

// listOf returns the result of tools/list but for what is closed. The same few
// tools are closed for long, so their list too is made once.
func (p *prepared) listOf(api *catalog.API, closed *oauth.Closed, c *caching) ([]byte, error) {
	if closed == nil || len(closed.Tools) == 0 {
		return p.list, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.without != nil && maps.Equal(p.closed, closed.Tools) {
		return p.without, nil
	}
	list, err := listTools(api, closed, c, p.meta)
	if err == nil {
		p.closed, p.without = closed.Tools, list
	}
	return list, err
}

// implementation names this server to clients.
type implementation struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"`
	Version string `json:"version"`
}

type toolView struct {
	Name         string          `json:"name"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
	Annotations  annotations     `json:"annotations"`
}

type annotations struct {
	Title       string `json:"title,omitempty"`
	ReadOnly    bool   `json:"readOnlyHint"`
	Destructive bool   `json:"destructiveHint"`
	Idempotent  bool   `json:"idempotentHint"`
	OpenWorld   bool   `json:"openWorldHint"` // always false: a tool reaches one API
}

// caching is what 2026-07-28 wants in results that can be kept.
type caching struct {
	ResultType string `json:"resultType,omitempty"`
	TTL        int    `json:"ttlMs"`
	Scope      string `json:"cacheScope"`
}

func cacheable() *caching { return &caching{"complete", listTTL, "private"} }

// serialise is json.Marshal without the escapes that only HTML needs.
func serialise(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// listTools makes the result of tools/list: every open tool of the API, in the
// catalog's order, by name (R-RS-34). c and meta are nil before 2026-07-28.
func listTools(api *catalog.API, closed *oauth.Closed, c *caching, meta json.RawMessage) ([]byte, error) {
	views := make([]toolView, 0, len(api.Tools))
	for _, t := range api.Tools {
		if closed.Tool(t.Name) != "" {
			continue
		}
		views = append(views, toolView{
			Name: t.Name, Title: t.Title, Description: t.Description,
			InputSchema: t.InputSchema, OutputSchema: t.OutputSchema,
			Annotations: annotations{Title: t.Title, ReadOnly: t.ReadOnly, Destructive: t.Destructive, Idempotent: t.Idempotent},
		})
	}
	b, err := serialise(struct {
		*caching
		Tools []toolView      `json:"tools"`
		Meta  json.RawMessage `json:"_meta,omitempty"`
	}{c, views, meta})
	if err != nil {
		return nil, fmt.Errorf("serialise the tools of %s: %w", api.Name, err)
	}
	return b, nil
}

// prepare serialises what e answers again and again.
func (e *endpoint) prepare(version string) (err error) {
	e.server = implementation{Name: "gatehouse-" + e.api.Name, Title: e.api.Title, Version: version}
	if e.modern.meta, err = serialise(map[string]implementation{metaServer: e.server}); err != nil {
		return err
	}
	if e.legacy.list, err = listTools(e.api, nil, nil, nil); err != nil {
		return err
	}
	if e.modern.list, err = listTools(e.api, nil, cacheable(), e.modern.meta); err != nil {
		return err
	}
	e.discovery, err = e.discoveryResult(e.modern.meta)
	return err
}
