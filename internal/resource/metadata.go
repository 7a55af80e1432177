package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"gatehouse/internal/oauth"
)

// wellKnown is the suffix that RFC 9728 §3 registers.
const wellKnown = "oauth-protected-resource"

// Metadata serves one protected resource metadata document (RFC 9728), made
// once.
type Metadata struct {
	URL  string // where clients find it, by path insertion (RFC 9728 §3.1)
	Path string // the path of URL
	body []byte
}

// NewMetadata makes the document of m. The resource is published in canonical
// form, without the trailing slash of an origin (R-RS-16).
//
// Refused are a document without authorization server (R-RS-2), and one that
// lists offline_access, which is no scope of a resource (R-RS-15).
func NewMetadata(m oauth.ResourceMetadata) (*Metadata, error) {
	resource, err := oauth.CanonicalResource(m.Resource)
	if err != nil {
		return nil, fmt.Errorf("resource metadata of %s: %w", m.Resource, err)
	}
	if len(m.AuthorizationServers) == 0 {
		return nil, fmt.Errorf("resource metadata of %s: name at least one authorization server", m.Resource)
	}
	if slices.Contains(m.ScopesSupported, "offline_access") {
		return nil, fmt.Errorf("resource metadata of %s: offline_access is asked of authorization servers; remove it from the scopes", m.Resource)
	}
	u, err := url.Parse(resource)
	if err != nil || u.RawQuery != "" {
		return nil, errors.Join(fmt.Errorf("resource metadata of %s: the identifier must have no query", m.Resource), err)
	}
	m.Resource = resource
	m.BearerMethodsSupported = []string{"header"}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("resource metadata of %s: %w", m.Resource, err)
	}
	path := oauth.WellKnown(wellKnown, u.EscapedPath())
	return &Metadata{URL: u.Scheme + "://" + u.Host + path, Path: path, body: body}, nil
}

// ServeHTTP answers GET and HEAD with the document.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "this document can only be read; use GET", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Length", strconv.Itoa(len(m.body)))
	_, _ = w.Write(m.body) // a failed write means the client is gone
}
