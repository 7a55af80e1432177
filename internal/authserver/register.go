package authserver

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// Limits of a registration request.
const (
	maxRegistration      = 64 << 10
	maxRegistrationDepth = 8
)

// registration is the answer of RFC 7591 §3.2.1: what was registered, with
// every value that the server replaced.
type registration struct {
	ClientID        string          `json:"client_id"`
	IssuedAt        int64           `json:"client_id_issued_at"`
	Secret          string          `json:"client_secret,omitempty"`
	SecretExpiresAt *int64          `json:"client_secret_expires_at,omitempty"` // REQUIRED with a secret; 0: never
	Name            string          `json:"client_name,omitempty"`
	URI             string          `json:"client_uri,omitempty"`
	ApplicationType string          `json:"application_type,omitempty"`
	RedirectURIs    []string        `json:"redirect_uris"`
	GrantTypes      []string        `json:"grant_types"`
	ResponseTypes   []string        `json:"response_types"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	Scope           string          `json:"scope,omitempty"`
	PostLogout      []string        `json:"post_logout_redirect_uris,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
}

// clientRules are those for clients that describe themselves.
func (s *Server) clientRules() client.Rules {
	return client.Rules{GrantTypes: []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, PlainHTTP: s.PlainHTTP}
}

// register serves dynamic client registration, RFC 7591. Anybody may register;
// it gives a client an identifier and nothing else: what it may do is for
// people to allow.
func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	inspect.Of(r.Context()).Is(inspect.Registration, r.URL.Path)
	if ok, wait := s.limits.registrations.Allow(addressKey(r)); !ok {
		return &oauth.Error{Code: oauth.TooManyRequests, Description: "too many registrations from this address; keep the client_id you were given, or wait", RetryAfter: seconds(wait)}
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/json") {
		return oauth.NewError(oauth.InvalidClientMetadata, "the request body must be application/json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRegistration+1))
	if err != nil {
		return &oauth.Error{Code: oauth.InvalidClientMetadata, Description: "the request body could not be read", Cause: err}
	}
	if len(body) > maxRegistration {
		return oauth.NewError(oauth.InvalidClientMetadata, "the request body is too large")
	}
	members, err := oauth.Members(body, maxRegistrationDepth)
	if err != nil {
		return &oauth.Error{Code: oauth.InvalidClientMetadata, Description: err.Error(), Cause: err}
	}
	c, err := client.FromMetadata(members, s.clientRules())
	if err != nil {
		return err
	}
	tellRegistration(r.Context(), c)
	if c.AuthMethod == oauth.AuthPrivateKey {
		if _, err := jose.ParseKeySet(c.Keys); err != nil {
			return &oauth.Error{Code: oauth.InvalidClientMetadata, Description: "jwks is not a set of public keys that this server can use (ES256 or RS256)", Cause: err}
		}
	}
	return s.admit(w, r, c)
}

// admit gives the client its identifier and secret, and stores it.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, c client.Client) error {
	c.ID, c.Origin, c.CreatedAt = secret.ID(), client.Registered, time.Now().Unix()
	answer := registration{
		ClientID: c.ID, IssuedAt: c.CreatedAt, Name: c.Name, URI: c.URI, ApplicationType: c.ApplicationType,
		RedirectURIs: c.RedirectURIs, GrantTypes: c.GrantTypes, ResponseTypes: c.ResponseTypes,
		AuthMethod: c.AuthMethod, Scope: c.Scope, JWKS: c.Keys, PostLogout: c.PostLogoutRedirectURIs,
	}
	if c.AuthMethod == oauth.AuthBasic || c.AuthMethod == oauth.AuthPost {
		answer.Secret, answer.SecretExpiresAt = secret.New("ghs_"), new(int64)
		c.SecretHash = secret.Sum(answer.Secret)
	}
	if err := s.record(r.Context(), audit.Entry{
		Kind: audit.Registration, Outcome: audit.Done, ClientID: c.ID,
		Detail: map[string]string{"client_name": c.Name, "redirect_host": client.RedirectHost(c.RedirectURIs[0])},
	}); err != nil {
		return err
	}
	if err := s.Clients.AddClient(r.Context(), c); err != nil {
		return err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	told := inspect.Of(r.Context())
	told.Belongs(inspect.Keys{ClientID: c.ID})
	told.Answer("client_id", c.ID)
	told.Answer("client_secret", answer.Secret)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(answer)
}
