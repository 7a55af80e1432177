package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// next sends the browser to the next step of a request: sign-in, consent, or
// the answer. It is the only place that decides, so that no step can be
// skipped by going to another step's address.
func (s *Server) next(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client) error {
	if req.AccountID == "" || req.ForceSignIn {
		return s.goTo(w, r, "/login", req)
	}
	remembered, need, err := s.needsConsent(r.Context(), req, c)
	if err != nil {
		return err
	}
	if need == consentNone {
		return s.approve(w, r, req, c, remembered.Scopes, req.Scopes)
	}
	return s.goTo(w, r, "/consent", req)
}

func (s *Server) goTo(w http.ResponseWriter, r *http.Request, path string, req grant.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, s.Issuer+path+"?"+url.Values{"request": {req.ID}}.Encode(), http.StatusSeeOther)
	return nil
}

// consentNeed is what a request still needs of a signed-in person.
type consentNeed int

const (
	consentFull    consentNeed = iota // the whole page
	consentConfirm                    // one button: all this was allowed before
	consentNone                       // nothing
)

// needsConsent applies security.md 1 (RFC 8252 §8.6): what was allowed before
// is allowed silently only to a client that will prove that it is the same
// one. For any other a program on the person's computer could borrow the
// client_id, so the person at least sees and confirms it.
func (s *Server) needsConsent(ctx context.Context, req grant.Request, c client.Client) (grant.Grant, consentNeed, error) {
	g, err := s.Grants.Remembered(ctx, req.AccountID, req.ClientID, req.Resource, time.Now())
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return grant.Grant{}, consentFull, nil
	case err != nil:
		return grant.Grant{}, consentFull, err
	case req.ForceConsent || !oauth.Subset(req.Scopes, g.Scopes):
		return g, consentFull, nil
	case c.Confidential():
		return g, consentNone, nil
	}
	return g, consentConfirm, nil
}

// flowOf loads the request that a page or form is about, its client, and who
// is signed in for it. It answers only to the browser that started the request.
func (s *Server) flowOf(r *http.Request, id string) (grant.Request, client.Client, error) {
	if id == "" || len(id) > 64 {
		return grant.Request{}, client.Client{}, errRequestGone
	}
	req, err := s.Grants.Request(r.Context(), id, time.Now())
	if err != nil {
		return grant.Request{}, client.Client{}, err
	}
	browser := s.cookies.read(r, s.cookies.flow(id))
	if browser == "" || !secret.Equal(string(secret.Sum(browser)), string(req.BrowserHash)) {
		return grant.Request{}, client.Client{}, errRequestGone
	}
	c, err := s.Clients.Client(r.Context(), req.ClientID)
	if err != nil {
		return grant.Request{}, client.Client{}, err
	}
	return req, c, nil
}

// session returns who this browser is signed in as; account.ErrNotFound if nobody.
func (s *Server) session(r *http.Request) (account.Session, account.Account, error) {
	value := s.cookies.read(r, s.cookies.session())
	if value == "" {
		return account.Session{}, account.Account{}, account.ErrNotFound
	}
	return s.Accounts.Session(r.Context(), secret.Sum(value), time.Now())
}

// approve records the consent, stores grant and code, and answers the client.
// held is what the person allows this client in all, scopes what this code is
// for.
func (s *Server) approve(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client, held, scopes []string) error {
	now := time.Now()
	value := secret.New("ghc_")
	g := grant.Grant{
		ID: secret.ID(), AccountID: req.AccountID, ClientID: req.ClientID, Resource: req.Resource, Scopes: held,
		CreatedAt: now.Unix(), ExpiresAt: now.Add(grant.GrantLifetime).Unix(),
	}
	code := grant.Code{
		Hash: secret.Sum(value), ClientID: req.ClientID, RedirectURI: req.RedirectURI, RedirectGiven: req.RedirectGiven,
		Challenge: req.Challenge, Scopes: scopes, Resource: req.Resource, AMR: req.AMR, AuthTime: req.AuthTime,
		ExpiresAt: now.Add(grant.CodeLifetime).Unix(),
	}
	api, _ := s.apiOf(req.Resource)
	entry := audit.Entry{
		Kind: audit.Consent, Outcome: audit.Done, AccountID: req.AccountID, ClientID: req.ClientID,
		Detail: map[string]string{"scope": oauth.FormatScope(scopes), "redirect_host": client.RedirectHost(req.RedirectURI)},
	}
	if api != nil {
		entry.API = api.Name
	}
	if err := s.record(r.Context(), entry); err != nil {
		return err
	}
	if err := s.Grants.Approve(r.Context(), req.ID, g, code, now); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.flow(req.ID))
	s.redirect(w, r, req.RedirectURI, url.Values{"code": {value}, "state": {req.State}})
	return nil
}

// refuse records that the person said no, consumes the request and tells the client.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, req grant.Request) error {
	entry := audit.Entry{Kind: audit.Consent, Outcome: audit.Denied, AccountID: req.AccountID, ClientID: req.ClientID, Reason: "the person declined"}
	if err := s.record(r.Context(), entry); err != nil {
		return err
	}
	if err := s.Grants.Deny(r.Context(), req.ID, time.Now()); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.flow(req.ID))
	return &redirectError{req.RedirectURI, req.State, oauth.NewError(oauth.AccessDenied, "the person declined")}
}
