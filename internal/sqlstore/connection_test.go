package sqlstore_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/sqlstore"
)

func TestConnections(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		end := time.Unix(aGrant("g").ExpiresAt, 0)
		approve(t, db, aGrant("g"), aCode("c"), now)
		second := aGrant("h")
		second.ClientID, second.CreatedAt = "cl2", second.CreatedAt+1
		c := aCode("d")
		c.ClientID = second.ClientID
		approve(t, db, second, c, now)
		for i, tool := range []string{"first", "last"} {
			must(t, db.Append(ctx, audit.Entry{ID: tool, Time: int64(1000 * (i + 1)), Kind: audit.Call, Outcome: audit.Started, GrantID: "g", Tool: tool}))
			must(t, db.Finish(ctx, tool, audit.Done, "", nil))
		}
		must(t, db.Append(ctx, audit.Entry{ID: "other", Time: 9000, Kind: audit.TokenIssued, Outcome: audit.Done, GrantID: "g"}))

		list, err := db.Connections(ctx, "ac", now)
		must(t, err)
		if len(list) != 2 || list[0].ID != "h" || list[1].ID != "g" {
			t.Fatalf("%+v", list)
		}
		if g := list[1]; g.LastTool != "last" || g.LastTime.UnixMilli() != 2000 || !g.LastWell {
			t.Errorf("last call: %+v", g)
		}
		if h := list[0]; h.LastTool != "" || !h.LastTime.IsZero() {
			t.Errorf("last call of none: %+v", h)
		}
		for what, at := range map[string]time.Time{"another's": now, "expired": end} {
			account := map[string]string{"another's": "bruno", "expired": "ac"}[what]
			list, err := db.Connections(ctx, account, at)
			if err != nil || len(list) != 0 {
				t.Errorf("%s: %v %v", what, list, err)
			}
			wantErr(t, "narrow "+what, db.Narrow(ctx, account, "g", []string{"a"}, at), grant.ErrNotFound)
			wantErr(t, "end "+what, db.EndConnection(ctx, account, "g", at), grant.ErrNotFound)
		}

		before := position(t, db)
		scopes := list[1].Scopes
		wantErr(t, "narrow to nothing", db.Narrow(ctx, "ac", "g", nil, now), grant.ErrNotFound)
		wantErr(t, "narrow to what it never had", db.Narrow(ctx, "ac", "g", []string{"more"}, now), grant.ErrNotFound)
		if after := position(t, db); after != before {
			t.Errorf("what changed nothing told the feed: %v, %v", before, after)
		}
		must(t, db.Narrow(ctx, "ac", "g", append([]string{"more"}, scopes[0]), now))
		list, err = db.Connections(ctx, "ac", now)
		must(t, err)
		if !slices.Equal(list[1].Scopes, scopes[:1]) {
			t.Errorf("narrowed to %v", list[1].Scopes)
		}
		must(t, db.EndConnection(ctx, "ac", "g", now))
		wantErr(t, "end twice", db.EndConnection(ctx, "ac", "g", now), grant.ErrNotFound)
		events, _, err := db.Events(ctx, before, 10)
		must(t, err)
		if len(events) != 2 || events[0].ID != "g" || events[1].ID != "g" || events[0].Subject != oauth.SubjectGrant {
			t.Errorf("the feed tells of %v", events)
		}
	})
}

func position(t *testing.T, db *sqlstore.DB) oauth.FeedPosition {
	t.Helper()
	_, at, _ := db.Events(t.Context(), oauth.FeedPosition{}, 1) // a gap from nowhere, with the position
	return at
}

// Narrowing and ending at once never leave a grant alive that somebody ended,
// nor with a scope that somebody took away.
func TestParallelNarrowing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		g := aGrant("g")
		g.Scopes = nil
		for i := range 8 {
			g.Scopes = append(g.Scopes, fmt.Sprintf("s%d", i))
		}
		approve(t, db, g, aCode("c"), now)
		var wg sync.WaitGroup
		for i := range 7 {
			wg.Go(func() {
				if err := db.Narrow(ctx, "ac", "g", oauth.Without(g.Scopes, []string{g.Scopes[i]}), now); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		list, err := db.Connections(ctx, "ac", now)
		must(t, err)
		if len(list) != 1 || !slices.Equal(list[0].Scopes, g.Scopes[7:]) {
			t.Errorf("left: %+v", list)
		}
	})
}
