package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// Cookies of the console.
const (
	sessionCookie = "gatehouse-console"
	flowCookie    = "gatehouse-console-sign-in"
	hintCookie    = "gatehouse-console-hint"
)

const (
	flowLifetime    = 15 * time.Minute
	sessionLifetime = 8 * time.Hour
	tokenTimeout    = 10 * time.Second
)

// signInFlow is a sign-in that has begun. It lies sealed in the browser, which
// binds its answer to that browser.
type signInFlow struct {
	State, Nonce, Verifier string
	Next                   string // path to go to
	Fresh                  bool   // the person has to show who they are, however lately they did
	ExpiresAt              int64
}

// startSignIn sends the browser to the authorization server (OpenID Connect
// Core §3.1.2.1, with PKCE).
func (s *Server) startSignIn(w http.ResponseWriter, r *http.Request, _ visit) error {
	if ok, _ := s.signIn.Allow(httpserver.ClientKey(httpserver.ClientAddr(r))); !ok {
		return &problem{http.StatusTooManyRequests, "Too many sign-ins", "This address began too many of them.", "Wait a minute and try again."}
	}
	q := r.URL.Query()
	f := signInFlow{
		State: secret.New(""), Nonce: secret.New(""), Verifier: secret.New(""),
		Next: localPath(q.Get("next")), Fresh: q.Get("fresh") != "", ExpiresAt: time.Now().Add(flowLifetime).Unix(),
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	sealed, err := secret.Seal(s.Key, flowCookie, text)
	if err != nil {
		return err
	}
	challenge := sha256.Sum256([]byte(f.Verifier))
	ask := url.Values{
		"response_type": {"code"}, "client_id": {s.AuthServer.ClientID}, "redirect_uri": {s.callbackURL()}, "scope": {"openid"},
		"state": {f.State}, "nonce": {f.Nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {oauth.MethodS256},
	}
	switch {
	case q.Get("switch") != "":
		ask.Set("prompt", "login")
	case f.Fresh:
		ask.Set("max_age", strconv.Itoa(int(freshFor/time.Second/2)))
	}
	s.setCookie(w, flowCookie, sealed, flowLifetime)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, s.AuthServer.Issuer+"/authorize?"+ask.Encode(), http.StatusSeeOther)
	return nil
}

func (s *Server) callbackURL() string { return s.URL + "/admin/callback" }

// localPath is a path of this console, whatever was asked for.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" {
		return home
	}
	// As sent: the ID of an agent may itself be an address, with its slashes
	// escaped. Browsers take %2e for a dot.
	at := u.EscapedPath()
	if path.Clean(at) != at || strings.Contains(strings.ToLower(at), "%2e") || at != home && !strings.HasPrefix(at, home+"/") {
		return home
	}
	return u.RequestURI()
}

// errSignIn means that an answer belongs to no sign-in of this browser.
var errSignIn = &problem{http.StatusBadRequest, "This sign-in cannot be finished here", "It was started in another browser, was finished already, or has expired after a quarter of an hour.", "Open the console again."}

// finishSignIn takes the authorization server's answer.
func (s *Server) finishSignIn(w http.ResponseWriter, r *http.Request, _ visit) error {
	f, err := s.flow(r)
	if err != nil {
		return err
	}
	s.setCookie(w, flowCookie, "", -1)
	q, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil || !secret.Equal(q.Get("state"), f.State) {
		return errSignIn
	}
	switch { // RFC 9207 §2.4: before anything else of the answer is believed
	case q.Get("iss") != s.AuthServer.Issuer:
		return errSignIn
	case q.Get("error") != "":
		return &problem{http.StatusForbidden, "You did not sign in", "The sign-in was broken off, or refused.", "Open the console again when you want to."}
	}
	token, claims, err := s.redeem(r, q.Get("code"), f)
	if err != nil {
		return err
	}
	return s.begin(w, r, f, token, claims)
}

func (s *Server) flow(r *http.Request) (signInFlow, error) {
	var f signInFlow
	text, err := secret.Open(s.Key, flowCookie, s.cookie(r, flowCookie))
	if err != nil {
		return f, errSignIn
	}
	if err := json.Unmarshal(text, &f); err != nil || time.Now().Unix() > f.ExpiresAt {
		return f, errSignIn
	}
	return f, nil
}

// identity are the claims of an ID token that the console goes by.
type identity struct {
	Subject  string   `json:"sub"`
	Nonce    string   `json:"nonce"`
	AuthTime int64    `json:"auth_time"`
	AMR      []string `json:"amr"`
}

// redeem exchanges the code for an ID token and checks it (OpenID Connect Core
// §3.1.3.7).
func (s *Server) redeem(r *http.Request, code string, f signInFlow) (token string, claims identity, err error) {
	status, body, err := s.AuthServer.Post(r.Context(), s.AuthServer.Issuer+"/token", url.Values{
		"grant_type": {oauth.GrantAuthorizationCode}, "code": {code}, "redirect_uri": {s.callbackURL()}, "code_verifier": {f.Verifier},
	}, tokenTimeout)
	if err != nil {
		return "", claims, fmt.Errorf("redeem the sign-in's code: %w", err)
	}
	var answer oauth.TokenResponse
	if status != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.IDToken == "" {
		httpserver.Note(r.Context(), "token_status", status)
		return "", claims, errSignIn
	}
	err = s.Keys.Verify(r.Context(), answer.IDToken, jose.Expect{Type: "JWT", Issuer: s.AuthServer.Issuer, Audience: s.AuthServer.ClientID, Skew: time.Minute}, &claims)
	if err != nil {
		return "", claims, fmt.Errorf("check the ID token: %w", err)
	}
	switch {
	case claims.Subject == "" || !secret.Equal(claims.Nonce, f.Nonce):
		return "", claims, errSignIn
	case f.Fresh && time.Since(time.Unix(claims.AuthTime, 0)) > freshFor:
		return "", claims, errSignIn
	}
	return answer.IDToken, claims, nil
}

// begin gives the browser a session, if the account has a role and the person
// has proven something: a demo's sign-in by name alone opens nothing here
// (security.md 19).
func (s *Server) begin(w http.ResponseWriter, r *http.Request, f signInFlow, token string, claims identity) error {
	acc, err := s.Accounts.Account(r.Context(), claims.Subject)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return err
	}
	if err != nil || acc.Role == account.NoRole || !slices.Contains(claims.AMR, "pwd") {
		return s.pages.Render(w, http.StatusForbidden, "norole.html", noRoleView{frame: s.frame(visit{}, ""), Account: acc.Name})
	}
	value, now := secret.New(""), time.Now()
	session := account.Session{
		Hash: sessionHash(value), AccountID: acc.ID, AMR: claims.AMR, AuthTime: claims.AuthTime, ExpiresAt: now.Add(sessionLifetime).Unix(),
	}
	var replaced secret.Hash
	if old := s.cookie(r, sessionCookie); old != "" {
		replaced = sessionHash(old)
	}
	if err := s.Accounts.StartSession(r.Context(), session, replaced); err != nil {
		return err
	}
	hint, err := secret.Seal(s.Key, hintCookie, []byte(token))
	if err != nil {
		return err
	}
	s.setCookie(w, sessionCookie, value, sessionLifetime)
	s.setCookie(w, hintCookie, hint, sessionLifetime)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, f.Next, http.StatusSeeOther)
	return nil
}

// signOut ends the session here, and then at the authorization server (OpenID
// Connect RP-Initiated Logout 1.0 §2).
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, _ visit) error {
	if value := s.cookie(r, sessionCookie); value != "" {
		if err := s.Accounts.EndSession(r.Context(), sessionHash(value)); err != nil {
			return err
		}
	}
	q := url.Values{"client_id": {s.AuthServer.ClientID}, "post_logout_redirect_uri": {s.signedOutURL()}}
	if hint, err := secret.Open(s.Key, hintCookie, s.cookie(r, hintCookie)); err == nil {
		q.Set("id_token_hint", string(hint))
	}
	s.setCookie(w, sessionCookie, "", -1)
	s.setCookie(w, hintCookie, "", -1)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, s.AuthServer.Issuer+"/logout?"+q.Encode(), http.StatusSeeOther)
	return nil
}

func (s *Server) signedOutURL() string { return s.URL + "/admin/signed-out" }

func (s *Server) signedOut(w http.ResponseWriter, _ *http.Request, _ visit) error {
	return s.pages.Render(w, http.StatusOK, "signedout.html", problemView{frame: s.frame(visit{}, "")})
}

// cookie returns the value of a cookie that came exactly once (security.md 17).
func (s *Server) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(s.prefix() + name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

func (s *Server) prefix() string {
	if s.secure {
		return "__Host-"
	}
	return ""
}

// setCookie sets a cookie of this host; a negative lifetime removes it.
func (s *Server) setCookie(w http.ResponseWriter, name, value string, lifetime time.Duration) {
	age := int(lifetime.Seconds())
	if lifetime < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.prefix() + name, Value: value, Path: "/", MaxAge: age,
		Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
