// Package jose owns keys, signatures and what is signed: signing keys and key
// sets (RFC 7517, RFC 7638), compact JWS (RFC 7515), JWT access tokens
// (RFC 9068) and client assertions (RFC 7523). It is the only package that
// knows the JOSE library.
//
// It does not decide what a token allows, stores nothing, and never reads or
// writes encrypted tokens (JWE).
package jose
