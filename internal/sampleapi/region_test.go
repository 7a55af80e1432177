package sampleapi_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/jose"
)

// security.md 20: a row of another region answers as one that does not exist,
// on every operation and to the letter.
func TestForeignCustomerIsLikeNone(t *testing.T) {
	a := start(t)
	token := a.token(claims("Europe"))
	for _, op := range []struct{ method, path, body string }{
		{"GET", "/users/ID", ""},
		{"PATCH", "/users/ID", `{"status":"closed"}`},
		{"PATCH", "/users/ID", `{"region":"Europe","status":"closed"}`},
		{"PATCH", "/users/ID", `{"email":"ana.moreno@pelican.example"}`},
		{"DELETE", "/users/ID", ""},
		{"GET", "/users/ID/orders", ""},
		{"GET", "/users/ID/orders?status=delivered", ""},
		{"POST", "/users/ID/orders/1007/refunds", `{"reason":"broken"}`},
		{"POST", "/users/ID/orders/1007/refunds", `{"reason":"broken","amount":999999}`},
	} {
		foreign := a.do(token, op.method, strings.Replace(op.path, "ID", "1", 1), op.body)
		missing := a.do(token, op.method, strings.Replace(op.path, "ID", "999999", 1), op.body)
		a.want(foreign, 404)
		if string(foreign.body) != string(missing.body) || missing.status != 404 {
			t.Errorf("%s %s: %s differs from %s", op.method, op.path, foreign.body, missing.body)
		}
	}
	// An own customer's path does not lead to a foreign order.
	page, _ := a.list(a.do(token, "GET", "/users?limit=1", ""), "users")
	path := fmt.Sprintf("/users/%v/orders/1007/refunds", page[0]["id"])
	a.want(a.do(token, "POST", path, `{"reason":"broken"}`), 404)

	// Nothing of it happened.
	usa := a.token(claims("USA"))
	if ana := a.want(a.do(usa, "GET", "/users/1", ""), 200); ana["status"] != "active" {
		t.Errorf("a foreign caller changed %v", ana)
	}
	a.want(a.do(usa, "POST", anasOrder, `{"amount":4900,"reason":"broken"}`), 201)
}

// security.md 20: new values are checked like old ones. Nobody creates
// customers in another region or moves them there.
func TestCustomersStayInTheCallersRegion(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	a.want(a.do(token, "POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com","region":"Asia"}`), 403)
	a.want(a.do(token, "PATCH", "/users/1", `{"region":"Europe"}`), 403)
	a.want(a.do(token, "PATCH", "/users/1", `{"region":"Europe","status":"paused"}`), 403)
	ana := a.want(a.do(token, "GET", "/users/1", ""), 200)
	if ana["region"] != "USA" || ana["status"] != "active" {
		t.Errorf("Ana became %v", ana)
	}
	made := a.want(a.do(token, "POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com","region":"USA"}`), 201)
	if made["region"] != "USA" {
		t.Errorf("created %v", made)
	}
}

// security.md 20: without a region there are no rows. Nor with one that is no
// region.
func TestCallerWithoutRegionSeesNobody(t *testing.T) {
	a := start(t)
	for _, region := range []any{nil, "", "usa", "*", "%", "Mars", true, 1, []string{"USA"}, map[string]any{"USA": true}} {
		c := claims("")
		if region != nil {
			c.Extra["region"] = region
		}
		token := a.token(c)
		for _, query := range []string{"", "?region=USA", "?name=ana"} {
			if page, next := a.list(a.do(token, "GET", "/users"+query, ""), "users"); len(page) != 0 || next != "" {
				t.Errorf("region %v, %s: %d customers", region, query, len(page))
			}
		}
		a.want(a.do(token, "GET", "/users/1", ""), 404)
		a.want(a.do(token, "GET", "/users/1/orders", ""), 404)
		a.want(a.do(token, "DELETE", "/users/1", ""), 404)
		a.want(a.do(token, "POST", anasOrder, `{"reason":"x"}`), 404)
		a.want(a.do(token, "PATCH", "/users/1", `{"status":"paused"}`), 403)
		a.want(a.do(token, "POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com"}`), 403)
		a.want(a.do(token, "POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com","region":"USA"}`), 403)
	}
}

// security.md 20: agents of the lowest level delete nothing, and a missing
// client_type or level counts as the lowest, with or without act.
func TestAgentsOfTheLowestLevelDeleteNothing(t *testing.T) {
	a := start(t)
	for _, extra := range []map[string]any{
		{},
		{"client_type": "agent"},
		{"client_type": "agent", "client_assurance_level": 0},
		{"client_type": "agent", "client_assurance_level": -1},
		{"client_type": "agent", "client_assurance_level": 0.5},
		{"client_type": "agent", "client_assurance_level": 1.5},
		{"client_type": "agent", "client_assurance_level": "1"},
		{"client_type": "agent", "client_assurance_level": 1e300},
		{"client_type": "application"},
		{"client_type": "", "client_assurance_level": 1},
		{"client_type": 7, "client_assurance_level": 1},
		{"client_assurance_level": 1},
	} {
		for _, act := range []*jose.Actor{nil, {Sub: "gateway", Act: &jose.Actor{Sub: "agent-1"}}} {
			c := claims("")
			c.Act, c.Extra = act, map[string]any{"region": "USA"}
			for name, value := range extra {
				c.Extra[name] = value
			}
			token := a.token(c)
			got := a.do(token, "DELETE", "/users/1", "")
			detail := a.detail(got, 403)
			if !strings.Contains(detail, "client_assurance_level") || !strings.Contains(detail, "administrator") {
				t.Errorf("%v: detail %q does not say why and what would help", extra, detail)
			}
			// A new token of the same client would not help, so no challenge.
			if got.header.Get("WWW-Authenticate") != "" {
				t.Errorf("%v: challenge %q", extra, got.header.Get("WWW-Authenticate"))
			}
			// It does not tell what exists either.
			if missing := a.do(token, "DELETE", "/users/999999", ""); string(missing.body) != string(got.body) {
				t.Errorf("%v: a missing customer answers %s", extra, missing.body)
			}
			a.want(a.do(token, "PATCH", "/users/1", `{"status":"active"}`), 200)
		}
	}
	c := claims("USA")
	c.Extra["client_assurance_level"] = 2
	a.want(a.do(a.token(c), "DELETE", "/users/1", ""), 204)
}
