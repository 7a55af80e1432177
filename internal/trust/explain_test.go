package trust_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/trust"
)

// TestExplain: issue 5's "paste a token, get a rule".
func TestExplain(t *testing.T) {
	p, stranger := newPlatform(t), newPlatform(t)
	tr := believe(t, trust.Issuer{Name: "prod", Kind: trust.Kubernetes, Issuer: "https://kubernetes.default.svc.cluster.local", Keys: p.set,
		Workloads: []trust.Workload{{Client: "nightly", When: when(t, "namespace", "prod", "service_account", "report")}}})
	publishes := func(_ context.Context, issuer string) (trust.Keys, error) {
		if issuer == "https://token.actions.githubusercontent.com" {
			return p.set, nil
		}
		return nil, errors.New("no metadata")
	}
	for name, c := range map[string]struct {
		token   string
		kind    trust.Kind
		genuine bool
		client  string
		has     []string // of everything that is said
	}{
		"what a rule is for": {p.sign(t, "", cluster(nil)), trust.Kubernetes, true, "nightly",
			[]string{"The pod report-7d9", "service account report in the namespace prod", "genuine: it is signed with a key of prod", "name: prod", `namespace: "prod"`, `service_account: "report"`, "Every pod that runs as", `service_account_uid: "7"`}},
		"what no rule is for":         {p.sign(t, "", cluster(account("test", "report"))), trust.Kubernetes, true, "", []string{"no rule", `namespace: "test"`}},
		"expired":                     {p.sign(t, "", cluster(map[string]any{"exp": now.Unix() - 60, "iat": now.Unix() - 120, "nbf": now.Unix() - 120})), trust.Kubernetes, true, "", []string{"1m0s ago", "expired"}},
		"another cluster of the name": {stranger.sign(t, "", cluster(nil)), trust.Kubernetes, false, "", []string{"checked with the keys that the configuration names, and refused"}},
		"good for a year":             {p.sign(t, "", cluster(map[string]any{"exp": now.Unix() + 365*86400})), trust.Kubernetes, false, "", []string{"good for 8760h"}},
		"for others as well":          {p.sign(t, "", cluster(map[string]any{"aud": []string{here, "https://x.example"}})), trust.Kubernetes, false, "", []string{"several audiences"}},
		"a workflow, not configured": {p.sign(t, "JWT", workflow(nil)), trust.GitHubActions, true, "",
			[]string{"does not trust it yet", `repository: "octo/app"`, `repository_id: "42"`, `ref: "refs/heads/main"`, `workflow: "octo/app/.github/workflows/deploy.yml@refs/heads/main"`, "protect the branch"}},
		"a forged workflow": {stranger.sign(t, "JWT", workflow(nil)), trust.GitHubActions, false, "", []string{"not https://token.actions.githubusercontent.com's"}},
		"a workload":        {p.sign(t, "JWT", map[string]any{"sub": "spiffe://example.org/ns/a/sa/b", "aud": here, "exp": now.Unix() + 60}), trust.SPIFFE, false, "", []string{`id: "spiffe://example.org/ns/a/sa/b"`, `issuer: "spiffe://example.org"`, "not checked"}},
		"any issuer":        {p.sign(t, "JWT", map[string]any{"iss": "https://p.example", "sub": "team/*", "azp": "x", "aud": here, "exp": now.Unix() + 60}), trust.OIDC, false, "", []string{`azp: "x"`, "no metadata"}},
		"a person":          {p.sign(t, trust.IDJAGType, idJAG(nil)), trust.IdentityProvider, false, "", []string{"kind: identity-provider", "speaks for a person"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := tr.Explain(t.Context(), " "+c.token+"\n", now, publishes)
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind != c.kind || e.Genuine != c.genuine || e.Client != c.client || (e.Refused == "") != (c.client != "") {
				t.Errorf("kind %s, genuine %v, client %q, refused %q, signature %q", e.Kind, e.Genuine, e.Client, e.Refused, e.Signature)
			}
			said := strings.Join(append(append(append([]string{e.Says, e.Signature, e.Refused, e.Proposal}, e.AlsoFits...), e.Narrower...), e.Attention...), "\n")
			for _, f := range e.Facts {
				said += "\n" + f.Name + " " + f.Value
			}
			for _, part := range c.has {
				if !strings.Contains(said, part) {
					t.Errorf("%q is not said:\n%s", part, said)
				}
			}
			// A * of the token's maker must not become one of a rule.
			if strings.Contains(e.Proposal, "*") {
				t.Errorf("proposal with a wildcard:\n%s", e.Proposal)
			}
		})
	}
	if _, err := tr.Explain(t.Context(), "gha_opaque", now, nil); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("an opaque token: %v", err)
	}
}

// TestExplainUsesNothingUp: a token that was explained is still good for its one use.
func TestExplainUsesNothingUp(t *testing.T) {
	p := newPlatform(t)
	tr := believe(t, trust.Issuer{Name: "ci", Kind: trust.OIDC, Issuer: "https://ci.example", Keys: p.set, SingleUse: true, Workloads: []trust.Workload{{Client: "c", When: when(t, "sub", "a")}}})
	token := p.sign(t, "JWT", map[string]any{"iss": "https://ci.example", "sub": "a", "jti": "1", "aud": here, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix()})
	for range 2 {
		if e, err := tr.Explain(t.Context(), token, now, nil); err != nil || e.Client != "c" {
			t.Errorf("%+v %v", e, err)
		}
	}
}
