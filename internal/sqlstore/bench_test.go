package sqlstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

// Concurrency is what group commit lives from: 1 shows the price of a commit,
// 64 what remains of it (performance.md).
func benchBoth(b *testing.B, f func(b *testing.B, db *sqlstore.DB, parallel int)) {
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprint("sqlite/", parallel), func(b *testing.B) {
			f(b, open(b, sqliteDSN(b), sqlstore.Options{}), parallel)
		})
		b.Run(fmt.Sprint("postgres/", parallel), func(b *testing.B) {
			f(b, open(b, webtest.Postgres(b), sqlstore.Options{}), parallel)
		})
	}
}

// each runs f for b.N numbers on so many goroutines.
func each(b *testing.B, parallel int, f func(i int) error) {
	b.ReportAllocs()
	b.ResetTimer()
	b.StartTimer()
	var next atomic.Int64
	done := make(chan error, parallel)
	for range parallel {
		go func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := f(i); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range parallel {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

func BenchmarkAppend(b *testing.B) {
	benchBoth(b, func(b *testing.B, db *sqlstore.DB, parallel int) {
		each(b, parallel, func(int) error { return db.Append(b.Context(), entry(audit.NewID(time.Now()))) })
	})
}

func BenchmarkEnqueueAndFinish(b *testing.B) {
	benchBoth(b, func(b *testing.B, db *sqlstore.DB, parallel int) {
		each(b, parallel, func(int) error {
			e := entry(audit.NewID(time.Now()))
			if err := db.Enqueue(b.Context(), e); err != nil {
				return err
			}
			return db.Finish(b.Context(), e.ID, audit.Done, "", nil)
		})
	})
}

func BenchmarkRedeemCode(b *testing.B) {
	benchBoth(b, func(b *testing.B, db *sqlstore.DB, parallel int) {
		codes := make([]secret.Hash, b.N+1)
		for i := range codes {
			codes[i] = secret.Hash(secret.ID())
		}
		each(b, 16, func(i int) error {
			approve(b, db, aGrant(secret.ID()), aCode(codes[i]), now)
			return nil
		})
		each(b, parallel, func(i int) error {
			return db.RedeemCode(b.Context(), codes[i], aToken(secret.Hash(secret.ID())), now)
		})
	})
}

func BenchmarkIssue(b *testing.B) {
	g := aGrant("g")
	g.AccountID = ""
	benchBoth(b, func(b *testing.B, db *sqlstore.DB, parallel int) {
		addClient(b, db, "cl")
		each(b, parallel, func(int) error { return db.Issue(b.Context(), g, aToken(secret.Hash(secret.ID())), now) })
	})
}

func BenchmarkToken(b *testing.B) {
	g := aGrant("g")
	g.AccountID = ""
	benchBoth(b, func(b *testing.B, db *sqlstore.DB, parallel int) {
		addClient(b, db, "cl")
		must(b, db.Issue(b.Context(), g, aToken("t"), now))
		each(b, parallel, func(int) error {
			_, _, err := db.Token(b.Context(), "t", now)
			return err
		})
	})
}
