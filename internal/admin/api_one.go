package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
)

// apiClient is one registration of an agent in an answer.
type apiClient struct {
	apiAgent
	State        string   `json:"state"`
	URI          string   `json:"client_uri,omitempty"`
	RedirectURIs []string `json:"redirect_uris"`
	GrantTypes   []string `json:"grant_types"`
	AuthMethod   string   `json:"token_endpoint_auth_method"`
	Scope        string   `json:"scope,omitempty"`
}

func (a *API) getAgent(r *http.Request, _ caller) (any, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	c, err := a.Acts.Clients.Client(r.Context(), clipped(q.Get("client_id")))
	if errors.Is(err, client.ErrUnknown) {
		return nil, errNothing
	}
	if err != nil {
		return nil, err
	}
	group, err := a.Server.Agents.AgentOf(r.Context(), c.ID)
	if err != nil && !errors.Is(err, client.ErrUnknown) { // a part of this installation has none
		return nil, err
	}
	state, err := a.Server.stateOf(r, oauth.SubjectClient, c.ID)
	if err != nil {
		return nil, err
	}
	grants, err := a.Acts.Stops.CountGrants(r.Context(), oauth.SubjectClient, c.ID, time.Now(), countedLive)
	if err != nil {
		return nil, err
	}
	return apiClient{
		apiAgent: apiAgent{c.ID, c.Name, string(c.Origin), c.Host(), max(group.Registrations, 1), grants, c.CreatedAt},
		State:    stateWord(state), URI: c.URI, RedirectURIs: append([]string{}, c.RedirectURIs...), GrantTypes: append([]string{}, c.GrantTypes...),
		AuthMethod: c.AuthMethod, Scope: c.Scope,
	}, nil
}

func (a *API) getPerson(r *http.Request, _ caller) (any, error) {
	subject, err := a.Acts.Find(r.Context(), oauth.SubjectAccount, r.PathValue("person"))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	l, err := a.Acts.People.Person(r.Context(), subject.ID, now)
	if errors.Is(err, account.ErrNotFound) {
		return nil, errNothing
	}
	if err != nil {
		return nil, err
	}
	grants, err := a.Acts.Stops.CountGrants(r.Context(), oauth.SubjectAccount, l.ID, now, countedLive)
	if err != nil {
		return nil, err
	}
	attributes := l.Claims
	if attributes == nil {
		attributes = map[string]string{}
	}
	return struct {
		apiPerson
		Attributes map[string]string `json:"attributes"`
	}{apiPerson{l.ID, l.Name, roleName(l.Role), l.Paused, l.Invited, grants, l.CreatedAt}, attributes}, nil
}

// apiKey is a signing key in an answer.
type apiKey struct {
	KeyID          string `json:"kid"`
	Algorithm      string `json:"alg"`
	CreatedAt      int64  `json:"created_at"`
	SignsFrom      int64  `json:"signs_from"`
	PublishedUntil int64  `json:"published_until,omitempty"`
}

func (a *API) listKeys(r *http.Request, _ caller) (any, error) {
	stored, err := a.Acts.Keys.SigningKeys(r.Context())
	if err != nil {
		return nil, err
	}
	keys := []apiKey{}
	for _, k := range stored {
		keys = append(keys, apiKey{k.KeyID, k.Algorithm, k.CreatedAt, k.SignsFrom, k.PublishedUntil})
	}
	return map[string]any{"keys": keys}, nil
}

// tagOf is the entity tag that an answer would have.
func tagOf(answer any) (string, error) {
	body, err := json.Marshal(answer)
	return tag(body), err
}

// tag is the entity tag of an answer (RFC 9110 §8.8.3): who asks again with it
// gets 304 as long as nothing has changed.
func tag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}
