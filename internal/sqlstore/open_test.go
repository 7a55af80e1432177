package sqlstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/sqlstore"
)

// refusal opens dsn and returns the error, which must be one line.
func refusal(t *testing.T, dsn string, o sqlstore.Options) string {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), dsn, o)
	if err == nil {
		db.Close()
		t.Fatalf("%s was opened", dsn)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %v", err)
	}
	return err.Error()
}

func wantText(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("error %q does not say %q", got, p)
		}
	}
}

func TestOpenRefusesADatabaseOfANewerVersion(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx := t.Context()
		db, err := sqlstore.Open(ctx, dsn, sqlstore.Options{})
		must(t, err)
		must(t, db.SetStamp(ctx, "demo"))
		must(t, db.Close())
		rows := raw(t, dsn)
		newer := `INSERT INTO schema_version (version_id, is_applied) VALUES (7777, 1)`
		if strings.HasPrefix(dsn, "postgres") {
			newer = strings.Replace(newer, "(7777, 1)", "(7777, true)", 1)
		}
		_, err = rows.ExecContext(ctx, newer)
		must(t, err)
		wantText(t, refusal(t, dsn, sqlstore.Options{}), "is at schema 7777, this gatehouse knows ")
		var stamp string
		must(t, rows.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'stamp'`).Scan(&stamp))
		if stamp != "demo" {
			t.Errorf("stamp after the refusal: %q", stamp)
		}
	})
}

func TestOpenWithoutMigration(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		wantText(t, refusal(t, dsn, sqlstore.Options{NoMigrate: true}), "gatehouse migrate")
		if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
			if _, err := os.Stat(path); err == nil {
				t.Error("the refused database was created")
			}
			must(t, os.WriteFile(path, nil, 0o600))
			wantText(t, refusal(t, dsn, sqlstore.Options{NoMigrate: true}), "is at schema 0", "gatehouse migrate")
		}
		open(t, dsn, sqlstore.Options{})
		open(t, dsn, sqlstore.Options{NoMigrate: true})
	})
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	must(t, os.WriteFile(file, []byte(strings.Repeat("this is no database ", 100)), 0o600))
	locked := filepath.Join(folder, "locked")
	must(t, os.Mkdir(locked, 0o500))
	if os.Getuid() == 0 { // whom no mode keeps out, but the kernel's own files do
		locked = "/sys"
	}
	tests := []struct {
		name, dsn string
		says      []string
	}{
		{"no scheme", "gatehouse.db", []string{"sqlite:/path", "postgres://"}},
		{"other database", "mysql://u:hunter2@h/d", []string{"sqlite:/path", "postgres://"}},
		{"folder that is not there", "sqlite:" + folder + "/none/g.db", []string{folder + "/none does not exist", "create it"}},
		{"file as folder", "sqlite:" + file + "/g.db", []string{file, "not a directory"}},
		{"folder as file", "sqlite:" + folder, []string{folder + " is a folder"}},
		{"no database", "sqlite:" + file, []string{file, "not a database"}},
		{"folder that cannot be written to", "sqlite:" + locked + "/g.db", []string{locked + " cannot be written to", "make it writable"}},
		{"no server", "postgres://u:hunter2@" + "%2Fnone/d", []string{"reach database /none/d"}},
		{"broken address", "postgres://u:hunter2@h:port/d", []string{"not understood"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := refusal(t, tt.dsn, sqlstore.Options{})
			wantText(t, got, tt.says...)
			if strings.Contains(got, "hunter2") {
				t.Errorf("error holds the password: %s", got)
			}
		})
	}
}

func TestDatabaseFileIsPrivateAndMayHaveAnyName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20&_pragma=foreign_keys(0).db")
	db := open(t, "sqlite:"+path, sqlstore.Options{})
	must(t, db.SetStamp(t.Context(), "demo"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Errorf("%v", err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v", path+suffix, info.Mode())
		}
	}
}
