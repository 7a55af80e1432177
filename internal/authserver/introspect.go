package authserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// introspect serves RFC 7662. The caller must authenticate (§2.1); one that is
// not a gateway of the token's audience learns nothing but "inactive"
// (security.md 8), as does everybody about tokens that are worth nothing.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	c, _, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	if !c.Confidential() {
		return oauth.NewError(oauth.InvalidClient, "introspection needs a client that authenticates")
	}
	if form.Get("token") == "" {
		return oauth.NewError(oauth.InvalidRequest, "token is missing")
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	told := inspect.Of(r.Context())
	told.Is(inspect.Introspection, r.URL.Path)
	told.Form(form)
	told.Asked("client_id", c.ID)
	told.Bearer(form.Get("token"))
	answer := oauth.Introspection{}
	if c.Origin == client.Gateway || c.Origin == client.Console {
		if answer, err = s.worth(r, c, form.Get("token")); err != nil {
			return err
		}
	}
	if !answer.Active {
		told.Answer("active", "false")
		told.Refused("inactive")
	}
	w.Header().Add("Vary", "Accept")
	if wantsSigned(r) {
		return s.writeSigned(w, r, c.ID, answer)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// introspectionType is the media type and JWS type of a signed answer.
const introspectionType = "token-introspection+jwt"

func wantsSigned(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/"+introspectionType)
}

// writeSigned answers with a JWT (RFC 9701 §5): for this caller alone, the
// token's claims inside of one member, so that it can never be taken for an
// access token (security.md 8).
func (s *Server) writeSigned(w http.ResponseWriter, r *http.Request, caller string, answer oauth.Introspection) error {
	signed, err := s.Keys.Sign(r.Context(), jose.ES256, introspectionType, struct {
		Issuer        string              `json:"iss"`
		Audience      string              `json:"aud"`
		IssuedAt      int64               `json:"iat"`
		Introspection oauth.Introspection `json:"token_introspection"`
	}{s.Issuer, caller, time.Now().Unix(), answer})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/"+introspectionType)
	_, err = io.WriteString(w, signed)
	return err
}

// worth says what an opaque access token is worth now to who asks: gateways learn
// of tokens for MCP endpoints, the console of those for itself.
func (s *Server) worth(r *http.Request, asks client.Client, value string) (oauth.Introspection, error) {
	t, g, err := s.Grants.Token(r.Context(), secret.Sum(value), time.Now())
	if errors.Is(err, grant.ErrNotFound) {
		return oauth.Introspection{}, nil
	}
	if err != nil {
		return oauth.Introspection{}, err
	}
	_, forGateways := s.apiOf(g.Resource)
	forConsole := s.Console != nil && g.Resource == s.Console.Resource
	if forGateways != (asks.Origin == client.Gateway) || forConsole != (asks.Origin == client.Console) {
		return oauth.Introspection{}, nil
	}
	tellWorth(r.Context(), value, t, g)
	subject := g.AccountID
	if subject == "" {
		subject = g.ClientID
	}
	var act *oauth.Actor
	granted := ""
	if len(t.Actors) > 0 {
		act, granted = actChain(grant.Chain(t, g)), g.ClientID
	}
	return oauth.Introspection{
		Active: true, Scope: oauth.FormatScope(grant.Effective(t, g)), ClientID: grant.Holder(t, g), TokenType: "Bearer",
		Exp: min(t.ExpiresAt, g.ExpiresAt), Iat: t.IssuedAt, Sub: subject, Aud: g.Resource, Iss: s.Issuer, GrantID: g.ID, AuthTime: t.AuthTime, AMR: t.AMR,
		Family: t.Family, Feed: &t.Position, Closed: t.Closed, Confirmation: confirmation(t), Act: act, GrantClientID: granted,
	}, nil
}

// confirmation is what must be proved beside a token; nil for most.
func confirmation(t grant.Token) *oauth.Confirmation {
	if t.Certificate == "" {
		return nil
	}
	return &oauth.Confirmation{CertificateThumbprint: t.Certificate}
}
