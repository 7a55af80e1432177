package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

func clientGrant(i int) grant.Grant {
	g := aGrant(fmt.Sprint("g", i))
	g.AccountID, g.ClientID = "", fmt.Sprint("cl", i)
	return g
}

func TestOneFailureInABatchFailsAlone(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db := open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		for i := -1; i < 50; i++ {
			addClient(t, db, clientGrant(i).ClientID)
		}
		must(t, db.Issue(t.Context(), clientGrant(-1), aToken("taken"), now))
		hash := func(i int) secret.Hash {
			if i%7 == 3 {
				return "taken"
			}
			return secret.Hash(fmt.Sprint("t", i))
		}
		errs := make([]error, 50) // while the first is written, 49 gather
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = db.Issue(t.Context(), clientGrant(i), aToken(hash(i)), now) })
		}
		wg.Wait()
		for i, err := range errs {
			failed := err != nil
			_, rememberErr := db.Remembered(t.Context(), "", clientGrant(i).ClientID, clientGrant(i).Resource, now)
			if wantFailure := i%7 == 3; failed != wantFailure || errors.Is(rememberErr, grant.ErrNotFound) != wantFailure {
				t.Errorf("issue %d: %v; its grant: %v", i, err, rememberErr)
			}
		}
	})
}

func TestContextEndsBeforeItsTurn(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db := open(t, dsn, sqlstore.Options{Latency: time.Second})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := db.AddClient(t.Context(), client.Client{ID: "first"}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		wantErr(t, "write whose caller left", db.AddClient(short, client.Client{ID: "second"}), context.DeadlineExceeded)
		wantErr(t, "write whose caller was gone", db.AddClient(short, client.Client{ID: "third"}), context.DeadlineExceeded)
		must(t, db.AddClient(t.Context(), client.Client{ID: "fourth"}))
		wg.Wait()
		for id, want := range map[string]error{"first": nil, "second": client.ErrUnknown, "third": client.ErrUnknown, "fourth": nil} {
			if _, err := db.Client(t.Context(), id); !errors.Is(err, want) {
				t.Errorf("%s client: %v, want %v", id, err, want)
			}
		}
	})
}

// A step that began is answered with its outcome, not with the end of its context.
func TestContextEndsDuringItsTurn(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db := open(t, dsn, sqlstore.Options{Latency: time.Second})
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		must(t, db.AddClient(short, client.Client{ID: "c"}))
		_, err := db.Client(t.Context(), "c")
		must(t, err)
	})
}

func TestCloseFinishesWhatWasHandedOver(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Latency: time.Millisecond})
		must(t, err)
		var wg sync.WaitGroup
		for i := range 600 {
			wg.Go(func() {
				if err := db.AddClient(t.Context(), client.Client{ID: fmt.Sprint(i)}); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		must(t, db.Close())
		must(t, db.Close())
		wg.Wait()
		db = open(t, dsn, sqlstore.Options{NoMigrate: true})
		for i := range 600 {
			if _, err := db.Client(t.Context(), fmt.Sprint(i)); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		}
	})
}

// A code expires in fake time, on real SQLite (architecture.md: no clock package).
func TestFakeTime(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db := open(t, dsn, sqlstore.Options{})
		g, c := aGrant("g"), aCode("c")
		g.ExpiresAt, c.ExpiresAt = time.Now().Add(time.Hour).Unix(), time.Now().Add(grant.CodeLifetime).Unix()
		approve(t, db, g, c, time.Now())
		must(t, db.Enqueue(t.Context(), entry("1")))
		time.Sleep(61 * time.Second)
		wantErr(t, "redeem", db.RedeemCode(t.Context(), "c", aToken("t"), time.Now()), grant.ErrNotFound)
	})
}
