package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// maxState bounds the client's state, in bytes: it travels in our URLs.
const maxState = 2048

// authorize serves the authorization endpoint, OAuth 2.1 §4.1.1. What fails
// before the redirect URI can be trusted becomes a page, everything later goes
// back to the client.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	s.cookies.tidy(w, r)
	form, parseErr := oauth.ParseQuery(r.URL.RawQuery)
	told := inspect.Of(r.Context())
	told.Is(inspect.AuthorizationRequest, r.URL.Path)
	told.Form(form)
	c, redirectURI, err := s.destination(r, form)
	if err != nil {
		return err
	}
	told.Belongs(inspect.Keys{ClientID: c.ID})
	told.Asked("client_id", c.ID)
	told.Asked("redirect_uri", client.RedirectHost(redirectURI))
	state := form.Get("state")
	if len(form["state"]) > 1 || len(state) > maxState {
		state = "" // not a value that could be returned exactly
	}
	back := func(err error) error {
		if s.trusted(r, c, redirectURI) {
			return &redirectError{redirectURI, state, err}
		}
		return s.offerReturn(redirectURI, state, err)
	}
	req, prompt, err := s.checkRequest(form, c, parseErr)
	if err != nil {
		return back(err)
	}
	if err := s.Pauses.Paused(r.Context(), grant.Parties{Client: c.ID, Administration: c.Administers()}); err != nil {
		return err // a page: the client would only come again
	}
	if err := s.openTo(r.Context(), req.Resource); err != nil {
		return err
	}
	now := time.Now()
	browser := secret.New("")
	req.ID, req.BrowserHash = secret.ID(), secret.Sum(browser)
	req.RedirectURI, req.RedirectGiven, req.State = redirectURI, form.Get("redirect_uri") != "", state
	req.ExpiresAt = now.Add(grant.RequestLifetime).Unix()
	if session, acc, err := s.session(r); err == nil {
		req.AccountID, req.AMR, req.AuthTime = acc.ID, session.AMR, session.AuthTime
		req.ForceSignIn = req.ForceSignIn || tooOld(form.Get("max_age"), session.AuthTime, now)
	}
	told.Belongs(inspect.Keys{AuthRequest: req.ID, AccountID: req.AccountID})
	if slices.Contains(prompt, "none") {
		if err := s.silent(r.Context(), req, c); err != nil {
			return back(err)
		}
	}
	if ok, wait := s.limits.requests.Allow(addressKey(r)); !ok {
		return &redirectError{redirectURI, state, &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "too many authorization requests from this address; wait", RetryAfter: seconds(wait)}}
	}
	if err := s.Requests.SaveRequest(r.Context(), req); err != nil {
		return &redirectError{redirectURI, state, err}
	}
	s.cookies.write(w, s.cookies.flow(req.ID), browser, grant.RequestLifetime)
	return s.next(w, r, req, c)
}

// trusted reports whether an error may go to the client by itself. Anybody can
// register a client with a redirect to anywhere; a link to here must not become
// a link to there (RFC 9700 §4.11.2: authenticate the person first, and redirect
// automatically only where the redirection URI is trusted; R-AS-18).
func (s *Server) trusted(r *http.Request, c client.Client, redirectURI string) bool {
	if c.Vouched() || client.IsLoopback(redirectURI) {
		return true
	}
	_, _, err := s.session(r)
	return err == nil
}

// offerReturn is the page in place of a redirect that is not trusted: it says
// where the link leads, and the person decides.
func (s *Server) offerReturn(redirectURI, state string, err error) error {
	page := *asPage(asOAuth(err))
	page.View.Link = s.answerURL(redirectURI, errorAnswer(asOAuth(err), state))
	page.View.LinkHost = client.RedirectHost(redirectURI)
	page.Cause = err
	return &page
}

// destination establishes who asks and where the answer may go. Its errors are
// for the person: there is no client yet to send them to (R-AS-17, R-AS-18).
func (s *Server) destination(r *http.Request, form url.Values) (client.Client, string, error) {
	if len(form["client_id"]) > 1 || len(form["redirect_uri"]) > 1 {
		return client.Client{}, "", badDestination("The request names more than one client_id or redirect_uri.", nil)
	}
	id := form.Get("client_id")
	if id == "" {
		return client.Client{}, "", badDestination("The request does not say which agent it is for: client_id is missing.", nil)
	}
	c, err := s.askingClient(r, id)
	if errors.Is(err, client.ErrUnknown) {
		return client.Client{}, "", &pageError{Status: http.StatusBadRequest, Cause: err, View: ErrorView{
			Title: "This agent is not registered here",
			What:  "The address that brought you here names a client_id that this server does not know. It may have been registered with another server, or removed.",
			Next:  "Remove the connection in your agent and add it again, so that the agent registers anew.",
		}}
	}
	if err != nil {
		return client.Client{}, "", documentPage(err)
	}
	uri := form.Get("redirect_uri")
	switch {
	case uri == "" && len(c.RedirectURIs) == 1:
		return c, c.RedirectURIs[0], nil
	case uri == "":
		return client.Client{}, "", badDestination("The request does not say where the answer should go: redirect_uri is missing.", nil)
	case !c.RedirectAllowed(uri):
		return client.Client{}, "", badDestination("The answer would go to an address that this agent did not register, so nothing is sent there.", nil)
	}
	return c, uri, nil
}

func badDestination(what string, cause error) error {
	return &pageError{Status: http.StatusBadRequest, Cause: cause, Rule: "redirect", View: ErrorView{
		Title: "This sign-in request is not safe to answer",
		What:  what,
		Next:  "Start again from your agent. If you followed a link from somewhere else, close this page.",
	}}
}

// checkRequest is the list of checks whose failures go back to the client.
func (s *Server) checkRequest(form url.Values, c client.Client, parseErr error) (grant.Request, []string, error) {
	var none grant.Request
	fail := func(code oauth.Code, text string) (grant.Request, []string, error) {
		return none, nil, oauth.NewError(code, text)
	}
	if parseErr != nil && len(form["resource"]) < 2 {
		return none, nil, parseErr
	}
	prompt := strings.Fields(form.Get("prompt"))
	switch {
	case len(form["resource"]) > 1:
		return fail(oauth.InvalidTarget, "one resource at a time; send one authorization request for each")
	case form.Get("request") != "":
		return fail(oauth.RequestNotSupported, "request objects are not served; send the parameters themselves")
	case form.Get("request_uri") != "":
		return fail(oauth.RequestURINotSupported, "request_uri is not served; send the parameters themselves")
	case len(form.Get("state")) > maxState:
		return fail(oauth.InvalidRequest, "state has more than 2048 bytes; send a shorter one")
	case form.Get("response_type") == "":
		return fail(oauth.InvalidRequest, "response_type is missing; send code")
	case form.Get("response_type") != "code":
		return fail(oauth.UnsupportedResponseType, "response_type must be code")
	case form.Get("response_mode") != "" && form.Get("response_mode") != "query":
		return fail(oauth.InvalidRequest, "response_mode must be query or absent")
	case !c.MayUse(oauth.GrantAuthorizationCode):
		return fail(oauth.UnauthorizedClient, "this client is not registered for the authorization code grant")
	case form.Get("code_challenge") == "":
		return none, nil, rule("pkce-missing", oauth.InvalidRequest, "code_challenge is missing; PKCE with S256 is required")
	case form.Get("code_challenge_method") != oauth.MethodS256:
		return none, nil, rule("pkce-missing", oauth.InvalidRequest, "code_challenge_method must be S256; plain is not served") // RFC 9700 §2.1.1
	case !oauth.ValidChallenge(form.Get("code_challenge")):
		return none, nil, rule("pkce-missing", oauth.InvalidRequest, "code_challenge is not the base64url of a SHA-256")
	case slices.Contains(prompt, "none") && len(prompt) > 1:
		return fail(oauth.InvalidRequest, "prompt=none goes with no other value")
	}
	if err := checkOpenID(form); err != nil {
		return none, nil, err
	}
	api, err := s.target(form.Get("resource"), form.Get("scope"))
	if err != nil {
		return none, nil, err
	}
	if c.Origin == client.Console && api != s.signInAPI {
		return fail(oauth.InvalidTarget, "the administration console signs people in, and is allowed nothing else")
	}
	if err := s.checkAdministration(api, c); err != nil {
		return none, nil, err
	}
	scopes, err := askedScopes(form.Get("scope"), api)
	if err != nil {
		return none, nil, err
	}
	return grant.Request{
		ClientID: c.ID, Challenge: form.Get("code_challenge"), Resource: api.Resource, Scopes: scopes,
		ForceSignIn:  slices.Contains(prompt, "login") || slices.Contains(prompt, "select_account"),
		ForceConsent: slices.Contains(prompt, "consent"), Nonce: form.Get("nonce"),
	}, prompt, nil
}

// target finds the API that a resource parameter means (RFC 8707 §2, R-AS-22).
// Without one, openid means the sign-in itself, unless scopes of an API come
// along as with clients that ask for all there are; anything else can only be
// meant where there is only one.
func (s *Server) target(resource, scope string) (*catalog.API, error) {
	if asked := strings.Fields(scope); resource == "" && slices.Contains(asked, scopeOpenID) && len(oauth.Intersect(asked, s.apiScopes())) == 0 {
		return s.signInAPI, nil
	}
	if resource == "" {
		if apis := s.ordinaryAPIs(); len(apis) == 1 {
			return apis[0], nil
		}
		return nil, oauth.NewError(oauth.InvalidTarget, "resource is missing and this server protects several; send the URL of the MCP server (RFC 8707)")
	}
	canonical, err := oauth.CanonicalResource(resource)
	if err != nil {
		return nil, oauth.NewError(oauth.InvalidTarget, err.Error())
	}
	api, ok := s.resourceOf(canonical)
	if !ok {
		return nil, oauth.NewError(oauth.InvalidTarget, "no MCP server of this resource is protected here; compare it with the resource in its metadata")
	}
	return api, nil
}

// askedScopes returns what a scope parameter asks of an API: the default where
// it asks for nothing (R-AS-24). Scopes that the API does not have are left out
// (RFC 6749 §3.3, R-AS-25), since clients copy whole lists; if that leaves
// none, the request is refused.
func askedScopes(scope string, api *catalog.API) ([]string, error) {
	asked, err := oauth.ParseScope(scope)
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		return api.DefaultScopes, nil
	}
	if _, isSignIn := api.Scopes[scopeOpenID]; isSignIn && !slices.Contains(asked, scopeOpenID) {
		return nil, oauth.NewError(oauth.InvalidScope, "openid is missing; without it there is nothing to ask for here (OpenID Connect Core section 3.1.2.1)")
	}
	var known []string
	for _, name := range asked {
		if _, ok := api.Scopes[name]; ok {
			known = append(known, name)
		}
	}
	if len(known) == 0 {
		return nil, oauth.NewError(oauth.InvalidScope, "none of these scopes exists at this resource; its metadata lists what to ask for first")
	}
	return known, nil
}

// silent checks that a request with prompt=none can be answered without a
// page (OpenID Connect Core §3.1.2.6).
func (s *Server) silent(ctx context.Context, req grant.Request, c client.Client) error {
	if req.AccountID == "" || req.ForceSignIn { // max_age: OpenID Connect Core §3.1.2.1
		return oauth.NewError(oauth.LoginRequired, "nobody is signed in; send the person through sign-in")
	}
	st, err := s.standing(ctx, req, c)
	if err != nil {
		return err
	}
	if st.need != consentNone {
		return oauth.NewError(oauth.ConsentRequired, "the person has to agree first; send the person through consent")
	}
	return nil
}
