package sqlstore

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
)

// OpenPlain opens a SQLite file that is not this package's: for a role that
// has a schema of its own. Writers wait for each other up to five seconds.
func OpenPlain(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database file %s: %w", path, err)
	}
	if err := prepareFile(path, false); err != nil {
		return nil, err
	}
	return sqlitePool((&url.URL{Scheme: "file", Path: path}).String()+"?"+sqliteSettings, 4)
}
