package sqlstore

import (
	"context"
	"database/sql"
	"time"
)

const (
	putDocument = `INSERT INTO documents (api, sha256, body, live_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (api) DO UPDATE SET sha256 = excluded.sha256, body = excluded.body, live_at = excluded.live_at
		WHERE documents.sha256 <> excluded.sha256`
	selectDigests  = `SELECT api, sha256 FROM documents`
	selectDocument = `SELECT sha256, body FROM documents WHERE api = $1`
)

// PutDocument makes a document the live one of an API. It reports whether
// another one, or none, was.
func (d *DB) PutDocument(ctx context.Context, api, sha256 string, body []byte, now time.Time) (changed bool, err error) {
	n, err := d.exec(ctx, "put document", putDocument, api, sha256, string(body), now.Unix())
	return n > 0, err
}

// Digests returns the SHA-256 of the live document of each API.
func (d *DB) Digests(ctx context.Context) (map[string]string, error) {
	digests := map[string]string{}
	err := d.each(ctx, "read digests of documents", func(rows *sql.Rows) error {
		var api, digest string
		err := rows.Scan(&api, &digest)
		digests[api] = digest
		return err
	}, selectDigests)
	return digests, err
}

// Document returns the live document of an API; nil if there is none.
func (d *DB) Document(ctx context.Context, api string) (sha256 string, body []byte, err error) {
	err = d.reader.QueryRowContext(ctx, selectDocument, api).Scan(&sha256, &body)
	if err == sql.ErrNoRows {
		return "", nil, nil
	}
	return sha256, body, err
}
