package agent

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/secret"
)

// server is an MCP server that a person added.
type server struct {
	ID, URL   string
	Connected bool
	ListedAt  int64
}

// What a person allows of a tool.
const (
	modeOff  = "off"
	modeAsk  = "ask"  // each call waits for a click on its card
	modeFree = "free" // without asking
)

// tool is one of a server's, in the server's words, of which none is believed.
type tool struct {
	Name, Title, Description string
	Parameters               json.RawMessage
	Reads                    bool // the server says that it changes nothing
	Mode                     string
	Changed                  bool // switched off because it is described anew
}

// fingerprint is of all that a person could have judged a tool by.
func (t tool) fingerprint() [32]byte {
	text, _ := json.Marshal([]any{t.Title, t.Description, t.Parameters, t.Reads}) // strings and checked JSON
	return sha256.Sum256(text)
}

func (s store) addServer(ctx context.Context, account, url string) (id string, err error) {
	id = secret.ID()
	result, err := s.db.ExecContext(ctx, `INSERT INTO servers (id, account_id, url, sealed, connected, listed_at, created_at)
		SELECT $1, $2, $3, '', 0, 0, $4 WHERE (SELECT count(*) FROM servers WHERE account_id = $2) < $5`, id, account, url, time.Now().Unix(), maxServers)
	if err != nil {
		if strings.Contains(err.Error(), "UNIQUE") {
			err = errTaken
		}
		return "", err
	}
	return id, atLeastOne(result, errFull)
}

// atLeastOne returns otherwise if a statement changed nothing.
func atLeastOne(r sql.Result, otherwise error) error {
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}

const serverColumns = `SELECT id, url, connected, listed_at FROM servers WHERE account_id = $1`

func (s store) servers(ctx context.Context, account string) ([]server, error) {
	rows, err := s.db.QueryContext(ctx, serverColumns+` ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []server
	for rows.Next() {
		var v server
		if err := rows.Scan(&v.ID, &v.URL, &v.Connected, &v.ListedAt); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func (s store) server(ctx context.Context, account, id string) (server, error) {
	var v server
	err := s.db.QueryRowContext(ctx, serverColumns+` AND id = $2`, account, id).Scan(&v.ID, &v.URL, &v.Connected, &v.ListedAt)
	return v, known(err)
}

func (s store) removeServer(ctx context.Context, account, id string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM servers WHERE account_id = $1 AND id = $2`, account, id)
	return err
}

// disconnect notes that the tokens for a server ended. All that is known with
// its authorization server is dropped, unless the tokens are gone from it.
func (s store) disconnect(ctx context.Context, account, id string, gone bool) error {
	_, err := s.db.ExecContext(ctx, `UPDATE servers SET connected = 0, sealed = CASE WHEN $1 THEN sealed ELSE '' END WHERE account_id = $2 AND id = $3`, gone, account, id)
	return err
}

// keeper keeps the state of one person with one server, sealed for these two
// alone: a row that is copied to another's place does not open. It is a
// mcpclient.Keeper.
type keeper struct {
	store           store
	account, server string
}

const keeperTime = 10 * time.Second

func (k keeper) purpose() string { return "tokens of " + k.account + " for " + k.server }

// Load implements mcpclient.Keeper.
func (k keeper) Load() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keeperTime)
	defer cancel()
	var sealed string
	err := k.store.db.QueryRowContext(ctx, `SELECT sealed FROM servers WHERE account_id = $1 AND id = $2`, k.account, k.server).Scan(&sealed)
	if err != nil || sealed == "" {
		return nil, known(err)
	}
	return secret.Open(k.store.key, k.purpose(), sealed)
}

// Save implements mcpclient.Keeper.
func (k keeper) Save(text []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), keeperTime)
	defer cancel()
	sealed, err := secret.Seal(k.store.key, k.purpose(), text)
	if err != nil {
		return err
	}
	result, err := k.store.db.ExecContext(ctx, `UPDATE servers SET sealed = $1 WHERE account_id = $2 AND id = $3`, sealed, k.account, k.server)
	if err != nil {
		return err
	}
	return atLeastOne(result, errUnknown)
}

func (s store) tools(ctx context.Context, server string) ([]tool, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, title, description, parameters, reads, mode, changed FROM tools WHERE server_id = $1 ORDER BY position`, server)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []tool
	for rows.Next() {
		var t tool
		var parameters string
		if err := rows.Scan(&t.Name, &t.Title, &t.Description, &parameters, &t.Reads, &t.Mode, &t.Changed); err != nil {
			return nil, err
		}
		t.Parameters = json.RawMessage(parameters)
		all = append(all, t)
	}
	return all, rows.Err()
}

// putTools replaces the tools of a server by what it lists now. What a person
// allowed stays with a tool that is described as it was; one that is described
// anew is off until they look at it. A new one is off, unless it is said only to
// read.
func (s store) putTools(ctx context.Context, server string, listed []tool) error {
	before, err := s.tools(ctx, server)
	if err != nil {
		return err
	}
	old := map[string]tool{}
	for _, t := range before {
		old[t.Name] = t
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, `DELETE FROM tools WHERE server_id = $1`, server); err != nil {
		return err
	}
	for i, t := range listed {
		was, known := old[t.Name]
		switch {
		case known && was.fingerprint() == t.fingerprint():
			t.Mode, t.Changed = was.Mode, was.Changed
		case known:
			t.Mode, t.Changed = modeOff, was.Changed || was.Mode != modeOff
		case t.Reads && len(before) == 0:
			t.Mode = modeFree
		default:
			t.Mode = modeOff
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO tools (server_id, position, name, title, description, parameters, reads, mode, changed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, server, i, t.Name, t.Title, t.Description, string(t.Parameters), t.Reads, t.Mode, t.Changed); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE servers SET connected = 1, listed_at = $1 WHERE id = $2`, time.Now().Unix(), server); err != nil {
		return err
	}
	return tx.Commit()
}

// setModes switches tools, of those that there are.
func (s store) setModes(ctx context.Context, server string, modes map[string]string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for name, mode := range modes {
		if _, err := tx.ExecContext(ctx, `UPDATE tools SET mode = $1, changed = 0 WHERE server_id = $2 AND name = $3`, mode, server, name); err != nil {
			return err
		}
	}
	return tx.Commit()
}
