package sqlstore_test

import (
	"testing"

	"gatehouse/internal/account"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// security.md 12: a pause takes away all that hangs off its subject and consumes
// nothing; resuming gives back what has not ended meanwhile, and nothing else.
func TestPause(t *testing.T) {
	for _, subject := range []struct{ kind, id string }{
		{oauth.SubjectGrant, "g"}, {oauth.SubjectClient, "cl"}, {oauth.SubjectAccount, "ac"}, {oauth.SubjectEverything, ""},
	} {
		onBoth(t, func(t *testing.T, dsn string) {
			ctx, db := t.Context(), open(t, dsn, sqlstore.Options{})
			must(t, db.AddAccount(ctx, account.Account{ID: "ac", Name: "ac"}))
			approve(t, db, aGrant("g"), aCode("c"), now)
			token := aToken("t")
			token.Refresh = &grant.Refresh{Hash: "r", Family: "f", Scopes: token.Scopes, ExpiresAt: now.Unix() + 600}
			must(t, db.RedeemCode(ctx, "c", token, now))
			approve(t, db, aGrant("g"), aCode("c2"), now)
			must(t, db.StartSession(ctx, account.Session{Hash: "s", AccountID: "ac", ExpiresAt: now.Unix() + 600}, ""))
			other := aGrant("o")
			other.AccountID, other.ClientID = "bruno", "other"
			code := aCode("oc")
			code.ClientID = "other"
			approve(t, db, other, code, now)
			must(t, db.RedeemCode(ctx, "oc", aToken("ot"), now))

			works := func(when string, want error) {
				t.Helper()
				_, _, err := db.Token(ctx, "t", now)
				wantErr(t, when+": token", err, want)
				_, _, err = db.Refresh(ctx, "r", now)
				wantErr(t, when+": refresh token", err, want)
				_, _, err = db.Code(ctx, "c2", now)
				wantErr(t, when+": code", err, want)
			}
			works("before", nil)
			before := position(t, db)
			paused, err := db.Pause(ctx, subject.kind, subject.id, "why", now)
			must(t, err)
			again, err := db.Pause(ctx, subject.kind, subject.id, "why", now)
			must(t, err)
			if !paused || again {
				t.Errorf("paused %v, again %v", paused, again)
			}
			works("paused", grant.ErrNotFound)
			wantErr(t, "told", db.Paused(ctx, grant.Parties{Grant: "g", Client: "cl", Account: "ac"}), grant.ErrPaused)
			_, _, err = db.Token(ctx, "ot", now)
			if all := subject.kind == oauth.SubjectEverything; all {
				wantErr(t, "another's token", err, grant.ErrNotFound)
			} else {
				wantErr(t, "another's token", err, nil)
				wantErr(t, "told of another", db.Paused(ctx, grant.Parties{Grant: "o", Client: "other", Account: "bruno"}), nil)
			}
			_, _, err = db.Session(ctx, "s", now)
			ended := subject.kind == oauth.SubjectAccount
			if gone := err != nil; gone != ended {
				t.Errorf("session: %v", err)
			}
			events, _, err := db.Events(ctx, before, 10)
			must(t, err)
			if len(events) != 1 || events[0].Subject != subject.kind || events[0].ID != subject.id {
				t.Errorf("the feed tells of %v", events)
			}

			resumed, err := db.Resume(ctx, subject.kind, subject.id)
			must(t, err)
			again, err = db.Resume(ctx, subject.kind, subject.id)
			must(t, err)
			if !resumed || again {
				t.Errorf("resumed %v, again %v", resumed, again)
			}
			works("resumed", nil)
			if _, err := db.Rotate(ctx, "r", grant.Rotation{Issued: grant.Token{Hash: "t3", GrantID: "g", Scopes: token.Scopes, ExpiresAt: now.Unix() + 60, Refresh: &grant.Refresh{Hash: secret.Hash("r3"), Family: "f", Scopes: token.Scopes, ExpiresAt: now.Unix() + 600}}, Sealed: "x", Bound: "y"}, now); err != nil {
				t.Errorf("the refresh token was consumed: %v", err)
			}

			_, err = db.Pause(ctx, subject.kind, subject.id, "why", now)
			must(t, err)
			must(t, db.Revoke(ctx, "g", now))
			_, err = db.Resume(ctx, subject.kind, subject.id)
			must(t, err)
			works("ended while it was paused", grant.ErrNotFound)
		})
	}
}
