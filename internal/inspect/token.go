package inspect

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Token is what is shown of an access token: never the token, nor a signature.
type Token struct {
	Label    string   `json:"label"` // see Label
	JWT      bool     `json:"jwt,omitempty"`
	Header   []Field  `json:"header,omitempty"` // of a JWT
	Claims   []Field  `json:"claims,omitempty"` // of a JWT, those that are listed
	Audience string   `json:"aud,omitempty"`
	Subject  string   `json:"sub,omitempty"`
	ClientID string   `json:"client,omitempty"` // that presents it
	Scope    []string `json:"scope,omitempty"`
	Issued   int64    `json:"iat,omitempty"` // Unix seconds
	Expires  int64    `json:"exp,omitempty"` // Unix seconds
	Actors   []string `json:"act,omitempty"` // who acts, the outermost first (RFC 8693 §4.1)
	From     *Token   `json:"from,omitempty"`
}

// Label is a short one-way name of a token, by which one can follow it: the
// beginning of its SHA-256. Only what this server could have made has one; any
// other text may be a word that can be guessed.
func Label(token string) string {
	if !ours(token) {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}

// ours reports whether a text has the form of a token or code of this server:
// one of secret.New with a prefix, or a signed JWT. Both are too long to guess.
func ours(s string) bool {
	for _, prefix := range []string{"gha_", "ghr_", "ghc_"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return len(rest) >= 26
		}
	}
	parts := strings.Split(s, ".")
	return len(parts) == 3 && len(parts[2]) >= 43 && strings.HasPrefix(parts[0], "eyJ")
}

// listed are the claims of an access token that are kept besides those that the
// API's configuration names (RFC 9068 §2.2, RFC 8693 §4.1).
var listed = [...]string{"iss", "sub", "aud", "scope", "client_id", "act", "iat", "exp", "auth_time", "jti"}

// Decode reads a JWT that this server signed. Of the header it keeps typ and
// alg, of the claims those that are listed or extra; nothing of the signature.
// What it cannot read has a label alone.
func Decode(jwt string, extra []string) Token {
	t := Token{Label: Label(jwt)}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return t
	}
	var header, claims map[string]json.RawMessage
	if !part(parts[0], &header) || !part(parts[1], &claims) {
		return t
	}
	t.JWT = true
	t.Header = pick(header, "typ", "alg")
	t.Claims = pick(claims, append(slices.Clone(listed[:]), extra...)...)
	var c struct {
		Aud, Sub, Scope string
		ClientID        string `json:"client_id"`
		Iat, Exp        int64
		Act             *actor
	}
	if part(parts[1], &c) {
		t.Audience, t.Subject, t.ClientID, t.Scope, t.Issued, t.Expires = c.Aud, c.Sub, c.ClientID, strings.Fields(c.Scope), c.Iat, c.Exp
		for a := c.Act; a != nil; a = a.Act {
			t.Actors = append(t.Actors, a.Sub)
		}
	}
	return t
}

type actor struct {
	Sub string
	Act *actor
}

func part(text string, into any) bool {
	data, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(data, into) == nil
}

func pick(from map[string]json.RawMessage, names ...string) []Field {
	var kept []Field
	for _, name := range names {
		if raw, ok := from[name]; ok {
			kept = append(kept, Field{Name: name, Value: claim(name, raw)})
		}
	}
	return kept
}

// claim writes a value for people: a text without quotes, a time as one.
func claim(name string, raw json.RawMessage) string {
	var text string
	var number int64
	switch {
	case json.Unmarshal(raw, &text) == nil:
		return text
	case (name == "iat" || name == "exp" || name == "auth_time") && json.Unmarshal(raw, &number) == nil:
		return string(raw) + " (" + time.Unix(number, 0).UTC().Format("15:04:05") + " UTC)"
	}
	return string(raw)
}

// Change is one way in which a token differs from the one it came from.
type Change struct {
	What          string
	Before, After string
	Gone, Added   []string // words of a list that changed, such as scopes
	Kept          []string
	List          bool
	Same          bool
	Meaning       string
}

// Diff compares a token with the one it came from; nothing without one.
func (t *Token) Diff() []Change {
	if t == nil || t.From == nil {
		return nil
	}
	f := t.From
	changes := []Change{
		{What: "Form", Before: form(f), After: form(t), Meaning: "The API verifies a JWT by itself; the agent's token is opaque to everybody but the authorization server."},
		{What: "Audience", Before: f.Audience, After: t.Audience, Meaning: "Where it works, and nowhere else."},
		list("Scope", f.Scope, t.Scope, "What it allows. It only narrows."),
		list("Actors", f.Actors, t.Actors, "Who acts for the person, the one that presents the token first."),
		{What: "Subject", Before: f.Subject, After: t.Subject, Meaning: "For whom."},
		{What: "Ends", Before: ends(f), After: ends(t), Meaning: "What cannot be recalled soon expires."},
	}
	for i := range changes {
		c := &changes[i]
		if !c.List {
			c.Same = c.Before == c.After
		}
	}
	return changes
}

func list(what string, before, after []string, meaning string) Change {
	c := Change{What: what, List: true, Meaning: meaning}
	for _, w := range before {
		if slices.Contains(after, w) {
			c.Kept = append(c.Kept, w)
		} else {
			c.Gone = append(c.Gone, w)
		}
	}
	for _, w := range after {
		if !slices.Contains(before, w) {
			c.Added = append(c.Added, w)
		}
	}
	c.Same = len(c.Gone)+len(c.Added) == 0
	return c
}

func form(t *Token) string {
	if t.JWT {
		return "JWT"
	}
	return "opaque"
}

func ends(t *Token) string {
	if t.Expires == 0 {
		return ""
	}
	return time.Unix(t.Expires, 0).UTC().Format("15:04:05") + " UTC"
}
