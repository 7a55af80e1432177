package sampleapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
)

const anasOrder = "/users/1/orders/1007/refunds" // 4900 USD

func TestOrdersAreListedInPages(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	var ids []any
	for next := ""; ; {
		page, more := a.list(a.do(token, "GET", "/users/1/orders?limit=3"+next, ""), "orders")
		for _, o := range page {
			ids = append(ids, o["id"])
		}
		if more == "" {
			break
		}
		next = "&cursor=" + url.QueryEscape(more)
	}
	if fmt.Sprint(ids) != "[1001 1002 1003 1004 1005 1006 1007]" {
		t.Errorf("pages list %v", ids)
	}
	cancelled, _ := a.list(a.do(token, "GET", "/users/1/orders?status=cancelled", ""), "orders")
	if len(cancelled) != 1 || cancelled[0]["id"] != 1003.0 || cancelled[0]["refundable"] != 0.0 {
		t.Errorf("cancelled are %v", cancelled)
	}
	a.want(a.do(token, "GET", "/users/1/orders?status=lost", ""), 400)
	a.want(a.do(token, "GET", "/users/1/orders?name=x", ""), 400)
	a.want(a.do(token, "GET", "/users/999999/orders", ""), 404)
}

// An order is refunded in parts up to its amount, and no further.
func TestRefundsEndWithTheAmountOfTheOrder(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	part := a.want(a.do(token, "POST", anasOrder, `{"amount":1500,"reason":"Two cups broken."}`), 201)
	if part["amount"] != 1500.0 || part["refundable"] != 3400.0 || part["currency"] != "USD" || part["orderId"] != 1007.0 {
		t.Errorf("first part %v", part)
	}
	if detail := a.detail(a.do(token, "POST", anasOrder, `{"amount":3401,"reason":"all"}`), 409); !strings.Contains(detail, "3400 USD") {
		t.Errorf("too much: %q", detail)
	}
	rest := a.want(a.do(token, "POST", anasOrder, `{"reason":"All broken."}`), 201)
	if rest["amount"] != 3400.0 || rest["refundable"] != 0.0 {
		t.Errorf("the rest %v", rest)
	}
	if detail := a.detail(a.do(token, "POST", anasOrder, `{"reason":"again"}`), 409); !strings.Contains(detail, "in full") {
		t.Errorf("nothing left: %q", detail)
	}
	orders, _ := a.list(a.do(token, "GET", "/users/1/orders?cursor="+url.QueryEscape("YWZ0ZXIgMTAwNg"), ""), "orders")
	if len(orders) != 1 || orders[0]["refunded"] != 4900.0 || orders[0]["refundable"] != 0.0 {
		t.Errorf("the order after it: %v", orders)
	}
	a.want(a.do(token, "POST", "/users/1/orders/1003/refunds", `{"reason":"cancelled"}`), 409)
}

// A reference makes repeating safe: one refund, the same answer.
func TestRefundOfOneReferenceIsMadeOnce(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	body := `{"amount":1000,"reason":"broken","reference":"ticket-1"}`
	first := a.want(a.do(token, "POST", anasOrder, body), 201)
	second := a.want(a.do(token, "POST", anasOrder, body), 200)
	if fmt.Sprint(first) != fmt.Sprint(second) || second["refundable"] != 3900.0 {
		t.Errorf("first %v, repeated %v", first, second)
	}
	a.want(a.do(token, "POST", anasOrder, `{"amount":999,"reason":"broken","reference":"ticket-1"}`), 409)
	a.want(a.do(token, "POST", anasOrder, `{"amount":1000,"reason":"other","reference":"ticket-1"}`), 409)
	// Also when nothing is left, and per order.
	a.want(a.do(token, "POST", anasOrder, `{"reason":"rest"}`), 201)
	a.want(a.do(token, "POST", anasOrder, body), 200)
	a.want(a.do(token, "POST", "/users/1/orders/1006/refunds", body), 201)
}

// However many requests come at once, one of them wins: by the amount, and by
// the reference.
func TestParallelRefundsHaveOneWinner(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	for _, test := range []struct {
		path, body          string
		created, repeated   int
		conflicts, refunded int
	}{
		{anasOrder, `{"amount":4900,"reason":"broken"}`, 1, 0, 19, 4900},
		{"/users/1/orders/1006/refunds", `{"reason":"broken"}`, 1, 0, 19, 12400},
		{"/users/1/orders/1005/refunds", `{"amount":100,"reason":"broken","reference":"r"}`, 1, 19, 0, 100},
		{"/users/1/orders/1004/refunds", `{"amount":5000,"reason":"broken"}`, 2, 0, 18, 10000},
	} {
		var wg sync.WaitGroup
		statuses := make([]int, 20)
		for i := range statuses {
			wg.Go(func() { statuses[i] = a.do(token, "POST", test.path, test.body).status })
		}
		wg.Wait()
		count := map[int]int{}
		for _, status := range statuses {
			count[status]++
		}
		if count[201] != test.created || count[200] != test.repeated || count[409] != test.conflicts {
			t.Errorf("%s: answers by status are %v", test.path, count)
		}
		var refunded int
		if err := a.db.QueryRowContext(t.Context(), `SELECT refunded FROM balances WHERE id = $1`, strings.Split(test.path, "/")[4]).Scan(&refunded); err != nil {
			t.Fatal(err)
		}
		if refunded != test.refunded {
			t.Errorf("%s: %d refunded, want %d", test.path, refunded, test.refunded)
		}
	}
}

func TestBadRefundsAreRefused(t *testing.T) {
	a := start(t)
	token := a.token(claims("USA"))
	for body, status := range map[string]int{
		`{}`:                                            422,
		`{"amount":100}`:                                422,
		`{"amount":0,"reason":"x"}`:                     422,
		`{"amount":-100,"reason":"x"}`:                  422,
		`{"amount":10.5,"reason":"x"}`:                  422,
		`{"amount":"100","reason":"x"}`:                 422,
		`{"amount":1e30,"reason":"x"}`:                  422,
		`{"amount":null,"reason":"x"}`:                  422,
		`{"reason":""}`:                                 422,
		`{"reason":"x","reference":""}`:                 422,
		`{"reason":"x","currency":"EUR"}`:               400,
		`{"reason":"x","amount":1,"amount":4900}`:       400,
		`{"reason":"` + strings.Repeat("x", 201) + `"}`: 422,
		`{"reason":"x","reference":"` + strings.Repeat("x", 65) + `"}`: 422,
	} {
		a.want(a.do(token, "POST", anasOrder, body), status)
	}
	other := a.do(token, "POST", "/users", `{"firstName":"A","lastName":"B","email":"a@example.com"}`)
	a.want(other, 201)
	for _, path := range []string{other.header.Get("Location") + "/orders/1007/refunds", "/users/2/orders/1007/refunds", "/users/1/orders/999999/refunds"} {
		a.want(a.do(token, "POST", path, `{"reason":"x"}`), 404)
	}
	a.want(a.do(token, "POST", "/users/1/orders/x/refunds", `{"reason":"x"}`), 400)
	var refunds int
	if err := a.db.QueryRowContext(t.Context(), `SELECT count(*) FROM refunds`).Scan(&refunds); err != nil || refunds != 0 {
		t.Errorf("%d refunds were made (%v)", refunds, err)
	}
}
