package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/account"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// start is the position of a new database's feed.
func start(t testing.TB, db *sqlstore.DB) oauth.FeedPosition {
	t.Helper()
	events, at, err := db.Events(t.Context(), oauth.FeedPosition{}, 1)
	wantErr(t, "events after nothing", err, grant.ErrGap)
	if len(events) != 0 || at.Epoch == "" {
		t.Fatalf("position %+v, events %v", at, events)
	}
	return at
}

// reader follows a feed and complains about holes.
type reader struct {
	at   oauth.FeedPosition
	seen map[string]int64 // number by ID
}

func (r *reader) read(ctx context.Context, db *sqlstore.DB) error {
	events, _, err := db.Events(ctx, r.at, 7)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.Number != r.at.Number+1 {
			return fmt.Errorf("after %d comes %d", r.at.Number, e.Number)
		}
		r.at.Number, r.seen[e.ID] = e.Number, e.Number
	}
	return nil
}

// security.md 10: numbers are given in the order of commits, so a reader that
// has seen one has missed none before it, whoever revokes at the same time; and
// a token that was read live at a number was ended by a later one.
func TestEventNumbersAreInCommitOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		const revokers, each = 8, 12
		ctx := t.Context()
		handles := []*sqlstore.DB{ // as of two processes
			open(t, dsn, sqlstore.Options{Latency: time.Millisecond}), open(t, dsn, sqlstore.Options{Latency: time.Millisecond}),
		}
		at := start(t, handles[0])
		for i := range revokers * each {
			g := aGrant(fmt.Sprint("g", i))
			g.AccountID, g.ClientID = "", fmt.Sprint("cl", i)
			addClient(t, handles[0], g.ClientID)
			must(t, handles[0].Issue(ctx, g, aToken(secret.Hash(fmt.Sprint("t", i))), now))
		}
		var revoking, reading sync.WaitGroup
		live := make([]int64, revokers*each) // the last number at which each token was live
		for r := range revokers {
			revoking.Go(func() {
				for i := r * each; i < (r+1)*each; i++ {
					if tok, _, err := handles[(r+1)%2].Token(ctx, secret.Hash(fmt.Sprint("t", i)), now); err == nil {
						live[i] = tok.Position.Number
					} else {
						t.Error(err)
					}
					if err := handles[r%2].Revoke(ctx, fmt.Sprint("g", i), now); err != nil {
						t.Error(err)
					}
				}
			})
		}
		r := &reader{at: at, seen: map[string]int64{}}
		stop := make(chan struct{})
		reading.Go(func() {
			for {
				if err := r.read(ctx, handles[1]); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		revoking.Wait()
		close(stop)
		reading.Wait()
		for range revokers * each {
			must(t, r.read(ctx, handles[0]))
		}
		for i, number := range live {
			if ended := r.seen[fmt.Sprint("g", i)]; ended <= number {
				t.Errorf("grant %d: read live at %d, ended by event %d", i, number, ended)
			}
		}
		if r.at.Number != revokers*each {
			t.Errorf("the reader is at %d after %d revocations", r.at.Number, revokers*each)
		}
	})
}

// security.md 11: whatever ends or narrows something says so in the feed, and
// what changes nothing does not.
func TestEveryEndIsInTheFeed(t *testing.T) {
	late := now.Add(grant.ReplayWindow + time.Second)
	refresh := func(access, hash secret.Hash) grant.Token {
		tok := aToken(access)
		tok.Refresh = &grant.Refresh{Hash: hash, Family: "f", Scopes: tok.Scopes, ExpiresAt: now.Unix() + 3000}
		return tok
	}
	renew := func(t *testing.T, db *sqlstore.DB, change func(*grant.Grant)) {
		g := aGrant("g2")
		change(&g)
		approve(t, db, g, aCode("c2"), now)
	}
	for name, c := range map[string]struct {
		act  func(t *testing.T, db *sqlstore.DB) error
		want []oauth.FeedEvent
	}{
		"code replay": {func(t *testing.T, db *sqlstore.DB) error {
			wantErr(t, "replay", db.RedeemCode(t.Context(), "c", aToken("t9"), late), grant.ErrReplayed)
			return nil
		}, []oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectGrant, ID: "g"}}},
		"code repeated at once": {func(t *testing.T, db *sqlstore.DB) error {
			wantErr(t, "repetition", db.RedeemCode(t.Context(), "c", aToken("t9"), now), grant.ErrUsed)
			return nil
		}, nil},
		"refresh replay": {func(t *testing.T, db *sqlstore.DB) error {
			if _, err := db.Rotate(t.Context(), "r", grant.Rotation{Issued: refresh("t2", "r2")}, now); err != nil {
				return err
			}
			_, err := db.Rotate(t.Context(), "r", grant.Rotation{Issued: refresh("t3", "r3")}, late)
			wantErr(t, "replay", err, grant.ErrReplayed)
			return nil
		}, []oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectFamily, ID: "f"}}},
		"refresh token": {func(t *testing.T, db *sqlstore.DB) error { return db.End(t.Context(), "r", "cl", now) },
			[]oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectFamily, ID: "f"}}},
		"access token": {func(t *testing.T, db *sqlstore.DB) error { return db.End(t.Context(), "t", "cl", now) },
			[]oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectToken, ID: "t"}}},
		"token of another client": {func(t *testing.T, db *sqlstore.DB) error {
			wantErr(t, "end", db.End(t.Context(), "t", "x", now), grant.ErrForeign)
			return nil
		}, nil},
		"grant, twice": {func(t *testing.T, db *sqlstore.DB) error {
			return errors.Join(db.Revoke(t.Context(), "g", now), db.Revoke(t.Context(), "g", now))
		}, []oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectGrant, ID: "g"}}},
		"narrowed": {func(t *testing.T, db *sqlstore.DB) error {
			renew(t, db, func(g *grant.Grant) { g.Scopes = []string{"users:read"} })
			return nil
		}, []oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectGrant, ID: "g"}}},
		"shortened": {func(t *testing.T, db *sqlstore.DB) error {
			renew(t, db, func(g *grant.Grant) { g.ExpiresAt-- })
			return nil
		}, []oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectGrant, ID: "g"}}},
		"agreed anew with a changed client": {func(t *testing.T, db *sqlstore.DB) error {
			renew(t, db, func(g *grant.Grant) { g.Agreed = "changed" })
			return nil
		}, []oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectGrant, ID: "g"}}},
		"widened": {func(t *testing.T, db *sqlstore.DB) error {
			renew(t, db, func(g *grant.Grant) { g.Scopes = append(g.Scopes, "more") })
			return nil
		}, nil},
		"client": {func(t *testing.T, db *sqlstore.DB) error { _, err := db.EndClient(t.Context(), "cl", now); return err },
			[]oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectClient, ID: "cl"}}},
		"account": {func(t *testing.T, db *sqlstore.DB) error { _, err := db.EndAccount(t.Context(), "ac", now); return err },
			[]oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectAccount, ID: "ac"}}},
		"account of nobody": {func(t *testing.T, db *sqlstore.DB) error { _, err := db.EndAccount(t.Context(), "", now); return err }, nil},
		"client that is unknown": {func(t *testing.T, db *sqlstore.DB) error {
			_, err := db.EndClient(t.Context(), "x", now)
			wantErr(t, "end", err, grant.ErrNotFound)
			return nil
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, sqliteDSN(t), sqlstore.Options{})
			at := start(t, db)
			approve(t, db, aGrant("g"), aCode("c"), now)
			must(t, db.RedeemCode(t.Context(), "c", refresh("t", "r"), now))
			must(t, c.act(t, db))
			events, _, err := db.Events(t.Context(), at, 10)
			must(t, err)
			if diff := cmp.Diff(c.want, events); diff != "" {
				t.Errorf("events:\n%s", diff)
			}
		})
	}
}

// security.md 12: ending is for good, takes all with it, and nothing else.
func TestEndClientAndAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		addClient(t, db, "cl")
		must(t, db.AddAccount(ctx, account.Account{ID: "ac", Name: "alice"}))
		must(t, db.StartSession(ctx, account.Session{Hash: "s", AccountID: "ac", ExpiresAt: now.Unix() + 60}, ""))
		for i, g := range []grant.Grant{{AccountID: "ac", ClientID: "cl"}, {AccountID: "ac", ClientID: "other"}, {AccountID: "bob", ClientID: "cl"}, {AccountID: "bob", ClientID: "other"}} {
			g.ID, g.Resource, g.ExpiresAt = fmt.Sprint("g", i), "https://mcp.example/", now.Unix()+3600
			code := aCode(secret.Hash(fmt.Sprint("c", i)))
			approve(t, db, g, code, now)
			must(t, db.RedeemCode(ctx, code.Hash, aToken(secret.Hash(fmt.Sprint("t", i))), now))
		}
		live := func() (list string) {
			for i := range 4 {
				if _, _, err := db.Token(ctx, secret.Hash(fmt.Sprint("t", i)), now); err == nil {
					list += fmt.Sprint(i)
				}
			}
			return list
		}
		pending := request("r")
		must(t, db.SaveRequest(ctx, pending))
		n, err := db.EndClient(ctx, "cl", now)
		must(t, err)
		if n != 2 || live() != "13" {
			t.Errorf("%d grants of the client ended; live: %s", n, live())
		}
		_, err = db.Client(ctx, "cl")
		wantErr(t, "the client", err, client.ErrUnknown)
		_, err = db.Request(ctx, "r", now)
		wantErr(t, "a request that waited", err, grant.ErrNotFound)

		must(t, db.SaveRequest(ctx, pending))
		must(t, db.SignIn(ctx, "r", "ac", nil, 7, now))
		if n, err = db.EndAccount(ctx, "ac", now); err != nil || n != 1 || live() != "3" {
			t.Errorf("%d grants of the account ended, %v; live: %s", n, err, live())
		}
		_, err = db.Request(ctx, "r", now)
		wantErr(t, "a consent page that was open", err, grant.ErrNotFound)
		_, _, err = db.Session(ctx, "s", now)
		wantErr(t, "the session", err, account.ErrNotFound)
		if _, err := db.Account(ctx, "ac"); err != nil {
			t.Errorf("the account itself: %v", err)
		}
		must(t, db.PutClient(ctx, client.Client{ID: "gateway", Origin: client.Gateway}))
		_, err = db.EndClient(ctx, "gateway", now)
		wantErr(t, "end the gateway", err, grant.ErrNotFound)
	})
}

// security.md 11: who asks from a place that the feed does not know is told.
func TestFeedTellsOfGaps(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		at := start(t, db)
		for i := range 5 {
			g := aGrant(fmt.Sprint("g", i))
			g.ClientID = fmt.Sprint("cl", i)
			approve(t, db, g, aCode(secret.Hash(g.ID)), now)
			must(t, db.Revoke(ctx, g.ID, now.Add(time.Duration(i)*time.Hour)))
		}
		pos := func(epoch string, n int64) oauth.FeedPosition { return oauth.FeedPosition{Epoch: epoch, Number: n} }
		for name, p := range map[string]oauth.FeedPosition{
			"another epoch": pos("x", 2), "no epoch": pos("", 2), "ahead": pos(at.Epoch, 6), "negative": pos(at.Epoch, -1),
		} {
			_, got, err := db.Events(ctx, p, 10)
			wantErr(t, name, err, grant.ErrGap)
			if got != pos(at.Epoch, 5) {
				t.Errorf("%s: the feed is at %+v", name, got)
			}
		}
		// A day after the third event, it and those before are gone.
		_, err := db.Sweep(ctx, now.Add(2*time.Hour+grant.EventLifetime))
		must(t, err)
		_, _, err = db.Events(ctx, pos(at.Epoch, 2), 10)
		wantErr(t, "pruned", err, grant.ErrGap)
		events, _, err := db.Events(ctx, pos(at.Epoch, 3), 10)
		must(t, err)
		if len(events) != 2 || events[0].Number != 4 {
			t.Errorf("events after the third: %v", events)
		}
		_, err = db.Sweep(ctx, now.Add(100*time.Hour))
		must(t, err)
		_, _, err = db.Events(ctx, pos(at.Epoch, 4), 10)
		wantErr(t, "all pruned", err, grant.ErrGap)
		events, _, err = db.Events(ctx, pos(at.Epoch, 5), 10)
		if err != nil || len(events) != 0 {
			t.Errorf("up to date, all pruned: %v, %v", events, err)
		}
	})
}

// security.md 12: a client that is ended while it gets a token for itself has no
// token that lives on, and gets none any more.
func TestEndClientBesidesIssue(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		for round := range 10 {
			id := fmt.Sprint("cl", round)
			addClient(t, db, id)
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					g := aGrant(fmt.Sprint("g", round, "-", i))
					g.AccountID, g.ClientID = "", id
					err := db.Issue(ctx, g, aToken(secret.Hash(fmt.Sprint("t", round, "-", i))), now)
					if err != nil && !errors.Is(err, client.ErrUnknown) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if _, err := db.EndClient(ctx, id, now); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			for i := range 4 {
				if _, g, err := db.Token(ctx, secret.Hash(fmt.Sprint("t", round, "-", i)), now); err == nil {
					t.Errorf("round %d: a token under grant %s lives on", round, g.ID)
				}
			}
		}
	})
}

// A database of schema 1 gets its feed, with an epoch of its own, and what it
// held lives on and can be ended.
func TestFeedComesToAnOldDatabase(t *testing.T) {
	epochs := map[string]bool{}
	for range 2 {
		onBoth(t, func(t *testing.T, dsn string) {
			ctx := t.Context()
			db, err := sqlstore.Open(ctx, dsn, sqlstore.Options{})
			must(t, err)
			approve(t, db, aGrant("g"), aCode("c"), now)
			must(t, db.RedeemCode(ctx, "c", aToken("t"), now))
			must(t, db.Close())
			old := raw(t, dsn)
			triggers := []string{`DROP TRIGGER agents_join`, `DROP TRIGGER agents_leave`, `DROP TRIGGER agents_change`}
			if strings.HasPrefix(dsn, "postgres") {
				triggers = []string{`DROP TRIGGER agents_kept ON clients`, `DROP FUNCTION keep_agents`}
			}
			for _, statement := range append(triggers, // which undo what came after schema 1
				`DROP TABLE feed`, `DROP TABLE events`, `DROP INDEX grants_account`, `DROP INDEX grants_resource`, `DROP INDEX sessions_account`,
				`DROP INDEX audit_time`, `DROP INDEX audit_account`, `DROP INDEX audit_client`, `DROP INDEX audit_grant`, `DROP INDEX audit_kind`,
				`DROP INDEX audit_sign`, `DROP INDEX audit_request`, `DROP INDEX audit_token`, `DROP INDEX accounts_search`, `DROP INDEX clients_search`,
				`DROP TABLE agents`, `DROP INDEX clients_shape`, `DROP INDEX grants_of_client`, `ALTER TABLE clients DROP COLUMN shape`, `ALTER TABLE clients DROP COLUMN host`, `ALTER TABLE accounts DROP COLUMN search_name`, `ALTER TABLE clients DROP COLUMN search_name`, `DROP TABLE audit_refused`,
				`DROP INDEX audit_unshipped`, `ALTER TABLE audit DROP COLUMN shipped`, `DROP TABLE pauses`, `DROP TABLE messages`, `DROP TABLE inspections`, `ALTER TABLE requests DROP COLUMN nonce`, `ALTER TABLE codes DROP COLUMN nonce`,
				`ALTER TABLE clients DROP COLUMN post_logout_redirect_uris`, `ALTER TABLE clients DROP COLUMN claims`, `ALTER TABLE clients DROP COLUMN certificate_subject`, `ALTER TABLE tokens DROP COLUMN certificate`, `DROP INDEX tokens_delegated`, `ALTER TABLE tokens DROP COLUMN actors`, `ALTER TABLE tokens DROP COLUMN parent`, `DROP INDEX accounts_role`, `DROP TABLE invitations`, `DELETE FROM meta WHERE name = 'administrators'`, `ALTER TABLE accounts DROP COLUMN role`, `DROP TABLE documents`, `DELETE FROM schema_version WHERE version_id >= 2`,
			) {
				_, err := old.ExecContext(ctx, statement)
				must(t, err)
			}
			must(t, old.Close())
			wantText(t, refusal(t, dsn, sqlstore.Options{NoMigrate: true}), "gatehouse migrate")
			db = open(t, dsn, sqlstore.Options{})
			at := start(t, db)
			if at.Number != 0 || epochs[at.Epoch] {
				t.Errorf("the feed begins at %+v", at)
			}
			epochs[at.Epoch] = true
			must(t, db.Revoke(ctx, "g", now))
			_, _, err = db.Token(ctx, "t", now)
			wantErr(t, "token", err, grant.ErrNotFound)
			events, _, err := db.Events(ctx, at, 10)
			must(t, err)
			if len(events) != 1 || events[0].ID != "g" {
				t.Errorf("events %v", events)
			}
		})
	}
}

// security.md 2, 12: what was allowed to a client ends when another takes its
// ID, once, and only if it is the client that was looked at.
func TestReplaceClient(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		old := client.Client{ID: "cl", Origin: client.Document, Name: "One", AuthMethod: oauth.AuthNone, RedirectURIs: []string{"https://one.example/cb"}, CreatedAt: 7}
		must(t, db.AddClient(ctx, old))
		for _, id := range []string{"cl", "other"} {
			g := aGrant("g-" + id)
			g.ClientID = id
			code := aCode(secret.Hash("c-" + id))
			code.ClientID = id
			approve(t, db, g, code, now)
			must(t, db.RedeemCode(ctx, code.Hash, aToken(secret.Hash("t-"+id)), now))
		}
		waiting := request("waiting")
		must(t, db.SaveRequest(ctx, waiting))
		at := start(t, db)
		another := old
		another.RedirectURIs = []string{"https://two.example/cb"}
		stale := old
		stale.Name = "None"
		must(t, db.ReplaceClient(ctx, stale, another, now)) // which is not what is stored
		_, _, err := db.Token(ctx, "t-cl", now)
		must(t, err)
		for range 2 { // the second finds it done
			must(t, db.ReplaceClient(ctx, old, another, now))
			got, err := db.Client(ctx, "cl")
			must(t, err)
			if diff := cmp.Diff(another, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("stored:\n%s", diff)
			}
		}
		_, _, err = db.Token(ctx, "t-cl", now)
		wantErr(t, "its token", err, grant.ErrNotFound)
		_, err = db.Request(ctx, waiting.ID, now)
		wantErr(t, "a consent page that was open", err, grant.ErrNotFound)
		_, _, err = db.Token(ctx, "t-other", now)
		must(t, err)
		events, _, err := db.Events(ctx, at, 10)
		must(t, err)
		if diff := cmp.Diff([]oauth.FeedEvent{{Number: 1, Subject: oauth.SubjectClient, ID: "cl"}}, events); diff != "" {
			t.Errorf("events:\n%s", diff)
		}
	})
}
