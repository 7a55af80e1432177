package sqlstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqlstore"
)

func entry(id string) audit.Entry {
	return audit.Entry{ID: id, Time: now.UnixMilli(), Kind: audit.Call, Outcome: audit.Started, AccountID: "ac",
		ClientID: "cl", GrantID: "g", API: "api", Tool: "fetch-users", RequestID: "rq",
		Detail: map[string]string{"arguments": "limit, region"}}
}

func TestAudit(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		denied := audit.Entry{ID: "3", Kind: audit.SignIn, Outcome: audit.Denied, Reason: "wrong password"}
		must(t, db.Append(ctx, entry("1")))
		must(t, db.Enqueue(ctx, entry("2")))
		must(t, db.Append(ctx, denied))
		must(t, db.Finish(ctx, "2", audit.Failed, "the API is down", map[string]string{"status": "502"}))
		if db.Finish(ctx, "2", audit.Done, "", nil) == nil {
			t.Error("an outcome was overwritten")
		}
		if db.Finish(ctx, "3", audit.Done, "", nil) == nil {
			t.Error("a denial was overwritten")
		}
		if db.Finish(ctx, "4", audit.Done, "", nil) == nil {
			t.Error("an entry that is not there was finished")
		}
		if db.Append(ctx, entry("1")) == nil {
			t.Error("two entries have one ID")
		}
		two := entry("2")
		two.Outcome, two.Reason = audit.Failed, "the API is down"
		two.Detail = map[string]string{"arguments": "limit, region", "status": "502"}
		got, err := db.Recent(ctx, 10)
		must(t, err)
		if diff := cmp.Diff([]audit.Entry{denied, two, entry("1")}, got); diff != "" {
			t.Errorf("entries:\n%s", diff)
		}
		got, err = db.Recent(ctx, 1)
		must(t, err)
		if diff := cmp.Diff([]audit.Entry{denied}, got); diff != "" {
			t.Errorf("newest entry:\n%s", diff)
		}
	})
}

func TestAuditRefusesWhenItsQueueIsFull(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Latency: time.Second})
		must(t, err)
		var mu sync.Mutex
		taken, refused := 0, 0
		var wg sync.WaitGroup
		for i := range 1500 {
			wg.Go(func() {
				err := db.Enqueue(t.Context(), entry(fmt.Sprint(i)))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					taken++
				case errors.Is(err, audit.ErrUnavailable):
					refused++
				default:
					t.Error(err)
				}
			})
		}
		synctest.Wait() // the writer sleeps in the first entry, and all others came
		mu.Lock()
		// One entry is being written, 1,024 wait; a batch that began late took a few more.
		if refused == 0 || refused > 1500-1025 {
			t.Errorf("%d of 1500 entries were refused at once", refused)
		}
		mu.Unlock()
		// What is no audit entry waits for room instead.
		must(t, db.SetStamp(t.Context(), "demo"))
		must(t, db.Close())
		wg.Wait()
		for _, err := range []error{
			db.Enqueue(t.Context(), entry("late")), db.Append(t.Context(), entry("late")),
			db.Finish(t.Context(), "1", audit.Done, "", nil),
		} {
			wantErr(t, "entry after the end", err, audit.ErrUnavailable)
		}
		if db.SetStamp(t.Context(), "x") == nil {
			t.Error("a closed database was stamped")
		}

		db = open(t, dsn, sqlstore.Options{})
		got, err := db.Recent(t.Context(), 2000)
		must(t, err)
		if len(got) != taken || taken+refused != 1500 {
			t.Errorf("%d entries are there, %d were taken and %d refused", len(got), taken, refused)
		}
	})
}

// Within 100 ms of Enqueue comes a commit that waits for the disk, and none
// when nothing needs it. (That SQLite's commits are relaxed or not as the writer
// says was seen with strace.)
func TestEnqueuedEntriesReachTheDisk(t *testing.T) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		db, rows := open(t, dsn, sqlstore.Options{}), raw(t, dsn)
		synced := func() (n int) {
			t.Helper()
			must(t, rows.QueryRow(`SELECT count(*) FROM meta WHERE name = 'synced'`).Scan(&n))
			return n
		}
		must(t, db.Append(t.Context(), entry("1")))
		time.Sleep(time.Second)
		if synced() != 0 {
			t.Error("a durable entry was followed by a second commit")
		}
		must(t, db.Enqueue(t.Context(), entry("2")))
		if synced() != 0 {
			t.Error("an enqueued entry waited for the disk")
		}
		time.Sleep(100 * time.Millisecond)
		if synced() != 1 {
			t.Error("no commit followed an enqueued entry")
		}
	})
}
