package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gatehouse/internal/audit"
)

const (
	entryColumns = `id, at, kind, outcome, account_id, client_id, grant_id, api, tool, reason, request_id, detail, result`
	entryOf      = `SELECT seq, ` + entryColumns + ` FROM audit WHERE id = $1`

	// stretch is a part of the log: from a position back to a time, newest first.
	stretch     = ` AND (at, seq) < ($2, $3) AND at >= $4` + newestFirst
	newestFirst = ` ORDER BY at DESC, seq DESC`
	// fitting is what no index serves. It stands outside of the stretch that is
	// looked at, so that no engine looks at more, or by another index.
	fitting = ` WHERE ($6 = '' OR account_id = $6) AND ($7 = '' OR client_id = $7) AND ($8 = '' OR grant_id = $8)
		AND ($9 = '' OR api = $9) AND ($10 = '' OR tool = $10) AND ($11 = '' OR kind = $11) AND ($12 = '' OR outcome = $12)`
)

// Find implements audit.Searcher.
func (d *DB) Find(ctx context.Context, f audit.Filter, from audit.Position, limit int) (audit.Found, error) {
	if from.IsZero() {
		from.Time = math.MaxInt64
	}
	if to := (audit.Position{Time: f.To}); f.To != 0 && to.Older(from) {
		from = to
	}
	var found []placed
	var horizon audit.Position
	list := ways(f)
	for _, w := range list {
		part, end, err := d.look(ctx, w, from, f.From, max(audit.Examined, 10*limit)/len(list), limit+1)
		if err != nil {
			return audit.Found{}, fmt.Errorf("search the audit log: %w", err)
		}
		found = append(found, part...)
		if horizon.Older(end) {
			horizon = end
		}
	}
	slices.SortFunc(found, newest)
	// What is older than the horizon was not looked at everywhere.
	found = slices.DeleteFunc(found, func(p placed) bool { return p.at.Older(horizon) })
	result := audit.Found{Next: horizon, Short: !horizon.IsZero()}
	if len(found) > limit {
		found = found[:limit]
		result.Next, result.Short = found[limit-1].at, false
	}
	for _, p := range found {
		result.Entries = append(result.Entries, p.entry)
	}
	return result, nil
}

// placed is an entry and where it is.
type placed struct {
	entry audit.Entry
	at    audit.Position
}

func newest(a, b placed) int {
	return cmp.Or(cmp.Compare(b.at.Time, a.at.Time), cmp.Compare(b.at.Seq, a.at.Seq))
}

// way is one way into the log: an index, and what of the filter is then left to
// check.
type way struct {
	table string // that the index is of; it has at and seq
	// What looks superfluous in where makes that partial index usable, and what
	// seems to be missing makes no other so.
	where string
	value string // $1 of where
	left  left
}

// left is what a way leaves to check.
type left struct{ account, client, grant, api, tool, kind, outcome string }

// ways returns the narrowest way to what a filter picks; several, if it is of
// any of several clients.
func ways(f audit.Filter) []way {
	clients := f.ClientIDs
	if len(clients) == 0 {
		clients = []string{""}
	}
	var list []way
	for _, c := range clients[:min(len(clients), audit.MaxClients)] {
		list = append(list, wayOf(f, left{f.AccountID, c, f.GrantID, f.API, f.Tool, string(f.Kind), string(f.Outcome)}))
	}
	return list
}

func wayOf(f audit.Filter, l left) way {
	w := way{table: "audit", left: l}
	switch {
	case f.RequestID != "":
		w.where, w.value = `request_id = $1 AND request_id <> ''`, f.RequestID
	case l.grant != "" && (f.Kind == audit.TokenIssued || f.Kind == audit.Exchange || f.Kind == audit.Revocation):
		w.where = `grant_id = $1 AND kind = '` + l.kind + `' AND kind IN ('token', 'exchange', 'revocation')`
		w.value, w.left.grant, w.left.kind = l.grant, "", ""
	case l.grant != "":
		w.where, w.value, w.left.grant = `grant_id = $1 AND grant_id <> ''`, l.grant, ""
	case l.account != "" && (f.Kind == audit.SignIn || f.Kind == audit.Consent):
		w.where = `account_id = $1 AND kind = '` + l.kind + `' AND kind IN ('sign-in', 'consent')`
		w.value, w.left.account, w.left.kind = l.account, "", ""
	case f.Kind == audit.Admin: // of all kinds the rarest
		w.where, w.value, w.left.kind = `kind = $1 AND kind <> 'call'`, l.kind, ""
	case l.account != "":
		w.where, w.value, w.left.account = `account_id = $1 AND account_id <> ''`, l.account, ""
	case l.client != "":
		w.where, w.value, w.left.client = `client_id = $1 AND client_id <> ''`, l.client, ""
	case f.Kind != "" && f.Kind != audit.Call:
		w.where, w.value, w.left.kind = `kind = $1 AND kind <> 'call'`, l.kind, ""
	case f.Outcome == audit.Denied || f.Outcome == audit.Failed:
		w.table, w.where, w.value, w.left.outcome = "audit_refused", `outcome = $1`, l.outcome, ""
	default:
		w.where = `$1 = ''`
	}
	return w
}

// look returns at most limit entries that a way leads to. It looks at no more
// than so many; end is where it stopped for that, else zero.
func (d *DB) look(ctx context.Context, w way, from audit.Position, since int64, examined, limit int) (found []placed, end audit.Position, err error) {
	query := `SELECT seq, ` + entryColumns + ` FROM audit WHERE ` + w.where + stretch + ` LIMIT $5`
	if w.table != "audit" {
		query = `SELECT seq, ` + entryColumns + ` FROM (SELECT seq AS place FROM ` + w.table + ` WHERE ` + w.where + stretch + ` LIMIT $5) AS places
			JOIN audit ON seq = place` + newestFirst
	}
	args := []any{w.value, from.Time, from.Seq, since, limit}
	exact := w.left == left{}
	if !exact {
		query = `SELECT seq, ` + entryColumns + ` FROM (` + query + `) AS stretch` + fitting + newestFirst + ` LIMIT $13`
		args[4] = examined
		l := w.left
		args = append(args, l.account, l.client, l.grant, l.api, l.tool, l.kind, l.outcome, limit)
	}
	err = d.each(ctx, "read entries", func(rows *sql.Rows) error {
		var p placed
		var err error
		p.entry, err = scanEntry(rows, &p.at.Seq)
		p.at.Time = p.entry.Time
		found = append(found, p)
		return err
	}, query, args...)
	if err != nil || exact || len(found) == limit {
		return found, end, err
	}
	last := `SELECT at, seq FROM ` + w.table + ` WHERE ` + w.where + stretch + ` LIMIT 1 OFFSET $5`
	err = d.reader.QueryRowContext(ctx, last, w.value, from.Time, from.Seq, since, examined-1).Scan(&end.Time, &end.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return found, end, err
}

// Entry implements audit.Searcher.
func (d *DB) Entry(ctx context.Context, id string) (audit.Entry, audit.Position, error) {
	var at audit.Position
	e, err := scanEntry(d.reader.QueryRowContext(ctx, entryOf, id), &at.Seq)
	at.Time = e.Time
	return e, at, found("read an audit entry", err, audit.ErrNotFound)
}

// Names implements audit.Searcher.
func (d *DB) Names(ctx context.Context, accountIDs, clientIDs []string) (audit.Names, error) {
	accounts, err := d.names(ctx, "accounts", accountIDs)
	if err != nil {
		return audit.Names{}, err
	}
	clients, err := d.names(ctx, "clients", clientIDs)
	return audit.Names{Accounts: accounts, Clients: clients}, err
}

func (d *DB) names(ctx context.Context, table string, ids []string) (map[string]string, error) {
	names := map[string]string{}
	if len(ids) == 0 {
		return names, nil
	}
	var places []string
	var args []any
	for i, id := range ids {
		places = append(places, fmt.Sprintf("$%d", i+1))
		args = append(args, id)
	}
	err := d.each(ctx, "read names of "+table, func(rows *sql.Rows) error {
		var id, name string
		err := rows.Scan(&id, &name)
		names[id] = name
		return err
	}, `SELECT id, name FROM `+table+` WHERE id IN (`+strings.Join(places, ", ")+`)`, args...)
	return names, err
}
