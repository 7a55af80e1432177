package admin

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

// stopped is something that is stopped, in a list.
type stopped struct {
	What, Name, Path, Reason string
	Since                    time.Time
	Ended                    bool
}

const (
	shownStopped = 20
	countedLive  = 1000 // connections are counted this far
)

func (s *Server) stopRoutes() []Route {
	return []Route{
		{"GET /admin/stop/{kind}", Reading, s.showStop},
		{"GET /admin/stop/{kind}/{id...}", Reading, s.showStop},
		{"POST /admin/pause/{kind}", Changing, s.stop},
		{"POST /admin/pause/{kind}/{id...}", Changing, s.stop},
		{"GET /admin/resume/{kind}", ChangingBy, s.showSure},
		{"GET /admin/resume/{kind}/{id...}", ChangingBy, s.showSure},
		{"POST /admin/resume/{kind}", ChangingBy, s.stop},
		{"POST /admin/resume/{kind}/{id...}", ChangingBy, s.stop},
		{"GET /admin/end/{kind}", ChangingBy, s.showSure},
		{"GET /admin/end/{kind}/{id...}", ChangingBy, s.showSure},
		{"POST /admin/end/{kind}", ChangingBy, s.stop},
		{"POST /admin/end/{kind}/{id...}", ChangingBy, s.stop},
	}
}

// stopped lists what is stopped now.
func (s *Server) stopped(ctx context.Context) ([]stopped, error) {
	list, err := s.Acts.Stops.NewestStops(ctx, shownStopped)
	if err != nil {
		return nil, err
	}
	var shown []stopped
	for _, p := range list {
		subject, err := s.Acts.Find(ctx, p.Subject, s.addressed(p.Subject, p.ID))
		if err != nil { // it is gone, or no more in a document
			subject = Subject{Kind: p.Subject, ID: p.ID, Name: p.ID}
		}
		shown = append(shown, stopped{subject.What(), subject.Name, subject.Path(), p.Reason, time.Unix(p.Since, 0), p.Ended})
	}
	return shown, nil
}

// addressed returns what names a subject of the store in addresses.
func (s *Server) addressed(kind, key string) string {
	resource, tool := oauth.CutTool(key)
	for _, api := range s.Acts.APIs {
		switch {
		case api.Resource != resource:
		case kind == oauth.SubjectAPI:
			return api.Name
		case kind == oauth.SubjectTool:
			return api.Name + "/" + tool
		}
	}
	return key
}

// stopView is the page of the stop button of one subject, and the page that
// asks once more.
type stopView struct {
	frame
	Subject
	Verb    string // "resume" or "end" on the page that asks once more
	Stopped bool
	Stop    grant.Stop
	Since   time.Time
	Live    int
	Many    bool // there are more than Live connections
	Reason  string
	Problem string
	Done    string // audit entry of what was just done; empty if nothing was
	Back    string // the page of the thing itself
}

func (v stopView) All() bool { return v.Kind == oauth.SubjectEverything }

// Over reports whether it is a connection that was ended or has expired: there
// is nothing left to stop.
func (v stopView) Over() bool { return v.Kind == oauth.SubjectGrant && v.Live == 0 }

// showStop shows what stands, and the pause.
func (s *Server) showStop(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.stopPage(w, r, v, http.StatusOK, "stop.html", "", "")
}

// showSure asks once more, before what cannot be undone or undoes a stop.
func (s *Server) showSure(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.stopPage(w, r, v, http.StatusOK, "sure.html", s.kept(w, r, v).Get("reason"), "")
}

// isID matches what secret.ID and audit.NewID make.
var isID = regexp.MustCompile(`^[a-z2-7]{26}$`)

// verbOf returns the word of a stopping route.
func verbOf(r *http.Request) string {
	for _, verb := range []string{"pause", "resume", "end"} {
		if len(r.URL.Path) > len("/admin/"+verb) && r.URL.Path[:len("/admin/"+verb+"/")] == "/admin/"+verb+"/" {
			return verb
		}
	}
	return ""
}

func (s *Server) stopPage(w http.ResponseWriter, r *http.Request, v visit, status int, name, reason, problem string) error {
	subject, err := s.Acts.Find(r.Context(), r.PathValue("kind"), r.PathValue("id"))
	if err != nil {
		return err
	}
	view := stopView{frame: s.frame(v, placeOf(subject)), Subject: subject, Verb: verbOf(r), Reason: reason, Problem: problem, Back: pageOf(subject)}
	if view.Stop, view.Stopped, err = s.Acts.Stops.Stop(r.Context(), subject.Kind, subject.key); err != nil {
		return err
	}
	view.Since = time.Unix(view.Stop.Since, 0)
	if done := r.URL.Query().Get("done"); isID.MatchString(done) {
		view.Done = done
	}
	if subject.Kind != oauth.SubjectTool {
		if view.Live, err = s.Acts.Stops.CountGrants(r.Context(), subject.Kind, subject.key, time.Now(), countedLive+1); err != nil {
			return err
		}
	}
	if view.Many = view.Live > countedLive; view.Many {
		view.Live = countedLive
	}
	return s.pages.Render(w, status, name, view)
}

// stop does what one of its forms asks for.
func (s *Server) stop(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	subject, err := s.Acts.Find(r.Context(), r.PathValue("kind"), r.PathValue("id"))
	if err != nil {
		return err
	}
	by, reason := s.actor(r, v), form.Get("reason")
	var entry string
	switch verbOf(r) {
	case "pause":
		entry, err = s.Acts.Pause(r.Context(), by, subject, reason)
	case "resume":
		entry, err = s.Acts.Resume(r.Context(), by, subject, reason)
	default:
		entry, _, err = s.Acts.End(r.Context(), by, subject, reason)
	}
	if problem := Refusal(err); problem != "" {
		page := "sure.html"
		if verbOf(r) == "pause" {
			page = "stop.html"
		}
		return s.stopPage(w, r, v, http.StatusConflict, page, reason, problem)
	}
	if err != nil {
		return err
	}
	to := subject.Path()
	if subject.Kind == oauth.SubjectClient && verbOf(r) == "end" {
		to = agentsPath // it has no page any more
	}
	http.Redirect(w, r, to+"?"+url.Values{"done": {entry}}.Encode(), http.StatusSeeOther)
	return nil
}

// actor is who acts on a page.
func (s *Server) actor(r *http.Request, v visit) Actor {
	return Actor{AccountID: v.ID, From: "the console", RequestID: httpserver.RequestID(r.Context())}
}

// placeOf is the place in the menu where a subject is at home.
func placeOf(s Subject) string {
	switch s.Kind {
	case oauth.SubjectClient, oauth.SubjectGrant:
		return "/admin/agents"
	case oauth.SubjectAccount:
		return "/admin/people"
	case oauth.SubjectAPI, oauth.SubjectTool:
		return "/admin/apis"
	}
	return home
}

// pageOf is the page of the subject itself.
func pageOf(s Subject) string {
	switch s.Kind {
	case oauth.SubjectClient:
		return "/admin/agents/" + url.PathEscape(s.ID)
	case oauth.SubjectGrant:
		return "/admin/agents/" + url.PathEscape(s.Client)
	case oauth.SubjectAccount:
		return "/admin/people/" + url.PathEscape(s.ID)
	case oauth.SubjectAPI, oauth.SubjectTool:
		return "/admin/apis/" + url.PathEscape(s.API)
	}
	return home
}
