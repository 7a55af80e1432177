package trust_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/trust"
)

const here = "https://login.example.com"

var now = time.Unix(1_800_000_000, 0)

// platform signs what a cluster, a trust domain or an identity provider would.
type platform struct {
	key    jose.Key
	signer *jose.Signer
	set    *jose.KeySet
}

func newPlatform(t testing.TB) platform {
	t.Helper()
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		t.Fatal(err)
	}
	return platform{key, signer, set}
}

func (p platform) sign(t testing.TB, typ string, claims map[string]any) string {
	t.Helper()
	token, err := p.signer.Sign(typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge makes a token of any header and signature.
func forge(header string, claims map[string]any, sign func(signed string) []byte) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))
}

// cluster is what a Kubernetes API server says in a projected token
// (documentation of service accounts, "Bound service account tokens").
func cluster(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": "https://kubernetes.default.svc.cluster.local", "sub": "system:serviceaccount:prod:report", "aud": []string{here},
		"exp": now.Unix() + 3600, "iat": now.Unix(), "nbf": now.Unix(), "jti": "e51f1fbc-4733-4b85-a59f-ba80c0523874",
		"kubernetes.io": map[string]any{
			"namespace": "prod", "node": map[string]any{"name": "worker", "uid": "5"}, "pod": map[string]any{"name": "report-7d9", "uid": "6"},
			"serviceaccount": map[string]any{"name": "report", "uid": "7"}, "warnafter": now.Unix() + 3000,
		},
	}
	maps.Copy(claims, change)
	return claims
}

func account(namespace, name string) map[string]any {
	return map[string]any{
		"sub":           "system:serviceaccount:" + namespace + ":" + name,
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": name}},
	}
}

func when(t testing.TB, pairs ...string) []trust.Condition {
	t.Helper()
	var all []trust.Condition
	for n := 0; n < len(pairs); n += 2 {
		all = append(all, trust.Condition{Claim: pairs[n], Pattern: pattern(t, pairs[n+1])})
	}
	return all
}

func believe(t testing.TB, issuers ...trust.Issuer) *trust.Trust {
	t.Helper()
	for n := range issuers {
		if issuers[n].Audiences == nil {
			issuers[n].Audiences = []string{here}
		}
	}
	tr, err := trust.New(issuers)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestKubernetesAttacks is issue 5's attack table, for a cluster's tokens.
func TestKubernetesAttacks(t *testing.T) {
	prod, other, stranger := newPlatform(t), newPlatform(t), newPlatform(t)
	rule := []trust.Workload{{Client: "nightly", When: when(t, "namespace", "prod", "service_account", "report")}}
	tr := believe(t,
		trust.Issuer{Name: "prod", Kind: trust.Kubernetes, Issuer: "https://kubernetes.default.svc.cluster.local", Keys: prod.set, Workloads: rule},
		// Self-managed clusters all call themselves the same.
		trust.Issuer{Name: "test", Kind: trust.Kubernetes, Issuer: "https://kubernetes.default.svc.cluster.local", Keys: other.set,
			Workloads: []trust.Workload{{Client: "rehearsal", When: when(t, "namespace", "prod", "service_account", "report")}}},
	)
	ps, err := prod.signer.Sign("JWT", cluster(nil))
	if err != nil {
		t.Fatal(err)
	}
	header := func(more string) string { return `{"alg":"RS256","kid":"` + prod.key.KeyID + `"` + more + `}` }
	broken := func(string) []byte { return []byte("x") }
	hs := func(signed string) []byte {
		mac := hmac.New(sha256.New, prod.key.Public())
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
	for name, c := range map[string]struct {
		token  string
		client string
		want   error
	}{
		"good":                                 {ps, "nightly", nil},
		"same name in another cluster":         {other.sign(t, "JWT", cluster(nil)), "rehearsal", nil},
		"same name in a cluster nobody trusts": {stranger.sign(t, "JWT", cluster(nil)), "", jose.ErrSignature},
		"look-alike namespace":                 {prod.sign(t, "JWT", cluster(account("prod-x", "report"))), "", trust.ErrNoRule},
		"look-alike account":                   {prod.sign(t, "JWT", cluster(account("prod", "report-x"))), "", trust.ErrNoRule},
		"namespace by another's sub":           {prod.sign(t, "JWT", cluster(map[string]any{"sub": "system:serviceaccount:evil:report"})), "", jose.ErrMalformed},
		"sub without the cluster's claims":     {prod.sign(t, "JWT", cluster(map[string]any{"kubernetes.io": nil})), "", jose.ErrMalformed},
		"another audience":                     {prod.sign(t, "JWT", cluster(map[string]any{"aud": []string{"https://kubernetes.default.svc"}})), "", jose.ErrAudience},
		"another audience as well":             {prod.sign(t, "JWT", cluster(map[string]any{"aud": []string{here, "https://evil.example"}})), "", jose.ErrAudience},
		"no audience":                          {prod.sign(t, "JWT", cluster(map[string]any{"aud": nil})), "", jose.ErrAudience},
		"expired":                              {prod.sign(t, "JWT", cluster(map[string]any{"exp": now.Unix() - 31})), "", jose.ErrExpired},
		"not yet valid":                        {prod.sign(t, "JWT", cluster(map[string]any{"nbf": now.Unix() + 40})), "", jose.ErrExpired},
		"good for a year":                      {prod.sign(t, "JWT", cluster(map[string]any{"exp": now.Unix() + 365*86400})), "", jose.ErrExpired},
		"without exp, as secrets had them":     {prod.sign(t, "JWT", cluster(map[string]any{"exp": nil})), "", jose.ErrMalformed},
		"another issuer":                       {prod.sign(t, "JWT", cluster(map[string]any{"iss": "https://evil.example"})), "", trust.ErrUntrusted},
		"the issuer with a slash":              {prod.sign(t, "JWT", cluster(map[string]any{"iss": "https://kubernetes.default.svc.cluster.local/"})), "", trust.ErrUntrusted},
		"alg none":                             {forge(`{"alg":"none"}`, cluster(nil), func(string) []byte { return nil }), "", trust.ErrUntrusted},
		"HS256 with the public key":            {forge(`{"alg":"HS256","kid":"`+prod.key.KeyID+`"}`, cluster(nil), hs), "", jose.ErrSignature},
		"jku":                                  {forge(header(`,"jku":"https://evil.example/jwks"`), cluster(nil), broken), "", jose.ErrMalformed},
		"jwk":                                  {forge(header(`,"jwk":`+string(stranger.key.Public())), cluster(nil), broken), "", jose.ErrMalformed},
		"x5u":                                  {forge(header(`,"x5u":"https://evil.example/c"`), cluster(nil), broken), "", jose.ErrMalformed},
		"kid that points elsewhere":            {forge(`{"alg":"RS256","kid":"../../etc/passwd"}`, cluster(nil), broken), "", jose.ErrSignature},
		"an access token (typ confusion)":      {prod.sign(t, "at+jwt", cluster(nil)), "", jose.ErrType},
		"ID-JAG (security.md 9)":               {prod.sign(t, trust.IDJAGType, cluster(nil)), "", jose.ErrType},
		"a client assertion (security.md 9)":   {prod.sign(t, "client-authentication+jwt", cluster(nil)), "", jose.ErrType},
		"claims twice":                         {forge(header(""), cluster(nil), broken)[:20], "", trust.ErrUntrusted},
		"nothing":                              {"", "", trust.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := tr.Workload(t.Context(), c.token, now)
			if !errors.Is(err, c.want) || m.Client != c.client {
				t.Errorf("client %q, error %v; want %q, %v", m.Client, err, c.client, c.want)
			}
			if err == nil && (m.Matched["namespace"] != "prod" || m.Matched["service_account"] != "report" || m.Use != "") {
				t.Errorf("matched %v, use %q", m.Matched, m.Use)
			}
		})
	}
}

// TestSPIFFE is JWT-SVID §3 and §4 with the rules of issue 5.
func TestSPIFFE(t *testing.T) {
	p, foreign := newPlatform(t), newPlatform(t)
	rules := []trust.Workload{{Client: "nightly", When: when(t, "id", "spiffe://example.org/ns/*/sa/report")}}
	tr := believe(t,
		trust.Issuer{Name: "org", Kind: trust.SPIFFE, Issuer: "spiffe://example.org", Keys: p.set, Workloads: rules},
		trust.Issuer{Name: "partner", Kind: trust.SPIFFE, Issuer: "spiffe://partner.example", Keys: foreign.set, Workloads: []trust.Workload{{Client: "partner", When: when(t, "id", "spiffe://partner.example/**")}}},
	)
	svid := func(sub string) map[string]any {
		return map[string]any{"sub": sub, "aud": here, "exp": now.Unix() + 300}
	}
	for sub, c := range map[string]struct {
		by     platform
		client string
		want   error
	}{
		"spiffe://example.org/ns/prod/sa/report":            {p, "nightly", nil},
		"spiffe://example.org/ns/prod/sa/report-x":          {p, "", trust.ErrNoRule},
		"spiffe://example.org/ns/a/b/sa/report":             {p, "", trust.ErrNoRule},
		"spiffe://example.org/ns/../sa/report":              {p, "", jose.ErrMalformed},
		"spiffe://example.org/ns//sa/report":                {p, "", jose.ErrMalformed},
		"spiffe://example.org/ns/%70rod/sa/report":          {p, "", jose.ErrMalformed},
		"spiffe://example.org/":                             {p, "", jose.ErrMalformed},
		"spiffe://example.org":                              {p, "", trust.ErrUntrusted},
		"spiffe://Example.org/ns/prod/sa/report":            {p, "", trust.ErrUntrusted},
		"spiffe://example.org.evil.example/ns/prod/sa/repo": {p, "", trust.ErrUntrusted},
		"spiffe://partner.example/anything":                 {foreign, "partner", nil},
		"spiffe://example.org/ns/test/sa/report":            {foreign, "", jose.ErrSignature}, // a foreign trust domain speaks for ours
		"spiffe://partner.example/ns/prod/sa/report":        {p, "", jose.ErrSignature},       // and ours for it
	} {
		m, err := tr.Workload(t.Context(), c.by.sign(t, "JOSE", svid(sub)), now)
		if !errors.Is(err, c.want) || m.Client != c.client {
			t.Errorf("%s: client %q, error %v; want %q, %v", sub, m.Client, err, c.client, c.want)
		}
	}
}

func workflow(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "aud": here, "exp": now.Unix() + 300, "iat": now.Unix(), "nbf": now.Unix() - 5, "jti": "run-1",
		"sub": "repo:octo/app:ref:refs/heads/main", "repository": "octo/app", "repository_owner": "octo", "ref": "refs/heads/main",
		"job_workflow_ref": "octo/app/.github/workflows/deploy.yml@refs/heads/main", "event_name": "push", "run_attempt": "1", "repository_id": "42",
	}
	maps.Copy(claims, change)
	return claims
}

// TestGitHubActions: claims as its documentation lists them.
func TestGitHubActions(t *testing.T) {
	p := newPlatform(t)
	tr := believe(t, trust.Issuer{
		Name: "ci", Kind: trust.GitHubActions, Issuer: "https://token.actions.githubusercontent.com", Keys: p.set, SingleUse: true,
		Workloads: []trust.Workload{{Client: "deploy", When: when(t, "repository", "octo/*", "ref", "refs/heads/main", "event", "push")}},
	})
	for name, c := range map[string]struct {
		change map[string]any
		want   error
	}{
		"good":                       {nil, nil},
		"another branch":             {map[string]any{"ref": "refs/heads/main2"}, trust.ErrNoRule},
		"a tag of that name":         {map[string]any{"ref": "refs/tags/main"}, trust.ErrNoRule},
		"pull request":               {map[string]any{"event_name": "pull_request"}, trust.ErrNoRule},
		"another owner":              {map[string]any{"repository": "octo-evil/app", "repository_owner": "octo-evil"}, trust.ErrNoRule},
		"owner and repository apart": {map[string]any{"repository_owner": "evil"}, jose.ErrMalformed},
		"default audience":           {map[string]any{"aud": "https://github.com/octo"}, jose.ErrAudience},
		"ref that is no text":        {map[string]any{"ref": []string{"refs/heads/main"}}, trust.ErrNoRule},
	} {
		m, err := tr.Workload(t.Context(), p.sign(t, "JWT", workflow(c.change)), now)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if err == nil && (m.Client != "deploy" || m.Use == "" || !m.Until.Equal(now.Add(300*time.Second+trust.Skew))) {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestUseIsTheAssertions: a repetition is known by its jti, and without one by
// what is signed, however the signature is written; others' jti is no matter.
func TestUseIsTheAssertions(t *testing.T) {
	p, q := newPlatform(t), newPlatform(t)
	rule := []trust.Workload{{Client: "c", When: when(t, "sub", "**", "team", "a")}}
	tr := believe(t,
		trust.Issuer{Name: "p", Kind: trust.OIDC, Issuer: "https://p.example", Keys: p.set, SingleUse: true, Workloads: rule},
		trust.Issuer{Name: "q", Kind: trust.OIDC, Issuer: "https://q.example", Keys: q.set, SingleUse: true, Workloads: rule},
	)
	use := func(by platform, iss, jti string, n int) string {
		claims := map[string]any{"iss": iss, "sub": "s", "aud": here, "exp": now.Unix() + 60, "iat": now.Unix(), "team": "a", "n": n}
		if jti != "" {
			claims["jti"] = jti
		}
		m, err := tr.Workload(t.Context(), by.sign(t, "JWT", claims), now)
		if err != nil {
			t.Fatal(err)
		}
		return m.Use
	}
	first := use(p, "https://p.example", "1", 1)
	if first != use(p, "https://p.example", "1", 2) {
		t.Error("another token of the same jti is another use")
	}
	if first == use(q, "https://q.example", "1", 1) {
		t.Error("one issuer can use up another's jti")
	}
	if use(p, "https://p.example", "", 1) == use(p, "https://p.example", "", 2) {
		t.Error("tokens without jti cannot be told apart")
	}
	if again := use(p, "https://p.example", "", 1); again != use(p, "https://p.example", "", 1) {
		t.Error("the same token without jti is another use")
	}
}

// TestAmbiguousIsRefused: which of two clients it is nobody guesses.
func TestAmbiguousIsRefused(t *testing.T) {
	p := newPlatform(t)
	issuer := trust.Issuer{Name: "prod", Kind: trust.Kubernetes, Issuer: "https://kubernetes.default.svc.cluster.local", Keys: p.set, Workloads: []trust.Workload{
		{Client: "one", When: when(t, "namespace", "prod", "service_account", "report")},
		{Client: "one", When: when(t, "namespace", "prod", "service_account", "report", "node", "worker")},
	}}
	token := p.sign(t, "", cluster(nil))
	if m, err := believe(t, issuer).Workload(t.Context(), token, now); err != nil || m.Client != "one" {
		t.Errorf("two rules for one client: %q, %v", m.Client, err)
	}
	issuer.Workloads[1].Client = "two"
	if m, err := believe(t, issuer).Workload(t.Context(), token, now); !errors.Is(err, trust.ErrAmbiguous) || m.Client != "" {
		t.Errorf("two rules for two clients: %q, %v", m.Client, err)
	}
	again := issuer
	again.Name, again.Workloads = "again", issuer.Workloads[:1]
	if _, err := believe(t, issuer, again).Workload(t.Context(), token, now); !errors.Is(err, trust.ErrAmbiguous) {
		t.Errorf("two entries with the same keys: %v", err)
	}
}

type unavailable struct{}

func (unavailable) VerifyForeign(context.Context, string, jose.ExpectForeign) (jose.Foreign, error) {
	return jose.Foreign{}, jose.ErrKeysUnavailable
}

func TestUnavailableKeysAreNoRefusal(t *testing.T) {
	p := newPlatform(t)
	tr := believe(t, trust.Issuer{Name: "prod", Kind: trust.Kubernetes, Issuer: "https://kubernetes.default.svc.cluster.local", Keys: unavailable{},
		Workloads: []trust.Workload{{Client: "c", When: when(t, "namespace", "prod", "service_account", "report")}}})
	if _, err := tr.Workload(t.Context(), p.sign(t, "JWT", cluster(nil)), now); !errors.Is(err, trust.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
}

// TestRulesMustBeNarrow: a rule that would let too many in is no configuration.
func TestRulesMustBeNarrow(t *testing.T) {
	p := newPlatform(t)
	base := func(kind trust.Kind, pairs ...string) trust.Issuer {
		return trust.Issuer{Name: "x", Kind: kind, Issuer: "https://x.example", Audiences: []string{here}, Keys: p.set, Workloads: []trust.Workload{{Client: "c", When: when(t, pairs...)}}}
	}
	domain := base(trust.SPIFFE, "id", "spiffe://x.example/**")
	domain.Issuer = "x.example"
	hs := base(trust.OIDC, "sub", "a")
	hs.Algorithms = []string{"HS256"}
	nobody := base(trust.OIDC, "sub", "a")
	nobody.Audiences = nil
	for want, issuer := range map[string]trust.Issuer{
		"service_account is missing": base(trust.Kubernetes, "namespace", "prod"),
		"namespace is missing":       base(trust.Kubernetes, "namespace", "*", "service_account", "report"),
		"about id is missing":        base(trust.SPIFFE, "sub", "spiffe://x/a"),
		"is no trust domain":         domain,
		"must name its owner":        base(trust.GitHubActions, "repository", "*/app", "ref", "refs/heads/main"),
		"name a ref, an environment": base(trust.GitHubActions, "repository", "octo/app"),
		"must have a fixed part":     base(trust.OIDC, "sub", "**"),
		"two conditions about sub":   base(trust.OIDC, "sub", "a", "sub", "b"),
		`algorithm "HS256"`:          hs,
		"audience is missing":        nobody,
		`kind "cloud" is not known`:  base("cloud", "sub", "a"),
		"people.claim is missing":    base(trust.IdentityProvider),
	} {
		if _, err := trust.New([]trust.Issuer{issuer}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, error is %v", want, err)
		}
	}
	one := base(trust.OIDC, "sub", "a")
	people := trust.Issuer{Name: "y", Kind: trust.IdentityProvider, Issuer: one.Issuer, Audiences: []string{here}, Keys: p.set, SingleUse: true,
		People: trust.People{Claim: "sub", Clients: []trust.Pattern{pattern(t, "c")}}}
	if _, err := trust.New([]trust.Issuer{one, people}); err == nil || !strings.Contains(err.Error(), "one purpose") {
		t.Errorf("one issuer for two purposes (security.md 9): %v", err)
	}
	if _, err := trust.New([]trust.Issuer{people, people}); err == nil || !strings.Contains(err.Error(), "used twice") {
		t.Errorf("one name for two: %v", err)
	}
}
