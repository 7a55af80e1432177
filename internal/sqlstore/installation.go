package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/internal/jose"
)

const (
	insertKey = `INSERT INTO signing_keys (key_id, slot, algorithm, private, created_at, signs_from, published_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
	addFirstKey = insertKey + ` ON CONFLICT (slot) DO NOTHING`
	keyColumns  = `SELECT key_id, algorithm, private, created_at, signs_from, published_until FROM signing_keys`
	selectKeys  = keyColumns + ` ORDER BY created_at, key_id`
	selectFirst = keyColumns + ` WHERE slot = $1`
	firstSlot   = "first " // and the algorithm
	retireKeys  = `UPDATE signing_keys SET published_until = $2 WHERE algorithm = $1 AND (published_until = 0 OR published_until > $2)`

	putMeta = `INSERT INTO meta (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	addMeta    = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	selectMeta = `SELECT value FROM meta WHERE name = $1`
	stampName  = "stamp"
)

// SigningKeys returns the signing keys, oldest first.
func (d *DB) SigningKeys(ctx context.Context) ([]jose.StoredKey, error) {
	rows, err := d.pool.QueryContext(ctx, selectKeys)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	defer rows.Close()
	var keys []jose.StoredKey
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, fmt.Errorf("read signing keys: %w", err)
		}
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return keys, nil
}

// RotateSigningKey stores k, whose ID must be new, and ends the publication of
// the other keys of its algorithm at retire, Unix seconds.
func (d *DB) RotateSigningKey(ctx context.Context, k jose.StoredKey, retire int64) error {
	return d.do(ctx, "rotate signing key", func(ctx context.Context, q runner) error {
		if _, err := q.ExecContext(ctx, retireKeys, k.Algorithm, retire); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, insertKey, k.KeyID, k.KeyID, k.Algorithm, string(k.Private), k.CreatedAt, k.SignsFrom, k.PublishedUntil)
		return err
	})
}

// AddFirstSigningKey stores the key of its algorithm that an installation starts with and
// returns the one that stands: of two processes that start at once, both get the
// same.
func (d *DB) AddFirstSigningKey(ctx context.Context, k jose.StoredKey) (jose.StoredKey, error) {
	var first jose.StoredKey
	err := d.do(ctx, "add first signing key", func(ctx context.Context, q runner) error {
		_, err := q.ExecContext(ctx, addFirstKey, k.KeyID, firstSlot+k.Algorithm, k.Algorithm, string(k.Private), k.CreatedAt, k.SignsFrom, k.PublishedUntil)
		if err != nil {
			return err
		}
		first, err = scanKey(q.QueryRowContext(ctx, selectFirst, firstSlot+k.Algorithm))
		return err
	})
	if err != nil {
		return jose.StoredKey{}, err
	}
	return first, nil
}

func scanKey(row scanner) (jose.StoredKey, error) {
	var k jose.StoredKey
	var private string
	err := row.Scan(&k.KeyID, &k.Algorithm, &private, &k.CreatedAt, &k.SignsFrom, &k.PublishedUntil)
	k.Private = []byte(private)
	return k, err
}

// Stamp returns what SetStamp said last of what the database is for, such as a
// demo's (security.md 19); empty if it never did.
func (d *DB) Stamp(ctx context.Context) (string, error) {
	v, err := d.meta(ctx, d.reader, stampName)
	if errors.Is(err, errNoMeta) {
		return "", nil
	}
	return v, err
}

// SetStamp marks the database unless it is marked already: the first one stays.
func (d *DB) SetStamp(ctx context.Context, stamp string) error {
	_, err := d.exec(ctx, "stamp the database", addMeta, stampName, stamp)
	return err
}

// Secret returns the installation's secret of this name, which is what fresh
// returns if there was none. All processes get the same one.
func (d *DB) Secret(ctx context.Context, name string, fresh func() string) (string, error) {
	name = "secret:" + name // apart from the stamp
	if v, err := d.meta(ctx, d.reader, name); !errors.Is(err, errNoMeta) {
		return v, err
	}
	candidate := fresh()
	var v string
	err := d.do(ctx, "make a secret of the installation", func(ctx context.Context, q runner) error {
		if _, err := q.ExecContext(ctx, addMeta, name, candidate); err != nil {
			return err
		}
		var err error
		v, err = d.meta(ctx, q, name)
		return err
	})
	if err != nil {
		return "", err
	}
	return v, nil
}

var errNoMeta = errors.New("nothing is stored under this name")

func (d *DB) meta(ctx context.Context, q runner, name string) (string, error) {
	var v string
	err := q.QueryRowContext(ctx, selectMeta, name).Scan(&v)
	return v, found("read "+name, err, errNoMeta)
}
