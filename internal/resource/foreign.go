package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// What is here reads tokens of an authorization server that is not Gatehouse's:
// what such a server calls active may be a refresh token, one that is bound to a
// key, or one for several resources, and none of these opens anything here.

// foreign is what a foreign server says of a token: an introspection answer
// (RFC 7662 §2.2) or the claims of a JWT access token (RFC 9068 §2.2).
type foreign struct {
	Active    bool            `json:"active"`
	Scope     string          `json:"scope"`
	ClientID  string          `json:"client_id"`
	TokenType string          `json:"token_type"`
	Exp       float64         `json:"exp"` // a NumericDate may have a fraction
	Sub       string          `json:"sub"`
	Aud       json.RawMessage `json:"aud"`
	Iss       string          `json:"iss"`
	ID        string          `json:"jti"`
	Cnf       json.RawMessage `json:"cnf"` // RFC 7800: only who holds a key may use it
}

// told returns what is believed of f; the zero Introspection if nothing.
func (f foreign) told() oauth.Introspection {
	aud, ok := single(f.Aud)
	if !ok || f.ClientID == "" || len(f.Cnf) > 0 && string(f.Cnf) != "null" {
		return oauth.Introspection{}
	}
	aud, err := oauth.CanonicalResource(aud)
	if err != nil {
		return oauth.Introspection{} // for no resource, so not for this one
	}
	sub := f.Sub
	if sub == "" { // as of a client that acts for itself
		sub = f.ClientID
	}
	return oauth.Introspection{Active: true, Scope: f.Scope, ClientID: f.ClientID, TokenType: "Bearer", Exp: int64(f.Exp), Sub: sub, Aud: aud, Iss: f.Iss}
}

// single returns the one audience of a token. Of several, another could have
// received it and use it here.
func single(aud json.RawMessage) (string, bool) {
	var one string
	if json.Unmarshal(aud, &one) == nil {
		return one, one != ""
	}
	var several []string
	if json.Unmarshal(aud, &several) != nil || len(several) != 1 {
		return "", false
	}
	return several[0], true
}

// readForeign reads an introspection answer of a foreign server. Anything but a
// bearer access token that says so is worth nothing: RFC 7662 lets a server call
// refresh tokens active too, and those have no token_type.
func readForeign(body []byte, issuer string) (oauth.Introspection, error) {
	members, err := oauth.Members(body, maxDepth)
	if err != nil {
		return oauth.Introspection{}, err
	}
	var f foreign
	if err := fill(members, &f); err != nil {
		return oauth.Introspection{}, err
	}
	if !f.Active || f.Iss != "" && f.Iss != issuer || !strings.EqualFold(f.TokenType, "Bearer") {
		return oauth.Introspection{}, nil
	}
	return f.told(), nil
}

// notIntrospected reports whether a foreign server answered that it tells nothing
// of tokens of this form, as some do of all JWTs where theirs are opaque. The
// token is then none of its own.
func notIntrospected(status int, body []byte) bool {
	var e struct {
		Error oauth.Code `json:"error"`
	}
	return status == http.StatusBadRequest && json.Unmarshal(body, &e) == nil && e.Error == oauth.UnsupportedTokenType
}

// fill takes members by their exact names; encoding/json alone would take
// "Active" for "active".
func fill(members map[string]json.RawMessage, f *foreign) error {
	for name, to := range map[string]any{
		"active": &f.Active, "scope": &f.Scope, "client_id": &f.ClientID, "token_type": &f.TokenType, "exp": &f.Exp,
		"sub": &f.Sub, "aud": &f.Aud, "iss": &f.Iss, "cnf": &f.Cnf,
	} {
		if raw, given := members[name]; given {
			if err := json.Unmarshal(raw, to); err != nil {
				return fmt.Errorf("member %q: %w", name, err)
			}
		}
	}
	return nil
}

// JWTAccessTokens finds out what JWT access tokens (RFC 9068) of one issuer are
// worth at a resource, without asking it for more than its keys. What it says
// stays true until the token expires: nobody tells of revocations.
type JWTAccessTokens struct {
	Issuer string
	Keys   *jose.RemoteKeySet
}

// Introspect is like that of an Introspector: it returns what token says of
// itself, if the issuer signed it as an access token for audience, a canonical
// resource indicator, and for nothing else (R-RS-7).
//
// Errors are ErrInvalid, and ErrUnavailable when the issuer's keys cannot be had.
func (j *JWTAccessTokens) Introspect(ctx context.Context, token, audience string) (oauth.Introspection, error) {
	var f foreign
	expect := jose.Expect{Type: "at+jwt", Issuer: j.Issuer, Audience: audience, Algorithms: []string{jose.ES256, jose.RS256}, Skew: clockSkew}
	err := j.Keys.Verify(ctx, token, expect, &f)
	if errors.Is(err, jose.ErrAudience) {
		// Of an origin, clients and servers write the slash or not; see
		// oauth.CanonicalResource.
		expect.Audience, f = audience+"/", foreign{}
		if canonical, _ := oauth.CanonicalResource(expect.Audience); canonical == audience {
			err = j.Keys.Verify(ctx, token, expect, &f)
		}
	}
	switch {
	case errors.Is(err, jose.ErrKeysUnavailable):
		return oauth.Introspection{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case err != nil:
		return oauth.Introspection{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	case f.Sub == "" || f.ID == "":
		return oauth.Introspection{}, fmt.Errorf("%w: it lacks a claim that RFC 9068 section 2.2 requires", ErrInvalid)
	}
	t := f.told()
	if !t.Active || t.Aud != audience {
		return oauth.Introspection{}, fmt.Errorf("%w: it is for several audiences, bound to a key, or names no client", ErrInvalid)
	}
	return t, nil
}

// Forget does nothing: nothing is kept about tokens.
func (j *JWTAccessTokens) Forget(string) {}
