package sqlstore

import (
	"context"
	"database/sql"

	"gatehouse/internal/audit"
)

const selectPulse = `SELECT id, at, kind, outcome, account_id, client_id, api, tool, reason FROM audit ORDER BY seq DESC LIMIT $1`

// Pulse implements audit.Pulse.
func (d *DB) Pulse(ctx context.Context, limit int) ([]audit.Beat, error) {
	beats := make([]audit.Beat, 0, limit)
	err := d.each(ctx, "read what happens now", func(rows *sql.Rows) error {
		var b audit.Beat
		err := rows.Scan(&b.ID, &b.Time, (*string)(&b.Kind), (*string)(&b.Outcome), &b.AccountID, &b.ClientID, &b.API, &b.Tool, &b.Reason)
		beats = append(beats, b)
		return err
	}, selectPulse, limit)
	return beats, err
}
