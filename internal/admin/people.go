package admin

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

const (
	peoplePath = "/admin/people"
	pageRows   = 50  // of a list
	maxShown   = 100 // of what hangs off one person
	shownLast  = 20  // audit entries
)

func (s *Server) peopleRoutes() []Route {
	return []Route{
		{"GET /admin/people", Reading, s.showPeople},
		{"GET /admin/people/{id}", Reading, s.showPerson},
		{"POST /admin/people/{id}/sessions", Changing, s.endSessions},
		{"GET /admin/invite", ChangingBy, s.showInvite},
		{"POST /admin/invite", ChangingBy, s.invite},
		{"GET /admin/people/{id}/role", ChangingBy, s.showPersonAct},
		{"POST /admin/people/{id}/role", ChangingBy, s.setRole},
		{"GET /admin/people/{id}/attributes", ChangingBy, s.showPersonAct},
		{"POST /admin/people/{id}/attributes", ChangingBy, s.setClaims},
		{"GET /admin/people/{id}/password", ChangingBy, s.showPersonAct},
		{"POST /admin/people/{id}/password", ChangingBy, s.resetPassword},
	}
}

type personLine struct {
	account.Listed
	Since time.Time
}

// RoleName is the role in words.
func (l personLine) RoleName() string { return roleName(l.Role) }

func lineOf(l account.Listed) personLine { return personLine{l, time.Unix(l.CreatedAt, 0)} }

type peopleView struct {
	frame
	Query, Only string
	People      []personLine
	More        struct{ First, Next string }
}

// showPeople lists who can sign in.
func (s *Server) showPeople(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	view := peopleView{frame: s.frame(v, peoplePath), Query: q.Get("q"), Only: q.Get("only")}
	f := account.Filter{Only: view.Only, Prefix: strings.ToLower(strings.TrimSpace(view.Query))}
	if len(f.Prefix) > account.MaxName {
		f.Prefix = f.Prefix[:account.MaxName]
	}
	if normal, err := account.Normalize(f.Prefix); err == nil {
		f.Prefix = normal
	}
	f.Prefix = strings.ToValidUTF8(f.Prefix, "")
	f.Prefix = strings.ReplaceAll(f.Prefix, "\x00", "")
	if after, err := base64.RawURLEncoding.DecodeString(q.Get("after")); err == nil {
		f.After = strings.ReplaceAll(strings.ToValidUTF8(string(after), ""), "\x00", "")
	}
	list, err := s.Acts.People.ListPeople(r.Context(), f, pageRows+1, time.Now())
	if err != nil {
		return err
	}
	link := url.Values{}
	for name, value := range map[string]string{"q": view.Query, "only": view.Only} {
		if value != "" {
			link.Set(name, value)
		}
	}
	if f.After != "" {
		view.More.First = peoplePath + "?" + link.Encode()
	}
	if len(list) > pageRows {
		list = list[:pageRows]
		link.Set("after", base64.RawURLEncoding.EncodeToString([]byte(list[pageRows-1].Name)))
		view.More.Next = peoplePath + "?" + link.Encode()
	}
	for _, l := range list {
		view.People = append(view.People, lineOf(l))
	}
	return s.pages.Render(w, http.StatusOK, "people.html", view)
}

// told is what an API is told of a person.
type told struct {
	API    string
	Claims []change // After is the value; empty: the person has none
}

type sessionLine struct {
	Ref          string
	Since, Until time.Time
	Password     bool
}

type connectionLine struct {
	ID, Agent, ClientID, API string
	Scopes                   []string
	Since, Until             time.Time
}

type entryLine struct {
	audit.Entry
	At time.Time
}

// What is the word for the kind of entry, as in the audit.
func (l entryLine) What() string { return nameOf(entryKinds, string(l.Kind)) }

type personView struct {
	frame
	personLine
	Told        []told
	Sessions    []sessionLine
	Connections []connectionLine
	Entries     []entryLine
	Most        int
	Reason      string
	Problem     string
	Done        string // audit entry of what was just done
}

// showPerson tells all of one person.
func (s *Server) showPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.personPage(w, r, v, http.StatusOK, "", "")
}

func (s *Server) personPage(w http.ResponseWriter, r *http.Request, v visit, status int, reason, problem string) error {
	l, err := s.personOf(r)
	if err != nil {
		return err
	}
	ctx, now := r.Context(), time.Now()
	view := personView{frame: s.frame(v, peoplePath), personLine: lineOf(l), Told: s.told(l.Claims), Most: maxShown, Reason: reason, Problem: problem}
	if done := r.URL.Query().Get("done"); isID.MatchString(done) {
		view.Done = done
	}
	sessions, err := s.Acts.People.SessionsOf(ctx, l.ID, maxShown, now)
	if err != nil {
		return err
	}
	for _, x := range sessions {
		view.Sessions = append(view.Sessions, sessionLine{sessionRef(x), time.Unix(x.AuthTime, 0), time.Unix(x.ExpiresAt, 0), len(x.AMR) > 0})
	}
	grants, err := s.Acts.People.GrantsOf(ctx, l.ID, maxShown, now)
	if err != nil {
		return err
	}
	for _, g := range grants {
		view.Connections = append(view.Connections, connectionLine{g.ID, g.Client, url.PathEscape(g.ClientID), s.titleOf(g.Resource), g.Scopes, time.Unix(g.CreatedAt, 0), time.Unix(g.ExpiresAt, 0)})
	}
	entries, err := s.Acts.People.EntriesOf(ctx, l.ID, shownLast)
	if err != nil {
		return err
	}
	for _, e := range entries {
		view.Entries = append(view.Entries, entryLine{e, time.UnixMilli(e.Time)})
	}
	return s.pages.Render(w, status, "person.html", view)
}

func (s *Server) personOf(r *http.Request) (account.Listed, error) {
	l, err := s.Acts.People.Person(r.Context(), r.PathValue("id"), time.Now())
	if errors.Is(err, account.ErrNotFound) {
		err = errNothing
	}
	return l, err
}

// titleOf is what people read for a resource.
func (s *Server) titleOf(resource string) string {
	for _, api := range s.Acts.APIs {
		if api.Resource == resource {
			return api.Title
		}
	}
	return resource
}

// told lists what each API is told of a person. What it is told of the agent
// has nothing to do with the person.
func (s *Server) told(claims map[string]string) []told {
	var list []told
	for _, api := range s.Acts.APIs {
		t := told{API: api.Title}
		for _, name := range api.Claims {
			if name != "client_type" && name != "client_assurance_level" {
				t.Claims = append(t.Claims, change{Name: name, After: claims[name]})
			}
		}
		list = append(list, t)
	}
	return list
}

// endSessions signs a person out.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	entry, err := s.Acts.EndSessions(r.Context(), by(r, v), r.PathValue("id"), form.Get("session"), form.Get("reason"))
	if problem := Refusal(err); problem != "" {
		return s.personPage(w, r, v, http.StatusConflict, form.Get("reason"), problem)
	}
	return s.backTo(w, r, err, entry)
}

// backTo goes on to the person's page, after an act.
func (s *Server) backTo(w http.ResponseWriter, r *http.Request, err error, entry string) error {
	if err == nil {
		http.Redirect(w, r, peoplePath+"/"+url.PathEscape(r.PathValue("id"))+"?"+url.Values{"done": {entry}}.Encode(), http.StatusSeeOther)
	}
	return err
}

// by is who acts on a page.
func by(r *http.Request, v visit) Actor {
	return Actor{AccountID: v.ID, From: "the console", RequestID: httpserver.RequestID(r.Context())}
}
