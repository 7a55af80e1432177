package agent

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/internal/secret"
)

// chat is a conversation about one server's tools.
type chat struct {
	ID, Server, Title string
	UpdatedAt         int64
}

// What an entry of a conversation is.
const (
	kindPerson = "person" // Text, by the person
	kindModel  = "model"  // Text, by the model; it stands before the calls it wants
	kindCall   = "call"   // a tool call and what came of it
	kindAccess = "access" // the person's permission at an authorization server
	kindNote   = "note"   // Text, by this program
)

// States of a call, and of an access.
const (
	statusAsk     = "ask"     // waits for the person's click
	statusRunning = "running" // was sent
	statusDone    = "done"
	statusFailed  = "failed"  // the tool said so, or the call did not arrive
	statusRefused = "refused" // the person did not allow it, or it is not switched on
	statusStopped = "stopped"
)

// entry is one thing that was said or done. It is stored as JSON.
type entry struct {
	N      int    `json:"-"`
	Kind   string `json:"kind"`
	Text   string `json:"text,omitempty"`
	Status string `json:"status,omitempty"`

	CallID    string `json:"call_id,omitempty"` // as the model names it
	Tool      string `json:"tool,omitempty"`
	Arguments string `json:"arguments,omitempty"` // JSON
	Result    string `json:"result,omitempty"`    // the server's words; JSON if it is

	Host   string   `json:"host,omitempty"` // that decides on an access
	Scopes []string `json:"scopes,omitempty"`

	version int // of a turn that goes on; see live
}

func (s store) addChat(ctx context.Context, account, server, title string) (id string, err error) {
	id = secret.ID()
	result, err := s.db.ExecContext(ctx, `INSERT INTO chats (id, account_id, server_id, title, updated_at)
		SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM chats WHERE account_id = $2) < $6
		AND EXISTS (SELECT 1 FROM servers WHERE id = $3 AND account_id = $2)`, id, account, server, title, time.Now().Unix(), maxChats)
	if err != nil {
		return "", err
	}
	return id, atLeastOne(result, errFull)
}

func (s store) chats(ctx context.Context, account string) ([]chat, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, server_id, title, updated_at FROM chats WHERE account_id = $1 ORDER BY updated_at DESC, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []chat
	for rows.Next() {
		var c chat
		if err := rows.Scan(&c.ID, &c.Server, &c.Title, &c.UpdatedAt); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

func (s store) chat(ctx context.Context, account, id string) (chat, error) {
	c := chat{ID: id}
	err := s.db.QueryRowContext(ctx, `SELECT server_id, title, updated_at FROM chats WHERE account_id = $1 AND id = $2`, account, id).Scan(&c.Server, &c.Title, &c.UpdatedAt)
	return c, known(err)
}

// setTitle names a chat after what it begins with.
func (s store) setTitle(ctx context.Context, id, title string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE chats SET title = $1 WHERE id = $2`, title, id)
	return err
}

func (s store) removeChat(ctx context.Context, account, id string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM chats WHERE account_id = $1 AND id = $2`, account, id)
	return err
}

func (s store) entries(ctx context.Context, chat string) ([]entry, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT n, body FROM entries WHERE chat_id = $1 ORDER BY n`, chat)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []entry
	for rows.Next() {
		var e entry
		var n int
		var body string
		if err := rows.Scan(&n, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return nil, err
		}
		e.N = n
		all = append(all, e)
	}
	return all, rows.Err()
}

// putEntry writes an entry, new or as it is now.
func (s store) putEntry(ctx context.Context, chat string, e entry) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if e.N > maxEntries {
		return errFull
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO entries (chat_id, n, body) VALUES ($1, $2, $3) ON CONFLICT (chat_id, n) DO UPDATE SET body = excluded.body`, chat, e.N, string(body)); err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE chats SET updated_at = $1 WHERE id = $2`, time.Now().Unix(), chat)
	return err
}
