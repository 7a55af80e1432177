package authserver

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/trust"
)

// isFederation reports whether a token request is a workload's, who is told by
// its assertion alone. An ID-JAG speaks for a person and needs a client that
// authenticates: nothing falls through from one to the other (security.md 9).
func isFederation(form url.Values) bool {
	return form.Get("grant_type") == oauth.GrantJWTBearer && !trust.IsIDJAG(form.Get("assertion"))
}

// federate serves the JWT bearer grant, RFC 7523 §2.1, for workloads whose
// platform vouches for them (MCP extension auth/wif, SEP-1933): a rule says
// which client the assertion speaks for, and the token is that client's own.
// Failures are slowed by address, since nobody has proven anything.
func (s *Server) federate(r *http.Request, form url.Values) (*oauth.TokenResponse, error) {
	c, detail, err := s.workload(r, form)
	if e, refused := oauth.AsError(err); refused && e.Code == oauth.InvalidGrant {
		if ok, wait := s.limits.clientFailures.Allow(addressKey(r)); !ok {
			return nil, &oauth.Error{Code: oauth.TooManyRequests, Description: "too many failed attempts from this address; wait", RetryAfter: seconds(wait), Cause: err}
		}
	}
	if err != nil {
		return nil, err
	}
	told := inspect.Of(r.Context())
	told.Asked("client_id", c.ID)
	told.Belongs(inspect.Keys{ClientID: c.ID})
	httpserver.Note(r.Context(), "client_id", c.ID)
	return s.issueToClient(r.Context(), tokenRequest{Form: form, Client: c}, detail)
}

// workload establishes which client an assertion speaks for, and what the audit
// shall know of it. What must be used once is used when it returns.
func (s *Server) workload(r *http.Request, form url.Values) (client.Client, map[string]string, error) {
	ctx, now := r.Context(), time.Now()
	switch {
	case form.Get("assertion") == "":
		return client.Client{}, nil, oauth.NewError(oauth.InvalidRequest, "assertion is missing")
	case r.Header.Get("Authorization") != "", form.Has("client_secret"), form.Has("client_assertion"), form.Has("client_assertion_type"):
		return client.Client{}, nil, oauth.NewError(oauth.InvalidRequest, "a workload's assertion says who it is; send no client authentication with it")
	}
	m, err := s.Trust.Workload(ctx, form.Get("assertion"), now)
	if err != nil {
		return client.Client{}, nil, s.untrusted(ctx, m, err)
	}
	detail := factsOf(m)
	// RFC 7521 §4.1: a client_id is not needed, and must be the right one.
	if id := form.Get("client_id"); id != "" && id != m.Client {
		return client.Client{}, nil, s.deny(ctx, m.Client, detail, "client_id is not the client that the assertion speaks for")
	}
	c, err := s.Clients.Client(ctx, m.Client)
	if errors.Is(err, client.ErrUnknown) {
		return c, nil, s.deny(ctx, "", detail, "the rule's client "+m.Client+" does not exist")
	}
	if err != nil {
		return c, nil, err
	}
	if c.Origin != client.Administrated || c.AuthMethod != client.AuthWorkload || !c.MayUse(oauth.GrantJWTBearer) {
		return c, nil, s.deny(ctx, c.ID, detail, "the rule's client is none that an administrator made for workloads")
	}
	if err := s.Pauses.Paused(ctx, grant.Parties{Client: c.ID}); err != nil {
		return c, nil, err
	}
	return c, detail, s.useOnce(ctx, m, c.ID, detail, now)
}

// useOnce consumes an assertion that is good for one use (RFC 7523 §3 point 7).
func (s *Server) useOnce(ctx context.Context, m trust.Match, clientID string, detail map[string]string, now time.Time) error {
	if m.Use == "" {
		return nil
	}
	err := s.Clients.UseAssertion(ctx, "trust:"+m.Issuer.Name, m.Use, m.Until, now)
	if errors.Is(err, client.ErrReplayed) {
		return s.deny(ctx, clientID, detail, "the assertion was used before")
	}
	return err
}

// factsOf is what the audit holds of an assertion: whose it is and which claims a
// rule looked at.
func factsOf(m trust.Match) map[string]string {
	detail := map[string]string{"trust": m.Issuer.Name, "issuer": clip(m.Claims.Issuer), "subject": clip(m.Claims.Subject)}
	var matched []string
	for _, name := range slices.Sorted(maps.Keys(m.Matched)) {
		matched = append(matched, name+"="+clip(m.Matched[name]))
	}
	if len(matched) > 0 {
		detail["matched"] = strings.Join(matched, " ")
	}
	if m.Claims.ID != "" {
		detail["assertion_jti"] = clip(m.Claims.ID)
	}
	return detail
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// untrusted translates what package trust says. What somebody has signed whom
// we trust is recorded, the rest is anybody's noise.
func (s *Server) untrusted(ctx context.Context, m trust.Match, err error) error {
	switch {
	case errors.Is(err, trust.ErrUnavailable):
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the keys of the assertion's issuer cannot be read just now; try again shortly", RetryAfter: 10, Cause: err}
	case errors.Is(err, trust.ErrNoRule):
		return s.deny(ctx, "", factsOf(m), "the assertion is genuine, but no rule is for it; an administrator can add one, and `gatehouse trust explain` proposes it")
	case errors.Is(err, trust.ErrAmbiguous):
		return s.deny(ctx, "", factsOf(m), "the assertion is genuine, but which client it speaks for is not clear; an administrator can make the rules narrower")
	}
	return &oauth.Error{Code: oauth.InvalidGrant, Description: err.Error(), Cause: err, Rule: "assertion"}
}

// deny records and returns the refusal of a genuine assertion.
func (s *Server) deny(ctx context.Context, clientID string, detail map[string]string, reason string) error {
	refusal := &oauth.Error{Code: oauth.InvalidGrant, Description: reason, Rule: "assertion"}
	detail = maps.Clone(detail)
	detail["grant_type"] = oauth.GrantJWTBearer
	return errors.Join(refusal, s.record(ctx, audit.Entry{Kind: audit.TokenIssued, Outcome: audit.Denied, ClientID: clientID, Reason: reason, Detail: detail}))
}
