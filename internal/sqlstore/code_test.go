package sqlstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/grant"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

// RFC 9700 §4.5, OAuth 2.1 §4.1.3.
func TestRedeemCode(t *testing.T) {
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	tests := []struct {
		name       string
		redeemed   []int // seconds at which the code was redeemed before
		at         int
		want       error
		grantLives bool
	}{
		{"fresh", nil, 0, nil, true},
		{"in its last second", nil, 59, nil, true},
		{"expired", nil, 60, grant.ErrNotFound, true},
		{"again at once", []int{0}, 0, grant.ErrUsed, true},
		{"again at the end of the window", []int{5}, 15, grant.ErrUsed, true},
		{"again after the window", []int{5}, 16, grant.ErrReplayed, false},
		{"again after its expiry", []int{59}, 65, grant.ErrUsed, true},
		{"again long after its expiry", []int{0}, 300, grant.ErrReplayed, false},
		{"third time: the window counts from the use", []int{0, 9}, 12, grant.ErrReplayed, false},
	}
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				id := fmt.Sprint(i)
				g, code := aGrant("g"+id), aCode(secret.Hash("c"+id))
				g.ClientID = "cl" + id
				approve(t, db, g, code, now)
				for n, s := range tt.redeemed {
					err := db.RedeemCode(ctx, code.Hash, aToken(secret.Hash(fmt.Sprint("t", i, "-", n))), at(s))
					if n == 0 {
						must(t, err)
					}
				}
				if len(tt.redeemed) > 0 {
					_, _, err := db.Code(ctx, code.Hash, at(tt.at))
					must(t, err) // found, so that the replay reaches RedeemCode
				}
				token := secret.Hash("t" + id)
				wantErr(t, "redeem", db.RedeemCode(ctx, code.Hash, aToken(token), at(tt.at)), tt.want)
				_, got, err := db.Token(ctx, token, at(tt.at))
				if tt.want != nil {
					wantErr(t, "token", err, grant.ErrNotFound)
				} else if err != nil || got.ID != g.ID {
					t.Errorf("token's grant: %q, %v", got.ID, err)
				}
				_, err = db.Remembered(ctx, "ac", g.ClientID, g.Resource, at(tt.at))
				if lives := err == nil; lives != tt.grantLives {
					t.Errorf("grant lives: %v (%v), want %v", lives, err, tt.grantLives)
				}
			})
		}
		wantErr(t, "redeem an unknown code", db.RedeemCode(ctx, "unknown", aToken("t"), now), grant.ErrNotFound)
	})
}

func TestFailedIssueDoesNotBurnTheCode(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		approve(t, db, aGrant("g"), aCode("c1"), now)
		approve(t, db, aGrant("g"), aCode("c2"), now)
		must(t, db.RedeemCode(ctx, "c1", aToken("t"), now))
		err := db.RedeemCode(ctx, "c2", aToken("t"), now) // this token is there already
		if err == nil || errors.Is(err, grant.ErrUsed) || errors.Is(err, grant.ErrNotFound) {
			t.Fatalf("redeem for a token that cannot be stored: %v", err)
		}
		must(t, db.RedeemCode(ctx, "c2", aToken("t2"), now))
	})
}

// redeemInParallel redeems one code 64 times over dbs and requires one winner.
func redeemInParallel(t *testing.T, round int, dbs ...*sqlstore.DB) {
	t.Helper()
	code := secret.Hash(fmt.Sprint("c", round))
	approve(t, dbs[0], aGrant(secret.ID()), aCode(code), now)
	errs := make([]error, 64)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			token := secret.Hash(fmt.Sprint("t", round, "-", i))
			errs[i] = dbs[i%len(dbs)].RedeemCode(t.Context(), code, aToken(token), now)
		})
	}
	wg.Wait()
	winners := 0
	for i, err := range errs {
		_, _, noToken := dbs[0].Token(t.Context(), secret.Hash(fmt.Sprint("t", round, "-", i)), now)
		switch {
		case err == nil && noToken == nil:
			winners++
		case !errors.Is(err, grant.ErrUsed) || !errors.Is(noToken, grant.ErrNotFound):
			t.Errorf("round %d: redeemed with %v, token %v", round, err, noToken)
		}
	}
	if winners != 1 {
		t.Fatalf("round %d: %d of 64 redemptions won", round, winners)
	}
}

// Issue 2: 64 parallel redemptions of one code with 1 ms of injected store
// latency have one winner, every time.
func TestParallelRedemptionsOfOneCode(t *testing.T) {
	slow := sqlstore.Options{Latency: time.Millisecond}
	t.Run("sqlite", func(t *testing.T) {
		dsn := sqliteDSN(t)
		synctest.Test(t, func(t *testing.T) { // in fake time, hence 100 rounds
			db := open(t, dsn, slow)
			for round := range 100 {
				redeemInParallel(t, round, db)
			}
		})
	})
	t.Run("postgres", func(t *testing.T) {
		db := open(t, webtest.Postgres(t), slow)
		for round := range 10 {
			redeemInParallel(t, round, db)
		}
	})
}

func TestParallelRedemptionsThroughTwoHandles(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		slow := sqlstore.Options{Latency: time.Millisecond}
		a, b := open(t, dsn, slow), open(t, dsn, slow)
		for round := range 3 {
			redeemInParallel(t, round, a, b)
		}
	})
}

func TestParallelApprovalsShareAGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		expired := aGrant("old")
		expired.ExpiresAt = now.Unix() + 1
		approve(t, db, expired, aCode("c-old"), now)
		later := now.Add(2 * time.Second)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() { approve(t, db, aGrant(fmt.Sprint("g", i)), aCode(secret.Hash(fmt.Sprint("c", i))), later) })
		}
		wg.Wait()
		live, err := db.Remembered(ctx, "ac", "cl", "https://mcp.example/", later)
		must(t, err)
		for i := range 16 {
			c, _, err := db.Code(ctx, secret.Hash(fmt.Sprint("c", i)), later)
			must(t, err)
			if c.GrantID != live.ID || c.GrantID == "old" {
				t.Errorf("code %d hangs off %s, the live grant is %s", i, c.GrantID, live.ID)
			}
		}
	})
}

func TestParallelIssuesKeepEachOthersScopes(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{Latency: time.Millisecond})
		addClient(t, db, "cl")
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				g, tok := aGrant(fmt.Sprint("g", i)), aToken(secret.Hash(fmt.Sprint("t", i)))
				g.AccountID, g.Scopes = "", []string{fmt.Sprint("s", i)}
				tok.Scopes = g.Scopes
				if err := db.Issue(ctx, g, tok, now); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range 16 {
			tok, g, err := db.Token(ctx, secret.Hash(fmt.Sprint("t", i)), now)
			must(t, err)
			if len(grant.Effective(tok, g)) != 1 {
				t.Errorf("token %d lost its scope %v to a grant with %v", i, tok.Scopes, g.Scopes)
			}
		}
	})
}
