package authserver

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
)

// showConsent asks whether the agent may.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request) error {
	req, c, err := s.flowOf(r, r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	if isOwn(req) {
		return errRequestGone
	}
	if !s.present(r, req) {
		return s.goTo(w, r, "/login", req)
	}
	tell(r, inspect.ConsentPage, req).Answer("scope", oauth.FormatScope(req.Scopes))
	return s.consentPage(w, r, req, c, http.StatusOK, "")
}

// present reports whether the person who signed in for a request is still
// signed in here. Who has signed out meanwhile, in another tab, does not go on
// deciding from a page that was left open.
func (s *Server) present(r *http.Request, req grant.Request) bool {
	if req.AccountID == "" || req.ForceSignIn {
		return false
	}
	// Of several session cookies one may be planted; it is enough that one of
	// them is this person's, for nobody else comes of it.
	for _, h := range s.sessions(r) {
		session, _, err := s.Accounts.Session(r.Context(), h, time.Now())
		if err == nil && session.AccountID == req.AccountID {
			return true
		}
	}
	return false
}

func (s *Server) consentPage(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client, status int, problem string) error {
	api, ok := s.resourceOf(req.Resource)
	if !ok {
		return errRequestGone
	}
	acc, err := s.Accounts.Account(r.Context(), req.AccountID)
	if err != nil {
		return err
	}
	st, err := s.standing(r.Context(), req, c)
	if err != nil {
		return err
	}
	until := time.Now().Add(grant.GrantLifetime)
	if st.need != consentFull {
		return s.pages.Render(w, status, "confirm.html", ConfirmView{
			Host: s.cookies.host, Request: req.ID, Agent: agentView(c, req.RedirectURI), API: api.Title, Account: acc.Name,
			Since: time.Unix(st.held.CreatedAt, 0), Until: until, Scopes: scopeViews(api, req.Scopes), Claims: claimViews(api, acc, c), Problem: problem,
		})
	}
	return s.pages.Render(w, status, "consent.html", ConsentView{
		Host: s.cookies.host, Request: req.ID, Agent: agentView(c, req.RedirectURI), API: api.Title, Account: acc.Name,
		Until: until, Scopes: scopeViews(api, req.Scopes), Tried: triedViews(api, st, req), Claims: claimViews(api, acc, c),
		Resource: req.Resource, Redirect: req.RedirectURI, Problem: problem,
	})
}

// decide takes the answer of the consent and confirmation pages.
func (s *Server) decide(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r, "scope")
	if err != nil {
		return err
	}
	req, c, err := s.flowOf(r, form.Get("request"))
	if err != nil {
		return err
	}
	if isOwn(req) {
		return errRequestGone
	}
	tell(r, inspect.Consent, req).Form(url.Values{"action": form["action"], "scope": form["scope"]})
	if !s.present(r, req) {
		return s.goTo(w, r, "/login", req)
	}
	switch form.Get("action") {
	case "deny":
		return s.refuse(w, r, req, c)
	case "switch":
		return s.switchAccount(w, r, req)
	}
	acc, err := s.Accounts.Account(r.Context(), req.AccountID)
	if err != nil {
		return err
	}
	if form.Get("agent") != c.Fingerprint() {
		return s.consentPage(w, r, req, c, http.StatusConflict, "What this agent says about itself has changed since this page was opened. It now shows what is true; look again before you decide.")
	}
	if form.Get("account") != acc.Name {
		return s.consentPage(w, r, req, c, http.StatusConflict, "This page was open for another account. It now shows who is signed in; look again before you decide.")
	}
	switch form.Get("action") {
	case "continue":
		return s.confirm(w, r, req, c)
	case "allow":
		return s.allow(w, r, req, c, form["scope"])
	}
	return s.consentPage(w, r, req, c, http.StatusBadRequest, "Choose one of the two buttons.")
}

// confirm answers the one-button page; if what was remembered has changed
// meanwhile, the person sees the whole page instead.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client) error {
	st, err := s.standing(r.Context(), req, c)
	if err != nil {
		return err
	}
	if st.need == consentFull {
		return s.consentPage(w, r, req, c, http.StatusOK, "")
	}
	return s.approve(w, r, req, c, st, st.held.Scopes, req.Scopes)
}

// allow grants what the person left switched on, of what the page showed: what
// the request asks for, and what a gateway found missing. What they switched
// off ends for this agent also where an earlier consent had given it; what was
// not shown stays as it was.
func (s *Server) allow(w http.ResponseWriter, r *http.Request, req grant.Request, c client.Client, on []string) error {
	st, err := s.standing(r.Context(), req, c)
	if err != nil {
		return err
	}
	shown := oauth.Union(req.Scopes, st.offered(req))
	chosen := oauth.Intersect(shown, on)
	if len(chosen) == 0 {
		return s.consentPage(w, r, req, c, http.StatusBadRequest, "Nothing is switched on. Switch on what the agent may do, or choose Not now.")
	}
	all := oauth.Union(oauth.Without(st.held.Scopes, shown), chosen)
	return s.approve(w, r, req, c, st, all, chosen)
}

// agentView tells of a client what was verified, and introduces the rest as
// its own word (security.md 18).
func agentView(c client.Client, redirectURI string) AgentView {
	v := AgentView{Name: c.Name, ClientID: c.ID, Fingerprint: c.Fingerprint(), RedirectHost: client.RedirectHost(redirectURI), Loopback: client.IsLoopback(redirectURI)}
	switch c.Origin {
	case client.Document:
		return documentView(v, c, redirectURI)
	case client.Administrated, client.Gateway, client.Console:
		v.Verified = true
		v.How = "An administrator of this server added it."
	default:
		v.How = "It registered itself on " + time.Unix(c.CreatedAt, 0).UTC().Format("2 Jan 2006") + ". Nobody has checked what it says about itself."
	}
	return v
}

// scopeViews describes scopes as what the agent will be able to do.
func scopeViews(api *catalog.API, scopes []string) []ScopeView {
	var views []ScopeView
	for _, name := range scopes {
		v := ScopeView{Name: name, Text: api.Scopes[name].Text, Risk: "read", Checked: true}
		if v.Text == "" {
			v.Text = "use " + name
		}
		for _, t := range api.Tools {
			if opens(api, t, name) {
				v.Tools = append(v.Tools, t.Name)
				v.Risk = graver(v.Risk, t.Risk())
			}
		}
		v.Detail = riskDetail(v.Risk)
		views = append(views, v)
	}
	return views
}

// triedViews describes what the agent tried and lacked, switched off: that it
// tried is no reason to allow it.
func triedViews(api *catalog.API, st standing, req grant.Request) []ScopeView {
	views := scopeViews(api, st.offered(req))
	for i := range views {
		views[i].Checked = false
		for _, m := range st.missing {
			if m.Scope == views[i].Name {
				views[i].Tried = time.Unix(m.At, 0)
			}
		}
	}
	return views
}

// riskDetail says what a scope means beyond its text.
func riskDetail(risk string) string {
	switch risk {
	case "read":
		return "It looks, and changes nothing."
	case "change":
		return "It adds or changes data without asking you each time."
	}
	return "It can remove data for good, without asking you each time."
}

// opens reports whether a scope, or one that it implies, is among those that
// the tool needs.
func opens(api *catalog.API, t *catalog.Tool, scope string) bool {
	implied := api.Expand([]string{scope})
	for _, set := range t.Scopes {
		if len(oauth.Intersect(set, implied)) > 0 {
			return true
		}
	}
	return false
}

func graver(a, b string) string {
	order := []string{"read", "change", "delete"}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// claimViews lists what APIs are told of the person and the agent.
func claimViews(api *catalog.API, acc account.Account, c client.Client) []ClaimView {
	values := claimsFor(api, acc, c)
	var views []ClaimView
	for _, name := range api.Claims {
		value, goes := values[name]
		if !goes {
			continue
		}
		v := ClaimView{Name: name}
		switch value := value.(type) {
		case string:
			v.Value = value
		case int:
			v.Value = strconv.Itoa(value)
		}
		switch name {
		case "client_type":
			v.Text = "What asks"
		case "client_assurance_level":
			v.Text = "How far the agent was checked"
			if v.Value == "0" {
				v.Note = "not at all"
			}
		case "region":
			v.Text = "Your region"
		}
		views = append(views, v)
	}
	return views
}

// claimsFor are the claims that the exchange copies for an API: of the
// account's and the client's facts those that the API's configuration names,
// and no others (least privilege).
func claimsFor(api *catalog.API, acc account.Account, c client.Client) map[string]any {
	claims := map[string]any{}
	for _, name := range api.Claims {
		switch name {
		case "client_type":
			claims[name] = "agent"
		case "client_assurance_level":
			claims[name] = c.AssuranceLevel()
		default:
			about := acc.Claims
			if acc.ID == "" { // the client acts for itself
				about = c.Claims
			}
			if value, ok := about[name]; ok {
				claims[name] = value
			}
		}
	}
	return claims
}
