package app

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
	"gatehouse/internal/trust"
)

// TrustedIssuer is somebody whose assertions are believed: a platform that says
// which workload it runs, or an identity provider that says whom a person's
// agent acts for. One entry serves one purpose.
type TrustedIssuer struct {
	// Name is short and stable; it is in the audit. Required.
	Name string `yaml:"name"`
	// Kind is what it issues: kubernetes (projected service account tokens of one
	// cluster), spiffe (JWT-SVIDs of one trust domain), github-actions, oidc (any
	// JWT of workloads), or identity-provider (ID-JAGs, for people). Required.
	Kind string `yaml:"kind"`
	// Issuer is the iss of its tokens, exactly; of spiffe the trust domain,
	// spiffe://example.org. Default for github-actions: that of github.com.
	Issuer string `yaml:"issuer"`
	// KeySet is where its public keys are: an https address, or file:PATH of a JWK
	// set; of spiffe its bundle. Default: where its metadata says, found by
	// issuer.
	KeySet string `yaml:"key_set"`
	// Audience is the aud that its tokens must have, and no other beside it.
	// Default: urls.authserver, or that with /token.
	Audience string `yaml:"audience"`
	// Algorithms are those that it may sign with, of ES256, RS256, PS256 and
	// EdDSA. Default: what its kind uses.
	Algorithms []string `yaml:"algorithms"`
	// SingleUse says whether each token is good for one use. Default: yes, but for
	// kubernetes and spiffe, whose workloads read theirs again and again.
	SingleUse *bool `yaml:"single_use"`
	// Addresses are exceptions for keys inside of your own network, in the form of
	// documents.addresses.
	Addresses []string `yaml:"addresses"`
	// Roots is the path of a PEM file of authorities that sign the certificates
	// of addresses, beside the system's.
	Roots string `yaml:"roots"`
	// Workloads say which tokens are for which client. `gatehouse trust explain`
	// proposes them.
	Workloads []TrustedWorkload `yaml:"workloads"`
	// People says, for an identity-provider, who its people are here.
	People *TrustedPeople `yaml:"people"`
}

// TrustedWorkload lets workloads act as a client. Exactly one client must be
// found for a token, or it is refused.
type TrustedWorkload struct {
	// Client is the ID of a client that was added with --workload. Required.
	Client string `yaml:"client"`
	// When are claims and what they must be, all of them. A value is exact; a
	// segment * between / or : stands for any one, and ** at the end for all that
	// follow. kubernetes needs namespace and service_account and knows
	// service_account_uid, pod and node; spiffe needs id; github-actions needs
	// repository and one of ref, environment and workflow, and knows event. Others
	// are claims by their own names. Required.
	When map[string]string `yaml:"when"`
}

// TrustedPeople maps people of an identity provider to accounts here. Who has
// none is refused.
type TrustedPeople struct {
	// Claim is whose value is the name of the account. Required.
	Claim string `yaml:"claim"`
	// Domain is what must follow the name after @; it is cut off. Required where
	// claim is email.
	Domain string `yaml:"domain"`
	// Clients may present its assertions: IDs, with * and ** as in when. Required.
	Clients []string `yaml:"clients"`
}

const gitHubIssuer = "https://token.actions.githubusercontent.com"

func (c *Config) validateTrust(report reporter) {
	if len(c.Trust) > 0 && c.AuthorizationServer != nil {
		report("trust", "is for our own authorization server; configure it at %s", shown(c.AuthorizationServer.Issuer))
	}
	for i, t := range c.Trust {
		at := func(key string) string { return fmt.Sprintf("trust[%d].%s", i, key) }
		if !apiName.MatchString(t.Name) {
			report(at("name"), "%q must be a short lower-case word: letters, digits, hyphens", t.Name)
		}
		if u, err := url.Parse(t.Issuer); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			report(at("issuer"), "%s is no issuer such as https://kubernetes.example.com", shown(t.Issuer))
		} else if t.Kind != string(trust.SPIFFE) {
			c.validateScheme(report, at("issuer"), u)
		}
		if _, file := strings.CutPrefix(t.KeySet, "file:"); t.KeySet != "" && !file {
			// Keys fetched in the clear would be anybody's (SEP-1933).
			if u, err := url.Parse(t.KeySet); err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
				report(at("key_set"), "%s is neither an https address nor file:PATH", shown(t.KeySet))
			} else {
				c.validateScheme(report, at("key_set"), u)
			}
		}
		if t.KeySet == "" && t.Kind == string(trust.SPIFFE) {
			report(at("key_set"), "is missing; name the trust domain's bundle endpoint, or file:PATH of its bundle")
		}
		Documents{Accept: "all", Addresses: t.Addresses, Roots: t.Roots}.validate(func(path, format string, args ...any) {
			report(at(strings.TrimPrefix(path, "documents.")), format, args...)
		})
	}
	// The rest is said by the package whose rules they are; keys do not matter to it.
	issuers := make([]trust.Issuer, 0, len(c.Trust))
	for i, t := range c.Trust {
		issuer, err := t.issuer(c)
		if err != nil {
			report(fmt.Sprintf("trust[%d]", i), "%v", err)
			continue
		}
		issuer.Keys = (*jose.KeySet)(nil)
		issuers = append(issuers, issuer)
	}
	if _, err := trust.New(issuers); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			report("trust", "%s", line)
		}
	}
}

// issuer is the entry without its keys.
func (t TrustedIssuer) issuer(c *Config) (trust.Issuer, error) {
	kind := trust.Kind(t.Kind)
	i := trust.Issuer{Name: t.Name, Kind: kind, Issuer: t.Issuer, Audiences: []string{t.Audience}, Algorithms: t.Algorithms, SingleUse: kind.SingleUse()}
	if t.Audience == "" {
		// SEP-1933 has the token endpoint, and clients send the issuer, some with a slash.
		i.Audiences = []string{c.URLs.AuthServer, c.URLs.AuthServer + "/", c.URLs.AuthServer + "/token"}
	}
	if t.SingleUse != nil {
		i.SingleUse = *t.SingleUse
	}
	for _, w := range t.Workloads {
		rule := trust.Workload{Client: w.Client}
		for _, claim := range slices.Sorted(maps.Keys(w.When)) {
			p, err := trust.ParsePattern(w.When[claim])
			if err != nil {
				return i, fmt.Errorf("workload for %s: %s %q: %w", w.Client, claim, w.When[claim], err)
			}
			rule.When = append(rule.When, trust.Condition{Claim: claim, Pattern: p})
		}
		i.Workloads = append(i.Workloads, rule)
	}
	if p := t.People; p != nil {
		i.People = trust.People{Claim: p.Claim, Domain: p.Domain}
		for _, text := range p.Clients {
			pattern, err := trust.ParsePattern(text)
			if err != nil {
				return i, fmt.Errorf("people.clients %q: %w", text, err)
			}
			i.People.Clients = append(i.People.Clients, pattern)
		}
		if !kind.ForPeople() {
			return i, fmt.Errorf("people is for an identity-provider, and %s is %s", t.Name, t.Kind)
		}
	}
	return i, nil
}

// Trusted builds everybody whose assertions are believed, with their keys, which
// are fetched when they are first needed.
func (c *Config) Trusted() (*trust.Trust, error) {
	var issuers []trust.Issuer
	for _, t := range c.Trust {
		i, err := t.issuer(c)
		if err != nil {
			return nil, fmt.Errorf("trust %s: %w", t.Name, err)
		}
		if i.Keys, err = t.keys(c); err != nil {
			return nil, fmt.Errorf("trust %s: key_set: %w", t.Name, err)
		}
		issuers = append(issuers, i)
	}
	return trust.New(issuers)
}

func (t TrustedIssuer) keys(c *Config) (trust.Keys, error) {
	spiffe := t.Kind == string(trust.SPIFFE)
	if path, ok := strings.CutPrefix(t.KeySet, "file:"); ok {
		f, err := os.Open(c.Path(path))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxConfig))
		if err != nil {
			return nil, err
		}
		if spiffe {
			return jose.ParseBundle(text)
		}
		return jose.ParseKeySet(text)
	}
	guard, err := Documents{Addresses: t.Addresses, Roots: t.Roots}.guard(c, "trust")
	if err != nil {
		return nil, err
	}
	fetcher := &http.Client{Transport: guard.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if t.KeySet == "" {
		return (&resource.Discovery{Issuer: t.Issuer, Client: fetcher}).Keys(), nil
	}
	return &jose.RemoteKeySet{URL: t.KeySet, Client: fetcher, Bundle: spiffe}, nil
}
