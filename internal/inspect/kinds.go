package inspect

import "gatehouse/internal/oauth"

// Kind says what a message is. It decides what may be kept of it.
type Kind string

// The kinds of messages. What is of none is not recorded.
const (
	ResourceMetadata      Kind = "resource-metadata"
	ServerMetadata        Kind = "server-metadata"
	Registration          Kind = "registration"
	AuthorizationRequest  Kind = "authorization-request"
	SignInPage            Kind = "sign-in-page"
	SignIn                Kind = "sign-in"
	ConsentPage           Kind = "consent-page"
	Consent               Kind = "consent"
	AuthorizationResponse Kind = "authorization-response"
	TokenRequest          Kind = "token-request"
	Exchange              Kind = "token-exchange"
	Introspection         Kind = "introspection"
	Revocation            Kind = "revocation"
	MCP                   Kind = "mcp"
	APICall               Kind = "api-call"
	DirectCall            Kind = "direct-call" // of an API, past the gateway; told by who made it
)

// shape is in which form the value of a field may be kept. Whatever a request
// says, a field holds words that this server knows, or nothing of it.
type shape int

const (
	masked   shape = iota // that it was there
	labelled              // a one-way label, if it is a token or code of ours
	known                 // a value that the server found or made itself, never the request's
	scopes                // those of the request that exist here
	target                // a resource or an audience that exists here
	choice                // one or more of the words of the table below
)

// kindRow is a line of the allow-list: who sends a message to whom, where it is
// defined, and what may be kept of it. What is not listed is counted, no more.
type kindRow struct {
	title    string
	from, to Lane
	ref      string // "RFC 6749 §4.1.3"
	asked    map[string]shape
	answered map[string]shape
}

type fields = map[string]shape

// rowOf is the allow-list of security.md 22. Sign-in has no field at all, and no
// kind keeps an assertion, a secret, a verifier, a cookie or the value of an
// argument.
func rowOf(k Kind) (kindRow, bool) {
	r, ok := map[Kind]kindRow{
		ResourceMetadata:     {"Where to sign in", Client, Gateway, "RFC 9728 §3.1", nil, fields{"resource": known, "authorization_servers": known, "scopes_supported": known}},
		ServerMetadata:       {"What the authorization server can do", Client, AuthServer, "RFC 8414 §3", nil, fields{"issuer": known, "code_challenge_methods_supported": known}},
		Registration:         {"Registration", Client, AuthServer, "RFC 7591 §3.1", fields{"redirect_uris": known, "token_endpoint_auth_method": choice, "application_type": choice, "scope": scopes}, fields{"client_id": known, "client_secret": masked, "error": choice}},
		AuthorizationRequest: {"Authorization request", Browser, AuthServer, "RFC 6749 §4.1.1", fields{"response_type": choice, "client_id": known, "redirect_uri": known, "scope": scopes, "resource": target, "state": masked, "code_challenge": masked, "code_challenge_method": choice, "prompt": choice, "nonce": masked, "max_age": masked}, fields{"next": known, "error": choice}},
		SignInPage:           {"Sign-in page", Browser, AuthServer, "", nil, nil},
		SignIn:               {"Sign-in", Browser, AuthServer, "", nil, fields{"next": known, "amr": known}},
		ConsentPage:          {"Consent page", Browser, AuthServer, "", nil, fields{"scope": known}},
		Consent:              {"The person decides", Browser, AuthServer, "RFC 6749 §4.1.1", fields{"action": choice, "scope": scopes}, fields{"scope": known, "next": known}},
		AuthorizationResponse: {"Authorization response", AuthServer, Client, "RFC 6749 §4.1.2", nil,
			fields{"code": labelled, "state": masked, "iss": known, "error": choice}},
		TokenRequest: {"Token request", Client, AuthServer, "RFC 6749 §4.1.3",
			fields{"grant_type": choice, "client_id": known, "code": labelled, "redirect_uri": known, "code_verifier": masked, "refresh_token": labelled, "scope": scopes, "resource": target, "client_secret": masked, "client_assertion": masked, "client_assertion_type": choice, "assertion": masked},
			fields{"token_type": known, "expires_in": known, "scope": known, "refresh_token": labelled, "id_token": masked, "error": choice}},
		Exchange: {"Token exchange", Gateway, AuthServer, "RFC 8693 §2.1",
			fields{"grant_type": choice, "client_id": known, "subject_token": labelled, "subject_token_type": choice, "requested_token_type": choice, "audience": target, "scope": scopes, "client_assertion": masked, "client_assertion_type": choice},
			fields{"token_type": known, "issued_token_type": known, "expires_in": known, "scope": known, "error": choice}},
		Introspection: {"What is this token worth?", Gateway, AuthServer, "RFC 7662 §2.1",
			fields{"token": labelled, "token_type_hint": choice, "client_id": known, "client_assertion": masked, "client_assertion_type": choice}, fields{"active": known, "scope": known, "client_id": known, "aud": known, "error": choice}},
		Revocation: {"Token revocation", Client, AuthServer, "RFC 7009 §2.1",
			fields{"token": labelled, "token_type_hint": choice, "client_id": known, "client_secret": masked, "client_assertion": masked, "client_assertion_type": choice}, fields{"error": choice}},
		MCP: {"MCP", Client, Gateway, "MCP, Streamable HTTP",
			fields{"method": known, "tool": known, "arguments": known, "Authorization": labelled}, fields{"WWW-Authenticate": known, "error": choice, "scope": known, "isError": known}},
		APICall:    {"Call of the API", Gateway, API, "RFC 6750 §2.1", fields{"Authorization": labelled, "arguments": known}, fields{"isError": known}},
		DirectCall: {"Call of the API, past the gateway", Client, API, "RFC 6750 §2.1", fields{"Authorization": labelled}, fields{"error": choice}},
	}[k]
	return r, ok
}

// words are what a field of choice may hold.
func words(name string) []string {
	switch name {
	case "response_type":
		return []string{"code"}
	case "code_challenge_method":
		return []string{oauth.MethodS256, "plain"}
	case "prompt":
		return []string{"none", "login", "consent", "select_account"}
	case "token_endpoint_auth_method":
		return []string{oauth.AuthNone, oauth.AuthBasic, oauth.AuthPost, oauth.AuthPrivateKey}
	case "application_type":
		return []string{"native", "web"}
	case "action":
		return []string{"allow", "continue", "deny", "switch"}
	case "grant_type":
		return []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange, oauth.GrantJWTBearer}
	case "subject_token_type", "requested_token_type":
		return []string{oauth.TokenTypeAccessToken, oauth.TokenTypeJWT}
	case "client_assertion_type":
		return []string{oauth.AssertionJWTBearer}
	case "token_type_hint":
		return []string{"access_token", "refresh_token"}
	case "error":
		return errorCodes()
	}
	return nil
}

func errorCodes() []string {
	var list []string
	for _, c := range []oauth.Code{
		oauth.InvalidRequest, oauth.InvalidClient, oauth.InvalidGrant, oauth.UnauthorizedClient, oauth.UnsupportedGrantType, oauth.UnsupportedResponseType,
		oauth.InvalidScope, oauth.InvalidTarget, oauth.AccessDenied, oauth.ServerError, oauth.TemporarilyUnavailable, oauth.LoginRequired, oauth.ConsentRequired,
		oauth.RequestNotSupported, oauth.RequestURINotSupported, oauth.InvalidToken, oauth.UnsupportedTokenType, oauth.InsufficientScope,
		oauth.InvalidRedirectURI, oauth.InvalidClientMetadata, oauth.TooManyRequests,
	} {
		list = append(list, string(c))
	}
	return list
}
