// Package account knows people: their accounts, how they prove who they are,
// and their browser sessions.
//
// It owns names, passwords, claims and sessions. What a person allowed an
// agent to do is package grant's; the pages are the authorization server's.
package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/secure/precis"

	"gatehouse/internal/secret"
)

// Errors of this package's Store and rules.
var (
	ErrChanged  = errors.New("it was changed meanwhile; look at it again")
	ErrNotFound = errors.New("account not found")
	ErrExists   = errors.New("an account of this name exists already")
	ErrName     = errors.New("not a name that can be used")
)

// Account is a person.
type Account struct {
	ID           string
	Name         string            // as signed in with, normalised by Normalize; unique
	PasswordHash string            // PHC string; empty: no password signs in
	Claims       map[string]string // attributes that APIs may be told, e.g. region
	Role         Role              // in the administration console
	CreatedAt    int64             // Unix seconds
}

// Role is what an account may do in the administration console.
type Role string

// Roles. Who has one signs in with a password wherever people sign in
// (security.md 19).
const (
	NoRole        Role = ""
	Administrator Role = "admin"
	Auditor       Role = "auditor" // reads all, changes nothing
)

// Session is a browser that a person signed in with.
type Session struct {
	Hash      secret.Hash // of the cookie's value
	AccountID string
	AMR       []string // authentication methods (RFC 8176); empty when nothing was proven
	AuthTime  int64    // Unix seconds
	ExpiresAt int64    // Unix seconds
}

// SessionLifetime bounds how long a sign-in is remembered.
const SessionLifetime = 12 * time.Hour

// Store is what this package needs from a database.
type Store interface {
	// AddAccount stores a new account; ErrExists if its name is taken.
	AddAccount(ctx context.Context, a Account) error
	// EnsureAccount returns the account of a's name, stored now if there was none.
	EnsureAccount(ctx context.Context, a Account) (Account, error)
	// Account returns the account with this ID, else ErrNotFound.
	Account(ctx context.Context, id string) (Account, error)
	// AccountByName returns the account of a normalised name, else ErrNotFound.
	AccountByName(ctx context.Context, name string) (Account, error)
	// SetPassword, SetClaims and SetRole replace one attribute; ErrNotFound if there is no such account.
	// SetClaims replaces was only: ErrChanged if they are others by now. It announces
	// the account, since tokens that carry the old ones must not be used any more.
	SetPassword(ctx context.Context, id, hash string) error
	SetClaims(ctx context.Context, id string, was, claims map[string]string, now time.Time) error
	SetRole(ctx context.Context, id string, r Role) error
	// StartSession stores s and ends the session named replaced, if any, in one
	// step: a sign-in always gets a fresh session (session fixation, RFC 9700's neighbour).
	StartSession(ctx context.Context, s Session, replaced secret.Hash) error
	// Session returns a live session and its account, else ErrNotFound.
	Session(ctx context.Context, h secret.Hash, now time.Time) (Session, Account, error)
	// EndSession forgets a session; ending one that is not there is no error.
	EndSession(ctx context.Context, h secret.Hash) error
	// EndSessions forgets every session of an account.
	EndSessions(ctx context.Context, accountID string) error
}

// MaxName bounds a name, in bytes.
const MaxName = 64

// Normalize returns the form under which a name is stored and compared: the
// UsernameCaseMapped profile of RFC 8265 §3.3. Names that mix scripts are
// refused, because "аlice" with a Cyrillic а is not alice (security.md 19).
// Its errors wrap ErrName and can be shown.
func Normalize(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", fmt.Errorf("%w: it is empty", ErrName)
	}
	if len(name) > MaxName {
		return "", fmt.Errorf("%w: it has more than %d bytes", ErrName, MaxName)
	}
	n, err := precis.UsernameCaseMapped.String(name)
	if err != nil {
		return "", fmt.Errorf("%w: use letters, digits and marks such as - . _ without blanks", ErrName)
	}
	if mixesScripts(n) {
		return "", fmt.Errorf("%w: it mixes letters of several alphabets", ErrName)
	}
	return n, nil
}

// mixesScripts reports whether letters of more than one script occur, apart
// from the sets that Japanese and Korean really mix (UTS 39 §5.1, highly
// restrictive, without Latin in the mix).
func mixesScripts(s string) bool {
	scripts := map[string]bool{}
	for _, r := range s {
		if !unicode.IsLetter(r) {
			continue
		}
		scripts[scriptOf(r)] = true
	}
	return len(scripts) > 1
}

func scriptOf(r rune) string {
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo) {
		return "East Asian"
	}
	for name, table := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
			return name
		}
	}
	return ""
}
