package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/jose"
)

// IDJAGType is the typ of an Identity Assertion JWT Authorization Grant
// (draft-ietf-oauth-identity-assertion-authz-grant §3.1).
const IDJAGType = "oauth-id-jag+jwt"

// People says which of our accounts an identity provider's people are, and
// through which of our clients it may send them.
type People struct {
	Claim   string    // whose value names the account
	Domain  string    // what must follow the name after @, where Claim is an e-mail address; it is cut off
	Clients []Pattern // clients that may present its assertions
}

func (p People) check() (problems []error) {
	if p.Claim == "" {
		problems = append(problems, errors.New("people.claim is missing: which claim names the account here"))
	}
	if len(p.Clients) == 0 {
		problems = append(problems, errors.New("people.clients is missing: which clients may present its assertions"))
	}
	if slices.ContainsFunc(p.Clients, Pattern.Open) {
		problems = append(problems, errors.New("people.clients: a pattern needs a fixed part"))
	}
	if p.Claim == "email" && p.Domain == "" {
		problems = append(problems, errors.New("people.domain is missing: of another domain, the same name is somebody else"))
	}
	return problems
}

// Person is whom an ID-JAG speaks for.
type Person struct {
	Match
	Name     string // of the account here
	ClientID string // the client that may present it
	Resource string // that it is for; empty: it does not say
	Scope    string // that it is limited to; empty: it does not say
	AuthTime int64  // when the person signed in there, in Unix seconds; 0: it does not say
}

// IsIDJAG reports whether an assertion calls itself an ID-JAG: by the header's
// typ, which its signature covers.
func IsIDJAG(assertion string) bool {
	f, err := jose.ReadForeign(assertion)
	return err == nil && strings.EqualFold(strings.TrimPrefix(strings.ToLower(f.Type), "application/"), IDJAGType)
}

// Person verifies an ID-JAG that the client clientID presents, which was
// authenticated (draft-ietf-oauth-identity-assertion-authz-grant §4.4.1; R-AS-EMA).
func (t *Trust) Person(ctx context.Context, assertion, clientID string, now time.Time) (Person, error) {
	m, err := t.verify(ctx, assertion, now, true)
	p := Person{Match: m}
	if err != nil {
		return p, err
	}
	refuse := func(format string, args ...any) (Person, error) {
		return p, fmt.Errorf("%w: "+format, append([]any{ErrUntrusted}, args...)...)
	}
	all := m.Claims.All
	for name, to := range map[string]*string{"client_id": &p.ClientID, "resource": &p.Resource, "scope": &p.Scope} {
		value, given := all[name]
		text, ok := value.(string)
		if given && (!ok || text == "") {
			return refuse("its %s is no text", name)
		}
		*to = text
	}
	people := m.Issuer.People
	switch {
	case m.Claims.ID == "":
		return refuse("its jti is missing")
	case p.ClientID == "" || p.ClientID != clientID:
		return refuse("its client_id is not the client that presents it")
	case !slices.ContainsFunc(people.Clients, func(pattern Pattern) bool { return pattern.Fits(clientID) }):
		return refuse("this identity provider may not send people through this client")
	case all["cnf"] != nil:
		return refuse("it is bound to a key (cnf), and no proof of that is taken here")
	case all["authorization_details"] != nil:
		return refuse("it has authorization_details, which are not served here; leaving them out could allow more")
	case all["act"] != nil:
		return refuse("it names an actor (act), which is not served here")
	}
	if p.Name, err = people.name(m.Claims); err != nil {
		return refuse("%w", err)
	}
	if seconds, ok := all["auth_time"].(float64); ok && seconds > 0 && seconds <= float64(now.Add(Skew).Unix()) {
		p.AuthTime = int64(seconds)
	}
	p.Matched = map[string]string{people.Claim: p.Name}
	return p, nil
}

// name returns the account's name that claims say.
func (p People) name(f jose.Foreign) (string, error) {
	value, ok := IdentityProvider.claim(f, p.Claim)
	if !ok || len(value) > maxClaimText {
		return "", fmt.Errorf("its %s is missing, so it names nobody", p.Claim)
	}
	if p.Claim == "email" {
		if verified, given := f.All["email_verified"]; given && verified != true {
			return "", errors.New("its email is not verified")
		}
	}
	if p.Domain == "" {
		return value, nil
	}
	name, domain, ok := strings.Cut(value, "@")
	if !ok || name == "" || !strings.EqualFold(domain, p.Domain) {
		return "", fmt.Errorf("its %s is not of %s", p.Claim, p.Domain)
	}
	return name, nil
}
