package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/secret"
)

// visit is who came.
type visit struct {
	account.Account
	session account.Session
}

// Administers reports whether the person may change something.
func (v visit) Administers() bool { return v.Role == account.Administrator }

// freshFor is how long a sign-in is good for acts that cannot be undone, or
// that undo a stop (security.md 21).
const freshFor = 5 * time.Minute

// fresh reports whether the person has just shown who they are. A stronger
// factor would be asked for here.
func (v visit) fresh(now time.Time) bool { return freshly(v.session.AMR, v.session.AuthTime, now) }

// freshly reports whether a sign-in is one of the last minutes that has shown
// something.
func freshly(amr []string, authTime int64, now time.Time) bool {
	return slices.Contains(amr, "pwd") && now.Sub(time.Unix(authTime, 0)) < freshFor
}

// problem is what a person is told when a page cannot be shown.
type problem struct {
	status            int
	title, what, next string
}

func (p *problem) Error() string { return p.title }

// errNothing means that what an address names is not here.
var errNothing = &problem{http.StatusNotFound, "There is nothing here", "What this address names does not exist, or does no more.", "Go on from one of the places in the menu."}

// guard refuses what another site's page sends (CSRF).
func (s *Server) guard() *http.CrossOriginProtection {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, visit{}, &problem{http.StatusForbidden, "This form was sent from another site", "Nothing was changed: only pages of this console may act for you.", "Close that page, and go on from the console."})
	}))
	return guard
}

// admit adapts a route: it is the one place that decides who may use it, and
// the only writer of failures.
func (s *Server) admit(route Route) http.Handler {
	// What was typed into a page comes back into it, where it has an address.
	asked := slices.ContainsFunc(s.Routes(), func(other Route) bool { return "POST"+strings.TrimPrefix(other.Pattern, "GET") == route.Pattern })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		v, err := s.visitor(r)
		if err == nil || route.Access == Anybody && errors.Is(err, account.ErrNotFound) {
			err = s.allowed(route, v, time.Now())
		}
		if err == nil {
			err = route.handle(w, r, v)
		}
		var again *signInAgain
		if asked && errors.As(err, &again) {
			err = s.signInFirst(w, r, v)
		}
		switch {
		case err == nil:
		case errors.Is(err, account.ErrNotFound) && r.Method == http.MethodGet:
			http.Redirect(w, r, signInFor(r.URL, false), http.StatusSeeOther)
		case errors.As(err, &again) && r.Method == http.MethodGet:
			http.Redirect(w, r, signInFor(r.URL, true), http.StatusSeeOther)
		default:
			s.fail(w, r, v, err)
		}
	})
}

// signInAgain means that the person has to show once more who they are.
type signInAgain struct{ problem }

// allowed decides whether a person may use a route.
func (s *Server) allowed(route Route, v visit, now time.Time) error {
	switch {
	case route.Access == Anybody:
		return nil
	case v.Role != account.Administrator && v.Role != account.Auditor:
		return &problem{http.StatusForbidden, "You have no role here", "Your account does not administer this installation.", "Ask an administrator for a role, or sign in as somebody else."}
	case route.Access >= Changing && !v.Administers():
		return &problem{http.StatusForbidden, "Auditors change nothing", "Your role reads everything here and changes nothing. Nothing was done.", "Ask an administrator."}
	case (route.Access == ChangingBy || route.Access == ReadingBy) && !v.fresh(now):
		return &signInAgain{problem{http.StatusForbidden, "Sign in again for this", "Your last sign-in is more than five minutes ago, and this takes a new one. Nothing was done.", "Open the page before this one again: it asks you to sign in."}}
	}
	return nil
}

// visitor returns who came; account.ErrNotFound if nobody is signed in.
func (s *Server) visitor(r *http.Request) (visit, error) {
	value := s.cookie(r, sessionCookie)
	if value == "" {
		return visit{}, account.ErrNotFound
	}
	session, acc, err := s.Accounts.Session(r.Context(), sessionHash(value), time.Now())
	return visit{acc, session}, err
}

// sessionHash keeps sessions of the console apart from those of the
// authorization server, beside which they are stored: the value of one is none
// of the other.
func sessionHash(value string) secret.Hash { return secret.Sum("console " + value) }

// signInFor is where to sign in before going to u.
func signInFor(u *url.URL, fresh bool) string {
	q := url.Values{"next": {u.RequestURI()}}
	if fresh {
		q.Set("fresh", "1")
	}
	return "/admin/sign-in?" + q.Encode()
}

// fail is the only writer of failures.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, v visit, err error) {
	httpserver.Note(r.Context(), "refused", err.Error())
	p, ok := errors.AsType[*problem](err)
	var again *signInAgain
	switch {
	case ok:
	case errors.As(err, &again):
		p = &again.problem
	case errors.Is(err, account.ErrNotFound):
		p = &problem{http.StatusUnauthorized, "You are not signed in", "Nothing was done.", "Sign in, and start again."}
	case errors.Is(err, audit.ErrUnavailable):
		p = &problem{http.StatusServiceUnavailable, "The audit log takes no entries now", "What cannot be recorded is not done.", "Try again in a few seconds."}
	default:
		p = &problem{http.StatusInternalServerError, "Something failed here", "Your request may not have been carried out; the log has what happened.", "Look whether it was done before you try again."}
	}
	view := problemView{frame: s.frame(v, ""), Title: p.title, What: p.what, Next: p.next, Reference: httpserver.RequestID(r.Context())}
	if err := s.pages.Render(w, p.status, "problem.html", view); err != nil {
		httpserver.Note(r.Context(), "page", err.Error())
	}
}
