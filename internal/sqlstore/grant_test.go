package sqlstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

func TestRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		want := request("r")
		end := time.Unix(want.ExpiresAt, 0)
		must(t, db.SaveRequest(ctx, want))
		check := func(when string) {
			t.Helper()
			got, err := db.Request(ctx, "r", end.Add(-time.Second))
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request %s:\n%s", when, diff)
			}
		}
		check("as saved")
		must(t, db.SignIn(ctx, "r", "ac", []string{"pwd", "otp"}, 7, now))
		want.AccountID, want.AMR, want.AuthTime, want.ForceSignIn = "ac", []string{"pwd", "otp"}, 7, false
		check("after the sign-in")
		must(t, db.SignOut(ctx, "r", now))
		want.AccountID, want.AMR, want.AuthTime = "", nil, 0
		check("after the sign-out")

		_, err := db.Request(ctx, "r", end)
		wantErr(t, "read an expired request", err, grant.ErrNotFound)
		wantErr(t, "sign in to an expired request", db.SignIn(ctx, "r", "ac", nil, 7, end), grant.ErrNotFound)
		wantErr(t, "sign out of an expired request", db.SignOut(ctx, "r", end), grant.ErrNotFound)
		wantErr(t, "deny an expired request", db.Deny(ctx, "r", end), grant.ErrNotFound)
		must(t, db.Deny(ctx, "r", now))
		wantErr(t, "deny twice", db.Deny(ctx, "r", now), grant.ErrNotFound)
		_, err = db.Request(ctx, "r", now)
		wantErr(t, "read a denied request", err, grant.ErrNotFound)
	})
}

func TestApproveConsumesTheRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		must(t, db.SaveRequest(ctx, request("r")))
		end := time.Unix(request("r").ExpiresAt, 0)
		wantErr(t, "approve before anybody signed in", db.Approve(ctx, "r", grant.Grant{}, aGrant("g"), aCode("c"), now), grant.ErrNotFound)
		must(t, db.SignIn(ctx, "r", "bruno", nil, 7, now))
		wantErr(t, "approve for somebody else", db.Approve(ctx, "r", grant.Grant{}, aGrant("g"), aCode("c"), now), grant.ErrNotFound)
		must(t, db.SignIn(ctx, "r", "ac", nil, 7, now))
		wantErr(t, "approve an expired request", db.Approve(ctx, "r", grant.Grant{}, aGrant("g"), aCode("c"), end), grant.ErrNotFound)
		_, err := db.Remembered(ctx, "ac", "cl", "https://mcp.example/", now)
		wantErr(t, "grant of refused approvals", err, grant.ErrNotFound)

		must(t, db.Approve(ctx, "r", grant.Grant{}, aGrant("g"), aCode("c"), now))
		wantErr(t, "approve twice", db.Approve(ctx, "r", grant.Grant{}, aGrant("g"), aCode("c2"), now), grant.ErrNotFound)
		c, g, err := db.Code(ctx, "c", now)
		must(t, err)
		want := aCode("c")
		want.GrantID = "g"
		if diff := cmp.Diff(want, c) + cmp.Diff(aGrant("g"), g); diff != "" {
			t.Errorf("code and grant:\n%s", diff)
		}
		_, _, err = db.Code(ctx, "c2", now)
		wantErr(t, "code of the second approval", err, grant.ErrNotFound)
		_, _, err = db.Code(ctx, "c", time.Unix(want.ExpiresAt, 0))
		wantErr(t, "expired code", err, grant.ErrNotFound)
	})
}

// security.md 2 and 4: an agreement with a client that has changed ends what
// came of the earlier one.
func TestApproveOfAChangedClientEndsTheEarlierGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		approve(t, db, aGrant("g1"), aCode("c1"), now)
		must(t, db.RedeemCode(ctx, "c1", aToken("t1"), now))
		changed := aGrant("g2")
		changed.Agreed = "what it is now"
		approve(t, db, changed, aCode("c2"), now)
		_, _, err := db.Token(ctx, "t1", now)
		wantErr(t, "token of the earlier agreement", err, grant.ErrNotFound)
		_, g, err := db.Code(ctx, "c2", now)
		must(t, err)
		if g.ID != "g2" {
			t.Errorf("the second code hangs off %s", g.ID)
		}
	})
}

// A decision is about the grant as it was read: what was ended or narrowed
// meanwhile does not come back by it.
func TestApproveRefusesWhatChangedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		approve(t, db, aGrant("g1"), aCode("c1"), now)
		read, err := db.Remembered(ctx, "ac", "cl", "https://mcp.example/", now)
		must(t, err)
		decide := func(held grant.Grant, code secret.Hash) error {
			r := request(secret.ID())
			r.ClientID = "cl"
			must(t, db.SaveRequest(ctx, r))
			must(t, db.SignIn(ctx, r.ID, "ac", nil, now.Unix(), now))
			err := db.Approve(ctx, r.ID, held, aGrant("g9"), aCode(code), now)
			if errors.Is(err, grant.ErrChanged) {
				if _, gone := db.Request(ctx, r.ID, now); gone != nil {
					t.Errorf("a decision that did not count used the request up: %v", gone)
				}
			}
			return err
		}
		wantErr(t, "nothing held, but there is a grant", decide(grant.Grant{}, "c2"), grant.ErrChanged)
		narrowed := read
		narrowed.Scopes = []string{"users:read"}
		approve(t, db, narrowed, aCode("c3"), now)
		wantErr(t, "narrowed meanwhile", decide(read, "c4"), grant.ErrChanged)
		now2, err := db.Remembered(ctx, "ac", "cl", "https://mcp.example/", now)
		must(t, err)
		must(t, db.Revoke(ctx, now2.ID, now))
		wantErr(t, "ended meanwhile", decide(now2, "c5"), grant.ErrChanged)
		must(t, decide(grant.Grant{}, "c6"))
	})
}

func TestApproveReusesTheLiveGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		approve(t, db, aGrant("g1"), aCode("c1"), now)
		must(t, db.RedeemCode(ctx, "c1", aToken("t1"), now))
		second := aGrant("g2")
		second.Scopes, second.ExpiresAt = []string{"orders:read"}, now.Unix()+7200
		approve(t, db, second, aCode("c2"), now)
		c, _, err := db.Code(ctx, "c2", now)
		must(t, err)
		if c.GrantID != "g1" {
			t.Errorf("second code hangs off %s, want g1", c.GrantID)
		}
		want := second
		want.ID = "g1"
		got, err := db.Remembered(ctx, "ac", "cl", "https://mcp.example/", now)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("grant after the second approval:\n%s", diff)
		}
		tok, g, err := db.Token(ctx, "t1", now)
		must(t, err)
		if left := grant.Effective(tok, g); len(left) != 0 {
			t.Errorf("token has %v of scopes that the person took away", left)
		}
		for _, parties := range [][3]string{{"x", "cl", second.Resource}, {"ac", "x", second.Resource}, {"ac", "cl", "x"}} {
			_, err := db.Remembered(ctx, parties[0], parties[1], parties[2], now)
			wantErr(t, "grant of other parties", err, grant.ErrNotFound)
		}
	})
}

func TestExpiredGrantIsReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		approve(t, db, aGrant("g1"), aCode("c1"), now)
		long := aToken("t1")
		long.ExpiresAt = now.Unix() + 1_000_000 // longer than its grant
		must(t, db.RedeemCode(ctx, "c1", long, now))
		end := time.Unix(aGrant("g1").ExpiresAt, 0)
		_, _, err := db.Token(ctx, "t1", end)
		wantErr(t, "token of an expired grant", err, grant.ErrNotFound)
		_, err = db.Remembered(ctx, "ac", "cl", "https://mcp.example/", end)
		wantErr(t, "expired grant", err, grant.ErrNotFound)

		second, code := aGrant("g2"), aCode("c2")
		second.CreatedAt, second.ExpiresAt, code.ExpiresAt = end.Unix(), end.Unix()+3600, end.Unix()+60
		approve(t, db, second, code, end)
		got, err := db.Remembered(ctx, "ac", "cl", "https://mcp.example/", end)
		must(t, err)
		if diff := cmp.Diff(second, got); diff != "" {
			t.Errorf("grant after the old one expired:\n%s", diff)
		}
		_, _, err = db.Token(ctx, "t1", end)
		wantErr(t, "token of the old grant", err, grant.ErrNotFound)
	})
}

func TestRevokeEndsAllThatHangsOffAGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		approve(t, db, aGrant("g"), aCode("c1"), now)
		approve(t, db, aGrant("g"), aCode("c2"), now)
		must(t, db.RedeemCode(ctx, "c1", aToken("t"), now))
		_, _, err := db.Token(ctx, "t", now)
		must(t, err)

		must(t, db.Revoke(ctx, "g", now))
		must(t, db.Revoke(ctx, "g", now))
		_, _, err = db.Token(ctx, "t", now)
		wantErr(t, "token", err, grant.ErrNotFound)
		for _, c := range []secret.Hash{"c1", "c2"} {
			_, _, err = db.Code(ctx, c, now)
			wantErr(t, "code", err, grant.ErrNotFound)
		}
		_, err = db.Remembered(ctx, "ac", "cl", "https://mcp.example/", now)
		wantErr(t, "grant", err, grant.ErrNotFound)
		wantErr(t, "redeem the code that was left", db.RedeemCode(ctx, "c2", aToken("t2"), now), grant.ErrNotFound)
		_, _, err = db.Token(ctx, "t2", now)
		wantErr(t, "token of that code", err, grant.ErrNotFound)

		// A new approval begins anew and revives nothing.
		approve(t, db, aGrant("g2"), aCode("c3"), now)
		_, _, err = db.Token(ctx, "t", now)
		wantErr(t, "old token beside a new grant", err, grant.ErrNotFound)
		_, _, err = db.Code(ctx, "c3", now)
		must(t, err)
	})
}

func TestIssueReusesTheClientsGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		g := aGrant("g1")
		g.AccountID, g.Scopes = "", []string{"users:read"}
		wantErr(t, "issue to nobody", db.Issue(ctx, g, aToken("t1"), now), client.ErrUnknown)
		addClient(t, db, "cl")
		must(t, db.Issue(ctx, g, aToken("t1"), now))
		tok, _, err := db.Token(ctx, "t1", now)
		must(t, err)
		want := aToken("t1")
		want.GrantID, want.Position.Epoch = "g1", tok.Position.Epoch // which is random
		if diff := cmp.Diff(want, tok); diff != "" {
			t.Errorf("token:\n%s", diff)
		}
		_, _, err = db.Token(ctx, "t1", time.Unix(want.ExpiresAt, 0))
		wantErr(t, "expired token", err, grant.ErrNotFound)

		g.ID, g.Scopes, g.ExpiresAt = "g2", []string{"orders:read"}, g.ExpiresAt-100
		must(t, db.Issue(ctx, g, aToken("t2"), now))
		for _, h := range []secret.Hash{"t1", "t2"} {
			_, got, err := db.Token(ctx, h, now)
			must(t, err)
			wantGrant := aGrant("g1")
			wantGrant.AccountID = ""
			if diff := cmp.Diff(wantGrant, got); diff != "" {
				t.Errorf("grant of %s:\n%s", h, diff)
			}
		}
		// The client's own grant and a person's at the same resource are two.
		approve(t, db, aGrant("g3"), aCode("c"), now)
		must(t, db.Revoke(ctx, "g1", now))
		_, _, err = db.Code(ctx, "c", now)
		must(t, err)

		g.ID = "g4"
		must(t, db.Issue(ctx, g, aToken("t4"), now))
		tok, _, err = db.Token(ctx, "t4", now)
		must(t, err)
		if tok.GrantID != "g4" {
			t.Errorf("token hangs off %s after the old grant was ended", tok.GrantID)
		}
	})
}

func TestSweep(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
		g := aGrant("g")
		g.ExpiresAt = now.Unix() + 100_000
		approve(t, db, g, aCode("c"), now)
		must(t, db.RedeemCode(ctx, "c", aToken("t"), now))
		const many = 1203 // more than two batches
		rows := raw(t, dsn)
		for i := range many {
			_, err := rows.ExecContext(ctx, `INSERT INTO assertions (hash, expires_at) VALUES ($1, $2)`, secret.ID(), now.Unix()+int64(i%2))
			must(t, err)
		}
		must(t, db.SaveRequest(ctx, request("r")))

		sweep := func(at time.Time, want int) {
			t.Helper()
			if n, err := db.Sweep(ctx, at); err != nil || n != want {
				t.Errorf("sweep at %s: %d rows, %v; want %d", at, n, err, want)
			}
		}
		sweep(now.Add(-time.Second), 0)
		sweep(now, (many+1)/2)
		sweep(now.Add(time.Second), many/2)
		sweep(now.Add(599*time.Second), 0)
		sweep(now.Add(600*time.Second), 1) // the token
		sweep(now.Add(900*time.Second), 1) // the request
		wantErr(t, "replay of a code that was swept over", db.RedeemCode(ctx, "c", aToken("t3"), now.Add(time.Hour)), grant.ErrReplayed)
		sweep(now.Add(time.Hour+time.Minute), 1) // the code
		wantErr(t, "code after the sweep", db.RedeemCode(ctx, "c", aToken("t4"), now.Add(2*time.Hour)), grant.ErrNotFound)
	})
}
