package admin

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"gatehouse/internal/account"
	"gatehouse/internal/oauth"
)

type inviteView struct {
	frame
	Name, Role, Claims string // as typed
	Problem            string
}

type invitedView struct {
	frame
	Invited
	Anew bool
}

// personActView is a page that asks before something is done about a person.
type personActView struct {
	frame
	personLine
	Act     string // role, attributes or password
	Text    string // attributes as typed
	Changes []change
	Look    bool // Changes are what would change
	Choice  string
	Reason  string
	Problem string
}

// showInvite asks who shall be able to sign in.
func (s *Server) showInvite(w http.ResponseWriter, r *http.Request, v visit) error {
	typed := s.kept(w, r, v)
	return s.pages.Render(w, http.StatusOK, "invite.html", inviteView{frame: s.frame(v, peoplePath), Name: typed.Get("name"), Role: cmp.Or(typed.Get("role"), "none"), Claims: typed.Get("attributes")})
}

// invite makes an account, and shows the link: this once, which is why the
// answer is the page itself.
func (s *Server) invite(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	var invited Invited
	claims, err := parseClaims(form.Get("attributes"))
	if err == nil {
		invited, err = s.Acts.Invite(r.Context(), by(r, v), Newcomer{Name: form.Get("name"), Role: roleOf(form.Get("role")), Claims: claims})
	}
	if problem := Refusal(err); problem != "" {
		return s.pages.Render(w, http.StatusConflict, "invite.html", inviteView{s.frame(v, peoplePath), form.Get("name"), form.Get("role"), form.Get("attributes"), problem})
	}
	if err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "invited.html", invitedView{frame: s.frame(v, peoplePath), Invited: invited})
}

func roleOf(text string) account.Role {
	if text == "none" {
		return account.NoRole
	}
	return account.Role(text)
}

// parseClaims reads attributes, one name=value in a line.
func parseClaims(text string) (map[string]string, error) {
	claims := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if _, twice := claims[name]; !ok || twice {
			return nil, refuse("%.100q is not an attribute of its own; write one name=value in each line", line)
		}
		claims[name] = value
	}
	return claims, nil
}

// formatClaims writes what parseClaims reads.
func formatClaims(claims map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		fmt.Fprintf(&b, "%s=%s\n", name, claims[name])
	}
	return b.String()
}

// showPersonAct shows what would be changed, before it is.
func (s *Server) showPersonAct(w http.ResponseWriter, r *http.Request, v visit) error {
	l, err := s.personOf(r)
	if err != nil {
		return err
	}
	typed := s.kept(w, r, v)
	view := personActView{personLine: lineOf(l), Text: cmp.Or(typed.Get("attributes"), formatClaims(l.Claims)), Choice: cmp.Or(typed.Get("role"), roleName(l.Role)), Reason: typed.Get("reason")}
	if claims, err := parseClaims(view.Text); err == nil && typed.Get("act") == "save" {
		view.Changes = changes(l.Claims, claims)
		view.Look = len(view.Changes) > 0
	}
	return s.personActPage(w, r, v, http.StatusOK, view)
}

func (s *Server) personActPage(w http.ResponseWriter, r *http.Request, v visit, status int, view personActView) error {
	view.frame, view.Act = s.frame(v, peoplePath), path.Base(r.URL.Path)
	return s.pages.Render(w, status, "personact.html", view)
}

// setRole gives somebody another role.
func (s *Server) setRole(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	l, err := s.personOf(r)
	if err != nil {
		return err
	}
	entry, err := s.Acts.SetRole(r.Context(), by(r, v), l.ID, l.Role, roleOf(form.Get("role")), form.Get("reason"))
	if problem := Refusal(err); problem != "" {
		return s.personActPage(w, r, v, http.StatusConflict, personActView{personLine: lineOf(l), Choice: form.Get("role"), Reason: form.Get("reason"), Problem: problem})
	}
	return s.backTo(w, r, err, entry)
}

// setClaims shows what would change of somebody's attributes, and then changes
// it.
func (s *Server) setClaims(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	l, err := s.personOf(r)
	if err != nil {
		return err
	}
	view := personActView{personLine: lineOf(l), Text: form.Get("attributes"), Reason: form.Get("reason")}
	claims, err := parseClaims(view.Text)
	if invalid := account.CheckClaims(claims); err == nil && invalid != nil {
		err = refuse("these are %v", invalid)
	}
	if view.Changes = changes(l.Claims, claims); err == nil && form.Get("act") == "look" && len(view.Changes) > 0 {
		view.Look = true
		return s.personActPage(w, r, v, http.StatusOK, view)
	}
	entry := ""
	if err == nil {
		view.Look = len(view.Changes) > 0
		entry, err = s.Acts.SetClaims(r.Context(), by(r, v), l.ID, l.Claims, claims, view.Reason)
	}
	if view.Problem = Refusal(err); view.Problem != "" {
		return s.personActPage(w, r, v, http.StatusConflict, view)
	}
	return s.backTo(w, r, err, entry)
}

// resetPassword makes a new link, shown this once.
func (s *Server) resetPassword(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	l, err := s.personOf(r)
	if err != nil {
		return err
	}
	invited, err := s.Acts.InviteAnew(r.Context(), by(r, v), l.ID, form.Get("reason"))
	if problem := Refusal(err); problem != "" {
		return s.personActPage(w, r, v, http.StatusConflict, personActView{personLine: lineOf(l), Reason: form.Get("reason"), Problem: problem})
	}
	if err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "invited.html", invitedView{frame: s.frame(v, peoplePath), Invited: invited, Anew: true})
}
