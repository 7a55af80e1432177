package authserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// showLogin asks who is there.
func (s *Server) showLogin(w http.ResponseWriter, r *http.Request) error {
	req, c, err := s.flowOf(r, r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	tell(r, inspect.SignInPage, req)
	return s.loginPage(w, http.StatusOK, req, c, "", "")
}

func (s *Server) loginPage(w http.ResponseWriter, status int, req grant.Request, c client.Client, name, problem string) error {
	view := LoginView{
		Host: s.cookies.host, Request: req.ID, Agent: agentView(c, req.RedirectURI), Method: string(s.Authenticator.Method),
		Name: name, Problem: problem, Demo: s.Demo, Own: isOwn(req), Console: c.Origin == client.Console, API: s.titleOf(req.Resource),
	}
	if s.Authenticator.Method == account.Username {
		view.People = s.People
	}
	return s.pages.Render(w, status, "login.html", view)
}

// passwordPage asks for the password of a name that has one where others have
// none.
func (s *Server) passwordPage(w http.ResponseWriter, status int, req grant.Request, c client.Client, name, problem string) error {
	return s.pages.Render(w, status, "login.html", LoginView{
		Host: s.cookies.host, Request: req.ID, Agent: agentView(c, req.RedirectURI), Method: string(account.Password),
		Name: name, Locked: true, Problem: problem, Own: isOwn(req), Console: c.Origin == client.Console, API: s.titleOf(req.Resource),
	})
}

// titleOf is what people read for a resource.
func (s *Server) titleOf(resource string) string {
	if api, ok := s.resourceOf(resource); ok {
		return api.Title
	}
	return ""
}

// signIn takes the answer of the sign-in page.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	req, c, err := s.flowOf(r, form.Get("request"))
	if err != nil {
		return err
	}
	told := tell(r, inspect.SignIn, req)
	if form.Get("action") == "deny" {
		if isOwn(req) {
			return s.arrive(w, r, req, s.Issuer+"/")
		}
		return s.refuse(w, r, req, c)
	}
	name := strings.TrimSpace(form.Get("username"))
	acc, amr, err := s.authenticate(r, name, form.Get("password"))
	if errors.Is(err, account.ErrPasswordNeeded) {
		return s.passwordPage(w, http.StatusOK, req, c, name, "")
	}
	if err != nil {
		status, problem := loginProblem(err)
		if problem == "" {
			return err
		}
		httpserver.Note(r.Context(), "refused", err.Error())
		ask := s.loginPage
		if form.Get("password") != "" && s.Authenticator.Method == account.Username {
			ask = s.passwordPage
		}
		told.Refused("sign-in")
		if errors.Is(err, errSlowDown) { // not recorded: the limit is for the audit log, too
			return ask(w, status, req, c, name, problem)
		}
		if err := s.recordSignIn(r.Context(), audit.Denied, "", req, problem); err != nil {
			return err
		}
		return ask(w, status, req, c, name, problem)
	}
	if err := s.recordSignIn(r.Context(), audit.Done, acc.ID, req, ""); err != nil {
		return err
	}
	now := time.Now()
	if err := s.startSession(w, r, acc, amr, now); err != nil {
		return err
	}
	if err := s.Requests.SignIn(r.Context(), req.ID, acc.ID, amr, now.Unix(), now); err != nil {
		return err
	}
	req.AccountID, req.AMR, req.AuthTime, req.ForceSignIn = acc.ID, amr, now.Unix(), false
	told.Belongs(inspect.Keys{AccountID: acc.ID})
	told.Answer("amr", amr...)
	return s.next(w, r, req, c)
}

// errSlowDown means that this name or this address tried too often.
var errSlowDown = errors.New("too many sign-in attempts")

// errAccountPaused comes after the right password only, so it tells nobody else.
var errAccountPaused = errors.New("the account is paused")

// authenticate slows guessing down, by name and by address alike for names
// that exist and names that do not, and then asks the authenticator.
func (s *Server) authenticate(r *http.Request, name, password string) (account.Account, []string, error) {
	if ok, _ := s.limits.signInAddress.Allow(addressKey(r)); !ok {
		return account.Account{}, nil, errSlowDown
	}
	guessed := s.Authenticator.Method == account.Password
	if !guessed && password != "" { // most names need none, and then nothing is guessed
		_, _, err := s.Authenticator.SignIn(r.Context(), name, "")
		guessed = errors.Is(err, account.ErrPasswordNeeded)
	}
	if guessed {
		// By the name as the store knows it, or one account would have many
		// spellings to guess with.
		normal, err := account.Normalize(name)
		if err != nil {
			normal = strings.ToLower(name)
		}
		key := string(secret.Sum(normal))
		if ok, _ := s.limits.signInGuesser.Allow(key + " " + addressKey(r)); !ok {
			return account.Account{}, nil, errSlowDown
		}
		if ok, _ := s.limits.signInName.Allow(key); !ok {
			return account.Account{}, nil, errSlowDown
		}
	}
	acc, amr, err := s.Authenticator.SignIn(r.Context(), name, password)
	if err == nil {
		err = s.Pauses.Paused(r.Context(), grant.Parties{Account: acc.ID, Administration: acc.Role != account.NoRole})
	}
	if errors.Is(err, grant.ErrPaused) {
		err = errAccountPaused
	}
	return acc, amr, err
}

// loginProblem says what a person can do about a failed sign-in; empty for
// failures that are not theirs.
func loginProblem(err error) (int, string) {
	switch {
	case errors.Is(err, account.ErrWrong):
		return http.StatusUnauthorized, "Name and password do not belong together. Check both and try again."
	case errors.Is(err, account.ErrName):
		return http.StatusBadRequest, "This name cannot be used: " + strings.TrimPrefix(err.Error(), account.ErrName.Error()+": ") + "."
	case errors.Is(err, errAccountPaused):
		return http.StatusForbidden, "An administrator has paused your account, or everything here. Ask them."
	case errors.Is(err, errSlowDown):
		return http.StatusTooManyRequests, "Too many attempts. Wait a minute and try again."
	case errors.Is(err, secret.ErrBusy):
		return http.StatusServiceUnavailable, "Many people are signing in just now. Try again in a few seconds."
	}
	return 0, ""
}

func (s *Server) recordSignIn(ctx context.Context, o audit.Outcome, accountID string, req grant.Request, reason string) error {
	return s.record(ctx, audit.Entry{Kind: audit.SignIn, Outcome: o, AccountID: accountID, ClientID: req.ClientID, Reason: reason})
}

// startSession gives the browser a session of its own, in place of any that it
// brought along: a session from before the sign-in is never used after it.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, acc account.Account, amr []string, now time.Time) error {
	value := secret.New("")
	session := account.Session{
		Hash: secret.Sum(value), AccountID: acc.ID, AMR: amr, AuthTime: now.Unix(),
		ExpiresAt: now.Add(account.SessionLifetime).Unix(),
	}
	if err := s.endSessions(r); err != nil {
		return err
	}
	if err := s.Accounts.StartSession(r.Context(), session, ""); err != nil {
		return err
	}
	s.cookies.write(w, s.cookies.session(), value, account.SessionLifetime)
	return nil
}

// maxSessions bounds the sessions that one request can name.
const maxSessions = 4

// sessions returns the session values that the browser presents: usually one,
// more where somebody else has set one beside it.
func (s *Server) sessions(r *http.Request) []secret.Hash {
	var hashes []secret.Hash
	for _, c := range r.CookiesNamed(s.cookies.session()) {
		if len(hashes) < maxSessions && c.Value != "" {
			hashes = append(hashes, secret.Sum(c.Value))
		}
	}
	return hashes
}

// endSessions ends every session that the browser presents.
func (s *Server) endSessions(r *http.Request) error {
	for _, h := range s.sessions(r) {
		if err := s.Accounts.EndSession(r.Context(), h); err != nil {
			return err
		}
	}
	return nil
}

// switchAccount signs the browser out and asks again who is there.
func (s *Server) switchAccount(w http.ResponseWriter, r *http.Request, req grant.Request) error {
	if err := s.endSessions(r); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.session())
	if err := s.Requests.SignOut(r.Context(), req.ID, time.Now()); err != nil {
		return err
	}
	return s.goTo(w, r, "/login", req)
}

// front answers at the issuer's own address, where people land by mistake.
func (s *Server) front(w http.ResponseWriter, r *http.Request) error {
	return s.pages.Render(w, http.StatusOK, "notice.html", NoticeView{
		Host:  s.cookies.host,
		Title: "This is where people sign in for their agents",
		What:  "There is nothing to do here on its own. Your agent sends you here when it needs your consent.",
		Next:  "To connect an agent, give it the address of an MCP server that this organization protects.",
		Link:  "/account", LinkText: "See what you allowed your agents",
	})
}
