package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

func addPerson(t *testing.T, db *sqlstore.DB, name string, r account.Role) account.Account {
	t.Helper()
	a := account.Account{ID: "id-" + name, Name: name, PasswordHash: "a hash", Role: r, CreatedAt: now.Unix()}
	must(t, db.AddAccount(t.Context(), a))
	return a
}

func invite(t *testing.T, db *sqlstore.DB, name string, h secret.Hash) {
	t.Helper()
	a := account.Account{ID: "id-" + name, Name: name, CreatedAt: now.Unix()}
	must(t, db.Invite(t.Context(), a, true, account.Invitation{Hash: h, AccountID: a.ID, ExpiresAt: now.Unix() + 60}))
}

// Lists are by name, in the order of bytes, page by page, of all or of some.
func TestListPeople(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		for _, name := range []string{"zoe", "émile", "anna", "anton", "bob", "o-neill", "olga"} {
			addPerson(t, db, name, account.NoRole)
		}
		addPerson(t, db, "ada", account.Administrator)
		addPerson(t, db, "aud", account.Auditor)
		invite(t, db, "ines", "h1")
		_, err := db.Pause(ctx, oauth.SubjectAccount, "id-anton", "why", now)
		must(t, err)
		for name, c := range map[string]struct {
			filter account.Filter
			limit  int
			want   []string
		}{
			"all":            {account.Filter{}, 20, []string{"ada", "anna", "anton", "aud", "bob", "ines", "o-neill", "olga", "zoe", "émile"}},
			"a page":         {account.Filter{After: "anton"}, 2, []string{"aud", "bob"}},
			"prefix":         {account.Filter{Prefix: "an"}, 20, []string{"anna", "anton"}},
			"prefix, on":     {account.Filter{Prefix: "an", After: "anna"}, 20, []string{"anton"}},
			"accent":         {account.Filter{Prefix: "é"}, 20, []string{"émile"}},
			"administrators": {account.Filter{Only: account.OnlyAdministrators}, 20, []string{"ada"}},
			"auditors":       {account.Filter{Only: account.OnlyAuditors}, 20, []string{"aud"}},
			"paused":         {account.Filter{Only: account.OnlyPaused}, 20, []string{"anton"}},
			"paused, none":   {account.Filter{Only: account.OnlyPaused, Prefix: "z"}, 20, nil},
			"invited":        {account.Filter{Only: account.OnlyInvited}, 20, []string{"ines"}},
			"invited, past":  {account.Filter{Only: account.OnlyInvited, After: "ines"}, 20, nil},
		} {
			list, err := db.ListPeople(ctx, c.filter, c.limit, now)
			must(t, err)
			var got []string
			for _, l := range list {
				got = append(got, l.Name)
				if l.PasswordHash != "" || l.Paused != (l.Name == "anton") || l.Invited != (l.Name == "ines") {
					t.Errorf("%s: %+v", name, l)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v; want %v", name, got, c.want)
			}
		}
	})
}

// security.md 21: however many are taken away at once, one administrator who
// can sign in is left.
func TestLastAdministratorStays(t *testing.T) {
	acts := map[string]func(context.Context, *sqlstore.DB, string) error{
		"role": func(ctx context.Context, db *sqlstore.DB, id string) error {
			return db.ChangeRole(ctx, id, account.Administrator, account.Auditor, now)
		},
		"pause": func(ctx context.Context, db *sqlstore.DB, id string) error {
			_, err := db.Pause(ctx, oauth.SubjectAccount, id, "why", now)
			return err
		},
	}
	onBoth(t, func(t *testing.T, dsn string) {
		// Latency keeps each transaction open while the others look.
		db := open(t, dsn, sqlstore.Options{Latency: 2 * time.Millisecond})
		const many = 4
		round := 0
		for name, act := range acts {
			round++
			var ids []string
			for i := range many {
				ids = append(ids, addPerson(t, db, fmt.Sprintf("r%d-%d", round, i), account.Administrator).ID)
			}
			// One who was invited cannot sign in, and does not count.
			a := account.Account{ID: fmt.Sprint("invited", round), Name: fmt.Sprint("invited", round), Role: account.Administrator}
			must(t, db.Invite(t.Context(), a, true, account.Invitation{Hash: secret.Hash(fmt.Sprint(round)), AccountID: a.ID, ExpiresAt: now.Unix() + 60}))
			errs := make([]error, many)
			var wg sync.WaitGroup
			for i, id := range ids {
				wg.Go(func() { errs[i] = act(context.Background(), db, id) })
			}
			wg.Wait()
			refused := -1
			for i, err := range errs {
				if errors.Is(err, account.ErrLastAdministrator) && refused < 0 {
					refused = i
				} else if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if refused < 0 {
				t.Fatalf("%s: nobody is left", name)
			}
			_, err := db.EndAccount(t.Context(), ids[refused], now)
			wantErr(t, name+": end", err, account.ErrLastAdministrator)
			last, err := db.Person(t.Context(), ids[refused], now)
			must(t, err)
			if last.Role != account.Administrator || last.Paused {
				t.Errorf("%s: left is %+v", name, last)
			}
			// The next round's are the only ones.
			_, err = raw(t, dsn).ExecContext(t.Context(), `UPDATE accounts SET role = ''`)
			must(t, err)
		}
	})
}

// An invitation works once, until it expires or another takes its place, and
// not while its account is paused; whoever was signed in is out.
func TestInvitation(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		invite(t, db, "ines", "first")
		if a, err := db.Invitation(ctx, "first", now); err != nil || a.Name != "ines" {
			t.Fatalf("%+v, %v", a, err)
		}
		_, err := db.Invitation(ctx, "first", now.Add(time.Minute))
		wantErr(t, "expired", err, account.ErrNotFound)
		wantErr(t, "use expired", db.UseInvitation(ctx, "first", "p", now.Add(time.Minute)), account.ErrNotFound)
		wantErr(t, "taken name", db.Invite(ctx, account.Account{ID: "x", Name: "ines"}, true, account.Invitation{Hash: "y"}), account.ErrExists)
		wantErr(t, "nobody", db.Invite(ctx, account.Account{ID: "nobody"}, false, account.Invitation{Hash: "y"}), account.ErrNotFound)
		_, err = db.Pause(ctx, oauth.SubjectAccount, "id-ines", "why", now)
		must(t, err)
		_, err = db.Invitation(ctx, "first", now)
		wantErr(t, "paused", err, account.ErrNotFound)
		wantErr(t, "use paused", db.UseInvitation(ctx, "first", "p", now), account.ErrNotFound)
		_, err = db.Resume(ctx, oauth.SubjectAccount, "id-ines")
		must(t, err)

		must(t, db.StartSession(ctx, account.Session{Hash: "s", AccountID: "id-ines", ExpiresAt: now.Unix() + 60}, ""))
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = db.UseInvitation(context.Background(), "first", fmt.Sprint("password ", i), now) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case !errors.Is(err, account.ErrNotFound):
				t.Errorf("use %d: %v", i, err)
			}
		}
		a, err := db.Account(ctx, "id-ines")
		must(t, err)
		if winner < 0 || a.PasswordHash != fmt.Sprint("password ", winner) {
			t.Errorf("winner %d, the password is %q", winner, a.PasswordHash)
		}
		_, _, err = db.Session(ctx, "s", now)
		wantErr(t, "session", err, account.ErrNotFound)

		// A reset: the password of before is none, and so is the link of before.
		must(t, db.Invite(ctx, a, false, account.Invitation{Hash: "second", AccountID: a.ID, ExpiresAt: now.Unix() + 60}))
		must(t, db.Invite(ctx, a, false, account.Invitation{Hash: "third", AccountID: a.ID, ExpiresAt: now.Unix() + 60}))
		_, err = db.Invitation(ctx, "second", now)
		wantErr(t, "replaced", err, account.ErrNotFound)
		if a, err = db.Account(ctx, "id-ines"); err != nil || a.PasswordHash != account.Unset {
			t.Errorf("after a reset: %+v, %v", a, err)
		}
		must(t, db.ResetPassword(ctx, a.ID, "by the terminal"))
		_, err = db.Invitation(ctx, "third", now)
		wantErr(t, "after a new password", err, account.ErrNotFound)
		wantErr(t, "nobody's", db.ResetPassword(ctx, "nobody", "x"), account.ErrNotFound)
	})
}
