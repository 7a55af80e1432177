package sqlstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/account"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

func TestAccounts(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		alice := account.Account{ID: "1", Name: "alice", PasswordHash: "h",
			Claims: map[string]string{"region": "USA"}, CreatedAt: now.Unix()}
		must(t, db.AddAccount(ctx, alice))
		wantErr(t, "add a taken name", db.AddAccount(ctx, account.Account{ID: "2", Name: "alice"}), account.ErrExists)
		wantErr(t, "set the password of nobody", db.SetPassword(ctx, "2", "x"), account.ErrNotFound)
		wantErr(t, "set the claims of nobody", db.SetClaims(ctx, "2", nil, nil, now), account.ErrNotFound)
		_, err := db.AccountByName(ctx, "bruno")
		wantErr(t, "read nobody by name", err, account.ErrNotFound)
		_, err = db.Account(ctx, "2")
		wantErr(t, "read nobody", err, account.ErrNotFound)

		got, err := db.EnsureAccount(ctx, account.Account{ID: "3", Name: "alice"})
		must(t, err)
		if diff := cmp.Diff(alice, got); diff != "" {
			t.Errorf("ensured account is not the one that was there:\n%s", diff)
		}
		must(t, db.SetPassword(ctx, "1", "h2"))
		wantErr(t, "set claims from what they are not", db.SetClaims(ctx, "1", nil, nil, now), account.ErrChanged)
		must(t, db.SetClaims(ctx, "1", map[string]string{"region": "USA"}, map[string]string{"region": "Europe", "team": "a b"}, now))
		alice.PasswordHash, alice.Claims = "h2", map[string]string{"region": "Europe", "team": "a b"}
		got, err = db.Account(ctx, "1")
		must(t, err)
		if diff := cmp.Diff(alice, got); diff != "" {
			t.Errorf("account after changes:\n%s", diff)
		}
	})
}

func TestEnsureAccountMakesOne(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		ids := make([]string, 16)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				a, err := db.EnsureAccount(t.Context(), account.Account{ID: secret.ID(), Name: "alice"})
				if err != nil {
					t.Error(err)
				}
				ids[i] = a.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id == "" || id != ids[0] {
				t.Fatalf("accounts of one name: %v", ids)
			}
		}
	})
}

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		alice := account.Account{ID: "1", Name: "alice", CreatedAt: now.Unix()}
		must(t, db.AddAccount(ctx, alice))
		s := account.Session{Hash: "s1", AccountID: "1", AMR: []string{"pwd", "otp"}, AuthTime: now.Unix(), ExpiresAt: now.Unix() + 60}
		must(t, db.StartSession(ctx, s, ""))
		got, who, err := db.Session(ctx, "s1", now.Add(59*time.Second))
		must(t, err)
		if diff := cmp.Diff(s, got) + cmp.Diff(alice, who); diff != "" {
			t.Errorf("session:\n%s", diff)
		}
		_, _, err = db.Session(ctx, "s1", now.Add(60*time.Second))
		wantErr(t, "read an expired session", err, account.ErrNotFound)

		// Session fixation: the sign-in ends the session it came with.
		s.Hash, s.AMR = "s2", nil
		must(t, db.StartSession(ctx, s, "s1"))
		_, _, err = db.Session(ctx, "s1", now)
		wantErr(t, "read a replaced session", err, account.ErrNotFound)
		got, _, err = db.Session(ctx, "s2", now)
		must(t, err)
		if diff := cmp.Diff(s, got); diff != "" {
			t.Errorf("session without authentication methods:\n%s", diff)
		}
		must(t, db.EndSession(ctx, "s2"))
		must(t, db.EndSession(ctx, "s2"))
		_, _, err = db.Session(ctx, "s2", now)
		wantErr(t, "read an ended session", err, account.ErrNotFound)

		// One step: what cannot be started replaces nothing.
		must(t, db.StartSession(ctx, s, ""))
		if db.StartSession(ctx, account.Session{Hash: "s3", AccountID: "nobody"}, "s2") == nil {
			t.Error("a session of no account was started")
		}
		_, _, err = db.Session(ctx, "s2", now)
		must(t, err)
	})
}
