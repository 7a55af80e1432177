package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// credentials are what a request presents to authenticate its client.
type credentials struct {
	method       string // one of oauth.Auth…
	id           string
	secrets      []string // candidates: form-decoded as RFC 6749 §2.3.1 says, and raw as many clients send it
	assertion    string
	presentedIDs []string // every form of the client_id that came in the header
}

// authenticateClient establishes which client sends a request to the token or
// introspection endpoint (RFC 6749 §2.3, RFC 7523 §2.2). Failures are slowed
// by address, while right credentials always pass; the answer does not tell an unknown client from a wrong secret.
//
// A client that proves itself by a certificate is returned with the certificate's
// thumbprint, to which its tokens are bound.
func (s *Server) authenticateClient(r *http.Request, form url.Values) (c client.Client, certificate string, err error) {
	c, certificate, err = s.checkClient(r, form)
	if e, refused := oauth.AsError(err); refused && e.Code == oauth.InvalidClient {
		if ok, wait := s.limits.clientFailures.Allow(addressKey(r)); !ok {
			return client.Client{}, "", &oauth.Error{Code: oauth.TooManyRequests, Description: "too many failed attempts from this address; wait", RetryAfter: seconds(wait), Cause: err}
		}
	}
	return c, certificate, err
}

func (s *Server) checkClient(r *http.Request, form url.Values) (c client.Client, certificate string, err error) {
	cred, err := presented(r, form)
	if err != nil {
		return client.Client{}, "", err
	}
	wrong := func(cause error) (client.Client, string, error) {
		return client.Client{}, "", &oauth.Error{Code: oauth.InvalidClient, Description: "the client is unknown or its credentials are wrong; register again if it was removed", Cause: cause}
	}
	c, err = s.presentedClient(r, cred.id)
	if errors.Is(err, client.ErrUnknown) {
		return wrong(err)
	}
	if err != nil {
		return client.Client{}, "", err
	}
	switch cred.method {
	case oauth.AuthNone:
		switch c.AuthMethod {
		case oauth.AuthNone:
		case oauth.AuthTLS, oauth.AuthSelfSignedTLS: // RFC 8705 §2: the request names the client, and TLS proves it
			certificate, err = s.checkCertificate(r, c)
			return c, certificate, err
		default:
			return wrong(errors.New("the client is confidential but presented no credentials"))
		}
	case oauth.AuthPrivateKey:
		if c.AuthMethod != oauth.AuthPrivateKey {
			return wrong(errors.New("the client is not registered for private_key_jwt"))
		}
		return c, "", s.checkAssertion(r, c, cred.assertion)
	default:
		// Header or body: one secret in one request over one connection, and
		// clients pick either whatever they registered.
		if c.AuthMethod != oauth.AuthBasic && c.AuthMethod != oauth.AuthPost || c.SecretHash == "" {
			return wrong(errors.New("the client has no secret"))
		}
		if !secretMatches(c, cred.secrets) {
			return wrong(errors.New("the secret is wrong"))
		}
	}
	return c, "", nil
}

func secretMatches(c client.Client, candidates []string) bool {
	match := false
	for _, candidate := range candidates {
		match = secret.Equal(string(secret.Sum(candidate)), string(c.SecretHash)) || match
	}
	return match
}

// presented finds the one way in which the request authenticates; using more
// than one is refused (RFC 6749 §2.3).
func presented(r *http.Request, form url.Values) (credentials, error) {
	var c credentials
	ways := 0
	if r.Header.Get("Authorization") != "" {
		ways++
		id, secretValue, rawID, rawSecret, ok, err := oauth.BasicCredentials(r)
		if err != nil || !ok {
			return c, oauth.NewError(oauth.InvalidClient, "the Authorization header must be of scheme Basic with client_id and client_secret")
		}
		c = credentials{method: oauth.AuthBasic, id: id, secrets: []string{secretValue, rawSecret}, presentedIDs: []string{id, rawID}}
	}
	if form.Has("client_secret") {
		ways++
		c = credentials{method: oauth.AuthPost, id: form.Get("client_id"), secrets: []string{form.Get("client_secret")}}
	}
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		ways++
		if form.Get("client_assertion_type") != oauth.AssertionJWTBearer {
			return c, oauth.NewError(oauth.InvalidRequest, "client_assertion_type must be "+oauth.AssertionJWTBearer)
		}
		id := form.Get("client_id")
		if id == "" {
			id = jose.UnverifiedSubject(form.Get("client_assertion"))
		}
		c = credentials{method: oauth.AuthPrivateKey, id: id, assertion: form.Get("client_assertion")}
	}
	if ways > 1 {
		return c, oauth.NewError(oauth.InvalidRequest, "the client authenticates in more than one way; use one")
	}
	if ways == 0 {
		c = credentials{method: oauth.AuthNone, id: form.Get("client_id")}
	}
	if id := form.Get("client_id"); id != "" && c.method == oauth.AuthBasic && id != c.presentedIDs[0] && id != c.presentedIDs[1] {
		return c, oauth.NewError(oauth.InvalidRequest, "client_id in the body differs from the one in the Authorization header")
	}
	if c.id == "" {
		return c, oauth.NewError(oauth.InvalidClient, "client_id is missing")
	}
	return c, nil
}

// checkAssertion verifies a client assertion (RFC 7523 §3) and consumes it.
func (s *Server) checkAssertion(r *http.Request, c client.Client, assertion string) error {
	refuse := func(cause error) error {
		return &oauth.Error{Code: oauth.InvalidClient, Description: "the client assertion is not acceptable; sign a new one with the registered key, for this issuer, with jti and a lifetime of minutes", Cause: cause}
	}
	now := time.Now()
	jti, expires, err := s.verifyAssertion(r, c, assertion, now)
	switch _, known := oauth.AsError(err); {
	case known || asDocument(err) != nil: // too much is asked for, or the keys cannot be read
		return err
	case err != nil:
		return refuse(err)
	}
	return s.Clients.UseAssertion(r.Context(), c.ID, jti, expires, now)
}
