package admin

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/trust"
)

const trustPath = "/admin/trust"

// trustRoutes show whose assertions are believed. The list is the
// configuration's: nothing here changes it. A token that is pasted is neither
// used up nor kept, but who asks makes this server fetch an issuer's keys.
func (s *Server) trustRoutes() []Route {
	return []Route{
		{"GET " + trustPath, Reading, s.showTrust},
		{"POST " + trustPath, Changing, s.explainToken},
	}
}

// issuerLine is somebody who is believed.
type issuerLine struct {
	Name, Kind, Issuer string
	SingleUse          bool
	Rules              []ruleLine
}

// ruleLine is what an assertion must say to speak for a client.
type ruleLine struct {
	Client string
	Known  bool     // the client exists
	When   []string // conditions, in words of the configuration
}

type trustView struct {
	frame
	Issuers   []issuerLine
	Explained *trust.Explanation
	Problem   string
}

// issuers lists whom the configuration trusts.
func (s *Server) issuers(r *http.Request) []issuerLine {
	lines := []issuerLine{}
	for _, i := range s.Trust.Issuers() {
		line := issuerLine{Name: i.Name, Kind: string(i.Kind), Issuer: i.Issuer, SingleUse: i.SingleUse, Rules: []ruleLine{}}
		for _, w := range i.Workloads {
			_, err := s.Acts.Clients.Client(r.Context(), w.Client)
			rule := ruleLine{Client: w.Client, Known: err == nil, When: []string{}}
			for _, c := range w.When {
				rule.When = append(rule.When, c.Claim+" = "+c.Pattern.String())
			}
			line.Rules = append(line.Rules, rule)
		}
		for _, p := range i.People.Clients {
			_, err := s.Acts.Clients.Client(r.Context(), p.String())
			when := "people by " + i.People.Claim
			if i.People.Domain != "" {
				when += " of " + i.People.Domain
			}
			line.Rules = append(line.Rules, ruleLine{Client: p.String(), Known: err == nil || !p.Exact(), When: []string{when}})
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *Server) showTrust(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.pages.Render(w, http.StatusOK, "trust.html", trustView{frame: s.frame(v, agentsPath), Issuers: s.issuers(r)})
}

// explainToken says what a token is that somebody pasted. It is in the body, never
// in an address, and not shown again.
func (s *Server) explainToken(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	view := trustView{frame: s.frame(v, agentsPath), Issuers: s.issuers(r)}
	status := http.StatusOK
	if e, problem := s.explain(r, form.Get("token")); problem != "" {
		view.Problem, status = problem, http.StatusConflict
	} else {
		view.Explained = &e
	}
	return s.pages.Render(w, status, "trust.html", view)
}

func (s *Server) explain(r *http.Request, token string) (e trust.Explanation, problem string) {
	if ok, _ := s.explains.Allow(""); !ok { // each may make this server fetch something
		return e, "Too many tokens were looked at just now; wait a few seconds."
	}
	if strings.TrimSpace(token) == "" {
		return e, "Paste the token: three parts with dots between."
	}
	e, err := s.Trust.Explain(r.Context(), token, time.Now(), s.Find)
	if err != nil {
		return e, "This is no token that can be read: a workload's token is a JWT, three parts with dots between."
	}
	return e, ""
}

// apiIssuer is somebody who is believed, in an answer.
type apiIssuer struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Issuer    string    `json:"issuer"`
	SingleUse bool      `json:"single_use"`
	Rules     []apiRule `json:"rules"`
}

type apiRule struct {
	Client string   `json:"client_id"`
	Known  bool     `json:"known"`
	When   []string `json:"when"`
}

func (a *API) listTrust(r *http.Request, _ caller) (any, error) {
	list := []apiIssuer{}
	for _, i := range a.Server.issuers(r) {
		one := apiIssuer{i.Name, i.Kind, i.Issuer, i.SingleUse, []apiRule{}}
		for _, rule := range i.Rules {
			one.Rules = append(one.Rules, apiRule(rule))
		}
		list = append(list, one)
	}
	return map[string]any{"trust": list}, nil
}

func (a *API) explainToken(r *http.Request, _ caller) (any, error) {
	var ask struct {
		Token string `json:"token"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	e, problem := a.Server.explain(r, ask.Token)
	if problem != "" {
		return nil, &apiError{http.StatusBadRequest, problem}
	}
	return e, nil
}
