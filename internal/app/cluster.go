package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/trust"
)

// The demo's cluster: an issuer in this process that plays the one on which a
// backend agent runs, and puts a token where the agent finds it, as a kubelet
// does. The authorization server learns its keys from a file, like any other's.
const (
	clusterIssuer   = "https://cluster.demo.internal"
	clusterEvery    = 5 * time.Minute // that the token is replaced
	clusterLifetime = 2 * clusterEvery
	demoWorkload    = "nightly-report" // the client, and the service account
	demoNamespace   = "reports"
)

type demoCluster struct {
	folder, audience string
	signer           *jose.Signer
}

// workloadFolder is where the demo's workload finds what its platform gives it.
func workloadFolder(data string) string { return filepath.Join(data, "workload") }

// clusterTrust is what the demo's configuration says of its cluster.
func clusterTrust(data string) TrustedIssuer {
	return TrustedIssuer{
		Name: "demo-cluster", Kind: string(trust.Kubernetes), Issuer: clusterIssuer, KeySet: "file:" + filepath.Join(workloadFolder(data), "cluster.jwks.json"),
		Workloads: []TrustedWorkload{{Client: demoWorkload, When: map[string]string{"namespace": demoNamespace, "service_account": demoWorkload}}},
	}
}

// newDemoCluster makes the cluster's key, which lives as long as the process, and
// the first token.
func newDemoCluster(data, audience string) (*demoCluster, error) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		return nil, err
	}
	c := &demoCluster{folder: workloadFolder(data), audience: audience}
	if c.signer, err = jose.NewSigner(key); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the demo's workload: %w", err)
	}
	if err := os.WriteFile(filepath.Join(c.folder, "cluster.jwks.json"), jose.PublicSet(key), 0o644); err != nil {
		return nil, fmt.Errorf("publish the keys of the demo's cluster: %w", err)
	}
	return c, c.project(time.Now())
}

// token is what the cluster says of the pod: claims as of a projected service
// account token.
func (c *demoCluster) token(now time.Time) (string, error) {
	named := func(name string) map[string]any {
		return map[string]any{"name": name, "uid": "7c0e4a0e-6a3f-4f0c-9c58-2f6f0f3f7a10"}
	}
	return c.signer.Sign("JWT", map[string]any{
		"iss": clusterIssuer, "sub": "system:serviceaccount:" + demoNamespace + ":" + demoWorkload, "aud": []string{c.audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(clusterLifetime).Unix(), "jti": secret.ID(),
		"kubernetes.io": map[string]any{
			"namespace": demoNamespace, "serviceaccount": named(demoWorkload), "pod": named(demoWorkload + "-29384-x7k2p"), "node": named("worker-1"),
		},
	})
}

// project replaces the token in the pod's folder, whole.
func (c *demoCluster) project(now time.Time) error {
	token, err := c.token(now)
	if err != nil {
		return err
	}
	next := filepath.Join(c.folder, ".token")
	if err := os.WriteFile(next, []byte(token), 0o600); err != nil {
		return fmt.Errorf("give the demo's workload its token: %w", err)
	}
	return os.Rename(next, filepath.Join(c.folder, "token"))
}

// run replaces the token until ctx ends.
func (c *demoCluster) run(ctx context.Context, failed func(error)) {
	every := time.NewTicker(clusterEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			if err := c.project(now); err != nil {
				failed(err)
			}
		}
	}
}

// seedWorkload adds the client that the demo's workload is.
func (a *App) seedWorkload(ctx context.Context) error {
	err := a.store.AddClient(ctx, client.Client{
		ID: demoWorkload, Origin: client.Administrated, Name: "Nightly report", ApplicationType: "web",
		GrantTypes: []string{oauth.GrantJWTBearer}, AuthMethod: client.AuthWorkload, Scope: "users:read orders:read",
		Claims: map[string]string{"region": "Europe"}, CreatedAt: time.Now().Unix(),
	})
	if errors.Is(err, client.ErrExists) {
		return nil // with what an administrator made of it
	}
	return err
}
