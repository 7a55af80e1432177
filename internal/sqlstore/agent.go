package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
)

const (
	agentColumns = `a.shape, a.client_id, a.origin, a.name, a.host, a.first_at, a.last_at, a.registrations`
	selectAgents = `SELECT ` + agentColumns + ` FROM agents a WHERE `
	newestAgents = ` AND (a.last_at, a.shape) < ($1, $2) ORDER BY a.last_at DESC, a.shape DESC LIMIT $3`
	// One lower bound alone: PostgreSQL would begin at the other.
	agentsNamed  = `(a.search_name, a.shape) > ($1, $2) AND a.search_name < $3 ORDER BY a.search_name, a.shape LIMIT $4`
	pausedAgents = `SELECT ` + agentColumns + ` FROM pauses p JOIN clients c ON c.id = p.id JOIN agents a ON a.shape = c.shape
		WHERE p.subject = 'client' ORDER BY p.since DESC, p.id LIMIT $1`
	agentByClient = `SELECT ` + agentColumns + ` FROM clients c JOIN agents a ON a.shape = c.shape WHERE c.id = $1`
	agentMembers  = `SELECT c.id, c.created_at FROM clients c WHERE c.shape = $1 AND (c.created_at, c.id) < ($2, $3)
		ORDER BY c.created_at DESC, c.id DESC LIMIT $4`
	grantsOfClient = `SELECT coalesce(a.name, ''), ` + grantColumns + ` FROM grants g LEFT JOIN accounts a ON a.id = g.account_id
		WHERE g.client_id = $1 AND g.ended_at IS NULL AND g.expires_at > $2 AND (g.created_at, g.id) < ($3, $4)
		ORDER BY g.created_at DESC, g.id DESC LIMIT $5`

	farAhead = int64(1) << 40 // seconds: after whatever is
)

// ListAgents returns agents that fit a filter: by name where names are looked
// for, else the newest first; at most limit.
func (d *DB) ListAgents(ctx context.Context, f client.AgentFilter, limit int) ([]client.Agent, error) {
	after := f.After
	if after.Last == 0 {
		after.Last = farAhead
	}
	switch {
	case f.Paused:
		return d.agents(ctx, pausedAgents, limit)
	case f.Name != "":
		name := lowerASCII(f.Name)
		return d.agents(ctx, selectAgents+agentsNamed, max(name, lowerASCII(after.Name)), after.Shape, name+"\U0010FFFF", limit)
	case f.Host != "":
		return d.agents(ctx, selectAgents+`a.host = $4`+newestAgents, after.Last, after.Shape, limit, f.Host)
	case f.Origin != "":
		return d.agents(ctx, selectAgents+`a.origin = $4`+newestAgents, after.Last, after.Shape, limit, string(f.Origin))
	}
	return d.agents(ctx, selectAgents+`1 = 1`+newestAgents, after.Last, after.Shape, limit)
}

func (d *DB) agents(ctx context.Context, query string, args ...any) ([]client.Agent, error) {
	var list []client.Agent
	err := d.each(ctx, "list agents", func(rows *sql.Rows) error {
		a, err := scanAgent(rows)
		list = append(list, a)
		return err
	}, query, args...)
	return list, err
}

func scanAgent(row scanner) (a client.Agent, err error) {
	err = row.Scan(&a.Shape, &a.ClientID, (*string)(&a.Origin), &a.Name, &a.Host, &a.First, &a.Last, &a.Registrations)
	return a, err
}

// AgentOf returns the agent that a client is a registration of, else
// client.ErrUnknown.
func (d *DB) AgentOf(ctx context.Context, clientID string) (client.Agent, error) {
	a, err := scanAgent(d.reader.QueryRowContext(ctx, agentByClient, clientID))
	return a, found("read agent", err, client.ErrUnknown)
}

// Registrations returns the client IDs of an agent, newest first, after one of
// them; at most limit.
func (d *DB) Registrations(ctx context.Context, shape, after string, limit int) ([]client.Client, error) {
	at := farAhead
	if after != "" {
		err := d.reader.QueryRowContext(ctx, `SELECT created_at FROM clients WHERE id = $1`, after).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list registrations: %w", err)
		}
	}
	var list []client.Client
	err := d.each(ctx, "list registrations", func(rows *sql.Rows) error {
		var c client.Client
		err := rows.Scan(&c.ID, &c.CreatedAt)
		list = append(list, c)
		return err
	}, agentMembers, shape, at, after, limit)
	return list, err
}

// GrantsOfClient returns the live grants of a client with whose they are, newest
// first, before a grant; at most limit.
func (d *DB) GrantsOfClient(ctx context.Context, clientID string, before grant.Grant, limit int, now time.Time) ([]grant.Listed, error) {
	if before.CreatedAt == 0 {
		before.CreatedAt = farAhead
	}
	var list []grant.Listed
	err := d.each(ctx, "list grants of a client", func(rows *sql.Rows) (err error) {
		var l grant.Listed
		l.Grant, err = scanGrant(rows, &l.Person)
		list = append(list, l)
		return err
	}, grantsOfClient, clientID, now.Unix(), before.CreatedAt, before.ID, limit)
	return list, err
}
