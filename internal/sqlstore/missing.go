package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/grant"
)

const (
	noteMissing = `INSERT INTO missing_scopes (grant_id, scope, noted_at) VALUES ($1, $2, $3)
		ON CONFLICT (grant_id, scope) DO UPDATE SET noted_at = excluded.noted_at`
	selectMissing = `SELECT scope, noted_at FROM missing_scopes WHERE grant_id = $1 AND noted_at > $2 ORDER BY scope`
	forgetMissing = `DELETE FROM missing_scopes WHERE grant_id = $1`
)

// NoteMissing implements grant.StepUp.
func (d *DB) NoteMissing(ctx context.Context, grantID string, scopes []string, now time.Time) error {
	return d.do(ctx, "note missing scopes", func(ctx context.Context, q runner) error {
		for _, scope := range scopes {
			if _, err := q.ExecContext(ctx, noteMissing, grantID, scope, now.Unix()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Missing implements grant.StepUp.
func (d *DB) Missing(ctx context.Context, grantID string, now time.Time) ([]grant.Missing, error) {
	rows, err := d.pool.QueryContext(ctx, selectMissing, grantID, now.Add(-grant.MissingLifetime).Unix())
	if err != nil {
		return nil, fmt.Errorf("read missing scopes: %w", err)
	}
	defer rows.Close()
	var missing []grant.Missing
	for rows.Next() {
		var m grant.Missing
		if err := rows.Scan(&m.Scope, &m.At); err != nil {
			return nil, fmt.Errorf("read missing scopes: %w", err)
		}
		missing = append(missing, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read missing scopes: %w", err)
	}
	return missing, nil
}

// ForgetMissing implements grant.StepUp.
func (d *DB) ForgetMissing(ctx context.Context, grantID string) error {
	_, err := d.exec(ctx, "forget missing scopes", forgetMissing, grantID)
	return err
}
