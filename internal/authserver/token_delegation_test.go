package authserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/authserver"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/webtest"
)

const actorSecret = "ghs_of-every-actor-here"

// delegating is a world with a person's agent (desk), and agents that may act one
// for another: summary for desk, then a, b and c each for the one before. Nobody
// lets stranger act. nightly is a workload's.
func delegating(t *testing.T, dsn string) (*world, platform) {
	t.Helper()
	p := newPlatform(t)
	w := newWorld(t, options{dsn: dsn, change: func(s *authserver.Server) {
		s.Trust = p.trust
		here := []string{resource}
		s.Delegation = []grant.Delegation{
			{Actor: "summary", For: []string{"desk"}, Resources: here, Scopes: []string{"users:read"}},
			{Actor: "summary", For: []string{"nightly", "a_b"}, Resources: here},
			{Actor: "nightly", For: []string{"desk"}, Resources: here},
			{Actor: "a_b", For: []string{"summary", "nightly"}, Resources: here},
			{Actor: "b", For: []string{"a_b"}, Resources: here},
			{Actor: "c", For: []string{"b"}, Resources: here},
			{Actor: "axb", For: []string{"summary"}, Resources: here},
			{Actor: "elsewhere", For: []string{"desk"}, Resources: []string{other}},
		}
	}})
	clients := []client.Client{
		{ID: "desk", Name: "Desk", RedirectURIs: []string{callback}, GrantTypes: []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, ResponseTypes: []string{"code"}, AuthMethod: oauth.AuthNone},
		{ID: "nightly", Name: "Nightly", GrantTypes: []string{oauth.GrantJWTBearer}, AuthMethod: client.AuthWorkload, Scope: "users:read orders:read"},
	}
	for _, id := range []string{"summary", "a_b", "b", "c", "axb", "elsewhere", "stranger"} {
		clients = append(clients, client.Client{ID: id, Name: id, GrantTypes: []string{oauth.GrantClientCredentials}, AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(actorSecret), Scope: "users:read orders:read users:write notes:read"})
	}
	for _, c := range clients {
		c.Origin = client.Administrated
		if err := w.DB.AddClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return w, p
}

// own is the token with which an agent acts for itself.
func (w *world) own(id string) string {
	w.t.Helper()
	return w.ownAt(id, resource)
}

func (w *world) ownAt(id, at string) string {
	w.t.Helper()
	a := w.form("/token", url.Values{"grant_type": {oauth.GrantClientCredentials}, "client_id": {id}, "client_secret": {actorSecret}, "resource": {at}})
	if a.Status != http.StatusOK {
		w.t.Fatalf("%s: %v", id, a.Body)
	}
	return a.str("access_token")
}

// desk is a person's token, and its refresh token.
func (w *world) desk(name string) (access, refresh string) {
	w.t.Helper()
	a := w.form("/token", redemption("desk", w.code(request("desk", nil), name)))
	if a.Status != http.StatusOK {
		w.t.Fatalf("desk: %v", a.Body)
	}
	return a.str("access_token"), a.str("refresh_token")
}

func delegation(subject, actor, id string, more ...string) url.Values {
	form := url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "client_id": {id}, "client_secret": {actorSecret},
		"subject_token": {subject}, "subject_token_type": {oauth.TokenTypeAccessToken}, "actor_token": {actor}, "actor_token_type": {oauth.TokenTypeAccessToken},
	}
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
		if more[n+1] == "" {
			form.Del(more[n])
		}
	}
	return form
}

// takeOver lets agents act one for another, from subject on.
func (w *world) takeOver(subject string, ids ...string) string {
	w.t.Helper()
	for _, id := range ids {
		a := w.form("/token", delegation(subject, w.own(id), id))
		if a.Status != http.StatusOK || a.str("issued_token_type") != oauth.TokenTypeAccessToken {
			w.t.Fatalf("%s: %d %v", id, a.Status, a.Body)
		}
		subject = a.str("access_token")
	}
	return subject
}

func (w *world) lives(token string) bool {
	w.t.Helper()
	return w.introspect(token).Body["active"] == true
}

func nested(act any) string {
	text, err := json.Marshal(act)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// RFC 8693 §1.1, §4.1, §4.4: what an agent gets that acts for another says who
// acts for whom, to introspection and to the API, and is worth no more.
func TestDelegation(t *testing.T) {
	w, _ := delegating(t, "")
	subject, _ := w.desk("alice")
	a := w.form("/token", delegation(subject, w.own("summary"), "summary"))
	if a.Status != http.StatusOK || a.str("scope") != "users:read" || a.str("refresh_token") != "" || a.str("token_type") != "Bearer" {
		t.Fatalf("%d %v", a.Status, a.Body)
	}
	of, made := w.introspect(subject), w.introspect(a.str("access_token"))
	if of.Body["act"] != nil || made.str("sub") != of.str("sub") || made.str("client_id") != "summary" || made.str("aud") != of.str("aud") ||
		nested(made.Body["act"]) != `{"act":{"sub":"desk"},"sub":"summary"}` || made.Body["exp"].(float64) > of.Body["exp"].(float64) {
		t.Errorf("introspection of %v\nand of what was made of it %v", of.Body, made.Body)
	}
	third := w.takeOver(a.str("access_token"), "a_b", "b")
	api := w.form("/token", w.asGateway(exchange(third, "users:read")))
	var claims jose.AccessClaims
	expect := jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "http://api.localhost/customers", Now: time.Now()}
	if err := jose.Verify(api.str("access_token"), w.Keys, expect, &claims); err != nil {
		t.Fatalf("%v %v", err, api.Body)
	}
	if got := nested(claims.Act); got != `{"sub":"gateway","act":{"sub":"b","act":{"sub":"a_b","act":{"sub":"summary","act":{"sub":"desk"}}}}}` || claims.Subject != of.str("sub") {
		t.Errorf("the API is told %s for %s", got, claims.Subject)
	}
	if b := w.form("/token", w.asGateway(exchange(third, "orders:read"))); b.str("error") != "invalid_scope" {
		t.Errorf("what the chain narrowed came back: %v", b.Body)
	}
	if entry := w.tokenEntries()[0]; entry.Detail["actors"] != "b a_b summary desk" || entry.ClientID != "b" || entry.AccountID == "" {
		t.Errorf("audit %+v", entry)
	}
}

// A workload's token can be taken over too, and by a workload, which has no
// credential but what its platform got it.
func TestDelegationOfWorkloads(t *testing.T) {
	w, p := delegating(t, "")
	pod := func() string {
		a := w.form("/token", federation(p.pod(t, "report", nil)))
		if a.Status != http.StatusOK {
			t.Fatal(a.Body)
		}
		return a.str("access_token")
	}
	made := w.introspect(w.takeOver(pod(), "summary"))
	if made.str("sub") != "nightly" || nested(made.Body["act"]) != `{"sub":"summary"}` {
		t.Errorf("%v", made.Body)
	}
	subject, _ := w.desk("alice")
	a := w.form("/token", delegation(subject, pod(), "nightly", "client_secret", ""))
	if a.Status != http.StatusOK || nested(w.introspect(a.str("access_token")).Body["act"]) != `{"act":{"sub":"desk"},"sub":"nightly"}` {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	for name, form := range map[string]url.Values{
		"a secret beside": delegation(subject, pod(), "nightly"), "another's name": delegation(subject, pod(), "summary", "client_secret", ""),
		"another's credentials": delegation(subject, pod(), "summary"),
	} {
		if a := w.form("/token", form); a.str("error") != "invalid_request" {
			t.Errorf("%s: %v", name, a.Body)
		}
	}
}

// "exchange that widens scope, audience or lifetime, actor not allowed by
// may_act, chain too deep", and what else an agent may try.
func TestDelegationRefuses(t *testing.T) {
	w, _ := delegating(t, "")
	subject, refresh := w.desk("alice")
	mine := w.own("summary")
	made := w.takeOver(subject, "summary")
	deep := w.takeOver(made, "a_b", "b")
	foreign, _ := w.desk("bob")
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"widens the scope beyond the rule":    {delegation(subject, mine, "summary", "scope", "users:read orders:read"), "invalid_scope"},
		"widens the scope beyond the subject": {delegation(made, w.own("a_b"), "a_b", "scope", "users:read users:write"), "invalid_scope"},
		"a scope that nobody has":             {delegation(subject, mine, "summary", "scope", "users:write"), "invalid_scope"},
		"widens the audience":                 {delegation(subject, mine, "summary", "resource", other), "invalid_target"},
		"another audience":                    {delegation(subject, mine, "summary", "audience", "http://api.localhost/customers"), "invalid_target"},
		"a JWT for the API":                   {delegation(subject, mine, "summary", "requested_token_type", oauth.TokenTypeJWT), "invalid_request"},
		"authorization_details":               {delegation(subject, mine, "summary", "authorization_details", "[]"), "invalid_request"},
		"an actor without a rule (may_act)":   {delegation(subject, w.own("stranger"), "stranger"), "invalid_target"},
		"an actor with a rule elsewhere":      {delegation(subject, w.own("elsewhere"), "elsewhere"), "invalid_target"},
		"an actor for the next one only":      {delegation(subject, w.own("b"), "b"), "invalid_target"},
		"a chain too deep":                    {delegation(deep, w.own("c"), "c"), "invalid_request"},
		"a chain that comes back":             {delegation(w.takeOver(made, "a_b"), mine, "summary"), "invalid_request"},
		"the actor's own token as subject":    {delegation(mine, mine, "summary"), "invalid_request"},
		"a person's token as actor":           {delegation(subject, foreign, "summary"), "invalid_request"},
		"a token of the chain as actor":       {delegation(subject, made, "summary"), "invalid_request"},
		"another agent's token as actor":      {delegation(subject, w.own("a_b"), "summary"), "invalid_request"},
		"an actor token for elsewhere":        {delegation(subject, w.ownAt("summary", other), "summary"), "invalid_target"},
		"no credentials":                      {delegation(subject, mine, "summary", "client_secret", ""), "invalid_client"},
		"a wrong secret":                      {delegation(subject, mine, "summary", "client_secret", "ghs_x"), "invalid_client"},
		"an unknown actor token":              {delegation(subject, "gha_x", "summary"), "invalid_request"},
		"an unknown subject token":            {delegation("gha_x", mine, "summary"), "invalid_request"},
		"a refresh token as subject":          {delegation(refresh, mine, "summary"), "invalid_request"},
		"another type of subject":             {delegation(subject, mine, "summary", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), "invalid_request"},
		"another type of actor":               {delegation(subject, mine, "summary", "actor_token_type", oauth.TokenTypeJWT), "invalid_request"},
		"no type of actor":                    {delegation(subject, mine, "summary", "actor_token_type", ""), "invalid_request"},
		"a gateway that brings an actor":      {w.asGateway(exchange(subject, "users:read")), ""},
		"an agent that plays the gateway":     {delegation(subject, mine, "summary", "actor_token", "", "actor_token_type", "", "audience", "http://api.localhost/customers"), "unauthorized_client"},
	} {
		if tt.want == "" {
			tt.form.Set("actor_token", mine)
			tt.want = "invalid_request"
		}
		if a := w.form("/token", tt.form); a.str("error") != tt.want {
			t.Errorf("%s: %d %v, want %s", name, a.Status, a.Body, tt.want)
		}
	}
}

// The lifetime only narrows: what is made of a token that is about to end ends
// with it.
func TestDelegationLivesNoLonger(t *testing.T) {
	w, _ := delegating(t, "")
	subject, _ := w.desk("alice")
	token, g, err := w.DB.Token(t.Context(), secret.Sum(subject), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	short := token
	short.Hash, short.ExpiresAt, short.Refresh = secret.Sum("gha_short"), time.Now().Add(90*time.Second).Unix(), nil
	if err := w.DB.Issue(t.Context(), g, short, time.Now()); err != nil {
		t.Fatal(err)
	}
	a := w.form("/token", delegation("gha_short", w.own("summary"), "summary"))
	if left, _ := a.Body["expires_in"].(float64); a.Status != http.StatusOK || left > 90 {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	if exp, _ := w.introspect(a.str("access_token")).Body["exp"].(float64); int64(exp) > short.ExpiresAt {
		t.Errorf("it lives until %v, its parent until %v", exp, short.ExpiresAt)
	}
}

// Ending any link ends what hangs off it, and no link before; on both engines.
func TestEndingALinkEndsTheRest(t *testing.T) {
	eachEngine(t, func(t *testing.T, dsn func(*testing.T) string) {
		for name, tt := range map[string]struct {
			end  func(*world, string, string, string) error // subject, its refresh token, what summary has
			left []bool                                     // whether the tokens of desk, summary and a_b live then
		}{
			"the person's grant": {func(w *world, subject, _, _ string) error {
				_, g, err := w.DB.Token(w.t.Context(), secret.Sum(subject), time.Now())
				if err != nil {
					return err
				}
				return w.DB.Revoke(w.t.Context(), g.ID, time.Now())
			}, []bool{false, false, false}},
			"the first token, by its agent": {func(w *world, subject, _, _ string) error {
				return w.revoked("desk", "", subject)
			}, []bool{false, false, false}},
			"the refresh token of the first": {func(w *world, _, refresh, _ string) error {
				return w.revoked("desk", "", refresh)
			}, []bool{false, false, false}},
			"the second token, by its agent": {func(w *world, _, _, made string) error {
				return w.revoked("summary", actorSecret, made)
			}, []bool{true, false, false}},
			"the first agent": {func(w *world, _, _, _ string) error {
				_, err := w.DB.EndClient(w.t.Context(), "desk", time.Now())
				return err
			}, []bool{false, false, false}},
			"the agent between": {func(w *world, _, _, _ string) error {
				_, err := w.DB.EndClient(w.t.Context(), "summary", time.Now())
				return err
			}, []bool{true, false, false}},
			"the last agent": {func(w *world, _, _, _ string) error {
				_, err := w.DB.EndClient(w.t.Context(), "a_b", time.Now())
				return err
			}, []bool{true, true, false}},
			"an agent of a like name": {func(w *world, _, _, _ string) error {
				_, err := w.DB.EndClient(w.t.Context(), "axb", time.Now())
				return err
			}, []bool{true, true, true}},
			"the person": {func(w *world, subject, _, _ string) error {
				_, g, err := w.DB.Token(w.t.Context(), secret.Sum(subject), time.Now())
				if err != nil {
					return err
				}
				_, err = w.DB.EndAccount(w.t.Context(), g.AccountID, time.Now())
				return err
			}, []bool{false, false, false}},
		} {
			t.Run(name, func(t *testing.T) {
				w, _ := delegating(t, dsn(t))
				who := fmt.Sprintf("alice%d", time.Now().UnixNano())
				subject, refresh := w.desk(who)
				made := w.takeOver(subject, "summary")
				last := w.takeOver(made, "a_b")
				if !w.lives(subject) || !w.lives(made) || !w.lives(last) {
					t.Fatal("a token does not live to begin with")
				}
				if err := tt.end(w, subject, refresh, made); err != nil {
					t.Fatal(err)
				}
				for i, token := range []string{subject, made, last} {
					if w.lives(token) != tt.left[i] {
						t.Errorf("token %d lives: %t", i, !tt.left[i])
					}
				}
				// Who comes back by the same name has none of it.
				for _, id := range []string{"summary", "a_b"} {
					_ = w.DB.AddClient(t.Context(), client.Client{ID: id, Origin: client.Administrated, Name: id, AuthMethod: oauth.AuthPost, SecretHash: secret.Sum(actorSecret)}) // if it is gone
				}
				for i, token := range []string{subject, made, last} {
					if w.lives(token) && !tt.left[i] {
						t.Errorf("token %d came back with a client of the same ID", i)
					}
				}
			})
		}
	})
}

// revoked revokes a token as a client (RFC 7009).
func (w *world) revoked(id, value, token string) error {
	form := url.Values{"client_id": {id}, "token": {token}}
	if value != "" {
		form.Set("client_secret", value)
	}
	if a := w.form("/revoke", form); a.Status != http.StatusOK {
		return fmt.Errorf("revoke: %d %v", a.Status, a.Body)
	}
	return nil
}

// Another agent of the chain may not end what it does not hold.
func TestOnlyTheHolderRevokes(t *testing.T) {
	w, _ := delegating(t, "")
	subject, _ := w.desk("alice")
	made := w.takeOver(subject, "summary")
	if a := w.form("/revoke", url.Values{"client_id": {"desk"}, "token": {made}}); a.str("error") != "invalid_grant" || !w.lives(made) {
		t.Errorf("%d %v", a.Status, a.Body)
	}
}

// An underscore in an ID is no wildcard.
func TestEndingAnAgentEndsNoneOfALikeName(t *testing.T) {
	w, _ := delegating(t, "")
	subject, _ := w.desk("alice")
	last := w.takeOver(subject, "summary", "axb")
	if _, err := w.DB.EndClient(t.Context(), "a_b", time.Now()); err != nil {
		t.Fatal(err)
	}
	if !w.lives(last) {
		t.Error("ending a_b ended what axb holds")
	}
}

// A paused agent stops what hangs off it, and gives it back.
func TestPausedActorStopsTheRest(t *testing.T) {
	w, _ := delegating(t, "")
	subject, _ := w.desk("alice")
	last := w.takeOver(subject, "summary", "a_b")
	w.pause(oauth.SubjectClient, "summary")
	if w.lives(last) || !w.lives(subject) {
		t.Error("the pause of a link does not stop what hangs off it, or stops more")
	}
	if a := w.form("/token", delegation(subject, "gha_x", "summary")); a.Status == http.StatusOK {
		t.Error("a paused agent takes over")
	}
	w.resume(oauth.SubjectClient, "summary")
	if !w.lives(last) {
		t.Error("it does not come back")
	}
}

// Of an exchange and the end of its subject token at one moment, nothing is left
// over.
func TestDelegationBesideItsEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, dsn func(*testing.T) string) {
		w, _ := delegating(t, dsn(t))
		mine := w.own("summary")
		for i := range 8 {
			subject, _ := w.desk(fmt.Sprintf("alice%d-%d", i, time.Now().UnixNano()))
			var made []string
			var mu sync.Mutex
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if a := w.form("/token", delegation(subject, mine, "summary")); a.Status == http.StatusOK {
						mu.Lock()
						made = append(made, a.str("access_token"))
						mu.Unlock()
					}
				})
			}
			all.Go(func() {
				if err := w.revoked("desk", "", subject); err != nil && !strings.Contains(err.Error(), "429") {
					t.Error(err)
				}
			})
			all.Wait()
			for _, token := range made {
				if w.lives(token) {
					t.Fatal("a token outlives the one that it was made of")
				}
			}
		}
	})
}

// eachEngine runs a test on SQLite and on PostgreSQL.
func eachEngine(t *testing.T, test func(t *testing.T, dsn func(*testing.T) string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, func(*testing.T) string { return "" }) })
	t.Run("postgres", func(t *testing.T) { test(t, func(t *testing.T) string { return webtest.Postgres(t) }) })
}
