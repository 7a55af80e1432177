package admin

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
)

const messagesPath = "/admin/messages"

// messageRoutes are the inspector's: what was recorded of an agent is shown to
// whoever has just shown who they are, and that it was shown is recorded
// (security.md 22).
func (s *Server) messageRoutes() []Route {
	return []Route{
		{"GET /admin/messages", ReadingBy, s.showMessages},
		{"GET /admin/messages/flow", ReadingBy, s.showFlow},
		{"GET /admin/messages/export", ReadingBy, s.exportFlow},
		{"POST /admin/messages/on", ChangingBy, s.turnOn},
		{"POST /admin/messages/off", Changing, s.turnOff},
	}
}

// messagesView is what was recorded of an agent.
type messagesView struct {
	frame
	Client    client.Client
	Always    bool // everything is recorded, as in a demo
	Recording *recording
	Flows     []flowLine
	Reason    string
	Problem   string
	Done      string
}

type recording struct {
	Until  time.Time
	Reason string
}

type flowLine struct {
	ID, Person         string
	Begun              time.Time
	Messages, Refusals int
}

// recorded returns the agent that an address names, and what was recorded of it.
func (s *Server) recorded(r *http.Request, id string) (client.Client, []inspect.Flow, error) {
	c, err := s.Acts.Clients.Client(r.Context(), id)
	if errors.Is(err, client.ErrUnknown) || s.Acts.Messages == nil {
		return c, nil, errNothing
	}
	if err != nil {
		return c, nil, err
	}
	all, err := s.Acts.Messages.Messages(r.Context(), inspect.Filter{ClientID: id, Since: time.Now().Add(-inspect.MaxAge)})
	return c, inspect.Flows(all), err
}

func (s *Server) showMessages(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.messagesPage(w, r, v, r.URL.Query().Get("client"), http.StatusOK, "", "")
}

func (s *Server) messagesPage(w http.ResponseWriter, r *http.Request, v visit, id string, status int, reason, problem string) error {
	c, flows, err := s.recorded(r, id)
	if err != nil {
		return err
	}
	view := messagesView{frame: s.frame(v, agentsPath), Client: c, Always: s.Demo, Reason: reason, Problem: problem}
	if done := r.URL.Query().Get("done"); isID.MatchString(done) {
		view.Done = done
	}
	switches, err := s.Acts.Messages.Switches(r.Context(), time.Now())
	if err != nil {
		return err
	}
	for _, on := range switches {
		if on.Subject == oauth.SubjectClient && on.ID == c.ID {
			view.Recording = &recording{time.Unix(on.Until, 0), on.Reason}
		}
	}
	var people []string
	for _, f := range flows {
		people = append(people, f.AccountID)
	}
	names, err := s.Log.Names(r.Context(), people, nil)
	if err != nil {
		return err
	}
	for _, f := range flows {
		view.Flows = append(view.Flows, flowLine{f.ID, names.Accounts[f.AccountID], f.Begun(), len(f.Messages), f.Refusals()})
	}
	return s.pages.Render(w, status, "messages.html", view)
}

type flowView struct {
	frame
	Client client.Client
	ID     string
	Begun  time.Time
	Flow   template.HTML
}

// flowOf returns one flow of an agent, and records that it is looked at.
func (s *Server) flowOf(r *http.Request, v visit, what string) (client.Client, inspect.Flow, error) {
	q := r.URL.Query()
	c, flows, err := s.recorded(r, q.Get("client"))
	if err != nil {
		return c, inspect.Flow{}, err
	}
	for _, f := range flows {
		if f.ID == q.Get("flow") {
			about := audit.Entry{ClientID: c.ID, AccountID: f.AccountID, GrantID: f.GrantID}
			_, err := s.Acts.record(r.Context(), s.actor(r, v), what, "", about, func() error { return nil })
			return c, f, err
		}
	}
	return c, inspect.Flow{}, errNothing
}

func (s *Server) showFlow(w http.ResponseWriter, r *http.Request, v visit) error {
	c, f, err := s.flowOf(r, v, "recorded messages read")
	if err != nil {
		return err
	}
	drawn, err := s.drawing.Flow(f)
	if err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "flow.html", flowView{frame: s.frame(v, agentsPath), Client: c, ID: f.ID, Begun: f.Begun(), Flow: drawn})
}

func (s *Server) exportFlow(w http.ResponseWriter, r *http.Request, v visit) error {
	c, f, err := s.flowOf(r, v, "recorded messages exported")
	if err != nil {
		return err
	}
	return s.drawing.Save(w, "Messages of "+c.Name, f)
}

func (s *Server) turnOn(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.turn(w, r, v, true)
}

func (s *Server) turnOff(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.turn(w, r, v, false)
}

func (s *Server) turn(w http.ResponseWriter, r *http.Request, v visit, on bool) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	id := form.Get("client")
	subject, err := s.Acts.Find(r.Context(), oauth.SubjectClient, id)
	if err != nil {
		return err
	}
	var entry string
	if on {
		minutes, _ := strconv.Atoi(form.Get("minutes")) // what is no number is refused as 0
		entry, err = s.Acts.Record(r.Context(), s.actor(r, v), subject, time.Duration(minutes)*time.Minute, form.Get("reason"))
	} else {
		entry, err = s.Acts.StopRecording(r.Context(), s.actor(r, v), subject)
	}
	if problem := Refusal(err); problem != "" {
		return s.messagesPage(w, r, v, id, http.StatusConflict, form.Get("reason"), problem)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, messagesPath+"?"+url.Values{"client": {id}, "done": {entry}}.Encode(), http.StatusSeeOther)
	return nil
}
