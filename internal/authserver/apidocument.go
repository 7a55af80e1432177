package authserver

import (
	"net/http"

	"gatehouse/internal/client"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

// Document is the OpenAPI document of an API, as it is live.
type Document struct {
	Digest string // SHA-256, in hex
	Body   []byte
}

// document gives a gateway that is a process of its own the document that is
// live, so that both know the same tools; the revocation feed tells when there
// is another.
func (s *Server) document(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r, "resource")
	if err != nil {
		return err
	}
	c, _, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	if c.Origin != client.Gateway || !c.Confidential() {
		return oauth.NewError(oauth.UnauthorizedClient, "documents are for this installation's gateways")
	}
	d, ok := s.Documents[form.Get("resource")]
	if !ok {
		return oauth.NewError(oauth.InvalidTarget, "no API of this resource is protected here")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(d.Body) // a failed write means the gateway is gone
	return nil
}
