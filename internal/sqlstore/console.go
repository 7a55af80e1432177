package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

const (
	stopColumns = `SELECT subject, id, reason, since, ended FROM pauses`
	selectStop  = stopColumns + ` WHERE subject = $1 AND id = $2`
	newestStops = stopColumns + ` ORDER BY since DESC, subject, id LIMIT $1`
	grantByID   = `SELECT ` + grantColumns + ` FROM grants g WHERE g.id = $1`
	countGrants = `SELECT count(*) FROM (SELECT 1 FROM grants g WHERE g.ended_at IS NULL AND g.expires_at > $1 AND %s LIMIT $2) few`
)

// Stop implements admin.Stops.
func (d *DB) Stop(ctx context.Context, subject, id string) (s grant.Stop, stopped bool, err error) {
	s, err = scanStop(d.reader.QueryRowContext(ctx, selectStop, subject, id))
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Stop{}, false, nil
	}
	if err != nil {
		return grant.Stop{}, false, fmt.Errorf("read what is stopped: %w", err)
	}
	return s, true, nil
}

// NewestStops implements admin.Stops.
func (d *DB) NewestStops(ctx context.Context, limit int) ([]grant.Stop, error) {
	var list []grant.Stop
	err := d.each(ctx, "list what is stopped", func(rows *sql.Rows) error {
		s, err := scanStop(rows)
		list = append(list, s)
		return err
	}, newestStops, limit)
	return list, err
}

func scanStop(row scanner) (grant.Stop, error) {
	var s grant.Stop
	var ended int
	err := row.Scan(&s.Subject, &s.ID, &s.Reason, &s.Since, &ended)
	s.Ended = ended == 1
	return s, err
}

// CountGrants implements admin.Stops.
func (d *DB) CountGrants(ctx context.Context, subject, id string, now time.Time, limit int) (int, error) {
	column := map[string]string{
		oauth.SubjectGrant: "g.id", oauth.SubjectClient: "g.client_id", oauth.SubjectAccount: "g.account_id", oauth.SubjectAPI: "g.resource",
	}[subject]
	query, args := fmt.Sprintf(countGrants, column+" = $3"), []any{now.Unix(), limit, id}
	if column == "" { // everything
		query, args = fmt.Sprintf(countGrants, "1 = 1"), args[:2]
	}
	var n int
	if err := d.reader.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count grants: %w", err)
	}
	return n, nil
}

// Grant implements admin.Stops.
func (d *DB) Grant(ctx context.Context, id string) (grant.Grant, error) {
	g, err := scanGrant(d.reader.QueryRowContext(ctx, grantByID, id))
	return g, found("read grant", err, grant.ErrNotFound)
}
