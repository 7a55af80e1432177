package authserver

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// revoke serves token revocation, RFC 7009. A refresh token takes its family
// along, access tokens too (§2.1). A token that is not there is no error
// (§2.2): the client's purpose is met.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	c, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	if form.Get("token") == "" {
		return oauth.NewError(oauth.InvalidRequest, "token is missing")
	}
	if err := s.record(r.Context(), audit.Entry{Kind: audit.Revocation, Outcome: audit.Done, ClientID: c.ID, Reason: "the client revoked a token"}); err != nil {
		return err
	}
	err = s.Grants.End(r.Context(), secret.Sum(form.Get("token")), c.ID, time.Now())
	switch {
	case errors.Is(err, grant.ErrForeign):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "the token was issued to another client, which alone may revoke it", Cause: err}
	case err != nil && !errors.Is(err, grant.ErrNotFound):
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
