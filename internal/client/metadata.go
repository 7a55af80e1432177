package client

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/oauth"
)

// Rules are what the authorization server allows a client to register.
type Rules struct {
	GrantTypes []string // offered to clients that register themselves; others they ask for are left out
	PlainHTTP  []string // hosts beyond loopback where plain http is tolerated
	document   bool     // the metadata is a document's
}

// Limits of one registration.
const (
	maxRedirects = 20
	maxNameRunes = 120
	maxKeys      = 16 << 10
)

var authMethods = []string{oauth.AuthNone, oauth.AuthBasic, oauth.AuthPost, oauth.AuthPrivateKey}

// FromMetadata makes a client of the metadata it registers with (RFC 7591 §2),
// applying defaults and rules. Members it does not know are ignored, as §2
// demands. ID, origin, secret and time are the caller's to set. Errors are
// *oauth.Error of §3.2.2 and say what to change.
func FromMetadata(m map[string]json.RawMessage, rules Rules) (Client, error) {
	c := Client{}
	for _, f := range []struct {
		name string
		into any
	}{
		{"redirect_uris", &c.RedirectURIs}, {"grant_types", &c.GrantTypes}, {"response_types", &c.ResponseTypes},
		{"client_name", &c.Name}, {"client_uri", &c.URI}, {"application_type", &c.ApplicationType},
		{"token_endpoint_auth_method", &c.AuthMethod}, {"scope", &c.Scope},
		{"post_logout_redirect_uris", &c.PostLogoutRedirectURIs},
	} {
		if raw, ok := m[f.name]; ok && string(raw) != "null" {
			if err := json.Unmarshal(raw, f.into); err != nil {
				return Client{}, invalid("%s has the wrong type (RFC 7591 section 2)", f.name)
			}
		}
	}
	c.Name = cleanName(c.Name)
	if _, err := oauth.ParseScope(c.Scope); err != nil {
		return Client{}, invalid("scope is not a list of scope tokens")
	}
	if c.URI != "" && !isWebPage(c.URI) {
		return Client{}, invalid("client_uri must be an https or http URL of at most %d bytes", maxURI)
	}
	if err := c.takeGrantTypes(rules); err != nil {
		return Client{}, err
	}
	takeAuthMethod := c.takeAuthMethod
	if rules.document {
		takeAuthMethod = c.takeDocumentAuthMethod
		c.RedirectURIs = usableRedirects(c.RedirectURIs, rules.PlainHTTP)
	}
	if err := takeAuthMethod(m); err != nil {
		return Client{}, err
	}
	return c, c.takeRedirects(rules)
}

// takeGrantTypes reduces what was asked for to what is offered: RFC 7591 §2
// lets the server replace values, and the response tells the client.
func (c *Client) takeGrantTypes(rules Rules) error {
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = []string{oauth.GrantAuthorizationCode} // RFC 7591 §2: the default
	}
	offered := oauth.Intersect(c.GrantTypes, rules.GrantTypes)
	if len(offered) == 0 {
		return invalid("none of the grant_types is offered to clients that register themselves; offered: %s", strings.Join(rules.GrantTypes, ", "))
	}
	c.GrantTypes = offered
	if !slices.Contains(offered, oauth.GrantAuthorizationCode) {
		return invalid("grant_types must contain authorization_code, by which every other grant begins here")
	}
	// Some clients copy whole lists out of our metadata; what counts is that
	// "code" is among them.
	if len(c.ResponseTypes) > 0 && !slices.Contains(c.ResponseTypes, "code") {
		return invalid("response_types must contain code, the only one served")
	}
	c.ResponseTypes = []string{"code"}
	return nil
}

func (c *Client) takeAuthMethod(m map[string]json.RawMessage) error {
	if c.AuthMethod == "" {
		c.AuthMethod = oauth.AuthBasic // RFC 7591 §2: the default
	}
	if !slices.Contains(authMethods, c.AuthMethod) {
		return invalid("token_endpoint_auth_method must be one of %s", strings.Join(authMethods, ", "))
	}
	if c.AuthMethod != oauth.AuthPrivateKey {
		return nil
	}
	if _, ok := m["jwks_uri"]; ok {
		return invalid("jwks_uri is not served; register the key set itself as jwks")
	}
	c.Keys = m["jwks"]
	if len(c.Keys) == 0 || len(c.Keys) > maxKeys {
		return invalid("private_key_jwt needs jwks, a set of public keys of at most %d bytes", maxKeys)
	}
	return nil
}

func (c *Client) takeRedirects(rules Rules) error {
	if len(c.RedirectURIs) == 0 {
		return badRedirect("redirect_uris is missing; name where answers go")
	}
	if len(c.RedirectURIs) > maxRedirects {
		return badRedirect("more than %d redirect_uris", maxRedirects)
	}
	loopback := 0
	for _, uri := range c.RedirectURIs {
		if err := CheckRedirect(uri, rules.PlainHTTP); err != nil {
			return badRedirect("redirect_uri %s cannot be registered: %v", clip(uri), err)
		}
		if IsLoopback(uri) {
			loopback++
		}
	}
	if len(c.PostLogoutRedirectURIs) > maxRedirects {
		return invalid("more than %d post_logout_redirect_uris", maxRedirects)
	}
	for _, uri := range c.PostLogoutRedirectURIs {
		if err := CheckRedirect(uri, rules.PlainHTTP); err != nil {
			return invalid("post_logout_redirect_uri %s cannot be registered: %v", clip(uri), err)
		}
	}
	// OpenID Connect Registration §2: web clients have no loopback redirects.
	// Most MCP clients say nothing, and then the redirects tell (R-AS-23).
	switch c.ApplicationType {
	case "":
		c.ApplicationType = "web"
		if loopback > 0 {
			c.ApplicationType = "native"
		}
	case "native":
	case "web":
		if loopback > 0 {
			return badRedirect("a client of application_type web cannot use redirects to this computer; register as native")
		}
	default:
		return invalid("application_type must be native or web")
	}
	return nil
}

// cleanName makes a name safe to show beside other text: no controls, no
// characters that turn the direction of what follows, one line, bounded.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs), !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxNameRunes {
		s = string(runes[:maxNameRunes-1]) + "…"
	}
	return s
}

func isWebPage(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURI && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

func invalid(format string, args ...any) error {
	return oauth.NewError(oauth.InvalidClientMetadata, fmt.Sprintf(format, args...))
}

func badRedirect(format string, args ...any) error {
	return oauth.NewError(oauth.InvalidRedirectURI, fmt.Sprintf(format, args...))
}
