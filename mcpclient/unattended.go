package mcpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// Audience is whom an assertion is for.
type Audience struct {
	Issuer   string // the authorization server: the aud
	Resource string // the MCP server that a token is wanted for
	exchange func(ctx context.Context, p *IdentityProvider, to Audience) (string, error)
}

// AssertionFile returns a Client.Assertion that is in a file, which is read each
// time: platforms replace it before it expires.
func AssertionFile(name string) func(context.Context, Audience) (string, error) {
	return func(context.Context, Audience) (string, error) {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read the assertion: %w", err)
		}
		return string(bytes.TrimSpace(text)), nil
	}
}

// IdentityProvider gets ID-JAGs for somebody who has signed in there, by token
// exchange (RFC 8693; draft-ietf-oauth-identity-assertion-authz-grant §4.3). Its
// Assertion is one for a Client, whose requests it makes with.
type IdentityProvider struct {
	Issuer                 string // whose metadata says where
	ClientID, ClientSecret string // who the program is there
	// IDToken returns the ID token that the sign-in gave; it is called for each.
	IDToken func(ctx context.Context) (string, error)
}

// Assertion returns an ID-JAG.
func (p *IdentityProvider) Assertion(ctx context.Context, to Audience) (string, error) {
	if to.exchange == nil {
		return "", errors.New("an identity provider is asked by a Client alone; set it as the client's Assertion")
	}
	return to.exchange(ctx, p, to)
}

// unattended reports whether tokens come without a person.
func (c *Client) unattended() bool { return c.Unattended || c.Assertion != nil }

// account tells apart tokens in a store. What a client got for itself is never
// taken for what a person allowed it, nor the other way round.
func (c *Client) account() string {
	if !c.unattended() {
		return c.Account
	}
	return strings.TrimSpace("unattended " + c.ClientID + " " + c.Account)
}

func (c *Client) checkCredential() error {
	if err := c.checkCertificate(); err != nil {
		return err
	}
	proof := c.ClientSecret != "" || c.PrivateKey != nil || c.Certificate != nil
	switch {
	case c.ClientSecret != "" && c.ClientID == "":
		return errors.New("a client secret needs a client id")
	case c.PrivateKey != nil && c.ClientID == "":
		return errors.New("a private key needs the client id that it is registered for")
	case c.PrivateKey != nil && c.ClientSecret != "":
		return errors.New("a client proves who it is by a key or by a secret, not both")
	case c.Unattended && c.Assertion == nil && !proof:
		return errors.New("a client that acts for itself needs a client id with a private key, a certificate or a secret, or an assertion")
	case c.Assertion != nil && c.ClientID != "" && !proof:
		return errors.New("an ID-JAG is presented by a client that proves who it is; give its private key, certificate or secret, or no client id if the assertion is a workload's own")
	}
	return nil
}

// signer reads the private key.
func (c *Client) signer() (*jose.Signer, error) {
	if c.PrivateKey == nil {
		return nil, nil
	}
	parse := jose.ParsePrivatePEM
	if bytes.HasPrefix(bytes.TrimSpace(c.PrivateKey), []byte("{")) {
		parse = jose.ParsePrivate
	}
	key, err := parse(c.PrivateKey)
	if err != nil {
		return nil, err
	}
	return jose.NewSigner(key)
}

// getUnattended gets a token with no person. More scope than the client has is
// an administrator's to give, so a call that lacks some ends there (R-CL-12).
func (a *authorizer) getUnattended(ctx context.Context, to target, refused token, c challenge, status int, scope []string) (token, error) {
	if status == http.StatusForbidden {
		return token{}, fmt.Errorf("the call needs %s, and this client was given %s; its administrator can give it more", clip(oauth.FormatScope(c.scope)), clip(oauth.FormatScope(refused.Scope)))
	}
	if len(a.client.Scope) == 0 {
		scope = nil // what it was given, all of it: nobody has to agree
	}
	if err := a.knownElsewhere(to); err != nil {
		return token{}, err
	}
	var got token
	err := a.store.update(ctx, to.metadata.Issuer, func(s *issuerState) error {
		stored, ok := s.find(a.server.String(), a.client.account())
		if ok && !secret.Equal(stored.AccessToken, refused.AccessToken) && stored.Resource == to.resource && !stored.endsWithin(renewBefore) {
			got = stored // of another process, or from before
			return nil
		}
		form, p, err := a.unattendedRequest(ctx, to)
		if err != nil {
			return err
		}
		if len(scope) > 0 {
			form.Set("scope", oauth.FormatScope(scope))
		}
		answer, err := a.tokenRequest(ctx, to, p, form)
		if err != nil {
			return err
		}
		answer.RefreshToken = "" // OAuth 2.1 §4.2: none is needed, and one less is kept
		got = a.tokenOf(to, p, answer, scope)
		if p.id != "" {
			s.Clients = oauth.Union(s.Clients, []string{p.id})
		}
		s.keep(got)
		return nil
	})
	if err == nil {
		a.mu.Lock()
		a.granted = got.AccessToken
		a.mu.Unlock()
	}
	return got, err
}

// unattendedRequest is what to ask the token endpoint, as whom. A server that
// says what it serves is asked nothing else.
func (a *authorizer) unattendedRequest(ctx context.Context, to target) (url.Values, party, error) {
	m := to.metadata
	grant := oauth.GrantClientCredentials
	if a.client.Assertion != nil {
		grant = oauth.GrantJWTBearer
	}
	if len(m.GrantTypesSupported) > 0 && !slices.Contains(m.GrantTypesSupported, grant) {
		return nil, party{}, fmt.Errorf("the authorization server %s does not serve %s", clip(m.Issuer), grant)
	}
	form := url.Values{"grant_type": {grant}}
	p, _ := a.configured(to)
	if a.client.ClientID == "" {
		p = party{} // a workload shows its assertion and nothing else
	} else if err := a.acceptable(m, p); err != nil {
		return nil, party{}, err
	}
	if a.client.Assertion == nil {
		return form, p, nil
	}
	assertion, err := a.client.Assertion(ctx, Audience{Issuer: m.Issuer, Resource: to.resource, exchange: a.exchangeIDToken})
	if err != nil {
		return nil, party{}, err
	}
	if assertion == "" || strings.ContainsFunc(assertion, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, party{}, errors.New("the assertion is empty, or no token at all")
	}
	form.Set("assertion", assertion)
	return form, p, nil
}

// acceptable refuses to show a credential to a server that says it takes none
// of the kind.
func (a *authorizer) acceptable(m oauth.ServerMetadata, p party) error {
	methods := m.TokenEndpointAuthMethodsSupported
	if certificate := p.method == oauth.AuthTLS || p.method == oauth.AuthSelfSignedTLS; (certificate || len(methods) > 0) && !slices.Contains(methods, p.method) {
		return fmt.Errorf("the authorization server %s does not take %s", clip(m.Issuer), p.method)
	}
	if p.signer == nil {
		return nil
	}
	if algorithms := m.TokenEndpointAuthSigningAlgValuesSupported; len(algorithms) > 0 && !slices.Contains(algorithms, p.signer.Algorithm()) {
		return fmt.Errorf("the authorization server %s does not take signatures by %s; give the client another key", clip(m.Issuer), p.signer.Algorithm())
	}
	return nil
}

// exchangeIDToken gets an ID-JAG for an audience from an identity provider.
func (a *authorizer) exchangeIDToken(ctx context.Context, idp *IdentityProvider, to Audience) (string, error) {
	const what = "the identity provider's token endpoint"
	m, err := a.serverMetadata(ctx, idp.Issuer)
	if err != nil {
		return "", fmt.Errorf("find the identity provider: %w", err)
	}
	subject, err := idp.IDToken(ctx)
	if err != nil {
		return "", err
	}
	p := party{id: idp.ClientID, secret: idp.ClientSecret, method: authMethod(m, idp.ClientSecret != "")}
	form := url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "requested_token_type": {oauth.TokenTypeIDJAG},
		"audience": {to.Issuer}, "resource": {to.Resource}, "subject_token": {subject}, "subject_token_type": {oauth.TokenTypeIDToken},
	}
	if len(a.client.Scope) > 0 {
		form.Set("scope", oauth.FormatScope(a.client.Scope))
	}
	got, err := a.post(ctx, what, m.TokenEndpoint, p, form)
	if err != nil {
		return "", err
	}
	var answer oauth.TokenResponse
	if err := decode(got.body, &answer); err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", what, err)
	}
	if answer.IssuedTokenType != oauth.TokenTypeIDJAG || answer.AccessToken == "" {
		return "", fmt.Errorf("%s issued a token of type %q, not an ID-JAG", what, clip(answer.IssuedTokenType))
	}
	return answer.AccessToken, nil
}
