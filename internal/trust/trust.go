// Package trust knows whose assertions are believed: issuers of workloads'
// identities and identity providers of people, each with the keys that sign and
// the rules that say which of our clients or people an assertion speaks for.
//
// Every issuer serves one purpose, and nothing falls through to another
// (security.md 9). The package verifies and maps; it issues nothing, and what
// must be used once is remembered by the authorization server.
package trust

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/jose"
)

// Errors about assertions. The text says which check failed, and nothing of the
// rules.
var (
	// ErrUntrusted: nobody who is trusted for this purpose has signed it.
	ErrUntrusted = errors.New("the assertion is not trusted")
	// ErrNoRule: its issuer is trusted, but no rule is for this workload.
	ErrNoRule = errors.New("no rule is for this workload")
	// ErrAmbiguous: rules for more than one client are for it.
	ErrAmbiguous = errors.New("rules for more than one client match this workload")
	// ErrUnavailable: the issuer's keys could not be had, so nothing is known.
	ErrUnavailable = errors.New("the issuer's keys are unavailable")
)

// Limits of assertions.
const (
	Skew         = 30 * time.Second
	maxLifetime  = 24*time.Hour + Skew // from iat to exp: a stolen one is worth no more
	maxClaimText = 1 << 10             // bytes of a claim that a rule looks at
)

// Keys verify what an issuer signs: *jose.KeySet and *jose.RemoteKeySet.
type Keys interface {
	VerifyForeign(ctx context.Context, token string, e jose.ExpectForeign) (jose.Foreign, error)
}

// Issuer is somebody whose assertions are believed, for one purpose.
type Issuer struct {
	Name       string   // what operators call it
	Kind       Kind     // what it issues
	Issuer     string   // the iss, exactly; of SPIFFE the trust domain, spiffe://example.org
	Audiences  []string // of which an assertion must be for exactly one, and nobody else
	Algorithms []string // that it signs with; empty: those of its kind
	Keys       Keys
	SingleUse  bool       // each assertion is good for one use
	Workloads  []Workload // rules, of every kind but IdentityProvider
	People     People     // of an IdentityProvider
}

// Workload is a rule: an assertion whose claims fit all of When speaks for Client.
type Workload struct {
	Client string
	When   []Condition // in the order of the configuration
}

// Condition is that a claim fits a pattern.
type Condition struct {
	Claim   string // by the name that its kind has for it, or the claim's own
	Pattern Pattern
}

// Trust is all of them. It does not change and is safe for concurrent use.
type Trust struct{ issuers []Issuer }

// New checks the issuers. Its error names every problem.
func New(issuers []Issuer) (*Trust, error) {
	var problems []error
	names := map[string]bool{}
	for _, i := range issuers {
		if names[i.Name] {
			problems = append(problems, fmt.Errorf("%s: this name is used twice", i.Name))
		}
		names[i.Name] = true
		for _, err := range i.check() {
			problems = append(problems, fmt.Errorf("%s: %w", i.Name, err))
		}
	}
	for n, i := range issuers {
		for _, other := range issuers[:n] {
			// One purpose each: what an identity provider says of people must never
			// be taken for what a platform says of workloads.
			if i.Issuer == other.Issuer && i.Kind.ForPeople() != other.Kind.ForPeople() {
				problems = append(problems, fmt.Errorf("%s: its issuer is trusted as %s already; one issuer serves one purpose", i.Name, other.Name))
			}
		}
	}
	return &Trust{issuers}, errors.Join(problems...)
}

// Issuers returns all, in the order of the configuration.
func (t *Trust) Issuers() []Issuer {
	if t == nil {
		return nil
	}
	return slices.Clone(t.issuers)
}

// Match is what an assertion speaks for.
type Match struct {
	Issuer  Issuer
	Client  string            // ours
	Matched map[string]string // the claims that the rule looked at
	Claims  jose.Foreign
	// Use is by what a repetition is recognized until Until, where each is good
	// for one use; empty otherwise.
	Use   string
	Until time.Time
}

// Workload verifies an assertion of a workload and finds the client that it
// speaks for. Errors are this package's; from ErrNoRule on, the match tells whose
// the assertion is all the same, for the audit.
func (t *Trust) Workload(ctx context.Context, assertion string, now time.Time) (Match, error) {
	m, err := t.verify(ctx, assertion, now, false)
	if err != nil {
		return m, err
	}
	var found []string
	for _, w := range m.Issuer.Workloads {
		matched, ok := w.fits(m.Issuer.Kind, m.Claims)
		if ok && !slices.Contains(found, w.Client) {
			found = append(found, w.Client)
			m.Client, m.Matched = w.Client, matched
		}
	}
	switch len(found) {
	case 0:
		return m, ErrNoRule
	case 1:
		return m, nil
	}
	m.Client, m.Matched = "", nil
	return m, fmt.Errorf("%w: %s", ErrAmbiguous, strings.Join(found, ", "))
}

// verify finds whose keys verify an assertion of one purpose. Several clusters
// may call themselves the same; their keys tell them apart.
func (t *Trust) verify(ctx context.Context, assertion string, now time.Time, people bool) (Match, error) {
	said, err := jose.ReadForeign(assertion)
	if err != nil {
		return Match{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	var found []Match
	unknown := fmt.Errorf("%w: its issuer is not trusted for this", ErrUntrusted)
	failure := unknown
	for _, i := range t.Issuers() {
		if i.Kind.ForPeople() != people || !i.says(said) {
			continue
		}
		m, err := i.verify(ctx, assertion, now)
		switch {
		case err == nil:
			found = append(found, m)
		case errors.Is(err, jose.ErrKeysUnavailable):
			failure = fmt.Errorf("%w: %w", ErrUnavailable, err)
		case errors.Is(failure, ErrUnavailable):
		case !errors.Is(err, jose.ErrSignature) || failure == unknown: // whose keys fit knows best what is wrong
			failure = fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Match{}, failure
	}
	// The same keys stand behind two entries: whose rules hold is not known.
	return found[0], fmt.Errorf("%w: %s and %s both vouch for it", ErrAmbiguous, found[0].Issuer.Name, found[1].Issuer.Name)
}

// says reports whether an unverified assertion calls itself this issuer's.
func (i Issuer) says(f jose.Foreign) bool {
	if i.Kind == SPIFFE { // which has no iss, or the server's: JWT-SVID §3
		return strings.HasPrefix(f.Subject, i.Issuer+"/")
	}
	return f.Issuer == i.Issuer
}

func (i Issuer) verify(ctx context.Context, assertion string, now time.Time) (Match, error) {
	kind, _ := i.Kind.rules() // New has looked
	algorithms := i.Algorithms
	if len(algorithms) == 0 {
		algorithms = kind.algorithms
	}
	f, err := i.Keys.VerifyForeign(ctx, assertion, jose.ExpectForeign{Types: kind.types, Algorithms: algorithms, Now: now, Skew: Skew})
	if err != nil {
		return Match{}, err
	}
	m := Match{Issuer: i, Claims: f}
	switch {
	case !i.says(f):
		return m, jose.ErrIssuer // what was read and what was verified are the same text; but never rely on that
	case len(f.Audience) != 1 || !slices.Contains(i.Audiences, f.Audience[0]):
		// Of several audiences, another could have received it and replay it here.
		return m, fmt.Errorf("%w: its aud must be %s and nothing else", jose.ErrAudience, strings.Join(i.Audiences, " or "))
	case f.Subject == "" || len(f.Subject) > maxClaimText:
		return m, fmt.Errorf("%w: its sub is missing or longer than %d bytes", jose.ErrMalformed, maxClaimText)
	case f.IssuedAt.IsZero() && !kind.noIssuedAt:
		return m, fmt.Errorf("%w: its iat is missing", jose.ErrMalformed)
	case !f.IssuedAt.IsZero() && f.Expires.Sub(f.IssuedAt) > maxLifetime, f.Expires.Sub(now) > maxLifetime:
		return m, fmt.Errorf("%w: it is good for more than a day; ask its issuer for a short-lived one", jose.ErrExpired)
	}
	if err := i.consistent(f); err != nil {
		return m, fmt.Errorf("%w: %w", jose.ErrMalformed, err)
	}
	if i.SingleUse {
		m.Use, m.Until = useOf(i, assertion, f), f.Expires.Add(Skew)
	}
	return m, nil
}

// useOf recognizes a repetition: by the jti, or where there is none by the whole
// token. A signature can often be written in another way that verifies too, so
// only what it signs counts.
func useOf(i Issuer, assertion string, f jose.Foreign) string {
	text := assertion[:strings.LastIndexByte(assertion, '.')]
	if f.ID != "" {
		text = f.ID
	}
	sum := sha256.Sum256([]byte(i.Issuer + "\x00" + text))
	return hex.EncodeToString(sum[:])
}

// fits reports whether an assertion fits every condition of a rule, and with
// which values.
func (w Workload) fits(kind Kind, f jose.Foreign) (map[string]string, bool) {
	matched := map[string]string{}
	for _, c := range w.When {
		value, ok := kind.claim(f, c.Claim)
		if !ok || len(value) > maxClaimText || !c.Pattern.Fits(value) {
			return nil, false
		}
		matched[c.Claim] = value
	}
	return matched, len(w.When) > 0
}
