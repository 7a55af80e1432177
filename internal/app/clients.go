package app

import (
	"context"

	"gatehouse/internal/admin"
)

// NewClient is a client that an administrator creates.
type NewClient = admin.NewAgent

// AddClient creates a client and returns its ID and, if it has one, the secret,
// which is shown once and stored only as a hash.
func AddClient(ctx context.Context, cfg Config, n NewClient) (id, value string, err error) {
	err = inActs(ctx, cfg, "add the agent", func(acts *admin.Acts) error {
		added, err := acts.AddAgent(ctx, terminal(), n)
		id, value = added.ID, added.Secret
		return err
	})
	return id, value, err
}
