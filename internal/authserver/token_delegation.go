package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
)

// isDelegation reports whether a token request is an agent's that wants to act
// for whom another agent acts for (RFC 8693 §1.1). Gateways send no actor_token:
// they are the actor themselves.
func isDelegation(form url.Values) bool {
	return form.Get("grant_type") == oauth.GrantTokenExchange && form.Has("actor_token")
}

// delegate serves token exchange, RFC 8693, for agents: the token of another
// agent (subject_token) and the agent's own (actor_token) become one with which
// it acts for the same person or workload at the same resource, and less, and no
// longer. It hangs off the subject's grant and off that very token: whatever ends
// one of them, or an agent of the chain, ends it.
func (s *Server) delegate(r *http.Request, form url.Values) (*oauth.TokenResponse, error) {
	now := time.Now()
	actor, at, err := s.actor(r, form, now)
	if e, refused := oauth.AsError(err); refused && (e.Code == oauth.InvalidClient || e.Code == oauth.InvalidRequest) {
		if ok, wait := s.limits.clientFailures.Allow(addressKey(r)); !ok {
			return nil, &oauth.Error{Code: oauth.TooManyRequests, Description: "too many failed attempts from this address; wait", RetryAfter: seconds(wait), Cause: err}
		}
	}
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	httpserver.Note(ctx, "client_id", actor.Client.ID)
	told := inspect.Of(ctx)
	told.Asked("client_id", actor.Client.ID)
	told.Belongs(inspect.Keys{ClientID: actor.Client.ID})
	if err := checkDelegation(form); err != nil {
		return nil, err
	}
	if form.Get("subject_token_type") == oauth.TokenTypeAccount {
		return s.actForPerson(ctx, actor, at, now)
	}
	token, g, err := s.Grants.Token(ctx, secret.Sum(form.Get("subject_token")), now)
	if errors.Is(err, grant.ErrNotFound) {
		// RFC 8693 §2.2.2: an invalid subject token is invalid_request.
		return nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "subject_token is unknown, expired or ended", Cause: err, Rule: "subject-token"}
	}
	if err != nil {
		return nil, err
	}
	told.Belongs(keysOf(g))
	told.Presented(opaque(form.Get("subject_token"), token, g))
	if err := s.mayTakeOver(actor, token, g); err != nil {
		return nil, err
	}
	if err := sameResource(form, g.Resource); err != nil {
		return nil, err
	}
	api, ok := s.apiOf(g.Resource)
	if !ok || api.Administration {
		return nil, oauth.NewError(oauth.InvalidTarget, "what subject_token is for takes a person's own agent")
	}
	if at != api.Resource {
		return nil, errActorElsewhere
	}
	if err := s.openTo(ctx, api.Resource); err != nil {
		return nil, err
	}
	may := grant.MayAct(s.Delegation, actor.Client.ID, grant.Holder(token, g), g.Resource, grant.Effective(token, g))
	if len(may) == 0 {
		return nil, rule("may-act", oauth.InvalidTarget, "this agent may not act for that one there; an administrator can allow it (delegation)")
	}
	scopes := may
	if asked := form.Get("scope"); asked != "" {
		if scopes, err = oauth.ParseScope(asked); err != nil {
			return nil, err
		}
		if len(scopes) == 0 || !oauth.Subset(scopes, may) {
			return nil, rule("exchange-scope", oauth.InvalidScope, "subject_token and what this agent may do for that one do not cover the scopes asked for; an exchange only narrows")
		}
	}
	issued, answer := actor.mint(g, scopes, now)
	issued.ExpiresAt = min(issued.ExpiresAt, token.ExpiresAt)
	answer.ExpiresIn, answer.IssuedTokenType = issued.ExpiresAt-now.Unix(), oauth.TokenTypeAccessToken
	issued.Actors, issued.Parent = append([]string{actor.Client.ID}, token.Actors...), token.Hash
	issued.AMR, issued.AuthTime = token.AMR, token.AuthTime
	detail := map[string]string{"actors": strings.Join(grant.Chain(issued, g), " ")}
	if err := s.recordToken(ctx, actor, g, scopes, detail); err != nil {
		return nil, err
	}
	if err := s.Grants.Delegate(ctx, issued, now); err != nil {
		return nil, err
	}
	tellIssued(ctx, g, issued, answer)
	return answer, nil
}

// errActorElsewhere: of a token for one resource no other must come, not by
// whoever steals it either.
var errActorElsewhere = rule("actor-token", oauth.InvalidTarget, "actor_token is for another resource; get one for the MCP server where you want to act")

// actor establishes who wants to act, and where its token is for: by the client's credentials and its own
// token, or by the token alone for a client that has no credentials, because its
// platform vouched for it when it got that.
func (s *Server) actor(r *http.Request, form url.Values, now time.Time) (req tokenRequest, at string, err error) {
	refuse := func(text string) (tokenRequest, string, error) {
		return tokenRequest{}, "", rule("actor-token", oauth.InvalidRequest, text)
	}
	if form.Get("actor_token_type") != oauth.TokenTypeAccessToken {
		return refuse("actor_token_type must be " + oauth.TokenTypeAccessToken)
	}
	own, g, err := s.Grants.Token(r.Context(), secret.Sum(form.Get("actor_token")), now)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return refuse("actor_token is unknown, expired or ended")
	case err != nil:
		return tokenRequest{}, "", err
	case g.AccountID != "" || len(own.Actors) > 0:
		return refuse("actor_token must be one with which the agent acts for itself")
	}
	c, err := s.storedClient(r.Context(), g.ClientID)
	if err != nil {
		return tokenRequest{}, "", err
	}
	req = tokenRequest{Form: form, Client: c}
	if c.AuthMethod == client.AuthWorkload {
		if r.Header.Get("Authorization") != "" || form.Has("client_secret") || form.Has("client_assertion") || form.Has("client_id") && form.Get("client_id") != c.ID {
			return refuse("actor_token is of a workload, which has no other credentials")
		}
	} else {
		known, certificate, err := s.checkClient(r, form)
		if err != nil {
			return tokenRequest{}, "", err
		}
		if known.ID != c.ID {
			return refuse("actor_token was issued to another client than the one that authenticates")
		}
		req.Certificate = certificate
	}
	var certificates httpserver.Certificates
	if s.MutualTLS != nil {
		certificates = s.MutualTLS.Certificates
	}
	if err := resource.CheckPossession(r, certificates, confirmation(own)); err != nil {
		return refuse("actor_token is bound to a certificate that was not shown")
	}
	return req, g.Resource, s.Pauses.Paused(r.Context(), grant.Parties{Client: c.ID})
}

// checkDelegation checks the parameters of RFC 8693 §2.1.
func checkDelegation(f url.Values) error {
	switch {
	case f.Get("subject_token") == "":
		return oauth.NewError(oauth.InvalidRequest, "subject_token is missing")
	case f.Get("subject_token_type") != oauth.TokenTypeAccessToken && f.Get("subject_token_type") != oauth.TokenTypeAccount:
		return oauth.NewError(oauth.InvalidRequest, "subject_token_type must be "+oauth.TokenTypeAccessToken+" or "+oauth.TokenTypeAccount)
	case f.Has("requested_token_type") && f.Get("requested_token_type") != oauth.TokenTypeAccessToken:
		return oauth.NewError(oauth.InvalidRequest, "requested_token_type must be an access token")
	case f.Has("audience"):
		return oauth.NewError(oauth.InvalidTarget, "name the MCP server by resource, or nothing: it is that of subject_token")
	case f.Has("authorization_details"):
		return oauth.NewError(oauth.InvalidRequest, "authorization_details are not served; what is allowed is told by scope")
	}
	return nil
}

// mayTakeOver refuses what no rule could allow.
func (s *Server) mayTakeOver(actor tokenRequest, token grant.Token, g grant.Grant) error {
	switch {
	case !actor.Client.Vouched():
		return rule("may-act", oauth.UnauthorizedClient, "only an agent that an administrator added may act for another")
	case token.Certificate != "":
		return rule("may-act", oauth.InvalidRequest, "subject_token is bound to its holder's certificate, so that nobody else can use it")
	case actor.Client.ID == g.ClientID || slices.Contains(token.Actors, actor.Client.ID):
		return rule("may-act", oauth.InvalidRequest, "this agent is in the chain of actors already")
	case len(token.Actors) >= grant.MaxActors:
		return rule("may-act", oauth.InvalidRequest, "the chain of actors is too long; at most "+strconv.Itoa(grant.MaxActors)+" agents may act one for another")
	}
	return nil
}

// actChain nests a chain of actors as RFC 8693 §4.1 has it; nil for none.
func actChain(chain []string) *oauth.Actor {
	var act *oauth.Actor
	for _, id := range slices.Backward(chain) {
		act = &oauth.Actor{Sub: id, Act: act}
	}
	return act
}
