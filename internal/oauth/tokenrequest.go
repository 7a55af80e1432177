package oauth

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Grant types and token types as they appear on the wire.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantClientCredentials = "client_credentials"
	GrantRefreshToken      = "refresh_token"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 §2.1

	TokenTypeAccessToken = "urn:ietf:params:oauth:token-type:access_token" // RFC 8693 §3
	TokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	TokenTypeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	// TokenTypeAccount is ours (RFC 8693 §3 lets everybody have some): the name or
	// the identifier of an account, which proves nothing.
	TokenTypeAccount = "urn:gatehouse:params:oauth:token-type:account"
	TokenTypeIDJAG   = "urn:ietf:params:oauth:token-type:id-jag" // draft-ietf-oauth-identity-assertion-authz-grant §4.3

	GrantProfileIDJAG = "urn:ietf:params:oauth:grant-profile:id-jag" // the same draft, §7

	AssertionJWTBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
)

// Client authentication methods (RFC 7591 §2, OpenID Connect Core §9).
const (
	AuthNone       = "none"
	AuthBasic      = "client_secret_basic"
	AuthPost       = "client_secret_post"
	AuthPrivateKey = "private_key_jwt"

	AuthTLS           = "tls_client_auth"             // RFC 8705 §2.1.1
	AuthSelfSignedTLS = "self_signed_tls_client_auth" // RFC 8705 §2.2.1
)

// TokenResponse is a successful answer of the token endpoint (RFC 6749 §5.1,
// RFC 8693 §2.2.1).
type TokenResponse struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	Scope           string `json:"scope"`
	RefreshToken    string `json:"refresh_token,omitempty"`
	IDToken         string `json:"id_token,omitempty"` // OpenID Connect Core §3.1.3.3
	// Feed is what an exchange knew of revocations; for gateways.
	Feed *FeedPosition `json:"feed,omitempty"`
}

// Introspection is an answer of the introspection endpoint (RFC 7662 §2.2).
// GrantID and the members after it are what a gateway needs besides.
type Introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Exp       int64    `json:"exp,omitempty"`
	Iat       int64    `json:"iat,omitempty"`
	Sub       string   `json:"sub,omitempty"`
	Aud       string   `json:"aud,omitempty"`
	Iss       string   `json:"iss,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"` // when the person signed in (RFC 9470 §6.2)
	AMR       []string `json:"amr,omitempty"`       // and how (RFC 8176)
	GrantID   string   `json:"grant_id,omitempty"`  // the grant that everything revocable hangs off
	Family    string   `json:"family,omitempty"`    // of refresh tokens that it came with
	// Act is who acts, and before whom, where it is not the subject or its agent
	// (RFC 8693 §4.1).
	Act *Actor `json:"act,omitempty"`
	// GrantClientID is whose the grant is, where that is not ClientID.
	GrantClientID string `json:"grant_client_id,omitempty"`
	// Confirmation is what who brings the token must prove besides; nil: nothing.
	Confirmation *Confirmation `json:"cnf,omitempty"`
	// Feed is what the answer knows of revocations.
	Feed *FeedPosition `json:"feed,omitempty"`
	// Closed is what is closed of the API that the token is for.
	Closed *Closed `json:"closed,omitempty"`
}

// Actor is who acts on behalf of a subject, and inside it who acted before (RFC
// 8693 §4.1).
type Actor struct {
	Sub string `json:"sub"`
	Act *Actor `json:"act,omitempty"`
}

// Confirmation says to which key a token is bound (RFC 7800 §3.1).
type Confirmation struct {
	// CertificateThumbprint is that of the certificate which must be shown in TLS
	// (RFC 8705 §3.1).
	CertificateThumbprint string `json:"x5t#S256,omitempty"`
}

// Single-valued requests are small; what is larger is an attack or a mistake.
const maxForm = 64 << 10

// ParseForm reads an application/x-www-form-urlencoded request body. It
// refuses other media types, a body that is too large, and any parameter that
// comes twice (RFC 6749 §3.2), except those in multiple. Parameters in the
// URL's query are refused too: secrets do not belong there (OAuth 2.1 §4.1.3).
func ParseForm(r *http.Request, multiple ...string) (url.Values, error) {
	return ParseFormWithin(maxForm, r, multiple...)
}

// ParseFormWithin is ParseForm with another bound, in bytes.
func ParseFormWithin(most int64, r *http.Request, multiple ...string) (url.Values, error) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		return nil, NewError(InvalidRequest, "the request body must be application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, NewError(InvalidRequest, "parameters belong in the request body, not in the URL")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, &Error{Code: InvalidRequest, Description: "the request body could not be read", Cause: err}
	}
	if int64(len(body)) > most {
		return nil, NewError(InvalidRequest, "the request body is too large")
	}
	return ParseQuery(string(body), multiple...)
}

// ParseQuery parses URL-encoded parameters and refuses any that comes twice
// (RFC 6749 §3.1), except those in multiple. Parameters without a value count
// as omitted, as the same section says.
func ParseQuery(query string, multiple ...string) (url.Values, error) {
	form, err := url.ParseQuery(query)
	if err != nil {
		return nil, &Error{Code: InvalidRequest, Description: "the parameters are not URL-encoded correctly", Cause: err}
	}
	for name, values := range form {
		// Appendix A allows less still; this much no store and no log can take.
		if slices.ContainsFunc(append(values, name), unprintable) {
			return nil, NewError(InvalidRequest, "a parameter is not UTF-8 text")
		}
		if len(values) > 1 && !slices.Contains(multiple, name) {
			return form, NewError(InvalidRequest, "parameter "+shorten(name)+" is given more than once")
		}
		if len(values) == 1 && values[0] == "" {
			delete(form, name)
		}
	}
	return form, nil
}

func unprintable(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) }

// shorten bounds text from a request that goes into a description.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// ErrBasic means that an Authorization header of scheme Basic cannot be read.
var ErrBasic = errors.New("malformed Basic credentials")

// BasicCredentials returns the client's identifier and secret of scheme Basic.
// RFC 6749 §2.3.1 has both form-encoded first; many clients do not encode, so
// each part is tried decoded and the raw form is returned beside it.
func BasicCredentials(r *http.Request) (id, secret, rawID, rawSecret string, ok bool, err error) {
	if len(r.Header.Values("Authorization")) > 1 {
		return "", "", "", "", false, ErrBasic
	}
	if !strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "basic ") {
		return "", "", "", "", false, nil
	}
	rawID, rawSecret, ok = r.BasicAuth()
	if !ok {
		return "", "", "", "", false, ErrBasic
	}
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	if errID != nil || errSecret != nil {
		id, secret = rawID, rawSecret
	}
	return id, secret, rawID, rawSecret, true, nil
}
