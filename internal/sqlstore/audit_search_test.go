package sqlstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/sqlstore"
)

// someEntry is one of few parties, so that filters meet, at one of few times,
// so that entries share a millisecond.
func someEntry(r *rand.Rand, i int) audit.Entry {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	kinds := []audit.Kind{audit.SignIn, audit.Consent, audit.Registration, audit.TokenIssued, audit.Exchange, audit.Call, audit.Call, audit.Call, audit.Revocation, audit.Admin}
	outcomes := []audit.Outcome{audit.Started, audit.Done, audit.Done, audit.Denied, audit.Failed}
	return audit.Entry{
		ID: fmt.Sprintf("entry-%08d", i), Time: now.UnixMilli() + r.Int64N(40), Kind: kinds[r.IntN(len(kinds))], Outcome: outcomes[r.IntN(len(outcomes))],
		AccountID: pick("", "ana", "bo"), ClientID: pick("", "c1", "c2", "c3"), GrantID: pick("", "g1", "g2"), API: pick("", "a1", "a2"),
		Tool: pick("", "read", "write"), RequestID: pick("", "r1", "r2", "r3"), Reason: pick("", "because"),
	}
}

// someFilter picks by any of its members or none.
func someFilter(r *rand.Rand) audit.Filter {
	var f audit.Filter
	for _, set := range []func(){
		func() { f.AccountID = []string{"ana", "bo", "nobody"}[r.IntN(3)] },
		func() { f.ClientIDs = [][]string{{"c1"}, {"c1", "c3"}, {"c2", "nobody", "c3"}}[r.IntN(3)] },
		func() { f.GrantID = "g1" }, func() { f.API = "a1" }, func() { f.Tool = "write" }, func() { f.RequestID = "r2" },
		func() {
			f.Kind = []audit.Kind{audit.SignIn, audit.Consent, audit.Exchange, audit.Call, audit.Admin}[r.IntN(5)]
		},
		func() {
			f.Outcome = []audit.Outcome{audit.Started, audit.Done, audit.Denied, audit.Failed}[r.IntN(4)]
		},
		func() { f.From = now.UnixMilli() + r.Int64N(40) }, func() { f.To = now.UnixMilli() + r.Int64N(45) },
	} {
		if r.IntN(4) == 0 {
			set()
		}
	}
	return f
}

// fits is the filter as a person understands it.
func fits(f audit.Filter, e audit.Entry) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(f.AccountID, e.AccountID) && (len(f.ClientIDs) == 0 || slices.Contains(f.ClientIDs, e.ClientID)) && is(f.GrantID, e.GrantID) &&
		is(f.API, e.API) && is(f.Tool, e.Tool) && is(f.RequestID, e.RequestID) && is(string(f.Kind), string(e.Kind)) &&
		is(string(f.Outcome), string(e.Outcome)) && e.Time >= f.From && (f.To == 0 || e.Time < f.To)
}

// Every combination of filters, read page by page, gives what looking at each
// entry would: in order, each once, none left out.
func TestFindIsWhatLookingAtEachEntryGives(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		r := rand.New(rand.NewPCG(7, 11))
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		var all []audit.Entry
		for i := range 600 {
			e := someEntry(r, i)
			all = append(all, e)
			switch {
			case i%3 == 0:
				must(t, db.Receive(ctx, []audit.Entry{e}))
			case i%3 == 1 && e.Outcome != audit.Started:
				begun := e
				begun.Outcome, begun.Reason = audit.Started, ""
				must(t, db.Append(ctx, begun))
				must(t, db.Finish(ctx, e.ID, e.Outcome, e.Reason, nil))
			default:
				must(t, db.Append(ctx, e))
			}
		}
		slices.Reverse(all)
		slices.SortStableFunc(all, func(a, b audit.Entry) int { return int(b.Time - a.Time) })
		for range 300 {
			f, limit := someFilter(r), 1+r.IntN(60)
			var want, got []audit.Entry
			for _, e := range all {
				if fits(f, e) {
					want = append(want, e)
				}
			}
			var at audit.Position
			for pages := 0; ; pages++ {
				found, err := db.Find(ctx, f, at, limit)
				must(t, err)
				if len(found.Entries) > limit || pages > 700 {
					t.Fatalf("%+v: page %d has %d entries of %d", f, pages, len(found.Entries), limit)
				}
				got = append(got, found.Entries...)
				if at = found.Next; at.IsZero() {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%+v by %d:\n%s", f, limit, diff)
			}
		}
	})
}

// What hardly ever happened is looked for in a bounded number of entries, and
// the search goes on from there.
func TestFindLooksAtABoundedNumber(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		var list []audit.Entry
		for i := range 2*audit.Examined + 100 {
			e := entry(fmt.Sprintf("entry-%08d", i))
			e.Time += int64(i)
			if i == 50 {
				e.Tool = "rare"
			}
			list = append(list, e)
		}
		must(t, db.Receive(ctx, list))
		for name, f := range map[string]audit.Filter{
			"of all": {Tool: "rare"}, "of a person": {Tool: "rare", AccountID: "ac"},
			"of a grant": {Tool: "rare", GrantID: "g"}, "of agents": {Tool: "rare", ClientIDs: []string{"cl", "other"}},
		} {
			var at audit.Position
			var entries []audit.Entry
			var looks int
			for {
				found, err := db.Find(ctx, f, at, 50)
				must(t, err)
				looks++
				entries = append(entries, found.Entries...)
				if at = found.Next; at.IsZero() {
					break
				}
				if !found.Short {
					t.Errorf("%s: look %d ended for another reason", name, looks)
				}
			}
			if len(entries) != 1 || entries[0].ID != list[50].ID || looks < 3 {
				t.Errorf("%s: %d entries in %d looks", name, len(entries), looks)
			}
		}
	})
}

func TestEntryAndNames(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		must(t, db.Append(ctx, entry("one")))
		got, at, err := db.Entry(ctx, "one")
		must(t, err)
		if diff := cmp.Diff(entry("one"), got); diff != "" || at.Time != got.Time || at.Seq == 0 {
			t.Errorf("entry at %+v:\n%s", at, diff)
		}
		_, _, err = db.Entry(ctx, "two")
		wantErr(t, "an entry that is not there", err, audit.ErrNotFound)
		must(t, db.AddAccount(ctx, account.Account{ID: "ac", Name: "ana"}))
		must(t, db.AddClient(ctx, client.Client{ID: "cl", Name: "Notebook"}))
		names, err := db.Names(ctx, []string{"ac", "gone"}, []string{"cl"})
		must(t, err)
		want := audit.Names{Accounts: map[string]string{"ac": "ana"}, Clients: map[string]string{"cl": "Notebook"}}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
	})
}
