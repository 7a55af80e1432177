package gateway

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
)

// External is an authorization server that is not Gatehouse's, and how this
// gateway lives with it (security.md 7). It tells of no revocations, so every
// token is asked about each second, or a JWT believed until it expires.
type External struct {
	Server *resource.AuthorizationServer // with its Discovery
	// JWT checks tokens here; nil: the server is asked about them.
	JWT *resource.JWTAccessTokens
	// OwnCredentials gets tokens for APIs by the gateway's own client
	// credentials, so that APIs do not learn whose call it is. Otherwise the
	// server exchanges the caller's token (RFC 8693).
	OwnCredentials bool
	// Closed returns what an administrator has closed of each API here, by
	// resource, since that server knows nothing of it. It is called for each request; nil: nothing is.
	Closed func(context.Context) (map[string]*oauth.Closed, error)
}

// tokens finds out what tokens of callers are worth.
type tokens interface {
	Introspect(ctx context.Context, token, audience string) (oauth.Introspection, error)
	Forget(token string)
}

// forExternal is what an external server is asked for a token for audience. Its
// RFCs have a parameter for addresses and another for names.
func (x *exchanger) forExternal(subject, audience string, scopes []string) url.Values {
	form := url.Values{"scope": {oauth.FormatScope(scopes)}}
	if u, err := url.Parse(audience); err == nil && u.Scheme != "" && u.Host != "" {
		form.Set("resource", audience) // RFC 8707 §2
	} else {
		form.Set("audience", audience) // RFC 8693 §2.1
	}
	if x.external.OwnCredentials {
		form.Set("grant_type", oauth.GrantClientCredentials)
		return form
	}
	form.Set("grant_type", oauth.GrantTokenExchange)
	form.Set("subject_token", subject)
	form.Set("subject_token_type", oauth.TokenTypeAccessToken)
	form.Set("requested_token_type", oauth.TokenTypeAccessToken)
	return form
}

// acceptable reports whether an external server gave what it was asked for. One
// that passes over what it does not know may give more than the call needs
// (RFC 6749 §3.3), a token that this gateway cannot use, or one that is good
// elsewhere too, where the API could use it: at this very gateway, for one.
func acceptable(t oauth.TokenResponse, audience string, asked []string) bool {
	if to, isJWT := jose.UnverifiedAudience(t.AccessToken); isJWT && !slices.Equal(to, []string{audience}) {
		return false
	}
	given, err := oauth.ParseScope(t.Scope)
	if err != nil && t.Scope != "" || !strings.EqualFold(t.TokenType, "Bearer") {
		return false
	}
	for _, s := range given {
		if !slices.Contains(asked, s) {
			return false
		}
	}
	return true
}
