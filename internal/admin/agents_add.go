package admin

import (
	"net/http"
	"strings"

	"gatehouse/internal/oauth"
)

const addAgentPath = "/admin/add-agent"

func (s *Server) addAgentRoutes() []Route {
	return []Route{
		{"GET " + addAgentPath, ChangingBy, s.showAddAgent},
		{"POST " + addAgentPath, ChangingBy, s.addAgent},
	}
}

// addAgentView is the form, as typed.
type addAgentView struct {
	frame
	Name, ID, Proof, Keys, KeysURL, Subject, Redirects, Scopes, Attributes string
	IDJAG                                                                  bool
	Known                                                                  []string // scopes that there are
	Certificates                                                           bool     // agents may show one here
	Problem                                                                string
}

type addedAgentView struct {
	frame
	AddedAgent
}

func (s *Server) showAddAgent(w http.ResponseWriter, r *http.Request, v visit) error {
	typed := s.kept(w, r, v)
	return s.addAgentPage(w, v, http.StatusOK, formOf(typed.Get))
}

func formOf(get func(string) string) addAgentView {
	view := addAgentView{
		Name: get("name"), ID: get("id"), Proof: get("proof"), Keys: get("keys"), KeysURL: get("keys_url"), Subject: get("subject"),
		Redirects: get("redirects"), Scopes: get("scopes"), Attributes: get("attributes"), IDJAG: get("id_jag") != "",
	}
	if view.Proof == "" {
		view.Proof = "key"
	}
	return view
}

func (s *Server) addAgentPage(w http.ResponseWriter, v visit, status int, view addAgentView) error {
	view.frame, view.Certificates = s.frame(v, agentsPath), s.Acts.MutualTLS
	for _, a := range s.Acts.APIs {
		if a.Administration {
			continue
		}
		for _, line := range scopeLines(a) {
			view.Known = append(view.Known, line.Name)
		}
	}
	return s.pages.Render(w, status, "addagent.html", view)
}

// addAgent adds an agent, and shows its secret if it has one: this once, which is
// why the answer is the page itself.
func (s *Server) addAgent(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	view := formOf(form.Get)
	var added AddedAgent
	claims, err := parseClaims(view.Attributes)
	if err == nil {
		n := NewAgent{ID: strings.TrimSpace(view.ID), Name: strings.TrimSpace(view.Name), RedirectURIs: strings.Fields(view.Redirects), Scopes: strings.Fields(view.Scopes), Claims: claims, IDJAG: view.IDJAG}
		switch view.Proof {
		case "key":
			n.Keys = []byte(view.Keys)
		case "keys-url":
			n.KeysURL = strings.TrimSpace(view.KeysURL)
		case "certificate":
			n.Certificates = []byte(view.Keys)
		case "subject":
			n.CertificateSubject = strings.TrimSpace(view.Subject)
		case "workload":
			n.Workload = true
		case "secret":
			n.Secret = true
		case "public":
			n.Public = true
		}
		added, err = s.Acts.AddAgent(r.Context(), by(r, v), n)
	}
	if view.Problem = Refusal(err); view.Problem != "" {
		return s.addAgentPage(w, v, http.StatusConflict, view)
	}
	if err != nil {
		return err
	}
	return s.pages.Render(w, http.StatusOK, "addedagent.html", addedAgentView{s.frame(v, agentsPath), added})
}

// apiNewAgent is an agent that shall be added.
type apiNewAgent struct {
	ID           string            `json:"client_id"`
	Name         string            `json:"client_name"`
	RedirectURIs []string          `json:"redirect_uris"`
	Scope        string            `json:"scope"`
	Attributes   map[string]string `json:"attributes"`
	Proof        string            `json:"proof"` // key, keys-url, certificate, subject, workload, secret or public
	Keys         string            `json:"keys"`  // a JWK set, a JWK or PEM; certificates: PEM
	Subject      string            `json:"certificate_subject"`
	KeysURL      string            `json:"jwks_uri"`
	IDJAG        bool              `json:"id_jag"`
}

func (a *API) addAgent(r *http.Request, c caller) (any, error) {
	var ask apiNewAgent
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	n := NewAgent{ID: ask.ID, Name: ask.Name, RedirectURIs: ask.RedirectURIs, Scopes: strings.Fields(ask.Scope), Claims: ask.Attributes, KeysURL: ask.KeysURL, IDJAG: ask.IDJAG}
	switch ask.Proof {
	case "key":
		n.Keys = []byte(ask.Keys)
	case "certificate":
		n.Certificates = []byte(ask.Keys)
	case "subject":
		n.CertificateSubject = ask.Subject
	case "workload":
		n.Workload = true
	case "secret":
		n.Secret = true
	case "public":
		n.Public = true
	}
	added, err := a.Acts.AddAgent(r.Context(), c.actor(r), n)
	return struct {
		Audit  string `json:"audit"`
		ID     string `json:"client_id"`
		Secret string `json:"client_secret,omitempty"`
	}{added.Entry, added.ID, added.Secret}, err
}
