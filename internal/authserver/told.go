package authserver

import (
	"encoding/json"
	"net/http"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
)

// told takes the messages that a gateway which is a process of its own has
// recorded, and answers whose messages are recorded now. What is taken goes
// through the same list as if it had been told here (security.md 22).
func (s *Server) told(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseFormWithin(maxShipment, r)
	if err != nil {
		return err
	}
	c, _, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	if c.Origin != client.Gateway || !c.Confidential() {
		return oauth.NewError(oauth.UnauthorizedClient, "messages are taken from this installation's gateways")
	}
	var all []inspect.Told
	if err := json.Unmarshal([]byte(form.Get("messages")), &all); err != nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "messages is no list of messages", Cause: err}
	}
	answer := struct {
		Recorded []inspect.Switch `json:"recorded"`
	}{[]inspect.Switch{}}
	if s.Messages != nil {
		now := time.Now()
		on, err := s.Messages.Switches(r.Context(), now)
		if err != nil {
			return err
		}
		answer.Recorded = append(answer.Recorded, on...)
		var kept []inspect.Message
		for _, t := range all[:min(len(all), maxShipped)] {
			if m, ok := t.FromGateway(on, now); ok {
				kept = append(kept, m)
			}
		}
		if len(kept) > 0 {
			if err := s.Messages.SaveMessages(r.Context(), kept); err != nil {
				return err
			}
		}
	}
	httpserver.Quiet(r.Context()) // every two seconds, of each gateway
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}
