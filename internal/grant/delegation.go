package grant

import (
	"slices"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// MaxActors bounds how many agents may act one for another, beside the one that
// a person or nobody stands behind.
const MaxActors = 3

// Delegation says for whom an agent may act, and where: what RFC 8693 §4.4 calls
// may_act, decided by an administrator. Whatever no rule allows is refused.
type Delegation struct {
	Actor     string   // ID of the client that acts
	For       []string // IDs of the clients from which it may take over
	People    bool     // people may let it act for them later (Standing)
	Resources []string // where
	Scopes    []string // at most; none: those of the token that it takes over
}

// MayAct returns what an actor may do at a resource with a token of another
// client, out of scopes; nothing if no rule lets it act.
func MayAct(rules []Delegation, actor, clientID, resource string, scopes []string) []string {
	var may []string
	for _, d := range rules {
		if d.Actor != actor || !slices.Contains(d.For, clientID) || !slices.Contains(d.Resources, resource) {
			continue
		}
		if len(d.Scopes) == 0 {
			return scopes
		}
		may = oauth.Union(may, oauth.Intersect(scopes, d.Scopes))
	}
	return may
}

// MayActForPeople is MayAct for people who let the actor act for them later.
func MayActForPeople(rules []Delegation, actor, resource string, scopes []string) []string {
	var may []string
	for _, d := range rules {
		if d.Actor != actor || !d.People || !slices.Contains(d.Resources, resource) {
			continue
		}
		if len(d.Scopes) == 0 {
			return scopes
		}
		may = oauth.Union(may, oauth.Intersect(scopes, d.Scopes))
	}
	return may
}

// agreedStanding is the Agreed of what a person allowed before anybody asked.
const agreedStanding = "standing"

// NewStanding is a grant that a person gives an agent which acts for them later.
func NewStanding(accountID, clientID, resource string, scopes []string, now, until time.Time) Grant {
	return Grant{
		ID: secret.ID(), AccountID: accountID, ClientID: clientID, Resource: resource, Scopes: scopes,
		Agreed: agreedStanding, CreatedAt: now.Unix(), ExpiresAt: until.Unix(),
	}
}

// Standing reports whether a person gave g to an agent that acts for them later.
func (g Grant) Standing() bool { return g.Agreed == agreedStanding && g.AccountID != "" }

// Holder is the client that a token was issued to.
func Holder(t Token, g Grant) string {
	if len(t.Actors) > 0 {
		return t.Actors[0]
	}
	return g.ClientID
}

// Chain is who acts for a token's subject, whoever came last first (RFC 8693
// §4.1). A client that acts for itself is the subject.
func Chain(t Token, g Grant) []string {
	chain := slices.Clone(t.Actors)
	if g.AccountID != "" {
		chain = append(chain, g.ClientID)
	}
	return chain
}
