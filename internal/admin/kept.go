package admin

import (
	"encoding/json"
	"net/http"
	"net/url"

	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// keptCookie has what an administrator had typed when their sign-in turned out
// to be too old for the act. It lies sealed in their browser, and comes back
// into the page that asks for it; nothing is done by itself.
const keptCookie = "gatehouse-console-kept"

// maxKept is how many bytes are kept: browsers take cookies of 4096 in all.
const maxKept = 3500

type keptForm struct {
	AccountID, Path string
	Form            url.Values
}

// signInFirst does nothing but have the person sign in anew, and leads them back
// to the page that they came from.
func (s *Server) signInFirst(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	text, err := json.Marshal(keptForm{v.ID, r.URL.Path, form})
	if err != nil {
		return err
	}
	sealed, err := secret.Seal(s.Key, keptCookie, text)
	if err != nil {
		return err
	}
	if len(sealed) <= maxKept {
		s.setCookie(w, keptCookie, sealed, flowLifetime)
	}
	http.Redirect(w, r, signInFor(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}, true), http.StatusSeeOther)
	return nil
}

// kept returns what this person had typed on this page before they signed in
// anew, once; empty if nothing was.
func (s *Server) kept(w http.ResponseWriter, r *http.Request, v visit) url.Values {
	text, err := secret.Open(s.Key, keptCookie, s.cookie(r, keptCookie))
	var k keptForm
	if err != nil || json.Unmarshal(text, &k) != nil || k.AccountID != v.ID || k.Path != r.URL.Path {
		return url.Values{}
	}
	s.setCookie(w, keptCookie, "", -1)
	return k.Form
}
