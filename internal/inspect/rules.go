package inspect

import (
	"strings"

	"gatehouse/internal/oauth"
)

// Rule is the reason of a refusal: what happened in words of ours, the
// requirement that wants it, and where that is written.
type Rule struct {
	ID          string
	Text        string
	Ref         string // "RFC 6750 §3.1"
	Requirement string // "R-RS-11" or "security.md 3"
}

// RuleOf returns the rule of a name, as drafts give it; a refusal that has no
// rule of its own is explained by its error code.
func RuleOf(id string) Rule {
	for _, r := range rules() {
		if r.ID == id {
			return r
		}
	}
	return Rule{ID: id, Text: "It was refused.", Ref: "RFC 6749 §5.2"}
}

// rules are the reasons that this installation has to say no.
func rules() []Rule {
	return []Rule{
		{"no-token", "No access token came along. The challenge says where to get one and which scope to ask for first.", "RFC 6750 §3.1", "R-RS-3, R-RS-4"},
		{"invalid-token", "The access token is worth nothing here: it has expired, was ended, or was issued for another resource. Which of these is not told.", "RFC 6750 §3.1", "R-RS-7, R-RS-9"},
		{"malformed-token", "The access token must come once, in the Authorization header. An address ends up in logs.", "RFC 6750 §2", "R-RS-10"},
		{"token-unchecked", "Nobody could be asked about the access token, so the call was refused. The token may be good, so this is no 401.", "RFC 6750 §3", "security.md 11"},
		{"insufficient-scope", "The token is good, but lacks a scope that this tool needs. The challenge names all of them, so that the agent can ask the person once.", "RFC 6750 §3.1", "R-RS-11, R-RS-12"},
		{"too-many-calls", "Too many calls under one grant in a short time.", "RFC 6585 §4", "R-RS-35"},
		{"arguments", "The arguments do not fit the tool's schema. Nothing was sent to the API.", "MCP, Tools", "R-RS-35"},
		{"message", "The message is not one that this server serves. It is told to the agent as a JSON-RPC error.", "MCP, Streamable HTTP", "security.md 13"},
		{"tool-failed", "The call was not carried out. The agent gets a result that says so and what would help; it is no reason to sign in again.", "MCP, Tools", "R-RS-10"},
		{"api-refused", "The API decided for itself, and refused.", "RFC 9110 §15.5", "security.md 20"},
		{"not-for-api", "The API takes only tokens that were made for it. What opens the gateway opens nothing here.", "RFC 9068 §4", "R-RS-8, security.md 8"},

		{"unknown-client", "Nobody with this client_id is registered here, so nothing is sent anywhere.", "RFC 6749 §4.1.2.1", "R-AS-18"},
		{"redirect", "The answer would go to an address that the agent did not register. The person sees a page; nothing is sent there.", "RFC 6749 §4.1.2.1", "R-AS-17"},
		{"pkce-missing", "The request has no PKCE with S256. Without it whoever reads the answer has the token.", "RFC 7636 §4.4.1", "R-AS-4"},
		{"verifier", "The code_verifier does not hash to the code_challenge: whoever redeems the code is not who asked for it.", "RFC 7636 §4.6", "R-AS-4"},
		{"code", "The authorization code is unknown, expired, used, or was issued for another request.", "RFC 6749 §5.2", "R-AS-1"},
		{"replay", "The code or refresh token was used before. That means theft, so all that came of it was ended.", "RFC 9700 §4.14.2", "security.md 6"},
		{"denied", "The person said no.", "RFC 6749 §4.1.2.1", "security.md 3"},
		{"target", "The token would be for a resource that is not protected here, or for another than was authorized.", "RFC 8707 §2", "R-AS-22"},
		{"exchange-scope", "The subject token does not cover the scopes asked for: exchange only narrows. What was missing is offered at the next consent.", "RFC 8693 §2.2.2", "security.md 3, security.md 7"},
		{"subject-token", "The subject token is unknown, expired or ended, so nothing is made of it.", "RFC 8693 §2.2.2", "security.md 7"},
		{"inactive", "The token is worth nothing now. Whether it ever was is not told.", "RFC 7662 §2.2", "security.md 8"},
		{"paused", "An administrator has paused this. Nothing was consumed.", "RFC 6749 §5.2", "security.md 12"},
		{"sign-in", "Name and password do not belong together, or too many were tried. What was typed is never recorded.", "RFC 9700 §2", "security.md 22"},
		{"csrf", "The form was sent from another site. Only pages of this server may answer for a person.", "RFC 6749 §10.12", "security.md 18"},

		{string(oauth.InvalidClient), "The client is unknown, or its credentials are wrong. The answer does not tell which.", "RFC 6749 §5.2", ""},
		{string(oauth.InvalidGrant), "What the client presented is unknown, expired, used or another's.", "RFC 6749 §5.2", "R-AS-26"},
		{string(oauth.InvalidRequest), "The request lacks a parameter, repeats one, or is malformed.", "RFC 6749 §5.2", ""},
		{string(oauth.InvalidScope), "Nothing of what is asked for can be given.", "RFC 6749 §5.2", "R-AS-25"},
		{string(oauth.InvalidTarget), "The token would be for a resource that is not protected here, or for another than was authorized.", "RFC 8707 §2", "R-AS-22"},
		{string(oauth.UnauthorizedClient), "This client may not use this grant type.", "RFC 6749 §5.2", ""},
		{string(oauth.UnsupportedGrantType), "This grant type is not served.", "RFC 6749 §5.2", ""},
		{string(oauth.UnsupportedResponseType), "Only the code flow is served.", "RFC 6749 §4.1.2.1", "R-AS-1"},
		{string(oauth.AccessDenied), "The person said no.", "RFC 6749 §4.1.2.1", ""},
		{string(oauth.TemporarilyUnavailable), "The server cannot do this now.", "RFC 6749 §4.1.2.1", ""},
		{string(oauth.TooManyRequests), "Too many requests from one address.", "RFC 6585 §4", ""},
		{string(oauth.LoginRequired), "Nobody is signed in, and the request allows no page.", "OpenID Connect Core §3.1.2.6", ""},
		{string(oauth.ConsentRequired), "The person has to agree, and the request allows no page.", "OpenID Connect Core §3.1.2.6", ""},
		{string(oauth.InvalidRedirectURI), "A redirect URI of the registration cannot be trusted.", "RFC 7591 §3.2.2", "R-AS-17"},
		{string(oauth.InvalidClientMetadata), "The registration says something that cannot be accepted.", "RFC 7591 §3.2.2", ""},
		{string(oauth.ServerError), "Something failed on this server; nothing is told of it.", "RFC 6749 §4.1.2.1", ""},
	}
}

// Link returns where a reference can be read, or "" for what has no stable
// address of its own.
func Link(ref string) string {
	name, section, _ := strings.Cut(ref, " §")
	if number, ok := strings.CutPrefix(name, "RFC "); ok {
		link := "https://www.rfc-editor.org/rfc/rfc" + number
		if section != "" {
			link += "#section-" + section
		}
		return link
	}
	switch name {
	case "OpenID Connect Core":
		return "https://openid.net/specs/openid-connect-core-1_0.html"
	case "MCP, Tools":
		return "https://modelcontextprotocol.io/specification/2025-11-25/server/tools"
	case "MCP, Streamable HTTP":
		return "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports"
	}
	return ""
}
