package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// logout serves OpenID Connect RP-Initiated Logout 1.0: a client asks that the
// person be signed out here too. Whoever can show an ID token of this very
// session does it at once; anybody else could have made the link, so the person
// is asked. Where they go then must be registered, and is a link and no redirect
// if nobody vouches for the client.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	form, err := s.logoutForm(r)
	if err != nil {
		return err
	}
	c, subject, err := s.leaving(r, form)
	if err != nil {
		return err
	}
	back := form.Get("post_logout_redirect_uri")
	if back != "" && !slices.Contains(c.PostLogoutRedirectURIs, back) {
		return &pageError{Status: http.StatusBadRequest, View: ErrorView{
			Title: "This sign-out request is not safe to answer",
			What:  "It would lead to an address that the application did not register for this.",
			Next:  "You are still signed in. To sign out, open your own page.", Link: "/account", LinkHost: s.cookies.host,
		}}
	}
	_, acc, err := s.session(r)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return err
	}
	if err == nil && acc.ID != subject && form.Get("action") != "leave" {
		return s.pages.Render(w, http.StatusOK, "logout.html", LogoutView{
			Host: s.cookies.host, Account: acc.Name, Agent: agentView(c, back), Asked: c.ID != "",
			Hint: form.Get("id_token_hint"), ClientID: form.Get("client_id"), Back: back, State: form.Get("state"),
		})
	}
	if err == nil {
		if err := s.record(r.Context(), audit.Entry{Kind: audit.SignIn, Outcome: audit.Done, AccountID: acc.ID, ClientID: c.ID, Reason: "signed out"}); err != nil {
			return err
		}
	}
	if err := s.endSessions(r); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.session())
	return s.afterLogout(w, r, c, back, form.Get("state"))
}

// logoutForm takes the parameters of either method (§2.1).
func (s *Server) logoutForm(r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		return oauth.ParseForm(r)
	}
	return oauth.ParseQuery(r.URL.RawQuery)
}

// leaving finds out which client asks, and for whom: by an ID token that was
// made here, however old, or by its client_id alone.
func (s *Server) leaving(r *http.Request, form url.Values) (c client.Client, subject string, err error) {
	id := form.Get("client_id")
	if hint := form.Get("id_token_hint"); hint != "" {
		set, err := s.Keys.Set(r.Context())
		if err != nil {
			return c, "", err
		}
		keys, err := jose.ParseKeySet(set)
		if err != nil {
			return c, "", err
		}
		var claims idClaims
		audience, _ := jose.UnverifiedAudience(hint) // what is not verified below is not used
		if len(audience) != 1 {
			audience = []string{""}
		}
		// §2: one that has expired does, too.
		err = jose.Verify(hint, keys, jose.Expect{Type: "JWT", Issuer: s.Issuer, Audience: audience[0], Skew: hintLifetime}, &claims)
		if err != nil || id != "" && id != claims.Audience {
			return c, "", oauth.NewError(oauth.InvalidRequest, "the id_token_hint was not made here, or not for this client")
		}
		id, subject = claims.Audience, claims.Subject
	}
	if id == "" {
		return c, "", nil
	}
	c, err = s.storedClient(r.Context(), id)
	if errors.Is(err, client.ErrUnknown) {
		return client.Client{}, "", nil
	}
	return c, subject, err
}

// hintLifetime is how old an ID token may be to say whose session to end.
const hintLifetime = 30 * 24 * time.Hour

func (s *Server) afterLogout(w http.ResponseWriter, r *http.Request, c client.Client, back, state string) error {
	notice := NoticeView{Host: s.cookies.host, Title: "Signed out", What: "You are signed out of this browser.", Link: "/account", LinkText: "Open your page"}
	if back == "" {
		return s.pages.Render(w, http.StatusOK, "notice.html", notice)
	}
	u, err := url.Parse(back)
	if err != nil {
		return err // it was checked when it was registered
	}
	if state != "" {
		query := u.Query()
		query.Set("state", state)
		u.RawQuery = query.Encode()
	}
	if !c.Vouched() && !client.IsLoopback(back) {
		notice.Link, notice.LinkText = u.String(), "Return to "+u.Host
		notice.Next = "If that is where you came from:"
		return s.pages.Render(w, http.StatusOK, "notice.html", notice)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
	return nil
}
