// Package authserver is the OAuth 2.1 authorization server: its endpoints, and
// the sign-in and consent pages that belong to them.
//
// How a token comes about:
//
//	GET  /authorize   every check of the request; then it is stored and bound
//	                  to this browser by a cookie of its own
//	     flow.next    the only place that decides what comes next: sign-in,
//	                  consent, or the answer to the client
//	GET+POST /login   who is it? answers with a redirect to what flow.next says
//	GET+POST /consent may this agent do that? allow, deny, or switch account;
//	                  allowing stores grant and code in one step
//	GET  /account     a person's own page: what they allowed, narrowed or ended
//	                  there within a second
//	POST /token       one pipeline: parse, authenticate the client, choose the
//	                  grant type, respond; one file for each grant type
//	POST /introspect  what a token is worth, for this installation's gateways
//	POST /revoke      RFC 7009
//	POST /register    RFC 7591
//	GET  /jwks.json, /.well-known/…
//
// Outside, tokens are opaque and only their hashes are stored. Inside, the
// gateway exchanges them for short-lived JWTs that one API accepts.
//
// The package keeps no state but in its stores, speaks to no other role, and
// signs people in by package account's authenticators. Errors are values:
// errors.go is the one place that turns them into answers.
package authserver
