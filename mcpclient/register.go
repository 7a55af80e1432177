package mcpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// party is who this client is at an authorization server.
type party struct {
	id, secret string
	method     string // of authentication at its endpoints
	signer     *jose.Signer
	issuer     string // that assertions of signer are for
}

// maxRegistrations bounds what is kept for one issuer: each further one would
// be for one more program that waits for an answer at the same time.
const maxRegistrations = 8

// become finds out who this client is, in the order of R-CL-7, and awaits the
// answer of an authorization at a redirect URI that this client has there.
func (a *authorizer) become(ctx context.Context, to target) (party, *callback, error) {
	redirect, err := a.client.redirect()
	if err != nil {
		return party{}, nil, err
	}
	p, known := a.configured(to)
	if err := a.knownElsewhere(to); err != nil {
		return party{}, nil, err
	}
	switch {
	case known:
		cb, err := a.client.at(redirect)
		return p, cb, err
	case to.metadata.RegistrationEndpoint == "":
		return party{}, nil, fmt.Errorf("%s lets no client register itself%s; register one there and give its client id", clip(to.metadata.Issuer), a.documentHint(to))
	}
	var cb *callback
	err = a.store.update(ctx, to.metadata.Issuer, func(s *issuerState) error {
		p, cb, err = a.registered(ctx, to, s, redirect)
		return err
	})
	if err != nil && cb != nil {
		cb.close()
	}
	return p, cb, err
}

// configured returns who this client was set to be at a server.
func (a *authorizer) configured(to target) (party, bool) {
	c := a.client
	if c.ClientID != "" && c.PrivateKey != nil {
		return party{id: c.ClientID, method: oauth.AuthPrivateKey, signer: a.signer, issuer: to.metadata.Issuer}, true
	}
	if c.ClientID != "" && c.Certificate != nil {
		return party{id: c.ClientID, method: tlsMethod(to.metadata)}, true
	}
	if c.ClientID != "" {
		return party{id: c.ClientID, secret: c.ClientSecret, method: authMethod(to.metadata, c.ClientSecret != "")}, true
	}
	if c.ClientMetadataURL != "" && to.metadata.ClientIDMetadataDocumentSupported {
		return party{id: c.ClientMetadataURL, method: oauth.AuthNone}, true
	}
	return party{}, false
}

// knownElsewhere refuses to show a client that was registered beforehand to
// another authorization server than the one that knew it (R-CL-6). Which that is
// is said by Issuer, or by the first authorization.
func (a *authorizer) knownElsewhere(to target) error {
	id := a.client.ClientID
	if id == "" || a.client.Issuer != "" {
		return nil
	}
	states, err := a.store.all()
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Issuer != to.metadata.Issuer && slices.Contains(s.Clients, id) {
			return fmt.Errorf("the client id %s belongs to %s, but the server now names %s as its authorization server; if that is right, name it as the issuer, with the client that it knows", clip(id), clip(s.Issuer), clip(to.metadata.Issuer))
		}
	}
	return nil
}

func (a *authorizer) documentHint(to target) string {
	if a.client.ClientMetadataURL != "" {
		return " and takes no client metadata documents"
	}
	if to.metadata.ClientIDMetadataDocumentSupported {
		return ", but takes client metadata documents; give the address of one"
	}
	return ""
}

// partyOf returns who this client is under an identifier that it had before.
func (a *authorizer) partyOf(to target, s *issuerState, id string) (party, bool) {
	if p, ok := a.configured(to); ok && p.id == id {
		return p, true
	}
	for _, r := range s.Registrations {
		if r.ClientID == id {
			return party{id: r.ClientID, secret: r.ClientSecret, method: r.AuthMethod}, true
		}
	}
	return party{}, false
}

// authMethod chooses how to authenticate. What a server does not say is basic
// (RFC 8414 §2).
func authMethod(m oauth.ServerMetadata, secret bool) string {
	supported := m.TokenEndpointAuthMethodsSupported
	switch {
	case !secret:
		return oauth.AuthNone
	case !slices.Contains(supported, oauth.AuthBasic) && slices.Contains(supported, oauth.AuthPost):
		return oauth.AuthPost
	}
	return oauth.AuthBasic
}

// registered returns a registration from before whose redirect URI is free on
// this computer, else makes one (RFC 7591). Many servers match the port too, so
// it is kept with the registration; a client that registered on every start
// would fill them with copies of itself.
func (a *authorizer) registered(ctx context.Context, to target, s *issuerState, redirect *url.URL) (party, *callback, error) {
	for _, r := range s.Registrations {
		u, err := url.Parse(r.RedirectURI)
		expired := r.ExpiresAt != 0 && time.Now().Unix() >= r.ExpiresAt
		if err != nil || expired || r.Name != a.client.name() || u.Scheme != redirect.Scheme || u.Hostname() != redirect.Hostname() || u.Path != redirect.Path || redirect.Port() != "" && u.Port() != redirect.Port() {
			continue
		}
		if cb, err := a.client.at(u); err == nil {
			return party{id: r.ClientID, secret: r.ClientSecret, method: r.AuthMethod}, cb, nil
		}
	}
	cb, err := a.client.at(redirect)
	if err != nil {
		return party{}, nil, err
	}
	r, err := a.register(ctx, to, cb.address)
	if err != nil {
		return party{}, cb, err
	}
	s.Registrations = append(s.Registrations, r)
	if n := len(s.Registrations); n > maxRegistrations {
		s.Registrations = s.Registrations[n-maxRegistrations:]
	}
	return party{id: r.ClientID, secret: r.ClientSecret, method: r.AuthMethod}, cb, nil
}

// register sends a registration request, RFC 7591 §3.1. A program on a person's
// computer is a native application (R-CL-9) and can keep no secret, so it wants
// none where the server agrees; nor does a web application, whose secret would
// be one more thing to lose.
func (a *authorizer) register(ctx context.Context, to target, redirectURI string) (registration, error) {
	const what = "the registration endpoint"
	method := oauth.AuthNone
	if supported := to.metadata.TokenEndpointAuthMethodsSupported; !slices.Contains(supported, oauth.AuthNone) && len(supported) > 0 {
		method = authMethod(to.metadata, true)
	}
	kind := "native"
	if r, err := url.Parse(redirectURI); err == nil && a.client.Await != nil && !localName(r.Hostname()) {
		kind = "web" // OpenID Connect Registration §2: on a host of its own
	}
	u, err := checkURL(ctx, what, to.metadata.RegistrationEndpoint)
	if err != nil {
		return registration{}, err
	}
	body, err := json.Marshal(map[string]any{
		"client_name":                a.client.name(),
		"redirect_uris":              []string{redirectURI},
		"grant_types":                []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		"response_types":             []string{"code"},
		"token_endpoint_auth_method": method,
		"application_type":           kind,
	})
	if err != nil {
		return registration{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return registration{}, fmt.Errorf("%w: %s: %w", ErrURL, what, err)
	}
	req.Header.Set("Content-Type", "application/json")
	got, err := a.ask(req)
	if err != nil {
		return registration{}, fmt.Errorf("ask %s: %w", what, err)
	}
	if got.status != http.StatusCreated && got.status != http.StatusOK { // some say 200
		return registration{}, fmt.Errorf("%s refused this client: %w", what, refusal(got))
	}
	r := registration{AuthMethod: method}
	if err := decode(got.body, &r); err != nil {
		return registration{}, fmt.Errorf("read %s's answer: %w", what, err)
	}
	if r.ClientID == "" {
		return registration{}, errors.New("the registration endpoint's answer names no client_id")
	}
	if r.ClientSecret == "" {
		r.AuthMethod = oauth.AuthNone
	} else if r.AuthMethod != oauth.AuthPost {
		r.AuthMethod = oauth.AuthBasic
	}
	r.RedirectURI, r.Name = redirectURI, a.client.name()
	return r, nil
}
