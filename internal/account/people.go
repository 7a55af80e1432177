package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/jose"
	"gatehouse/internal/secret"
)

// Errors of what administrators do to people.
var (
	// ErrLastAdministrator means that nobody else is left who can sign in as an
	// administrator.
	ErrLastAdministrator = errors.New("this is the last administrator who can sign in")
	// ErrClaims wraps what cannot be an attribute; it can be shown.
	ErrClaims = errors.New("not attributes that can be used")
)

// Unset stands for the password hash of an account whose person still has to
// choose one, by an invitation: nothing matches it, and unlike an empty one it
// lets no name sign in alone.
const Unset = "!"

// Listed is an account in a list.
type Listed struct {
	Account      // without its password
	Paused  bool // by an administrator
	Invited bool // a link by which the person chooses a password is still good
}

// Kinds of accounts that a list can be narrowed to; empty is all.
const (
	OnlyAdministrators = "admin"
	OnlyAuditors       = "auditor"
	OnlyPaused         = "paused"
	OnlyInvited        = "invited"
)

// Filter picks accounts of a list that is sorted by name.
type Filter struct {
	Prefix string // of the normalised name
	Only   string
	After  string // name of the last one that was seen
}

// Invitation lets its bearer choose the password of an account, once.
type Invitation struct {
	Hash      secret.Hash // of what the link carries
	AccountID string
	ExpiresAt int64 // Unix seconds
}

// InvitationLifetime bounds how long a link is good.
const InvitationLifetime = 3 * 24 * time.Hour

// Invitations is what whoever has a link does with it.
type Invitations interface {
	// Invitation returns the account that a live invitation is for, else
	// ErrNotFound, also while the account is paused.
	Invitation(ctx context.Context, h secret.Hash, now time.Time) (Account, error)
	// UseInvitation consumes a live invitation, sets the password of its account
	// and ends the account's sessions, in one step; ErrNotFound if somebody else
	// was first.
	UseInvitation(ctx context.Context, h secret.Hash, passwordHash string, now time.Time) error
}

// Bounds of attributes.
const (
	MaxClaims     = 32
	maxClaimName  = 64
	maxClaimValue = 256 // bytes
)

var claimName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/-]*$`)

// CheckClaims refuses attributes that tokens cannot carry as claims, or that
// would say something of the token or the agent instead of the person.
func CheckClaims(claims map[string]string) error {
	if len(claims) > MaxClaims {
		return fmt.Errorf("%w: there are more than %d", ErrClaims, MaxClaims)
	}
	for name, value := range claims {
		switch {
		case len(name) > maxClaimName || !claimName.MatchString(name):
			return fmt.Errorf("%w: %.70q is no name; use at most %d letters, digits and _ . : / -, a letter first", ErrClaims, name, maxClaimName)
		case jose.ReservedClaim(name):
			return fmt.Errorf("%w: %q is a claim of the token itself", ErrClaims, name)
		case name == "client_type" || name == "client_assurance_level":
			return fmt.Errorf("%w: %q tells of the agent, not of the person", ErrClaims, name)
		case strings.TrimSpace(value) == "" || len(value) > maxClaimValue || strings.ContainsFunc(value, unicode.IsControl):
			return fmt.Errorf("%w: the value of %s must have 1 to %d bytes and no line breaks", ErrClaims, name, maxClaimValue)
		}
	}
	return nil
}
