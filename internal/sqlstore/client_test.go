package sqlstore_test

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
	"gatehouse/internal/sqlstore"
)

func TestClients(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		c := client.Client{ID: "c1", Origin: client.Registered, Name: "An agent", URI: "https://agent.example",
			ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/a b", "com.example:/cb"},
			GrantTypes: []string{"authorization_code", "client_credentials"}, ResponseTypes: []string{"code"},
			AuthMethod: "none", SecretHash: "h", Keys: json.RawMessage(`{"keys":[]}`), KeysURI: "https://agent.example/jwks", Scope: "a b", CreatedAt: now.Unix()}
		must(t, db.AddClient(ctx, c))
		wantErr(t, "add a taken ID", db.AddClient(ctx, client.Client{ID: "c1"}), client.ErrExists)
		got, err := db.Client(ctx, "c1")
		must(t, err)
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("client:\n%s", diff)
		}
		_, err = db.Client(ctx, "c2")
		wantErr(t, "read an unknown client", err, client.ErrUnknown)

		for _, put := range []client.Client{
			{ID: "c1", Origin: client.Gateway, AuthMethod: "private_key_jwt"},
			{ID: "c2", Origin: client.Gateway, AuthMethod: "private_key_jwt"},
		} {
			must(t, db.PutClient(ctx, put))
			got, err = db.Client(ctx, put.ID)
			must(t, err)
			if diff := cmp.Diff(put, got); diff != "" {
				t.Errorf("client that was put:\n%s", diff)
			}
		}
	})
}

// RFC 7523 §3 point 7.
func TestUseAssertionOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		expires := now.Add(time.Minute)
		must(t, db.UseAssertion(ctx, "c1", "j", expires, now))
		wantErr(t, "use it again", db.UseAssertion(ctx, "c1", "j", expires, now), client.ErrReplayed)
		// A verifier that allows for clocks that differ accepts it a little later still.
		wantErr(t, "use it just after expiry", db.UseAssertion(ctx, "c1", "j", expires, expires.Add(time.Minute)), client.ErrReplayed)
		must(t, db.UseAssertion(ctx, "c2", "j", expires, now))
		must(t, db.UseAssertion(ctx, "c1", "k", expires, now))
		later := now.Add(time.Hour)
		must(t, db.UseAssertion(ctx, "c1", "j", later.Add(time.Minute), later))
		wantErr(t, "use its successor again", db.UseAssertion(ctx, "c1", "j", later.Add(time.Minute), later), client.ErrReplayed)
	})
}

func TestUseAssertionInParallel(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		var used atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				switch err := db.UseAssertion(t.Context(), "c", "j", now.Add(time.Minute), now); {
				case err == nil:
					used.Add(1)
				case !errors.Is(err, client.ErrReplayed):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if used.Load() != 1 {
			t.Errorf("%d uses of one assertion succeeded", used.Load())
		}
	})
}
