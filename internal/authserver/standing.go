package authserver

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

// A standing delegation is a grant that a person gives on their own page, before
// an agent that runs with nobody there needs it: what the agent may do, where, and
// until when. It is listed, narrowed and ended there like any connection.

// Bounds of a standing delegation's life.
const (
	standingDefault = 30 * 24 * time.Hour
	standingMost    = 365 * 24 * time.Hour
)

// offer is an agent that people may let act for them at an API.
type offer struct {
	Agent  client.Client
	API    *catalog.API
	Scopes []string
}

// offers are all of these, in the order of the rules. Agents that there are not
// are left out.
func (s *Server) offers(ctx context.Context) ([]offer, error) {
	var all []offer
	for _, d := range s.Delegation {
		if !d.People {
			continue
		}
		agent, err := s.storedClient(ctx, d.Actor)
		if errors.Is(err, client.ErrUnknown) || err == nil && !agent.Vouched() {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, at := range d.Resources {
			if api, ok := s.apiOf(at); ok && !api.Administration {
				all = append(all, offer{agent, api, s.atMost(api, d.Scopes)})
			}
		}
	}
	return all, nil
}

// atMost is what a rule lets people give of an API, in the API's order.
func (s *Server) atMost(api *catalog.API, scopes []string) []string {
	var names []string
	for name := range api.Scopes {
		if len(scopes) == 0 || slices.Contains(scopes, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(a, b) })
	return names
}

func (s *Server) showStanding(w http.ResponseWriter, r *http.Request) error {
	_, acc, err := s.session(r)
	if errors.Is(err, account.ErrNotFound) {
		return s.signInForOwnPage(w, r)
	}
	if err != nil {
		return err
	}
	return s.standingPage(w, r, acc, http.StatusOK, "")
}

func (s *Server) standingPage(w http.ResponseWriter, r *http.Request, acc account.Account, status int, problem string) error {
	all, err := s.offers(r.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	view := StandingView{
		Host: s.cookies.host, Account: acc.Name, Problem: problem,
		Earliest: now.AddDate(0, 0, 1), Latest: now.Add(standingMost), Until: now.Add(standingDefault),
	}
	for _, o := range all {
		v := OfferView{Agent: agentView(o.Agent, ""), API: o.API.Title, APIName: o.API.Name, Scopes: scopeViews(o.API, o.Scopes), Claims: claimViews(o.API, acc, o.Agent)}
		for i := range v.Scopes {
			v.Scopes[i].Checked = v.Scopes[i].Risk == "read"
		}
		view.Offers = append(view.Offers, v)
	}
	return s.pages.Render(w, status, "standing.html", view)
}

// allowStanding takes the answer of the page.
func (s *Server) allowStanding(w http.ResponseWriter, r *http.Request) error {
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
		return s.standingPage(w, r, acc, http.StatusConflict, "This page was open for another account. It now shows who is signed in; look again before you decide.")
	}
	now := time.Now()
	g, problem, err := s.standingGrant(r.Context(), acc, form, now)
	if err != nil {
		return err
	}
	if problem != "" {
		return s.standingPage(w, r, acc, http.StatusBadRequest, problem)
	}
	if err := s.record(r.Context(), audit.Entry{
		Kind: audit.Consent, Outcome: audit.Done, AccountID: acc.ID, ClientID: g.ClientID, GrantID: g.ID, API: form.Get("api"),
		Reason: "the person lets the agent act for them later",
		Detail: map[string]string{"scope": oauth.FormatScope(g.Scopes), "until": time.Unix(g.ExpiresAt, 0).UTC().Format(time.RFC3339)},
	}); err != nil {
		return err
	}
	switch err := s.Connections.Allow(r.Context(), g, now); {
	case errors.Is(err, grant.ErrChanged):
		return s.standingPage(w, r, acc, http.StatusConflict, "You allowed this agent something there already. End that connection on your page first, so that it is clear which of the two counts.")
	case err != nil:
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, s.ownPage()+"?done=standing", http.StatusSeeOther)
	return nil
}

// standingGrant makes a grant of what was chosen, or says what is wrong with it.
func (s *Server) standingGrant(ctx context.Context, acc account.Account, form url.Values, now time.Time) (g grant.Grant, problem string, err error) {
	all, err := s.offers(ctx)
	if err != nil {
		return g, "", err
	}
	chosen := slices.IndexFunc(all, func(o offer) bool { return o.Agent.ID == form.Get("agent") && o.API.Name == form.Get("api") })
	if chosen < 0 {
		return g, "This agent is not one that may act for you later. The page now shows which there are.", nil
	}
	until, err := time.Parse(time.DateOnly, form.Get("until"))
	if err != nil || until.Before(now) || until.After(now.Add(standingMost)) {
		return g, "Choose a day from tomorrow on, within a year.", nil
	}
	o := all[chosen]
	scopes := oauth.Intersect(o.Scopes, form["scope"])
	if len(scopes) == 0 {
		return g, "Nothing was switched on, so there is nothing that the agent could do for you.", nil
	}
	return grant.NewStanding(acc.ID, o.Agent.ID, o.API.Resource, scopes, now, until), "", nil
}

// actForPerson gives an agent a token for a person who let it act for them
// later; at is what its own token is for. Nobody and nothing allowed are answered alike.
func (s *Server) actForPerson(ctx context.Context, actor tokenRequest, at string, now time.Time) (*oauth.TokenResponse, error) {
	nothing := rule("may-act", oauth.InvalidRequest, "nobody by this name lets this agent act for them there; a person does that on their own page")
	api, err := s.target(actor.Form.Get("resource"), "")
	if err != nil {
		return nil, err
	}
	if at != api.Resource {
		return nil, errActorElsewhere
	}
	acc, err := s.named(ctx, actor.Form.Get("subject_token"))
	if errors.Is(err, account.ErrNotFound) {
		return nil, nothing
	}
	if err != nil {
		return nil, err
	}
	g, err := s.Grants.Remembered(ctx, acc.ID, actor.Client.ID, api.Resource, now)
	switch {
	case errors.Is(err, grant.ErrNotFound), err == nil && !g.Standing(), err == nil && !actor.Client.Vouched():
		return nil, nothing
	case err != nil:
		return nil, err
	}
	if err := s.Pauses.Paused(ctx, grant.Parties{Grant: g.ID, Client: actor.Client.ID, Account: acc.ID}); err != nil {
		return nil, err
	}
	if err := s.openTo(ctx, api.Resource); err != nil {
		return nil, err
	}
	// An administrator may have taken the rule back since.
	may := grant.MayActForPeople(s.Delegation, actor.Client.ID, api.Resource, g.Scopes)
	scopes := may
	if asked := actor.Form.Get("scope"); asked != "" {
		if scopes, err = oauth.ParseScope(asked); err != nil {
			return nil, err
		}
	}
	if len(scopes) == 0 || !oauth.Subset(scopes, may) {
		return nil, rule("exchange-scope", oauth.InvalidScope, "the person, or the rule of the installation, does not let this agent do that")
	}
	token, answer := actor.mint(g, scopes, now)
	answer.IssuedTokenType = oauth.TokenTypeAccessToken
	if err := s.recordToken(ctx, actor, g, scopes, map[string]string{"actors": actor.Client.ID}); err != nil {
		return nil, err
	}
	if err := s.Grants.Delegate(ctx, token, now); errors.Is(err, grant.ErrNotFound) { // ended meanwhile
		return nil, nothing
	} else if err != nil {
		return nil, err
	}
	tellIssued(ctx, g, token, answer)
	return answer, nil
}

// named returns the account of a name or an identifier.
func (s *Server) named(ctx context.Context, who string) (account.Account, error) {
	acc, err := s.Accounts.Account(ctx, who)
	if !errors.Is(err, account.ErrNotFound) {
		return acc, err
	}
	name, err := account.Normalize(who)
	if err != nil {
		return account.Account{}, account.ErrNotFound
	}
	return s.Accounts.AccountByName(ctx, name)
}
