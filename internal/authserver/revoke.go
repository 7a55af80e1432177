package authserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
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
	c, _, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	told := inspect.Of(r.Context())
	told.Is(inspect.Revocation, r.URL.Path)
	told.Form(form)
	told.Asked("client_id", c.ID)
	told.Belongs(inspect.Keys{ClientID: c.ID})
	if form.Get("token") == "" {
		return oauth.NewError(oauth.InvalidRequest, "token is missing")
	}
	now, hash := time.Now(), secret.Sum(form.Get("token"))
	g, holder, err := s.grantOf(r.Context(), hash, now)
	if errors.Is(err, grant.ErrNotFound) { // and no entry either: tokens can be invented without end
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if err != nil {
		return err
	}
	if holder != c.ID {
		return oauth.NewError(oauth.InvalidGrant, "the token was issued to another client, which alone may revoke it")
	}
	told.Belongs(keysOf(g))
	if err := s.record(r.Context(), audit.Entry{
		Kind: audit.Revocation, Outcome: audit.Done, AccountID: g.AccountID, ClientID: c.ID, GrantID: g.ID, Reason: "the client revoked a token",
	}); err != nil {
		return err
	}
	if err := s.Grants.End(r.Context(), hash, c.ID, now); err != nil && !errors.Is(err, grant.ErrNotFound) {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// grantOf returns the live grant that an access or refresh token hangs off, and
// to whom the token was issued.
func (s *Server) grantOf(ctx context.Context, h secret.Hash, now time.Time) (g grant.Grant, holder string, err error) {
	t, g, err := s.Grants.Token(ctx, h, now)
	if errors.Is(err, grant.ErrNotFound) {
		_, g, err = s.Grants.Refresh(ctx, h, now)
	}
	return g, grant.Holder(t, g), err
}
