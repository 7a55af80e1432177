package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqlstore"
)

// What a gateway recorded is offered until it was received, in order, begin and
// end, and only its own store ever removes anything.
func TestShipping(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{Ships: true})
		at := func(i int) int64 { return now.UnixMilli() + int64(i) }
		for i := range 4 {
			must(t, db.Append(ctx, audit.Entry{ID: fmt.Sprint(i), Time: at(i), Kind: audit.Call, Outcome: audit.Started, Detail: map[string]string{"n": fmt.Sprint(i)}}))
		}
		must(t, db.Finish(ctx, "1", audit.Done, "", map[string]string{"status": "200"}))
		must(t, db.Finish(ctx, "3", audit.Failed, "why", nil))
		offered := func(what string, began time.Time, want ...string) []audit.Entry {
			t.Helper()
			list, err := db.Unshipped(ctx, began, 10)
			must(t, err)
			var ids []string
			for _, e := range list {
				ids = append(ids, e.ID+" "+string(e.Outcome))
			}
			if fmt.Sprint(ids) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", what, ids, want)
			}
			return list
		}
		list := offered("ended ones", now, "1 done", "3 failed")
		if list[0].Detail["n"] != "1" || list[0].Detail["status"] != "200" {
			t.Errorf("facts %v", list[0].Detail)
		}
		must(t, db.Shipped(ctx, list[:1]))
		offered("after the first was received", now, "3 failed")
		list = offered("begun long ago", now.Add(time.Second), "0 started", "2 started", "3 failed")
		must(t, db.Finish(ctx, "2", audit.Done, "", nil)) // while they are on their way
		must(t, db.Shipped(ctx, list))
		offered("its end is still to be told", now.Add(time.Second), "2 done")
		must(t, db.Finish(ctx, "0", audit.Done, "", nil))
		list = offered("all ends", now.Add(time.Second), "0 done", "2 done")
		must(t, db.Shipped(ctx, list))
		offered("nothing is left", now.Add(time.Hour))
		must(t, db.PruneShipped(ctx, time.UnixMilli(at(2))))
		left, err := db.Recent(ctx, 10)
		must(t, err)
		if len(left) != 2 {
			t.Errorf("%d entries are left", len(left))
		}
	})
}

// An installation's own audit log ships nothing and loses nothing.
func TestAnInstallationShipsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		must(t, db.Append(ctx, audit.Entry{ID: "a", Time: 1, Kind: audit.SignIn, Outcome: audit.Done}))
		must(t, db.Receive(ctx, []audit.Entry{{ID: "g:b", Time: 2, Kind: audit.Call, Outcome: audit.Done}}))
		list, err := db.Unshipped(ctx, now, 10)
		must(t, err)
		must(t, db.PruneShipped(ctx, now.Add(time.Hour)))
		left, err := db.Recent(ctx, 10)
		must(t, err)
		if len(list) != 0 || len(left) != 2 {
			t.Errorf("to be sent %v, left %v", list, left)
		}
	})
}
