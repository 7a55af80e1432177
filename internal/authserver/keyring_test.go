package authserver_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/authserver"
	"gatehouse/internal/jose"
)

// No request fails during a rotation: at every moment, what is signed can be
// verified with a key set that was fetched up to five minutes earlier, and
// what was signed up to five minutes ago with the set of now.
func TestKeyRotationFailsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, _ := newKey(t)
		fresh, _ := newKey(t)
		keys := []authserver.SigningKey{{Key: old}}
		ring := &authserver.Keyring{Load: func(context.Context) ([]authserver.SigningKey, error) { return keys, nil }}
		type signed struct {
			token string
			set   *jose.KeySet
		}
		var history []signed
		usedFresh := false
		for minute := range 60 {
			if minute == 10 {
				now := time.Now()
				keys = []authserver.SigningKey{
					{Key: old, PublishedUntil: now.Add(authserver.PublishBefore + authserver.KeepAfter).Unix()},
					{Key: fresh, SignsFrom: now.Add(authserver.PublishBefore).Unix()},
				}
			}
			token, err := ring.Sign(t.Context(), jose.ES256, "at+jwt", jose.AccessClaims{
				Issuer: issuer, Subject: "s", Audience: "a", ClientID: "c", ID: "i", IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Add(authserver.AccessLifetime).Unix(),
			})
			if err != nil {
				t.Fatal(err)
			}
			data, err := ring.Set(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			set, err := jose.ParseKeySet(data)
			if err != nil {
				t.Fatal(err)
			}
			history = append(history, signed{token, set})
			verify := func(token string, set *jose.KeySet, what string) {
				var claims jose.AccessClaims
				expect := jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "a", Now: time.Now(), Skew: time.Minute}
				if err := jose.Verify(token, set, expect, &claims); err != nil {
					t.Errorf("minute %d: %s: %v", minute, what, err)
				}
			}
			for back := 0; back <= 5 && back <= minute; back++ {
				verify(token, history[minute-back].set, "a new token and an older key set")
				verify(history[minute-back].token, set, "an older token and the new key set")
			}
			only, err := jose.ParseKeySet(jose.PublicSet(fresh))
			if err != nil {
				t.Fatal(err)
			}
			var claims jose.AccessClaims
			if jose.Verify(token, only, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "a", Now: time.Now()}, &claims) == nil {
				usedFresh = true
			}
			time.Sleep(time.Minute)
		}
		if !usedFresh {
			t.Error("the new key never signed")
		}
	})
}

// Where a resource asks for it, RS256 signs beside ES256.
func TestRS256WhereAResourceAsksForIt(t *testing.T) {
	rsaKey, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, _ := newKey(t)
	w := newWorld(t, options{change: func(s *authserver.Server) {
		s.APIs[0].SigningAlgorithm = jose.RS256
		s.Keys = &authserver.Keyring{Load: func(context.Context) ([]authserver.SigningKey, error) {
			return []authserver.SigningKey{{Key: ecKey}, {Key: rsaKey}}, nil
		}}
	}})
	_, token := w.token("alice", nil)
	a := w.form("/token", w.asGateway(exchange(token, "users:read")))
	if a.Status != http.StatusOK {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	set, err := jose.ParseKeySet(jose.PublicSet(rsaKey))
	if err != nil {
		t.Fatal(err)
	}
	var claims jose.AccessClaims
	if err := jose.Verify(a.str("access_token"), set, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "http://api.localhost/customers", Now: time.Now(), Algorithms: []string{"RS256"}}, &claims); err != nil {
		t.Error(err)
	}
}
