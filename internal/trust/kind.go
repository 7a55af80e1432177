package trust

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/jose"
)

// Kind is what an issuer issues, which decides how its assertions are read.
type Kind string

// Kinds of issuers.
const (
	Kubernetes       Kind = "kubernetes"        // projected service account tokens of one cluster
	SPIFFE           Kind = "spiffe"            // JWT-SVIDs of one trust domain
	GitHubActions    Kind = "github-actions"    // tokens of workflow runs
	OIDC             Kind = "oidc"              // JWTs of any issuer of workload identities
	IdentityProvider Kind = "identity-provider" // ID-JAGs, which speak for people
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Kubernetes, SPIFFE, GitHubActions, OIDC, IdentityProvider} }

// ForPeople reports whether the kind speaks for people.
func (k Kind) ForPeople() bool { return k == IdentityProvider }

// SingleUse reports whether assertions of the kind are good for one use unless
// configuration says otherwise: a cluster's and a trust domain's are read again
// and again from where the platform puts them.
func (k Kind) SingleUse() bool { return k != Kubernetes && k != SPIFFE }

// kind is what differs between kinds.
type kind struct {
	types      []string             // typ
	algorithms []string             // by default
	noIssuedAt bool                 // iat may be missing
	narrow     func(Workload) error // says what a rule lacks that would let too many in
}

// rules returns what the kind's assertions are like, and whether there is such
// a kind.
func (k Kind) rules() (kind, bool) {
	switch k {
	case Kubernetes:
		return kind{
			types: []string{"", "JWT"}, algorithms: []string{"RS256", "ES256"},
			narrow: func(w Workload) error { return pins(w, "namespace", "service_account") },
		}, true
	case SPIFFE:
		// JWT-SVID §2.3: typ is optional, JWT or JOSE. §2.1 has no EdDSA.
		return kind{
			types: []string{"", "JWT", "JOSE"}, algorithms: []string{"ES256", "RS256", "PS256"}, noIssuedAt: true,
			narrow: func(w Workload) error { return pins(w, "id") },
		}, true
	case GitHubActions:
		return kind{types: []string{"", "JWT"}, algorithms: []string{"RS256"}, narrow: narrowGitHub}, true
	case OIDC:
		return kind{types: []string{"", "JWT"}, algorithms: jose.Algorithms(), narrow: narrowAny}, true
	case IdentityProvider:
		return kind{types: []string{IDJAGType}, algorithms: jose.Algorithms(), narrow: narrowAny}, true
	}
	return kind{}, false
}

// path is where a claim is that operators call name.
func (k Kind) path(name string) []string {
	switch k {
	case Kubernetes:
		switch name {
		case "namespace":
			return []string{"kubernetes.io", "namespace"}
		case "service_account":
			return []string{"kubernetes.io", "serviceaccount", "name"}
		case "service_account_uid":
			return []string{"kubernetes.io", "serviceaccount", "uid"}
		case "pod":
			return []string{"kubernetes.io", "pod", "name"}
		case "node":
			return []string{"kubernetes.io", "node", "name"}
		}
	case SPIFFE:
		if name == "id" {
			return []string{"sub"}
		}
	case GitHubActions:
		switch name {
		case "workflow":
			return []string{"job_workflow_ref"}
		case "event":
			return []string{"event_name"}
		}
	}
	return []string{name}
}

// consistent refuses assertions whose claims contradict one another, so that a
// rule about one of them cannot be met by what another denies.
func (i Issuer) consistent(f jose.Foreign) error {
	switch i.Kind {
	case Kubernetes:
		namespace, _ := i.Kind.claim(f, "namespace")
		name, _ := i.Kind.claim(f, "service_account")
		if namespace == "" || name == "" || f.Subject != "system:serviceaccount:"+namespace+":"+name {
			return errors.New("its sub and its kubernetes.io claims do not name one service account; only projected tokens are taken")
		}
	case SPIFFE:
		if !validID(f.Subject, i.Issuer) {
			return fmt.Errorf("its sub is no SPIFFE ID of %s", i.Issuer)
		}
	case GitHubActions:
		repository, _ := i.Kind.claim(f, "repository")
		owner, _ := i.Kind.claim(f, "repository_owner")
		if repository == "" || owner != "" && !strings.HasPrefix(repository, owner+"/") {
			return errors.New("it names no repository of its repository_owner")
		}
	}
	return nil
}

func narrowGitHub(w Workload) error {
	if err := pins(w, "repository"); err != nil {
		return err
	}
	at := slices.IndexFunc(w.When, func(c Condition) bool { return c.Claim == "repository" })
	if owner, _, _ := strings.Cut(w.When[at].Pattern.String(), "/"); strings.Contains(owner, "*") {
		return errors.New("repository must name its owner: anybody can have a repository there")
	}
	for _, c := range w.When {
		if slices.Contains([]string{"ref", "environment", "workflow"}, c.Claim) && !c.Pattern.Open() {
			return nil
		}
	}
	return errors.New("name a ref, an environment or a workflow beside the repository: else every branch that somebody may push to gets in")
}

func narrowAny(w Workload) error {
	if slices.ContainsFunc(w.When, func(c Condition) bool { return !c.Pattern.Open() }) {
		return nil
	}
	return errors.New("at least one condition must have a fixed part")
}

// pins wants conditions with a fixed part about each claim.
func pins(w Workload, claims ...string) error {
	for _, name := range claims {
		if !slices.ContainsFunc(w.When, func(c Condition) bool { return c.Claim == name && !c.Pattern.Open() }) {
			return fmt.Errorf("a condition about %s is missing, or has no fixed part", name)
		}
	}
	return nil
}

// claim returns the value of a claim as text, by the name that the kind has for
// it or by its own. Only texts, whole numbers and truth values have one.
func (k Kind) claim(f jose.Foreign, name string) (string, bool) {
	var value any = f.All
	for _, step := range k.path(name) {
		members, ok := value.(map[string]any)
		if !ok {
			return "", false
		}
		value = members[step]
	}
	switch v := value.(type) {
	case string:
		return v, v != ""
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), true
		}
	}
	return "", false
}

// validID reports whether id is a SPIFFE ID of a workload in a trust domain,
// written as SPIFFE-ID §2 says: nothing in it could be read in two ways.
func validID(id, domain string) bool {
	path, ok := strings.CutPrefix(id, domain+"/")
	if !ok || !validDomain(domain) || len(id) > 2048 {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, func(r rune) bool { return !isIDRune(r) && (r < 'A' || r > 'Z') }) {
			return false
		}
	}
	return true
}

func validDomain(domain string) bool {
	name, ok := strings.CutPrefix(domain, "spiffe://")
	return ok && name != "" && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool { return !isIDRune(r) })
}

func isIDRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// check returns what is wrong with an issuer.
func (i Issuer) check() (problems []error) {
	kind, ok := i.Kind.rules()
	switch {
	case !ok:
		return []error{fmt.Errorf("kind %q is not known; there are %v", i.Kind, Kinds())}
	case i.Kind == SPIFFE && !validDomain(i.Issuer):
		problems = append(problems, fmt.Errorf("issuer %q is no trust domain such as spiffe://example.org", i.Issuer))
	case i.Issuer == "":
		problems = append(problems, errors.New("issuer is missing"))
	}
	if len(i.Audiences) == 0 {
		problems = append(problems, errors.New("audience is missing"))
	}
	if i.Keys == nil {
		problems = append(problems, errors.New("it has no keys"))
	}
	for _, a := range i.Algorithms {
		if !slices.Contains(jose.Algorithms(), a) {
			problems = append(problems, fmt.Errorf("algorithm %q is not accepted; there are ES256, RS256, PS256 and EdDSA", a))
		}
	}
	if i.Kind.ForPeople() {
		if !i.SingleUse {
			problems = append(problems, errors.New("an ID-JAG is good for one use"))
		}
		if len(i.Workloads) > 0 {
			problems = append(problems, errors.New("an identity provider speaks for people and has no workloads; trust another issuer for those"))
		}
		return append(problems, i.People.check()...)
	}
	if len(i.Workloads) == 0 {
		problems = append(problems, errors.New("it has no workloads, so nothing it says is of use"))
	}
	for n, w := range i.Workloads {
		if w.Client == "" {
			problems = append(problems, fmt.Errorf("workload %d: client is missing", n+1))
		}
		for m, c := range w.When {
			if slices.ContainsFunc(w.When[:m], func(other Condition) bool { return other.Claim == c.Claim }) {
				problems = append(problems, fmt.Errorf("workload %d, for %s: two conditions about %s", n+1, w.Client, c.Claim))
			}
		}
		if err := kind.narrow(w); err != nil {
			problems = append(problems, fmt.Errorf("workload %d, for %s: %w", n+1, w.Client, err))
		}
	}
	return problems
}
