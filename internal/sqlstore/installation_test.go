package sqlstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/jose"
	"gatehouse/internal/sqlstore"
)

func TestSigningKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		keys, err := db.SigningKeys(ctx)
		if err != nil || len(keys) != 0 {
			t.Fatalf("keys of a new database: %v, %v", keys, err)
		}
		first := jose.StoredKey{KeyID: "k1", Algorithm: "ES256", Private: []byte(`{"kty":"EC"}`), CreatedAt: now.Unix()}
		got, err := db.AddFirstSigningKey(ctx, first)
		must(t, err)
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("first key:\n%s", diff)
		}
		got, err = db.AddFirstSigningKey(ctx, jose.StoredKey{KeyID: "k2", Algorithm: "ES256"})
		must(t, err)
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("first key of the second process:\n%s", diff)
		}
		second := jose.StoredKey{KeyID: "k0", Algorithm: "RS256", Private: []byte(`{}`), CreatedAt: now.Unix() + 1}
		must(t, db.RotateSigningKey(ctx, second, 7))
		if db.RotateSigningKey(ctx, second, 7) == nil {
			t.Error("two keys have one ID")
		}
		third := jose.StoredKey{KeyID: "k3", Algorithm: "ES256", Private: []byte(`{}`), CreatedAt: now.Unix() + 2, SignsFrom: now.Unix() + 9}
		must(t, db.RotateSigningKey(ctx, third, now.Unix()+10))
		first.PublishedUntil = now.Unix() + 10 // of its algorithm; the other's is untouched
		keys, err = db.SigningKeys(ctx)
		must(t, err)
		if diff := cmp.Diff([]jose.StoredKey{first, second, third}, keys); diff != "" {
			t.Errorf("keys:\n%s", diff)
		}
	})
}

// security.md 19: a demo's database can be told.
func TestStampAndSecrets(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		for _, s := range []struct{ set, want string }{{"", ""}, {"demo", "demo"}, {"other", "demo"}} {
			if s.set != "" {
				must(t, db.SetStamp(ctx, s.set))
			}
			if got, err := db.Stamp(ctx); err != nil || got != s.want {
				t.Errorf("stamp %q, %v; want %q, the first one", got, err, s.want)
			}
		}
		for _, s := range []struct{ name, fresh, want string }{
			{"audit", "a", "a"}, {"audit", "b", "a"}, {"stamp", "c", "c"},
		} {
			got, err := db.Secret(ctx, s.name, func() string { return s.fresh })
			if err != nil || got != s.want {
				t.Errorf("secret %s: %q, %v; want %q", s.name, got, err, s.want)
			}
		}
		if got, err := db.Stamp(ctx); err != nil || got != "demo" {
			t.Errorf("stamp after a secret of that name: %q, %v", got, err)
		}
	})
}

func TestProcessesShareASecret(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		slow := sqlstore.Options{Latency: time.Millisecond}
		dbs := []*sqlstore.DB{open(t, dsn, slow), open(t, dsn, slow)}
		got := make([]string, 16)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				v, err := dbs[i%2].Secret(t.Context(), "audit", func() string { return fmt.Sprint("s", i) })
				if err != nil {
					t.Error(err)
				}
				got[i] = v
			})
		}
		wg.Wait()
		for _, v := range got {
			if v == "" || v != got[0] {
				t.Fatalf("secrets of one name: %v", got)
			}
		}
	})
}
