package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// pageError is an error that a person sees: the request cannot be answered by
// a redirect to the client, because nothing vouches for where that would lead
// (RFC 6749 §4.1.2.1).
type pageError struct {
	Status int
	View   ErrorView
	Cause  error
	Rule   string // behind it, for the inspector
}

func (e *pageError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.View.Title, e.Cause)
	}
	return e.View.Title
}

func (e *pageError) Unwrap() error { return e.Cause }

// redirectError is an error that goes back to the client through the browser.
type redirectError struct {
	RedirectURI, State string
	Err                error
}

func (e *redirectError) Error() string { return e.Err.Error() }
func (e *redirectError) Unwrap() error { return e.Err }

// asOAuth translates domain errors. What it does not know is a server error
// and reveals nothing.
func asOAuth(err error) *oauth.Error {
	if e, ok := oauth.AsError(err); ok {
		return e
	}
	if e := asDocument(err); e != nil {
		return e
	}
	switch {
	case errors.Is(err, grant.ErrAPIClosed):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "an administrator has closed this API to agents; nothing was consumed, and if it was paused it works again once it is resumed", Cause: err}
	case errors.Is(err, grant.ErrPaused):
		// The one code on which clients send the person to sign in again, where a
		// page says what has happened.
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "an administrator has paused this; nothing was consumed, and it works again once it is resumed", Cause: err}
	case errors.Is(err, grant.ErrChanged):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "what the person allowed has changed at this moment; ask again", Cause: err}
	case errors.Is(err, grant.ErrUsed):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "the code was redeemed a moment ago; use the answer to that request", Cause: err}
	case errors.Is(err, grant.ErrNotFound), errors.Is(err, grant.ErrReplayed):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "the code is unknown, expired or used; start a new authorization request", Cause: err}
	case errors.Is(err, client.ErrUnknown):
		return &oauth.Error{Code: oauth.InvalidClient, Description: "the client is unknown or its credentials are wrong; register again", Cause: err}
	case errors.Is(err, client.ErrReplayed):
		return &oauth.Error{Code: oauth.InvalidClient, Description: "the client assertion was used before; make a new one for each request", Cause: err}
	case errors.Is(err, audit.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the server cannot do this now; try again shortly", RetryAfter: 2, Cause: err}
	}
	return &oauth.Error{Code: oauth.ServerError, Description: "internal error; an administrator finds it by the X-Request-Id of this answer", Cause: err}
}

// api adapts a handler of a JSON endpoint that is called by POST, and is the
// only writer of its errors.
func (s *Server) api(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // RFC 6749 §5.1
		w.Header().Set("Pragma", "no-cache")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if err := h(w, r); err != nil {
			e := asOAuth(err)
			tellRefused(r.Context(), err)
			httpserver.Note(r.Context(), "refused", err.Error())
			// RFC 9110 §15.5.2: a 401 carries a challenge; RFC 6749 §5.2: of the scheme that was tried.
			oauth.WriteError(w, e, `Basic realm="`+s.Issuer+`"`)
		}
	})
}

// browser adapts a handler that a person's browser calls. A POST from another
// site is refused (CSRF), and errors become a page or go back to the client.
func (s *Server) browser(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &pageError{Status: http.StatusForbidden, View: ErrorView{
			Title: "This form was sent from another site",
			What:  "Nothing was changed: only pages of this server may answer for you.",
			Next:  "Close that page and start again from your agent.",
		}})
	}))
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	}))
}

// fail is the only writer of errors that a person's browser sees.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	httpserver.Note(r.Context(), "refused", err.Error())
	tellRefused(r.Context(), err)
	if e, ok := errors.AsType[*redirectError](err); ok {
		s.redirect(w, r, e.RedirectURI, errorAnswer(asOAuth(e.Err), e.State))
		return
	}
	e, ok := errors.AsType[*pageError](err)
	if !ok {
		e = asPage(err)
	}
	view := e.View // a copy: some errors are values that many requests share
	view.Host = s.cookies.host
	view.Reference = httpserver.RequestID(r.Context())
	if err := s.pages.Render(w, e.Status, "error.html", view); err != nil {
		httpserver.Note(r.Context(), "page", err.Error())
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// asPage translates errors for which no handler made a page.
func asPage(err error) *pageError {
	if errors.Is(err, secret.ErrBusy) || errors.Is(err, audit.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return &pageError{Status: http.StatusServiceUnavailable, Cause: err, View: ErrorView{
			Title: "The server has too much to do",
			What:  "Your request was not carried out.",
			Next:  "Go back and try again in a few seconds.",
		}}
	}
	if o, ok := oauth.AsError(err); ok && o.Status() < 500 {
		return &pageError{Status: o.Status(), Cause: err, View: ErrorView{
			Title: "The agent sent a request that cannot be answered",
			What:  sentence(o.Description),
			Next:  "Start again from your agent. If this happens again, tell its developer what this page says.",
		}}
	}
	if errors.Is(err, account.ErrNotFound) || errors.Is(err, grant.ErrNotFound) {
		return errRequestGone
	}
	if errors.Is(err, grant.ErrAPIClosed) {
		return &pageError{Status: http.StatusForbidden, Cause: err, View: ErrorView{
			Title: "This API is closed to agents",
			What:  "An administrator has paused it for now, or closed it for good. Nothing was allowed or changed.",
			Next:  "Ask your administrator. When it is open again, start again from your agent.",
		}}
	}
	if errors.Is(err, grant.ErrPaused) {
		return &pageError{Status: http.StatusForbidden, Cause: err, View: ErrorView{
			Title: "This agent is paused",
			What:  "An administrator has paused it, or what you allowed it, for now. Nothing was allowed or changed.",
			Next:  "Ask your administrator. When it is resumed, start again from your agent.",
		}}
	}
	return &pageError{Status: http.StatusInternalServerError, Cause: err, View: ErrorView{
		Title: "Something went wrong on this server",
		What:  "Your request was not carried out.",
		Next:  "Start again from your agent. If this happens again, give an administrator the reference below.",
	}}
}

// errRequestGone answers for a request that is expired, answered, or another browser's.
var errRequestGone = &pageError{Status: http.StatusBadRequest, View: ErrorView{
	Title: "This sign-in cannot be continued here",
	What:  "It was started in another browser, was answered already, or has expired after a quarter of an hour.",
	Next:  "Start again from your agent.",
}}

// redirect sends the browser to the client's redirect URI with an answer: iss
// always (RFC 9207 §2, R-AS-15), other parameters where they have a value.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, redirectURI string, answer url.Values) {
	w.Header().Set("Cache-Control", "no-store")
	s.tellResponse(r.Context(), redirectURI, answer)
	http.Redirect(w, r, s.answerURL(redirectURI, answer), http.StatusSeeOther) // 303: never repeats a POST body (RFC 9700 §4.12)
}

// errorAnswer is an error as it goes to a client (RFC 6749 §4.1.2.1).
func errorAnswer(e *oauth.Error, state string) url.Values {
	return url.Values{"error": {string(e.Code)}, "error_description": {oauth.Printable(e.Description)}, "state": {state}}
}

// answerURL is a registered redirect URI with an answer.
func (s *Server) answerURL(redirectURI string, answer url.Values) string {
	answer.Set("iss", s.Issuer)
	for name, values := range answer {
		if values[0] == "" {
			answer.Del(name)
		}
	}
	separator := "?"
	if strings.Contains(redirectURI, "?") { // a registered query stays as it is: RFC 6749 §3.1.2
		separator = "&"
	}
	return redirectURI + separator + answer.Encode()
}

// sentence makes a description of the protocol a sentence of a page.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return string(append([]rune{toUpper([]rune(s)[0])}, []rune(s)[1:]...)) + "."
}
