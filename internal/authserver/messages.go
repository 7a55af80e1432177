package authserver

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/client"
	"gatehouse/internal/inspect"
)

// A person's own view of the inspector: the flows of their agents of the last
// hour, if they are recorded, and nobody else's (security.md 22).

// errNoFlow answers for a flow that is not there, or is another person's.
var errNoFlow = &pageError{Status: http.StatusNotFound, View: ErrorView{
	Title: "These messages are not here",
	What:  "They are kept for an hour at most, and everybody sees only their own.",
	Next:  "Open your page, and from there the messages of your agents.",
}}

// showMessages lists the flows of a person.
func (s *Server) showMessages(w http.ResponseWriter, r *http.Request) error {
	acc, flows, err := s.ownFlows(r)
	if errors.Is(err, account.ErrNotFound) {
		return s.signInForOwnPage(w, r)
	}
	if err != nil {
		return err
	}
	view := MessagesView{Host: s.cookies.host, Account: acc.Name}
	for _, f := range flows {
		view.Flows = append(view.Flows, FlowLine{ID: f.ID, Agent: s.agentName(r.Context(), f.ClientID), Begun: f.Begun(), Messages: len(f.Messages), Refusals: f.Refusals()})
	}
	return s.pages.Render(w, http.StatusOK, "messages.html", view)
}

// showFlow shows the messages of one flow.
func (s *Server) showFlow(w http.ResponseWriter, r *http.Request) error {
	acc, f, err := s.ownFlow(r)
	if errors.Is(err, account.ErrNotFound) {
		return s.signInForOwnPage(w, r)
	}
	if err != nil {
		return err
	}
	drawn, err := s.drawing.Flow(f)
	if err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "flow.html", FlowView{
		Host: s.cookies.host, Account: acc.Name, ID: f.ID, Agent: s.agentName(r.Context(), f.ClientID), Begun: f.Begun(), Flow: drawn,
	})
}

// exportFlow sends the messages of one flow as a file.
func (s *Server) exportFlow(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.ownFlow(r)
	if errors.Is(err, account.ErrNotFound) {
		return s.signInForOwnPage(w, r)
	}
	if err != nil {
		return err
	}
	return s.drawing.Save(w, "Messages of an agent", f)
}

func (s *Server) ownFlows(r *http.Request) (account.Account, []inspect.Flow, error) {
	_, acc, err := s.session(r)
	if err != nil || s.Messages == nil {
		return acc, nil, err
	}
	all, err := s.Messages.Messages(r.Context(), inspect.Filter{AccountID: acc.ID, Since: time.Now().Add(-inspect.MaxAge)})
	if err != nil {
		return acc, nil, err
	}
	return acc, inspect.Flows(inspect.Visible(all, acc.ID)), nil
}

func (s *Server) ownFlow(r *http.Request) (account.Account, inspect.Flow, error) {
	acc, flows, err := s.ownFlows(r)
	if err != nil {
		return acc, inspect.Flow{}, err
	}
	for _, f := range flows {
		if f.ID == r.PathValue("flow") && f.AccountID == acc.ID {
			return acc, f, nil
		}
	}
	return acc, inspect.Flow{}, errNoFlow
}

// agentName is what an agent calls itself.
func (s *Server) agentName(ctx context.Context, id string) string {
	c, err := s.storedClient(ctx, id)
	if err != nil {
		c = client.Client{Name: "an agent that is not registered any more"}
	}
	return c.Name
}

// MessagesView fills messages.html: the flows of a person, newest first.
type MessagesView struct {
	Host    string
	Account string
	Flows   []FlowLine
}

// FlowLine is one flow in the list.
type FlowLine struct {
	ID                 string
	Agent              string // as it calls itself
	Begun              time.Time
	Messages, Refusals int
}

// FlowView fills flow.html: the messages of one flow.
type FlowView struct {
	Host    string
	Account string
	ID      string
	Agent   string // as it calls itself
	Begun   time.Time
	Flow    template.HTML // drawn by package inspect
}
