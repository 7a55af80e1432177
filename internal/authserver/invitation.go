package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// An administrator's link lets somebody choose the password of an account,
// once. The link only hands its token to this browser, so that no page with a
// form has the token in its address: it stays out of the history and of what
// other requests name as where they came from. Opening the link consumes
// nothing: programs that look into mail do so, too.

// invitationTime bounds how long a browser keeps the token.
const invitationTime = 30 * time.Minute

// errInvitationGone answers for links that are used, replaced, expired or made
// up, and for those of paused accounts, which it does not tell apart.
var errInvitationGone = &pageError{Status: http.StatusNotFound, View: ErrorView{
	Title: "This invitation is not good any more",
	What:  "It was used already, another one took its place, or its three days are over.",
	Next:  "Ask your administrator for a new one.",
}}

// openInvitation takes the token out of the address.
func (s *Server) openInvitation(w http.ResponseWriter, r *http.Request) error {
	q, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errInvitationGone
	}
	token := q.Get("token")
	if token == "" {
		return s.showInvitation(w, r)
	}
	if len(token) > 100 {
		return errInvitationGone
	}
	s.cookies.tidy(w, r)
	s.cookies.write(w, s.cookies.invitation(), token, invitationTime)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, s.Issuer+"/invitation", http.StatusSeeOther)
	return nil
}

// invited returns the account that this browser is invited to, and the hash of
// its token. Trying costs as much as signing in.
func (s *Server) invited(r *http.Request) (account.Account, secret.Hash, error) {
	if ok, _ := s.limits.signInAddress.Allow(addressKey(r)); !ok {
		return account.Account{}, "", &pageError{Status: http.StatusTooManyRequests, View: ErrorView{
			Title: "Too many attempts came from here", What: "Nothing was changed.", Next: "Wait a minute, then open the link again.",
		}}
	}
	h := secret.Sum(s.cookies.read(r, s.cookies.invitation()))
	acc, err := s.Invitations.Invitation(r.Context(), h, time.Now())
	if errors.Is(err, account.ErrNotFound) {
		err = errInvitationGone
	}
	return acc, h, err
}

func (s *Server) showInvitation(w http.ResponseWriter, r *http.Request) error {
	acc, _, err := s.invited(r)
	if err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "invitation.html", InvitationView{Host: s.cookies.host, Name: acc.Name})
}

// acceptInvitation sets the password. It signs nobody in, and this browser out:
// no session of before is used after it.
func (s *Server) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	acc, h, err := s.invited(r)
	if err != nil {
		return err
	}
	view := InvitationView{Host: s.cookies.host, Name: acc.Name}
	if form.Get("username") != acc.Name {
		view.Problem = "This page was open for another invitation. It now shows the one that was opened last; look again before you choose."
		return s.pages.Render(w, http.StatusConflict, "invitation.html", view)
	}
	if view.Problem = passwordProblem(acc.Name, form); view.Problem != "" {
		return s.pages.Render(w, http.StatusBadRequest, "invitation.html", view)
	}
	hash, err := s.Authenticator.Passwords.Hash(r.Context(), form.Get("password"))
	if err != nil {
		return err
	}
	if err := s.record(r.Context(), audit.Entry{Kind: audit.SignIn, Outcome: audit.Done, AccountID: acc.ID, Reason: "the person chose a password by an invitation"}); err != nil {
		return err
	}
	if err := s.Invitations.UseInvitation(r.Context(), h, hash, time.Now()); err != nil {
		if errors.Is(err, account.ErrNotFound) {
			err = errInvitationGone
		}
		return err
	}
	if err := s.endSessions(r); err != nil {
		httpserver.Note(r.Context(), "session", err.Error()) // the password is set
	}
	s.cookies.clear(w, s.cookies.session())
	s.cookies.clear(w, s.cookies.invitation())
	notice := NoticeView{
		Host: s.cookies.host, Title: "Your password is set", What: "From now on you sign in as " + acc.Name + " with it.",
		Next: "The link is used up. Keep the password to yourself; nobody here can read it.", Link: "/account", LinkText: "Sign in and see what you allowed your agents",
	}
	return s.pages.Render(w, http.StatusOK, "notice.html", notice)
}

// passwordProblem says what is wrong with a password that was typed twice.
func passwordProblem(name string, form url.Values) string {
	if err := account.CheckPassword(name, form.Get("password")); err != nil {
		return "This password cannot be used: " + strings.TrimPrefix(err.Error(), account.ErrPassword.Error()+": ") + "."
	}
	if form.Get("password") != form.Get("again") {
		return "The two passwords differ. Type the same one twice."
	}
	return ""
}
