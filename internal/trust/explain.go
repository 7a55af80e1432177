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

// Explanation is what a token is, in words, and what a rule for it would be.
type Explanation struct {
	Kind      Kind     `json:"kind"`
	Says      string   `json:"says"`                // who it is, in a sentence
	Facts     []Fact   `json:"facts"`               // what of it counts
	Signature string   `json:"signature"`           // what came of checking it
	Genuine   bool     `json:"genuine"`             // it was checked, and is the issuer's
	Entry     string   `json:"entry,omitempty"`     // of the configuration, whose keys have signed it
	Client    string   `json:"client,omitempty"`    // that it would get a token of now
	Refused   string   `json:"refused,omitempty"`   // why it would get none
	Proposal  string   `json:"proposal"`            // the narrowest rule, as YAML
	AlsoFits  []string `json:"also_fits"`           // what else that rule would let in
	Narrower  []string `json:"narrower,omitempty"`  // conditions that would make it narrower still
	Attention []string `json:"attention,omitempty"` // what is unusual about the token
}

// Fact is a claim that counts.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Finder returns the keys of an issuer that is not in the configuration, as it
// publishes them.
type Finder func(ctx context.Context, issuer string) (Keys, error)

// Explain says what a token is: verified with the keys of whom we trust, or of
// the issuer that find finds; nil finds nobody. It is an error if the token cannot
// be read at all. The token is not used up.
func (t *Trust) Explain(ctx context.Context, token string, now time.Time, find Finder) (Explanation, error) {
	token = strings.TrimSpace(token)
	f, err := jose.ReadForeign(token)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Kind: kindOf(f)}
	e.Says = e.Kind.says(f)
	e.Facts = facts(f, now)
	t.check(ctx, &e, token, f, now, find)
	e.Proposal, e.AlsoFits, e.Narrower = e.Kind.propose(f, e.Entry, or(e.Client, "CLIENT"))
	if len(f.Audience) != 1 {
		e.Attention = append(e.Attention, "It is for several audiences, or none. It is refused: any of them could use it here. Ask for a token with this installation alone as its audience.")
	}
	if f.Expires.IsZero() {
		e.Attention = append(e.Attention, "It never expires. Old service account secrets are like that; mount a projected token instead.")
	} else if life := max(f.Expires.Sub(now), f.Expires.Sub(f.IssuedAt)); !f.IssuedAt.IsZero() && life > maxLifetime || f.Expires.Sub(now) > maxLifetime {
		if f.IssuedAt.IsZero() {
			life = f.Expires.Sub(now)
		}
		e.Attention = append(e.Attention, "It is good for "+life.Round(time.Hour).String()+". No more than a day is taken; ask for a shorter one.")
	}
	return e, nil
}

// check fills in what came of verifying the token, at a time when it was good:
// that it has expired meanwhile is no reason not to know whose it is.
func (t *Trust) check(ctx context.Context, e *Explanation, token string, f jose.Foreign, now time.Time, find Finder) {
	then := now
	if !f.Expires.IsZero() && !now.Before(f.Expires) {
		then = f.Expires.Add(-time.Second)
	}
	m, err := t.verify(ctx, token, then, e.Kind.ForPeople())
	switch {
	case m.Issuer.Name != "":
		e.Genuine, e.Entry = true, m.Issuer.Name
		e.Signature = "genuine: it is signed with a key of " + m.Issuer.Name
	case errors.Is(err, ErrUnavailable):
		e.Signature = "not checked: " + err.Error()
	case t.names(f):
		e.Signature = "checked with the keys that the configuration names, and refused: " + err.Error()
	default:
		e.Signature = "not checked: nobody in the configuration is called " + or(f.Issuer, "like its issuer")
		if find != nil && strings.HasPrefix(f.Issuer, "https://") {
			e.Signature, e.Genuine = published(ctx, e.Kind, token, f, then, find)
		}
	}
	if e.Kind.ForPeople() {
		e.Refused = "an ID-JAG speaks for a person and is presented by a client that authenticates; which client that is, and who the person is here, is seen then"
		return
	}
	m, err = t.Workload(ctx, token, now)
	if e.Client = m.Client; err != nil {
		e.Client, e.Refused = "", err.Error()
	}
}

// names reports whether an entry is for the issuer that a token names.
func (t *Trust) names(f jose.Foreign) bool {
	return slices.ContainsFunc(t.Issuers(), func(i Issuer) bool { return i.says(f) })
}

// published verifies with the keys that an issuer publishes, which nobody here
// trusts yet.
func published(ctx context.Context, k Kind, token string, f jose.Foreign, then time.Time, find Finder) (string, bool) {
	keys, err := find(ctx, f.Issuer)
	if err == nil {
		rules, _ := k.rules()
		_, err = keys.VerifyForeign(ctx, token, jose.ExpectForeign{Types: append([]string{"", "JWT", "JOSE"}, rules.types...), Algorithms: jose.Algorithms(), Now: then, Skew: Skew})
	}
	switch {
	case errors.Is(err, jose.ErrSignature):
		return "not " + f.Issuer + "'s: " + err.Error(), false
	case err != nil:
		return "not checked: the keys of " + f.Issuer + " cannot be read from here: " + err.Error(), false
	}
	return "genuine: " + f.Issuer + " publishes the key that signed it; the configuration does not trust it yet", true
}

// kindOf guesses what a token is.
func kindOf(f jose.Foreign) Kind {
	_, cluster := f.All["kubernetes.io"].(map[string]any)
	_, workflow := f.All["job_workflow_ref"].(string)
	switch {
	case strings.EqualFold(strings.TrimPrefix(f.Type, "application/"), IDJAGType):
		return IdentityProvider
	case cluster:
		return Kubernetes
	case strings.HasPrefix(f.Subject, "spiffe://"):
		return SPIFFE
	case workflow:
		return GitHubActions
	}
	return OIDC
}

func facts(f jose.Foreign, now time.Time) []Fact {
	all := []Fact{
		{"issuer", or(f.Issuer, "none")}, {"subject", or(f.Subject, "none")}, {"audience", or(strings.Join(f.Audience, ", "), "none")},
		{"expires", "never"}, {"signed with", f.Algorithm + ", key " + or(f.KeyID, "not named")}, {"jti", or(f.ID, "none")},
	}
	if !f.Expires.IsZero() {
		all[3].Value = f.Expires.UTC().Format(time.RFC3339) + ", " + distance(f.Expires.Sub(now))
	}
	return all
}

func distance(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Second).String() + " ago"
	}
	return "in " + d.Round(time.Second).String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// says tells in a sentence who a token says it is.
func (k Kind) says(f jose.Foreign) string {
	get := func(name string) string { v, _ := k.claim(f, name); return or(v, "?") }
	switch k {
	case Kubernetes:
		s := fmt.Sprintf("A pod of the service account %s in the namespace %s", get("service_account"), get("namespace"))
		if pod, ok := k.claim(f, "pod"); ok {
			s = fmt.Sprintf("The pod %s, which runs as the service account %s in the namespace %s", pod, get("service_account"), get("namespace"))
		}
		return s + ", of the cluster that calls itself " + or(f.Issuer, "?") + "."
	case SPIFFE:
		return "The workload " + f.Subject + "."
	case GitHubActions:
		s := fmt.Sprintf("A run of the workflow %s in the repository %s, on %s, begun by %s", get("workflow"), get("repository"), get("ref"), get("event"))
		if environment, ok := k.claim(f, "environment"); ok {
			s += ", for the environment " + environment
		}
		return s + "."
	case IdentityProvider:
		return fmt.Sprintf("Whom %s calls %s, through the client %s.", or(f.Issuer, "?"), or(f.Subject, "?"), get("client_id"))
	}
	return fmt.Sprintf("Whom %s calls %s.", or(f.Issuer, "?"), or(f.Subject, "?"))
}

// propose writes the narrowest rule that lives as long as what it is for, what
// else would fit it, and what would make it narrower.
func (k Kind) propose(f jose.Foreign, entry, client string) (yaml string, alsoFits, narrower []string) {
	var when []Fact
	take := func(names ...string) {
		for _, name := range names {
			// A rule would take its * for any segment, and the token's maker chose it.
			if v, ok := k.claim(f, name); ok && !strings.Contains(v, "*") {
				when = append(when, Fact{name, v})
			}
		}
	}
	hint := func(name, why string) {
		if v, ok := k.claim(f, name); ok {
			narrower = append(narrower, fmt.Sprintf("%s: %q, which %s", name, v, why))
		}
	}
	issuer := f.Issuer
	switch k {
	case Kubernetes:
		take("namespace", "service_account")
		hint("service_account_uid", "ends the rule when the account is deleted and made anew, by whomever")
		alsoFits = []string{"Every pod that runs as this service account, whatever its image.", "So whoever may create pods in this namespace, or tokens for this account, can be this workload."}
	case SPIFFE:
		take("id")
		if domain, _, ok := strings.Cut(strings.TrimPrefix(f.Subject, "spiffe://"), "/"); ok {
			issuer = "spiffe://" + domain
		}
		alsoFits = []string{"Every workload that the trust domain's registration entries give this SPIFFE ID."}
	case GitHubActions:
		take("repository", "repository_id", "ref", "environment", "workflow", "event")
		hint("actor_id", "lets one person alone begin it")
		alsoFits = []string{"Every run of this workflow file in this repository, on this ref, begun by this event.", "So whoever may push to that ref, or change the workflow there, can be this workload; protect the branch, or name an environment with reviewers."}
	case IdentityProvider:
		return fmt.Sprintf("trust:\n  - name: %s\n    kind: %s\n    issuer: %q\n    people: {claim: sub, clients: [%q]}\n", or(entry, "company"), k, f.Issuer, or(text(f, "client_id"), "CLIENT")),
			[]string{"Everybody whom this identity provider calls by the name of an account here."}, nil
	default:
		take("sub", "azp")
		alsoFits = []string{"Every token of this issuer with this subject; whether that is one workload only is in its documentation."}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "trust:\n  - name: %s\n    kind: %s\n    issuer: %q\n    workloads:\n      - client: %s\n        when:\n", or(entry, "my-"+string(k)), k, issuer, client)
	for _, w := range when {
		fmt.Fprintf(&b, "          %s: %q\n", w.Name, w.Value)
	}
	return b.String(), alsoFits, narrower
}

func text(f jose.Foreign, name string) string {
	s, _ := f.All[name].(string)
	return s
}
