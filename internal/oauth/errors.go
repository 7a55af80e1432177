// Package oauth is the wire vocabulary of OAuth: error codes, scopes, PKCE,
// metadata documents, registration, requests and challenges, one file per
// topic with its RFC in the comments.
//
// It does no I/O beyond writing a response it is given, and decides nothing:
// who may do what is the authorization server's and the resource's business.
package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Code is an OAuth error code as it appears on the wire.
type Code string

// Error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 7591 §3.2.2,
// RFC 8707 §2, RFC 7009 §2.2.1, RFC 9470 §3 and OpenID Connect Core §3.1.2.6.
const (
	InvalidRequest             Code = "invalid_request"
	InvalidClient              Code = "invalid_client"
	InvalidGrant               Code = "invalid_grant"
	UnauthorizedClient         Code = "unauthorized_client"
	UnsupportedGrantType       Code = "unsupported_grant_type"
	UnsupportedResponseType    Code = "unsupported_response_type"
	InvalidScope               Code = "invalid_scope"
	InvalidTarget              Code = "invalid_target"
	AccessDenied               Code = "access_denied"
	ServerError                Code = "server_error"
	TemporarilyUnavailable     Code = "temporarily_unavailable"
	LoginRequired              Code = "login_required"
	ConsentRequired            Code = "consent_required"
	RequestNotSupported        Code = "request_not_supported"
	RequestURINotSupported     Code = "request_uri_not_supported"
	InvalidToken               Code = "invalid_token"
	UnsupportedTokenType       Code = "unsupported_token_type" // RFC 7009 §2.2.1
	InsufficientScope          Code = "insufficient_scope"
	InvalidRedirectURI         Code = "invalid_redirect_uri"
	InvalidClientMetadata      Code = "invalid_client_metadata"
	InsufficientAuthentication Code = "insufficient_user_authentication" // RFC 9470 §3
	TooManyRequests            Code = "too_many_requests"                // ours: RFC 6585 status 429 with a body in OAuth's form
)

// Error is a protocol error. Description goes to the client and must say what
// to do; Cause stays in the request event. RetryAfter, in seconds, adds the
// header of that name. Rule names the requirement behind the error for the
// inspector, where the code alone does not tell it; it is never sent.
type Error struct {
	Code        Code
	Description string
	RetryAfter  int
	Cause       error
	Rule        string
}

// NewError returns an error of a code and a sentence, which is what most are.
func NewError(code Code, description string) *Error {
	return &Error{Code: code, Description: description}
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Status is the HTTP status of the error at a JSON endpoint (RFC 6749 §5.2).
func (e *Error) Status() int {
	switch e.Code {
	case InvalidClient, InvalidToken, InsufficientAuthentication:
		return http.StatusUnauthorized
	case InsufficientScope:
		return http.StatusForbidden
	case TooManyRequests:
		return http.StatusTooManyRequests
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case ServerError:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// WriteError answers a JSON endpoint with e. It is the only writer of such
// bodies. challenge, when not empty, becomes WWW-Authenticate of a 401
// (RFC 6749 §5.2: a client that tried the Authorization header is told so).
func WriteError(w http.ResponseWriter, e *Error, challenge string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if e.Status() == http.StatusUnauthorized && challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	w.WriteHeader(e.Status())
	body := map[string]string{"error": string(e.Code)}
	if e.Description != "" {
		body["error_description"] = Printable(e.Description)
	}
	_ = json.NewEncoder(w).Encode(body) // a failed write means the client is gone
}

// Printable keeps the characters that RFC 6749 §5.2 allows in an
// error_description (%x20-21 / %x23-5B / %x5D-7E) and replaces the rest.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, s)
}

// AsError finds a protocol error in err's chain.
func AsError(err error) (*Error, bool) {
	return errors.AsType[*Error](err)
}
