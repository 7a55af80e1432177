package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/account"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

const (
	mail  = "https://mcp.example/"
	books = "https://mcp.example/books"
)

// twoAPIs stores a grant and a token for each of two APIs, and a session.
func twoAPIs(t *testing.T, db *sqlstore.DB) (live func() string) {
	t.Helper()
	must(t, db.AddAccount(t.Context(), account.Account{ID: "ac", Name: "ac"}))
	must(t, db.StartSession(t.Context(), account.Session{Hash: "s", AccountID: "ac", ExpiresAt: now.Unix() + 600}, ""))
	for name, resource := range map[string]string{"mail": mail, "books": books} {
		allowAt(t, db, name, resource, now)
	}
	return func() (list string) {
		for _, name := range []string{"mail", "books"} {
			if _, _, err := db.Token(t.Context(), secret.Hash(name), now); err == nil {
				list += name + " "
			}
		}
		return list
	}
}

// allowAt stores a grant for a resource and a token, both called name.
func allowAt(t *testing.T, db *sqlstore.DB, name, resource string, at time.Time) {
	t.Helper()
	g := aGrant(name)
	g.AccountID, g.Resource = "", resource
	addClientOnce(t, db, g.ClientID)
	must(t, db.Issue(t.Context(), g, aToken(secret.Hash(name)), at))
}

func addClientOnce(t *testing.T, db *sqlstore.DB, id string) {
	t.Helper()
	if _, err := db.Client(t.Context(), id); err != nil {
		addClient(t, db, id)
	}
}

// security.md 12: pausing an API or a tool ends and consumes nothing, is told to
// whoever reads a token of that API and to the feed, and is taken back whole.
func TestPauseOfAPIsAndTools(t *testing.T) {
	tool := oauth.ToolID(books, "list-books")
	for _, c := range []struct {
		subject, id string
		want        *oauth.Closed
	}{
		{oauth.SubjectAPI, books, &oauth.Closed{API: oauth.Paused}},
		{oauth.SubjectTool, tool, &oauth.Closed{Tools: map[string]oauth.Closure{"list-books": oauth.Paused}}},
	} {
		t.Run(c.subject, func(t *testing.T) {
			onBoth(t, func(t *testing.T, dsn string) {
				ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
				live := twoAPIs(t, db)
				before := position(t, db)
				paused, err := db.Pause(ctx, c.subject, c.id, "why", now)
				must(t, err)
				again, err := db.Pause(ctx, c.subject, c.id, "why", now)
				must(t, err)
				if !paused || again || live() != "mail books " {
					t.Errorf("paused %v, again %v; tokens live: %s", paused, again, live())
				}
				events, _, err := db.Events(ctx, before, 10)
				must(t, err)
				if diff := cmp.Diff([]oauth.FeedEvent{{Number: before.Number + 1, Subject: c.subject, ID: c.id}}, events); diff != "" {
					t.Errorf("events:\n%s", diff)
				}
				all, err := db.Closed(ctx)
				must(t, err)
				if diff := cmp.Diff(map[string]*oauth.Closed{books: c.want}, all); diff != "" {
					t.Errorf("closed:\n%s", diff)
				}
				for name, want := range map[string]*oauth.Closed{"books": c.want, "mail": nil} {
					token, _, err := db.Token(ctx, secret.Hash(name), now)
					must(t, err)
					if diff := cmp.Diff(want, token.Closed); diff != "" {
						t.Errorf("a token for %s:\n%s", name, diff)
					}
				}
				resumed, err := db.Resume(ctx, c.subject, c.id)
				must(t, err)
				again, err = db.Resume(ctx, c.subject, c.id)
				must(t, err)
				if all, err = db.Closed(ctx); err != nil || !resumed || again || len(all) != 0 || live() != "mail books " {
					t.Errorf("resumed %v, again %v, %v; closed: %v; tokens live: %s", resumed, again, err, all, live())
				}
			})
		})
	}
}

// security.md 12: what is ended for good is closed, cannot be paused or resumed,
// and when it is opened anew nothing that was ended comes back, not even what was
// being stored while it ended.
func TestEndAll(t *testing.T) {
	tool := oauth.ToolID(books, "list-books")
	for _, c := range []struct {
		subject, id string
		grants      int
		live        string
		closed      bool // to gateways, one by one
		session     bool // goes on
	}{
		{oauth.SubjectAPI, books, 1, "mail ", true, true},
		{oauth.SubjectTool, tool, 0, "mail books ", true, true},
		{oauth.SubjectEverything, "", 2, "", false, false},
	} {
		t.Run(c.subject, func(t *testing.T) {
			onBoth(t, func(t *testing.T, dsn string) {
				ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
				live := twoAPIs(t, db)
				for id, resource := range map[string]string{"r1": mail, "r2": books} {
					r := request(id)
					r.Resource = resource
					must(t, db.SaveRequest(ctx, r))
				}
				_, err := db.Pause(ctx, c.subject, c.id, "first", now) // an end also takes what is paused
				must(t, err)
				before := position(t, db)
				n, err := db.EndAll(ctx, c.subject, c.id, "why", now)
				must(t, err)
				if n != c.grants || live() != c.live {
					t.Errorf("%d grants ended; tokens live: %s", n, live())
				}
				events, _, err := db.Events(ctx, before, 10)
				must(t, err)
				if len(events) != 1 || events[0].Subject != c.subject || events[0].ID != c.id {
					t.Errorf("the feed tells of %v", events)
				}
				_, _, err = db.Session(ctx, "s", now)
				if goes := err == nil; goes != c.session {
					t.Errorf("session: %v", err)
				}
				_, err = db.Request(ctx, "r2", now)
				if waits := err == nil; waits != (c.subject == oauth.SubjectTool) {
					t.Errorf("a request that waited: %v", err)
				}
				all, err := db.Closed(ctx)
				must(t, err)
				if (all[books] != nil) != c.closed || c.subject == oauth.SubjectAPI && all[books].All() != oauth.Ended || c.subject == oauth.SubjectTool && all[books].Tool("list-books") != oauth.Ended {
					t.Errorf("closed: %+v", all[books])
				}
				stops, err := db.Stops(ctx)
				must(t, err)
				if diff := cmp.Diff([]grant.Stop{{Subject: c.subject, ID: c.id, Reason: "why", Since: now.Unix(), Ended: true}}, stops); diff != "" {
					t.Errorf("stops:\n%s", diff)
				}
				_, err = db.Pause(ctx, c.subject, c.id, "why", now)
				wantErr(t, "pause", err, grant.ErrEnded)
				_, err = db.Resume(ctx, c.subject, c.id)
				wantErr(t, "resume", err, grant.ErrEnded)
				_, err = db.EndAll(ctx, c.subject, c.id, "again", now)
				wantErr(t, "end again", err, grant.ErrEnded)

				allowAt(t, db, "late", books, now)
				reopened, err := db.Reopen(ctx, c.subject, c.id, now)
				must(t, err)
				again, err := db.Reopen(ctx, c.subject, c.id, now)
				must(t, err)
				if !reopened || again || live() != c.live {
					t.Errorf("reopened %v, again %v; tokens live: %s", reopened, again, live())
				}
				_, _, err = db.Token(ctx, "late", now)
				if lives := err == nil; lives != (c.subject == oauth.SubjectTool) {
					t.Errorf("what was stored beside: %v", err)
				}
				allowAt(t, db, "anew", books, now)
				if _, _, err = db.Token(ctx, "anew", now); err != nil {
					t.Errorf("allowed anew: %v", err)
				}
			})
		})
	}
}

// EndAll is the same act for every subject of the feed.
func TestEndAllOfOtherSubjects(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		live := twoAPIs(t, db)
		n, err := db.EndAll(ctx, oauth.SubjectGrant, "mail", "why", now)
		if must(t, err); n != 1 || live() != "books " {
			t.Errorf("%d grants; live: %s", n, live())
		}
		_, err = db.EndAll(ctx, oauth.SubjectGrant, "mail", "why", now)
		wantErr(t, "a grant that has ended", err, grant.ErrNotFound)
		n, err = db.EndAll(ctx, oauth.SubjectClient, "cl", "why", now)
		if must(t, err); n != 1 || live() != "" {
			t.Errorf("%d grants; live: %s", n, live())
		}
		_, err = db.EndAll(ctx, oauth.SubjectAccount, "ac", "why", now)
		must(t, err)
		if _, err = db.EndAll(ctx, "colour", "red", "why", now); err == nil {
			t.Error("an unknown subject was ended")
		}
		if stops, err := db.Stops(ctx); err != nil || len(stops) != 0 {
			t.Errorf("stops: %v %v", stops, err)
		}
	})
}

// Gateways are told of every closed tool with each answer of the feed, so there
// are bounds.
func TestClosedToolsAreBounded(t *testing.T) {
	db := open(t, sqliteDSN(t), sqlstore.Options{})
	for i := range grant.MaxClosedTools {
		if _, err := db.Pause(t.Context(), oauth.SubjectTool, oauth.ToolID(books, fmt.Sprint("t", i)), "why", now); err != nil {
			t.Fatal(i, err)
		}
	}
	more := oauth.ToolID(books, "more")
	_, err := db.Pause(t.Context(), oauth.SubjectTool, more, "why", now)
	wantErr(t, "one more", err, grant.ErrTooManyClosed)
	_, err = db.EndAll(t.Context(), oauth.SubjectTool, more, "why", now)
	wantErr(t, "one more", err, grant.ErrTooManyClosed)
	if _, err := db.EndAll(t.Context(), oauth.SubjectTool, oauth.ToolID(books, "t0"), "why", now); err != nil {
		t.Errorf("one of them: %v", err)
	}
	_, err = db.Pause(t.Context(), oauth.SubjectAPI, books, "why", now)
	must(t, err)
	all, err := db.Closed(t.Context())
	must(t, err)
	if len(all[books].Tools) != grant.MaxClosedTools || all[books].All() != oauth.Paused {
		t.Errorf("closed: %d tools, %v", len(all[books].Tools), all[books].All())
	}
}
