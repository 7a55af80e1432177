package agent

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	people "gatehouse/internal/account"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// minPassword is how many characters a password has at least (NIST SP 800-63B
// §3.1.1.2 asks for 15 of a password alone, and 8 at the least).
const minPassword = 10

func (s *Server) cookie() string {
	if s.secure {
		return "__Host-errand-session"
	}
	return "errand-session"
}

// visitor returns who is signed in, else errUnknown. A cookie that comes twice
// is nobody's (security.md 17).
func (s *Server) visitor(r *http.Request) (visit, error) {
	found := r.CookiesNamed(s.cookie())
	if len(found) != 1 || found[0].Value == "" {
		return visit{}, errUnknown
	}
	a, err := s.store.session(r.Context(), found[0].Value)
	return visit{a, secret.Sum(found[0].Value)}, err
}

func (s *Server) setCookie(w http.ResponseWriter, value string, lifetime time.Duration) {
	age := int(lifetime.Seconds())
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookie(), Value: value, Path: "/", MaxAge: age, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// front is the start page: a person's own, or what this place is.
func (s *Server) front(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if errors.Is(err, errUnknown) {
		return s.pages.Render(w, http.StatusOK, "front.html", frame{Host: s.host})
	}
	if err != nil {
		return err
	}
	return s.home(w, r, v, http.StatusOK, "", "")
}

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) error {
	return s.pages.Render(w, http.StatusOK, "sign-in.html", signView{frame: frame{Host: s.host}})
}

func (s *Server) showCreate(w http.ResponseWriter, r *http.Request) error {
	return s.pages.Render(w, http.StatusOK, "create.html", signView{frame: frame{Host: s.host}, MinPassword: minPassword})
}

// form reads a form whose fields come once each.
func form(r *http.Request) (url.Values, error) {
	f, err := oauth.ParseForm(r)
	if err != nil {
		return nil, &problem{http.StatusBadRequest, "This form could not be read", "Nothing was done.", "Go back, load the page again and try again."}
	}
	return f, nil
}

func addressKey(r *http.Request) string { return httpserver.ClientKey(httpserver.ClientAddr(r)) }

const slowDown = "Too many attempts. Wait a minute and try again."

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	again := func(status int, text string) error {
		return s.pages.Render(w, status, "sign-in.html", signView{frame: frame{Host: s.host}, Name: clip(f.Get("username"), 100), Problem: text})
	}
	name, err := people.Normalize(f.Get("username"))
	if err != nil {
		name = ""
	}
	byAddress, _ := s.limits.address.Allow(addressKey(r))
	byName, _ := s.limits.guesser.Allow(string(secret.Sum(name)) + " " + addressKey(r))
	if !byAddress || !byName {
		return again(http.StatusTooManyRequests, slowDown)
	}
	a, err := s.store.accountByName(r.Context(), name)
	if err != nil && !errors.Is(err, errUnknown) {
		return err
	}
	// For a name that does not exist the same work is done.
	ok, err := s.passwords.Verify(r.Context(), a.password, f.Get("password"))
	switch {
	case errors.Is(err, secret.ErrBusy):
		return again(http.StatusServiceUnavailable, "Many people are signing in just now. Try again in a few seconds.")
	case err != nil:
		return err
	case !ok:
		return again(http.StatusUnauthorized, "Name and password do not belong together. Check both and try again.")
	}
	return s.begin(w, r, a.ID)
}

// begin starts a session that the browser did not have before, in place of any
// that it brought along.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, account string) error {
	for _, old := range r.CookiesNamed(s.cookie()) {
		if err := s.store.endSession(r.Context(), old.Value); err != nil {
			return err
		}
	}
	value, err := s.store.startSession(r.Context(), account)
	if err != nil {
		return err
	}
	s.setCookie(w, value, sessionLifetime)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	again := func(status int, text string) error {
		return s.pages.Render(w, status, "create.html", signView{frame: frame{Host: s.host}, Name: clip(f.Get("username"), 100), Problem: text, MinPassword: minPassword})
	}
	if ok, _ := s.limits.accounts.Allow(addressKey(r)); !ok {
		return again(http.StatusTooManyRequests, slowDown)
	}
	name, err := people.Normalize(f.Get("username"))
	if err != nil {
		return again(http.StatusBadRequest, "This name cannot be used. Take letters, digits and marks such as - . _ without blanks.")
	}
	password := f.Get("password")
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return again(http.StatusBadRequest, fmt.Sprintf("The password needs %d characters at least.", minPassword))
	case len(password) > secret.MaxPassword:
		return again(http.StatusBadRequest, "The password is too long.")
	}
	hash, err := s.passwords.Hash(r.Context(), password)
	if errors.Is(err, secret.ErrBusy) {
		return again(http.StatusServiceUnavailable, "Many people are signing in just now. Try again in a few seconds.")
	}
	if err != nil {
		return err
	}
	id := secret.ID()
	err = s.store.addAccount(r.Context(), account{ID: id, Name: name, password: hash})
	if errors.Is(err, errTaken) {
		return again(http.StatusConflict, "Somebody has this name already. Choose another one.")
	}
	if err != nil {
		return err
	}
	return s.begin(w, r, id)
}

// signOut ends every session of the person, what runs for them, and their
// tokens everywhere: nothing acts for somebody who has left.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := s.store.endSessions(r.Context(), v.ID); err != nil {
		return err
	}
	s.setCookie(w, "", 0)
	s.endTurns(func(l *live) bool { return l.account == v.ID })
	servers, err := s.store.servers(r.Context(), v.ID)
	if err != nil {
		return err
	}
	if err := s.endTokens(r.Context(), v.ID, servers); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *Server) showModel(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.modelPage(w, r, v, http.StatusOK, "")
}

func (s *Server) modelPage(w http.ResponseWriter, r *http.Request, v visit, status int, problem string) error {
	m, err := s.store.model(r.Context(), v.ID)
	if err != nil {
		return err
	}
	return s.pages.Render(w, status, "model.html", modelView{
		frame: s.frame(v), BaseURL: m.BaseURL, Name: m.Name, HasKey: m.key != "", Problem: problem,
	})
}

// setModel chooses a model, or the planner again.
func (s *Server) setModel(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	m := model{BaseURL: f.Get("base_url"), Name: f.Get("model"), key: f.Get("key")}
	if f.Get("action") == "planner" {
		m = model{}
	} else if text := checkModel(m); text != "" {
		return s.modelPage(w, r, v, http.StatusBadRequest, text)
	}
	if err := s.store.setModel(r.Context(), v.ID, m); err != nil {
		return err
	}
	http.Redirect(w, r, "/model", http.StatusSeeOther)
	return nil
}

func checkModel(m model) string {
	u, err := url.Parse(m.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(m.BaseURL) > 500:
		return "The address must be like https://models.example.com/v1, without anything after the path."
	case m.Name == "" || len(m.Name) > 200:
		return "Name the model as its endpoint knows it."
	case len(m.key) > 2000:
		return "The key is too long."
	}
	return ""
}
