package admin

import (
	"net/http"

	"gatehouse/internal/oauth"
)

// apiAPI is an API in an answer.
type apiAPI struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Resource string    `json:"resource"`
	State    string    `json:"state"`
	Tools    []apiTool `json:"tools"`
}

// apiTool is a tool in an answer.
type apiTool struct {
	Name   string     `json:"name"`
	Title  string     `json:"title,omitempty"`
	Risk   string     `json:"risk"`
	Scopes [][]string `json:"scopes"`
	State  string     `json:"state"`
}

// works is the state of what is not stopped.
const works = "works"

func stateWord(c oauth.Closure) string {
	if c == "" {
		return works
	}
	return string(c)
}

func (a *API) listAPIs(r *http.Request, _ caller) (any, error) {
	list := []apiAPI{}
	for _, api := range a.Acts.APIs {
		line, tools, err := a.Server.apiLine(r, api)
		if err != nil {
			return nil, err
		}
		shown := apiAPI{Name: api.Name, Title: api.Title, Resource: api.Resource, State: stateWord(line.State), Tools: []apiTool{}}
		for i, t := range api.Tools {
			shown.Tools = append(shown.Tools, apiTool{t.Name, t.Title, t.Risk(), t.Scopes, stateWord(tools[i].State)})
		}
		list = append(list, shown)
	}
	return map[string]any{"apis": list}, nil
}

// apiStop is what is stopped, in an answer.
type apiStop struct {
	Kind   string `json:"subject"`
	ID     string `json:"id,omitempty"`
	Name   string `json:"name"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	Since  int64  `json:"since"` // Unix seconds
}

func (a *API) listStops(r *http.Request, _ caller) (any, error) {
	stops, err := a.Acts.Stops.NewestStops(r.Context(), pageRows)
	if err != nil {
		return nil, err
	}
	list := []apiStop{}
	for _, s := range stops {
		id := a.Server.addressed(s.Subject, s.ID)
		subject, err := a.Acts.Find(r.Context(), s.Subject, id)
		if err != nil { // it is gone, or no more in a document
			subject = Subject{Name: s.ID}
		}
		state := oauth.Paused
		if s.Ended {
			state = oauth.Ended
		}
		list = append(list, apiStop{s.Subject, id, subject.Name, string(state), s.Reason, s.Since})
	}
	return map[string]any{"stops": list}, nil
}

// stopRequest asks to stop something.
type stopRequest struct {
	Kind   string `json:"subject"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// apiDone is the answer to an act.
type apiDone struct {
	Audit string `json:"audit"`           // the entry that tells of it
	Ended *int   `json:"ended,omitempty"` // live connections that it ended
}

func (a *API) pause(r *http.Request, c caller) (any, error) {
	subject, reason, err := a.stopRequest(r)
	if err != nil {
		return nil, err
	}
	entry, err := a.Acts.Pause(r.Context(), c.actor(r), subject, reason)
	return apiDone{Audit: entry}, err
}

func (a *API) end(r *http.Request, c caller) (any, error) {
	subject, reason, err := a.stopRequest(r)
	if err != nil {
		return nil, err
	}
	entry, ended, err := a.Acts.End(r.Context(), c.actor(r), subject, reason)
	return apiDone{entry, &ended}, err
}

func (a *API) stopRequest(r *http.Request) (Subject, string, error) {
	var ask stopRequest
	if err := readBody(r, &ask); err != nil {
		return Subject{}, "", err
	}
	subject, err := a.Acts.Find(r.Context(), ask.Kind, ask.ID)
	return subject, ask.Reason, err
}
