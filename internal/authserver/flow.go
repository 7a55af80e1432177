package authserver

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
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
	if isOwn(req) {
		return s.arrive(w, r, req, s.ownPage())
	}
	st, err := s.standing(r.Context(), req, c)
	if err != nil {
		return err
	}
	if c.Origin == client.Console { // this installation's own: there is nobody else to agree to
		return s.approve(w, r, req, c, st, req.Scopes, req.Scopes)
	}
	if st.need == consentNone {
		return s.approve(w, r, req, c, st, st.held.Scopes, req.Scopes)
	}
	return s.goTo(w, r, "/consent", req)
}

func (s *Server) goTo(w http.ResponseWriter, r *http.Request, path string, req grant.Request) error {
	inspect.Of(r.Context()).Answer("next", path)
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

// standing is what client and person have between them already, and what that
// leaves to be asked.
type standing struct {
	stored  grant.Grant // the live grant of the two; zero if there is none
	held    grant.Grant // the same, unless the client is not what the person agreed to any more
	missing []grant.Missing
	need    consentNeed
}

// offered are the scopes that a gateway found missing and that this request
// does not ask for: they are offered beside it (security.md 3). They may be in
// the grant and only the token lacked them: clients whose refresh names the
// scopes of their registration lose what a person added, and get it again here.
func (st standing) offered(req grant.Request) []string {
	var scopes []string
	for _, m := range st.missing {
		if !slices.Contains(req.Scopes, m.Scope) {
			scopes = append(scopes, m.Scope)
		}
	}
	return scopes
}

// standing applies security.md 1 (RFC 8252 §8.6): what was allowed before is
// allowed silently only to a client that will prove that it is the same one, or
// whose answer nobody else gets. For any other a program on the person's
// computer could borrow the client_id, so the person at least sees and confirms
// it. What a gateway found missing forces the whole page.
func (s *Server) standing(ctx context.Context, req grant.Request, c client.Client) (standing, error) {
	now := time.Now()
	if err := s.mayAdminister(ctx, req); err != nil {
		return standing{}, err
	}
	if err := s.Pauses.Paused(ctx, grant.Parties{Client: req.ClientID, Account: req.AccountID, Administration: c.Administers()}); err != nil {
		return standing{}, err
	}
	if err := s.openTo(ctx, req.Resource); err != nil {
		return standing{}, err
	}
	g, err := s.Grants.Remembered(ctx, req.AccountID, req.ClientID, req.Resource, now)
	if errors.Is(err, grant.ErrNotFound) {
		return standing{}, nil
	}
	if err != nil {
		return standing{}, err
	}
	if err := s.Pauses.Paused(ctx, grant.Parties{Grant: g.ID, Administration: c.Administers()}); err != nil {
		return standing{}, err
	}
	if g.Agreed != c.Fingerprint() {
		// security.md 2 and 4: what was allowed was allowed to something else.
		return standing{stored: g}, nil
	}
	st := standing{stored: g, held: g}
	if st.missing, err = s.StepUps.Missing(ctx, g.ID, now); err != nil {
		return standing{}, err
	}
	switch {
	case req.ForceConsent || !oauth.Subset(req.Scopes, g.Scopes) || len(st.offered(req)) > 0:
	case c.Confidential(), c.OwnsRedirect(req.RedirectURI):
		st.need = consentNone
	default:
		st.need = consentConfirm
	}
	return st, nil
}

// flowOf loads the request that a page or form is about, its client, and who
// is signed in for it. It answers only to the browser that started the request.
func (s *Server) flowOf(r *http.Request, id string) (grant.Request, client.Client, error) {
	if id == "" || len(id) > 64 {
		return grant.Request{}, client.Client{}, errRequestGone
	}
	req, err := s.Requests.Request(r.Context(), id, time.Now())
	if err != nil {
		return grant.Request{}, client.Client{}, err
	}
	browser := s.cookies.read(r, s.cookies.flow(id))
	if browser == "" || !secret.Equal(string(secret.Sum(browser)), string(req.BrowserHash)) {
		return grant.Request{}, client.Client{}, errRequestGone
	}
	if isOwn(req) {
		return req, s.ownClient(), nil
	}
	c, err := s.storedClient(r.Context(), req.ClientID)
	if err != nil {
		return grant.Request{}, client.Client{}, err
	}
	if !c.RedirectAllowed(req.RedirectURI) { // its document has changed since the request
		return grant.Request{}, client.Client{}, errRequestGone
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
func (s *Server) approve(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client, st standing, held, scopes []string) error {
	now := time.Now()
	value := secret.New("ghc_")
	g := grant.Grant{
		ID: secret.ID(), AccountID: req.AccountID, ClientID: req.ClientID, Resource: req.Resource, Scopes: held,
		Agreed: c.Fingerprint(), CreatedAt: now.Unix(), ExpiresAt: now.Add(grant.GrantLifetime).Unix(),
	}
	if st.need == consentNone { // nobody saw a page, so nobody agreed to a later end
		g.ExpiresAt = st.held.ExpiresAt
	}
	code := grant.Code{
		Hash: secret.Sum(value), ClientID: req.ClientID, RedirectURI: req.RedirectURI, RedirectGiven: req.RedirectGiven,
		Challenge: req.Challenge, Scopes: scopes, Resource: req.Resource, Nonce: req.Nonce, AMR: req.AMR, AuthTime: req.AuthTime,
		ExpiresAt: now.Add(grant.CodeLifetime).Unix(),
	}
	api, _ := s.resourceOf(req.Resource)
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
	if err := s.forgetMissing(r.Context(), st); err != nil {
		return err
	}
	err := s.Requests.Approve(r.Context(), req.ID, st.stored, g, code, now)
	if errors.Is(err, grant.ErrChanged) { // ended or narrowed meanwhile, in another tab or by an administrator
		return s.goTo(w, r, "/consent", req)
	}
	if err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.flow(req.ID))
	told := inspect.Of(r.Context())
	told.Belongs(inspect.Keys{GrantID: cmp.Or(st.stored.ID, g.ID), AccountID: req.AccountID})
	told.Answer("scope", oauth.FormatScope(scopes))
	s.redirect(w, r, req.RedirectURI, url.Values{"code": {value}, "state": {req.State}})
	return nil
}

// forgetMissing ends the offer of what was found missing: it is good for one
// consent, whatever the answer.
func (s *Server) forgetMissing(ctx context.Context, st standing) error {
	if len(st.missing) == 0 {
		return nil
	}
	return s.StepUps.ForgetMissing(ctx, st.held.ID)
}

// refuse records that the person said no, consumes the request and tells the client.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client) error {
	if req.AccountID != "" {
		st, err := s.standing(r.Context(), req, c)
		if err == nil {
			err = s.forgetMissing(r.Context(), st)
		}
		if err != nil {
			return err
		}
	}
	entry := audit.Entry{Kind: audit.Consent, Outcome: audit.Denied, AccountID: req.AccountID, ClientID: req.ClientID, Reason: "the person declined"}
	if err := s.record(r.Context(), entry); err != nil {
		return err
	}
	if err := s.Requests.Deny(r.Context(), req.ID, time.Now()); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.flow(req.ID))
	return &redirectError{req.RedirectURI, req.State, rule("denied", oauth.AccessDenied, "the person declined")}
}
