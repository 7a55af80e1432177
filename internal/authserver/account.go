package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// A person's own page: what they allowed agents, what those last did, and how
// to take it back. It needs a sign-in and no script. Whoever comes without one
// signs in like for an agent, by a request of the page's own: it has no client,
// and ends here instead of with an answer.

// ownPage is where a request of the page's own leads.
func (s *Server) ownPage() string { return s.Issuer + "/account" }

// isOwn reports whether a request is the page's own.
func isOwn(req grant.Request) bool { return req.ClientID == "" }

// ownClient stands for this server in a request of the page's own.
func (s *Server) ownClient() client.Client {
	return client.Client{Origin: client.Administrated, RedirectURIs: []string{s.ownPage()}}
}

// showAccount shows the page, or signs the person in for it.
func (s *Server) showAccount(w http.ResponseWriter, r *http.Request) error {
	_, acc, err := s.session(r)
	if errors.Is(err, account.ErrNotFound) {
		return s.signInForOwnPage(w, r)
	}
	if err != nil {
		return err
	}
	return s.accountPage(w, r, acc, http.StatusOK, notices[r.URL.Query().Get("done")], "")
}

// notices say what was done, after it was. The address names one of them only:
// what it says is not up to whoever made the link.
var notices = map[string]string{
	"ended":    "The connection has ended. Within a second nothing that the agent tries in your name succeeds.",
	"standing": "The agent may act for you until the day that you chose. It is listed below; narrow it or end it there.",
	"narrowed": "The agent may do less now. What you switched off ends within a second.",
}

func (s *Server) signInForOwnPage(w http.ResponseWriter, r *http.Request) error {
	s.cookies.tidy(w, r)
	if ok, _ := s.limits.requests.Allow(addressKey(r)); !ok {
		return &pageError{Status: http.StatusTooManyRequests, View: ErrorView{
			Title: "Too many sign-ins were begun from here", What: "Nothing was changed.", Next: "Wait a minute, then open this page again.",
		}}
	}
	browser := secret.New("")
	req := grant.Request{
		ID: secret.ID(), BrowserHash: secret.Sum(browser), RedirectURI: s.ownPage(), Resource: s.Issuer,
		ExpiresAt: time.Now().Add(grant.RequestLifetime).Unix(),
	}
	if err := s.Requests.SaveRequest(r.Context(), req); err != nil {
		return err
	}
	s.cookies.write(w, s.cookies.flow(req.ID), browser, grant.RequestLifetime)
	return s.goTo(w, r, "/login", req)
}

// arrive ends a request of the page's own, whether the person signed in or not.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request, req grant.Request, where string) error {
	if err := s.Requests.Deny(r.Context(), req.ID, time.Now()); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.flow(req.ID))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, where, http.StatusSeeOther)
	return nil
}

func (s *Server) accountPage(w http.ResponseWriter, r *http.Request, acc account.Account, status int, notice, problem string) error {
	list, err := s.Connections.Connections(r.Context(), acc.ID, time.Now())
	if err != nil {
		return err
	}
	view := AccountView{Host: s.cookies.host, Account: acc.Name, Notice: notice, Problem: problem}
	offers, err := s.offers(r.Context())
	if err != nil {
		return err
	}
	view.Later = len(offers) > 0
	for _, c := range list {
		v, err := s.connectionView(r.Context(), c)
		if err != nil {
			return err
		}
		view.Connections = append(view.Connections, v)
	}
	return s.pages.Render(w, status, "account.html", view)
}

func (s *Server) connectionView(ctx context.Context, c grant.Connection) (ConnectionView, error) {
	v := ConnectionView{
		ID: c.ID, API: c.Resource, Since: time.Unix(c.CreatedAt, 0), Until: time.Unix(c.ExpiresAt, 0),
		LastTool: c.LastTool, LastTime: c.LastTime, LastWell: c.LastWell, Standing: c.Standing(),
	}
	agent, err := s.storedClient(ctx, c.ClientID)
	switch {
	case errors.Is(err, client.ErrUnknown):
		v.Agent = AgentView{Name: "An agent that is not registered any more", Verified: true, ClientID: c.ClientID}
	case err != nil:
		return v, err
	default:
		redirect := ""
		if len(agent.RedirectURIs) > 0 {
			redirect = agent.RedirectURIs[0]
		}
		v.Agent = agentView(agent, redirect)
	}
	if api, ok := s.resourceOf(c.Resource); ok {
		v.API = api.Title
		v.Scopes = scopeViews(api, c.Scopes)
		return v, nil
	}
	for _, name := range c.Scopes { // of an API that is not configured any more
		v.Scopes = append(v.Scopes, ScopeView{Name: name, Text: "use " + name, Risk: "change", Checked: true})
	}
	return v, nil
}

// endConnection and narrowConnection take the answers of the page.
func (s *Server) endConnection(w http.ResponseWriter, r *http.Request) error {
	return s.changeConnection(w, r, "ended", "the person ended the connection", func(acc account.Account, form url.Values) error {
		return s.Connections.EndConnection(r.Context(), acc.ID, form.Get("connection"), time.Now())
	})
}

func (s *Server) narrowConnection(w http.ResponseWriter, r *http.Request) error {
	return s.changeConnection(w, r, "narrowed", "the person took away scopes", func(acc account.Account, form url.Values) error {
		return s.Connections.Narrow(r.Context(), acc.ID, form.Get("connection"), form["scope"], time.Now())
	})
}

func (s *Server) changeConnection(w http.ResponseWriter, r *http.Request, done, reason string, act func(account.Account, url.Values) error) error {
	form, err := oauth.ParseForm(r, "scope")
	if err != nil {
		return err
	}
	_, acc, err := s.session(r)
	if errors.Is(err, account.ErrNotFound) {
		return s.signInForOwnPage(w, r)
	}
	if err != nil {
		return err
	}
	if form.Get("account") != acc.Name {
		return s.accountPage(w, r, acc, http.StatusConflict, "", "This page was open for another account. It now shows who is signed in; look again before you decide.")
	}
	if len(form["scope"]) == 0 && done == "narrowed" {
		return s.accountPage(w, r, acc, http.StatusBadRequest, "", "Nothing was left switched on. To take everything away, end the connection.")
	}
	list, err := s.Connections.Connections(r.Context(), acc.ID, time.Now())
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.ID != form.Get("connection") {
			continue
		}
		entry := audit.Entry{Kind: audit.Revocation, Outcome: audit.Done, AccountID: acc.ID, ClientID: c.ClientID, GrantID: c.ID, Reason: reason}
		if done == "narrowed" {
			entry.Detail = map[string]string{"scope": oauth.FormatScope(oauth.Intersect(c.Scopes, form["scope"]))}
		}
		if err := s.record(r.Context(), entry); err != nil {
			return err
		}
		if err := act(acc, form); !errors.Is(err, grant.ErrNotFound) {
			if err != nil {
				return err
			}
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, s.ownPage()+"?done="+done, http.StatusSeeOther)
			return nil
		}
	}
	return s.accountPage(w, r, acc, http.StatusConflict, "", "This connection has ended already, or was changed meanwhile. The page now shows what there is.")
}

// leave signs out of this browser, or of all of them.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	_, acc, err := s.session(r)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return err
	}
	what := "You are signed out of this browser."
	if err == nil && form.Get("where") == "everywhere" {
		entry := audit.Entry{Kind: audit.SignIn, Outcome: audit.Done, AccountID: acc.ID, Reason: "the person signed out everywhere"}
		if err := s.record(r.Context(), entry); err != nil {
			return err
		}
		if err := s.Accounts.EndSessions(r.Context(), acc.ID); err != nil {
			return err
		}
		what = "You are signed out of every browser."
	}
	if err := s.endSessions(r); err != nil {
		return err
	}
	s.cookies.clear(w, s.cookies.session())
	return s.pages.Render(w, http.StatusOK, "notice.html", NoticeView{
		Host: s.cookies.host, Title: "Signed out", What: what,
		Next: "Agents that you allowed something keep it. To take it away, open your page and end their connections.", Link: "/account", LinkText: "Open your page",
	})
}
