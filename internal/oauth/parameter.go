package oauth

// Parameter is what a parameter of the protocol is for, in a sentence for people
// who look at a message, and where it is defined.
type Parameter struct {
	Purpose string
	Ref     string // "RFC 7636 §4.3"; empty where it is of this product
}

// ParameterOf explains a parameter, a member of an answer, a claim of a token or
// a header field. The inspector and the trace of the terminal both tell it.
func ParameterOf(name string) (Parameter, bool) {
	p, ok := map[string]Parameter{
		"response_type":         {"how the answer comes: as a code, which is worth nothing by itself", "RFC 6749 §3.1.1"},
		"client_id":             {"which agent asks", "RFC 6749 §2.2"},
		"redirect_uri":          {"where the answer goes; it must be registered", "RFC 6749 §3.1.2"},
		"redirect_uris":         {"where answers may go", "RFC 7591 §2"},
		"scope":                 {"what is asked for, or was allowed", "RFC 6749 §3.3"},
		"resource":              {"at which MCP server the token is to work, and nowhere else", "RFC 8707 §2"},
		"state":                 {"ties the answer to the agent's own request", "RFC 6749 §10.12"},
		"code_challenge":        {"hash of a secret that only this agent has", "RFC 7636 §4.2"},
		"code_challenge_method": {"how that hash was made", "RFC 7636 §4.3"},
		"code_verifier":         {"the secret itself: proves that who redeems the code is who asked for it", "RFC 7636 §4.5"},
		"prompt":                {"whether the person is to sign in or agree anew", "OpenID Connect Core §3.1.2.1"},
		"nonce":                 {"ties the ID token to the agent's own request", "OpenID Connect Core §3.1.2.1"},
		"max_age":               {"how old the sign-in may be", "OpenID Connect Core §3.1.2.1"},
		"code":                  {"what the agent redeems for a token: once, within a minute", "RFC 6749 §4.1.2"},
		"iss":                   {"who answers or signs, so that no other server's answer is taken for it", "RFC 9207 §2"},
		"error":                 {"why it was refused", "RFC 6749 §5.2"},
		"grant_type":            {"what is presented for a token", "RFC 6749 §4.1.3"},
		"refresh_token":         {"good for one new token, and then replaced", "RFC 6749 §6"},
		"access_token":          {"what opens the resource", "RFC 6749 §1.4"},
		"id_token":              {"tells the relying party who signed in", "OpenID Connect Core §2"},
		"token_type":            {"how the token is presented", "RFC 6749 §7.1"},
		"expires_in":            {"for how many seconds the token is good", "RFC 6749 §5.1"},
		"issued_token_type":     {"what was made in exchange", "RFC 8693 §2.2.1"},
		"subject_token":         {"the agent's token, for which another is made", "RFC 8693 §2.1"},
		"subject_token_type":    {"what kind of token that is", "RFC 8693 §2.1"},
		"requested_token_type":  {"what kind of token is wanted", "RFC 8693 §2.1"},
		"audience":              {"the one API that the new token is for", "RFC 8693 §2.1"},
		"client_secret":         {"by which the client authenticates", "RFC 6749 §2.3.1"},
		"client_assertion":      {"signed by the client's own key, in place of a secret", "RFC 7523 §2.2"},
		"client_assertion_type": {"what kind of assertion that is", "RFC 7523 §2.2"},
		"token":                 {"the token that this is about", "RFC 7662 §2.1"},
		"token_type_hint":       {"what kind of token that may be", "RFC 7009 §2.1"},
		"active":                {"whether the token is worth anything here and now", "RFC 7662 §2.2"},
		"Authorization":         {"carries the token, in the header of each request and nowhere else", "RFC 6750 §2.1"},
		"WWW-Authenticate":      {"the challenge: where to get a token, and for which scope", "RFC 9728 §5.1"},

		"token_endpoint_auth_method":       {"how the client will prove who it is", "RFC 7591 §2"},
		"application_type":                 {"whether it runs on the person's computer or on a server", "OpenID Connect Registration §2"},
		"authorization_servers":            {"who issues tokens for it", "RFC 9728 §2"},
		"scopes_supported":                 {"what to ask for first", "RFC 9728 §2"},
		"issuer":                           {"the authorization server's identifier", "RFC 8414 §2"},
		"code_challenge_methods_supported": {"which PKCE it takes; without this a client goes no further", "RFC 8414 §2"},

		"sub":       {"the person, by an identifier that never changes", "RFC 7519 §4.1.2"},
		"aud":       {"where the token works, and nowhere else", "RFC 7519 §4.1.3"},
		"exp":       {"when it ends", "RFC 7519 §4.1.4"},
		"iat":       {"when it was issued", "RFC 7519 §4.1.6"},
		"jti":       {"the token's own name, which the audit has too", "RFC 7519 §4.1.7"},
		"act":       {"who acts for the person: whoever presents the token outside, the agent inside", "RFC 8693 §4.1"},
		"auth_time": {"when the person signed in", "OpenID Connect Core §2"},
		"amr":       {"how the person signed in", "RFC 8176 §1"},
		"typ":       {"at+jwt: an access token, and nothing else can be taken for one", "RFC 9068 §2.1"},
		"alg":       {"how it is signed", "RFC 7515 §4.1.1"},

		"client_type":            {"that an agent acts, and not the person alone", ""},
		"client_assurance_level": {"how far the agent was checked", ""},
		"region":                 {"which customers the person may see", ""},
		"method":                 {"what MCP is asked to do", ""},
		"tool":                   {"which tool", ""},
		"arguments":              {"the names of the arguments; their values are not kept", ""},
		"isError":                {"the tool was not carried out, and the agent is told why", ""},
		"action":                 {"what the person chose", ""},
		"next":                   {"where the browser goes next", ""},
	}[name]
	return p, ok
}
