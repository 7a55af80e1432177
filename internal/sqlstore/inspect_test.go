package sqlstore_test

import (
	"reflect"
	"testing"
	"time"

	"gatehouse/internal/inspect"
	"gatehouse/internal/sqlstore"
)

// Messages come back as they were told, in order, for whom they are asked for,
// and for an hour at most (security.md 22).
func TestMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		at := func(microseconds int64) int64 { return now.UnixMicro() + microseconds }
		whole := inspect.Message{
			Keys: inspect.Keys{ClientID: "c", GrantID: "g", AccountID: "alice", AuthRequest: "r"}, Time: at(2), Kind: inspect.MCP, Peer: "p",
			RequestID: "id", Method: "POST", Path: "/", Host: "mcp.example", Status: 403, Others: 1, Rule: "insufficient-scope", Needs: []string{"orders:read"},
			Asked: []inspect.Field{{Name: "tool", Value: "fetch-orders"}, {Name: "Authorization", Value: "‹ab›", Masked: true}}, Answered: []inspect.Field{{Name: "error", Value: "insufficient_scope"}},
			Presented: &inspect.Token{Label: "ab", Scope: []string{"users:read"}, From: &inspect.Token{Label: "cd"}},
		}
		must(t, db.SaveMessages(ctx, []inspect.Message{
			whole,
			{Time: at(1), Kind: inspect.ServerMetadata, Peer: "p"},
			{Time: at(3), Kind: inspect.MCP, Keys: inspect.Keys{ClientID: "c", AccountID: "bruno"}},
			{Time: at(4), Kind: inspect.Registration, Keys: inspect.Keys{ClientID: "d"}},
			{Time: at(-time.Hour.Microseconds()), Kind: inspect.Registration, Keys: inspect.Keys{ClientID: "c", AccountID: "alice"}},
		}))
		since := now.Add(-time.Minute)
		count := func(what string, f inspect.Filter, want int) []inspect.Message {
			t.Helper()
			list, err := db.Messages(ctx, f)
			must(t, err)
			if len(list) != want {
				t.Errorf("%s: %d messages, want %d: %+v", what, len(list), want, list)
			}
			return list
		}
		list := count("alice", inspect.Filter{AccountID: "alice", Since: since}, 2)
		if list[0].Kind != inspect.ServerMetadata || !reflect.DeepEqual(list[1], whole) {
			t.Errorf("came back as %+v", list)
		}
		count("client c", inspect.Filter{ClientID: "c", Since: since}, 3)
		count("all", inspect.Filter{Since: since}, 4)
		count("all that are there", inspect.Filter{}, 5)
		_, err := db.Sweep(ctx, now.Add(time.Second))
		must(t, err)
		count("after an hour", inspect.Filter{}, 4)
		many := make([]inspect.Message, inspect.MaxMessages)
		for i := range many {
			many[i] = inspect.Message{Time: at(int64(10 + i)), Kind: inspect.MCP}
		}
		must(t, db.SaveMessages(ctx, many))
		if list := count("too many", inspect.Filter{}, inspect.MaxMessages); list[0].Time < at(10) {
			t.Error("the oldest stayed")
		}
	})
}

// A switch holds until its end or until it is taken back.
func TestSwitches(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		s := inspect.Switch{Subject: "client", ID: "c", Since: now.Unix(), Until: now.Unix() + 60, Reason: "why"}
		must(t, db.TurnOn(ctx, s))
		s.Until, s.Reason = now.Unix()+120, "longer"
		must(t, db.TurnOn(ctx, s))
		must(t, db.TurnOn(ctx, inspect.Switch{Subject: "grant", ID: "g", Since: now.Unix(), Until: now.Unix() + 30}))
		list, err := db.Switches(ctx, now)
		must(t, err)
		if len(list) != 2 || list[0] != s {
			t.Errorf("switches %+v", list)
		}
		list, err = db.Switches(ctx, now.Add(time.Minute))
		must(t, err)
		if len(list) != 1 || list[0] != s {
			t.Errorf("a minute later %+v", list)
		}
		_, err = db.Sweep(ctx, now.Add(time.Minute))
		must(t, err)
		for _, want := range []bool{true, false} {
			off, err := db.TurnOff(ctx, "client", "c")
			must(t, err)
			if off != want {
				t.Errorf("turned off: %v, want %v", off, want)
			}
		}
		if off, err := db.TurnOff(ctx, "grant", "g"); err != nil || off {
			t.Errorf("one that had ended was swept: %v %v", off, err)
		}
	})
}
