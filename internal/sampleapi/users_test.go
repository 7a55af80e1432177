package sampleapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Paging visits every customer of the region once, by rising id.
func TestPagingVisitsEveryCustomerOnce(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	var count int
	if err := a.db.QueryRowContext(t.Context(), `SELECT count(*) FROM users WHERE region = 'USA'`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{0, 1, 7, 100} {
		path, seen, last := "/users?", 0, 0.0
		if limit > 0 {
			path += fmt.Sprintf("limit=%d&", limit)
		}
		for next := ""; ; {
			page, more := a.list(a.do(token, "GET", path+next, ""), "users")
			for _, u := range page {
				if u["id"].(float64) <= last || u["region"] != "USA" {
					t.Fatalf("limit %d: after %v comes %v", limit, last, u)
				}
				last = u["id"].(float64)
			}
			seen += len(page)
			if more == "" {
				break
			}
			if want := max(limit, 1); limit > 0 && len(page) != want || limit == 0 && len(page) != 20 {
				t.Fatalf("limit %d: a page of %d that is not the last", limit, len(page))
			}
			next = "cursor=" + url.QueryEscape(more)
		}
		if seen != count {
			t.Errorf("limit %d: saw %d customers of %d", limit, seen, count)
		}
	}
}

func TestListIsNarrowedByFilters(t *testing.T) {
	a := start(t)
	token := a.token(claims("Europe"))
	all := func(query string) (names []string) {
		page, _ := a.list(a.do(token, "GET", "/users?limit=100&"+query, ""), "users")
		for _, u := range page {
			names = append(names, fmt.Sprint(u["firstName"], " ", u["lastName"], " ", u["status"]))
		}
		return names
	}
	// Case and accents make no difference, in any script.
	for query, want := range map[string]string{
		"name=wojcik":                         "Wójcik",
		"name=W%C3%93JCIK":                    "Wójcik",
		"name=soren":                          "Søren",
		"name=weiss":                          "Weiß",
		"name=%CE%B5%CE%BB%CE%B5%CE%BD%CE%B7": "Ελένη",
		"name=rgen+m":                         "Jürgen M", // across first and last name
		"status=paused":                       "paused",
	} {
		got := all(query)
		if len(got) == 0 {
			t.Errorf("%s finds nobody", query)
		}
		for _, name := range got {
			if !strings.Contains(name, want) {
				t.Errorf("%s finds %s", query, name)
			}
		}
	}
	for _, query := range []string{"name=%25", "name=_", "name=%27%20OR%201=1--", "name=nobody+at+all", "region=USA", "region=Asia&name=a"} {
		if got := all(query); len(got) != 0 {
			t.Errorf("%s finds %v", query, got)
		}
	}
	if len(all("region=Europe")) == 0 {
		t.Error("one's own region finds nobody")
	}
}

func TestListRefusesWhatItDoesNotUnderstand(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	for query, says := range map[string]string{
		"limit=0": "1 to 100", "limit=101": "1 to 100", "limit=ten": "1 to 100", "limit=-1": "1 to 100",
		"limit=": "empty", "limit=5&limit=6": "twice",
		"cursor=5": "cursor", "cursor=YWZ0ZXIgLTE": "cursor", "cursor=" + strings.Repeat("A", 65): "cursor",
		"status=gone": "active, paused, closed", "region=Mars": "USA, Europe",
		"regoin=USA": "known are", "Region=USA": "known are", "name=%CC%81": "no letters", "name=%zz": "percent-encode",
	} {
		if detail := a.detail(a.do(token, "GET", "/users?"+query, ""), 400); !strings.Contains(detail, says) {
			t.Errorf("%s: detail %q does not say %q", query, detail, says)
		}
	}
	for _, id := range []string{"0", "-1", "+1", "1.5", "x", "99999999999999999999"} {
		a.want(a.do(token, "GET", "/users/"+id, ""), 400)
	}
}

func TestCustomerIsCreatedReadChangedAndDeleted(t *testing.T) {
	a := start(t)
	token := a.token(claims("Europe"))
	got := a.do(token, "POST", "/users", `{"firstName":"Zoë","lastName":"Ångström","company":"Fjord & Co.","email":"Zoe@example.org"}`)
	made := a.want(got, 201)
	path := got.header.Get("Location")
	if path != fmt.Sprintf("/users/%v", made["id"]) || made["region"] != "Europe" || made["status"] != "active" {
		t.Errorf("created %v at %s", made, path)
	}
	if page, _ := a.list(a.do(token, "GET", "/users?name=zoe+angstrom&cursor="+url.QueryEscape("YWZ0ZXIgMTAwMA"), ""), "users"); len(page) != 1 {
		t.Errorf("the new customer is found %d times", len(page))
	}

	changed := a.want(a.do(token, "PATCH", path, `{"lastName":"Öberg","status":"paused","company":null,"region":"Europe"}`), 200)
	if changed["lastName"] != "Öberg" || changed["firstName"] != "Zoë" || changed["status"] != "paused" || changed["company"] != nil {
		t.Errorf("changed to %v", changed)
	}
	read := a.want(a.do(token, "GET", path, ""), 200)
	if fmt.Sprint(read) != fmt.Sprint(changed) {
		t.Errorf("read %v after changing to %v", read, changed)
	}
	if page, _ := a.list(a.do(token, "GET", "/users?name=oberg&status=paused", ""), "users"); len(page) != 1 {
		t.Errorf("the changed customer is found %d times", len(page))
	}
	h := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/merge-patch+json; charset=utf-8"}}
	a.want(a.send("PATCH", path, `{"company":"Delta Foods"}`, h), 200)
	if head := a.do(token, "HEAD", path, ""); head.status != 200 || len(head.body) != 0 || head.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes", head.status, len(head.body))
	}

	if gone := a.do(token, "DELETE", path, ""); gone.status != 204 || len(gone.body) != 0 {
		t.Errorf("DELETE: %d %s", gone.status, gone.body)
	}
	a.want(a.do(token, "DELETE", path, ""), 404)
	a.want(a.do(token, "GET", path, ""), 404)
	// A number is never used twice.
	if again := a.want(a.do(token, "POST", "/users", `{"firstName":"Z","lastName":"Å","email":"zoe@example.org"}`), 201); again["id"] == made["id"] {
		t.Errorf("the id %v of a deleted customer is used again", made["id"])
	}
}

// An address belongs to one customer of a region, whatever its case; that
// another region has it is not told (security.md 20).
func TestEmailIsTakenOncePerRegion(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	body := `{"firstName":"Ana","lastName":"Moreno","email":"Ana.Moreno@pelican.example"}`
	a.want(a.do(token, "POST", "/users", body), 409)
	made := a.do(token, "POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com"}`)
	a.want(made, 201)
	a.want(a.do(token, "PATCH", made.header.Get("Location"), `{"email":"ana.moreno@PELICAN.example"}`), 409)
	a.want(a.do(token, "PATCH", "/users/1", `{"email":"ana.moreno@pelican.example"}`), 200)
	a.want(a.do(a.token(claims("Europe")), "POST", "/users", body), 201)
}

func TestDeletingCustomerDeletesOrdersAndRefunds(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	a.want(a.do(token, "POST", "/users/1/orders/1007/refunds", `{"reason":"broken"}`), 201)
	a.want(a.do(token, "DELETE", "/users/1", ""), 204)
	var orders, refunds int
	if err := a.db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM orders WHERE user_id = 1), (SELECT count(*) FROM refunds)`).
		Scan(&orders, &refunds); err != nil {
		t.Fatal(err)
	}
	if orders != 0 || refunds != 0 {
		t.Errorf("%d orders and %d refunds are left", orders, refunds)
	}
	a.want(a.do(token, "GET", "/users/1/orders", ""), 404)
	a.want(a.do(token, "POST", "/users/1/orders/1007/refunds", `{"reason":"broken"}`), 404)
}

// Bodies are read strictly (security.md 13): nothing is guessed or passed over.
func TestBadBodiesAreRefused(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	long := strings.Repeat("ä", 101)
	tests := []struct {
		name, body string
		status     int
		says       string
	}{
		{"no JSON", `firstName=Ana`, 400, "one JSON object"},
		{"array", `[{"firstName":"A"}]`, 400, "one JSON object"},
		{"something after it", `{"firstName":"A"}{}`, 400, "follows"},
		{"unknown member", `{"firstName":"A","lastName":"B","email":"a@example.com","id":7}`, 400, "known are"},
		{"other case", `{"FirstName":"A","lastName":"B","email":"a@example.com"}`, 400, "exactly so"},
		{"twice", `{"firstName":"A","firstName":"B","lastName":"B","email":"a@example.com"}`, 400, "twice"},
		{"nested", `{"firstName":{"a":{"b":{"c":1}}}}`, 400, "deeply"},
		{"not UTF-8", "{\"firstName\":\"\xff\"}", 400, "UTF-8"},
		{"everything missing", `{}`, 422, "firstName is missing; lastName is missing; email is missing"},
		{"number", `{"firstName":1,"lastName":"B","email":"a@example.com"}`, 422, "firstName must be a text"},
		{"null", `{"firstName":null,"lastName":"B","email":"a@example.com"}`, 422, "firstName must be a text"},
		{"null company", `{"firstName":"A","lastName":"B","email":"a@example.com","company":null}`, 422, "company must be a text"},
		{"blank", `{"firstName":"  ","lastName":"B","email":"a@example.com"}`, 422, "firstName must have 1 to 100"},
		{"long", `{"firstName":"` + long + `","lastName":"B","email":"a@example.com"}`, 422, "firstName must have 1 to 100"},
		{"two lines", `{"firstName":"A\nB","lastName":"B","email":"a@example.com"}`, 422, "control characters"},
		{"no address", `{"firstName":"A","lastName":"B","email":"a"}`, 422, "email must be an e-mail address"},
		{"address with name", `{"firstName":"A","lastName":"B","email":"A <a@example.com>"}`, 422, "email must be an e-mail address"},
		{"status", `{"firstName":"A","lastName":"B","email":"a@example.com","status":"new"}`, 422, "status must be one of"},
		{"region", `{"firstName":"A","lastName":"B","email":"a@example.com","region":"Mars"}`, 422, "region must be one of"},
		{"large", `{"firstName":"` + strings.Repeat("a", 17<<10) + `"}`, 413, "bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if detail := a.detail(a.do(token, "POST", "/users", test.body), test.status); !strings.Contains(detail, test.says) {
				t.Errorf("detail %q does not say %q", detail, test.says)
			}
		})
	}
	a.want(a.do(token, "PATCH", "/users/1", `{}`), 422)
	a.want(a.do(token, "PATCH", "/users/1", `{"email":null}`), 422)
	a.want(a.do(token, "PATCH", "/users/1", `{"createdAt":"2026-01-01T00:00:00Z"}`), 400)
	a.want(a.do(token, "POST", "/users?dry=1", `{}`), 400)
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json"} {
		h := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {contentType}}
		a.want(a.send("POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com"}`, h), 415)
	}
}

func TestOtherPathsAndMethodsSayWhatThereIs(t *testing.T) {
	a := start(t)
	for _, path := range []string{"/", "/user", "/users/", "/users/1/", "/users/1/orders/1007", "/.well-known/openid-configuration"} {
		if detail := a.detail(a.do("", "GET", path, ""), 404); !strings.Contains(detail, "/openapi.yaml") {
			t.Errorf("%s: %q", path, detail)
		}
	}
	for _, request := range []struct{ method, path, allow string }{
		{"PUT", "/users/1", "DELETE, GET, HEAD, OPTIONS, PATCH"},
		{"DELETE", "/users", "GET, HEAD, OPTIONS, POST"},
		{"GET", "/users/1/orders/1007/refunds", "OPTIONS, POST"},
		{"POST", "/openapi.yaml", "GET, HEAD, OPTIONS"},
	} {
		got := a.do("", request.method, request.path, "")
		a.want(got, 405)
		if allow := got.header.Get("Allow"); allow != request.allow {
			t.Errorf("%s %s: Allow %q, want %q", request.method, request.path, allow, request.allow)
		}
	}
}
