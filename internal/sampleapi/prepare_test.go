package sampleapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/sampleapi"
)

// The same customers every time, on every machine and with every Go release.
func TestPrepareMakesTheSameDataEveryTime(t *testing.T) {
	const want = "0db8cdd3dbd48525bc7149e249df8bac5decc8a302ded296f11b46151a5abb67"
	db := openDB(t, filepath.Join(t.TempDir(), "customers.db"))
	if err := sampleapi.Prepare(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for _, q := range []string{
		`SELECT id, first_name || last_name || company || email || region || status || created_at FROM users ORDER BY id`,
		`SELECT id, user_id || product || amount || currency || status || ordered_at FROM orders ORDER BY id`,
	} {
		rows, err := db.QueryContext(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id int64
			var text string
			if err := rows.Scan(&id, &text); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(sum, id, text)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("the data has hash %s, want %s; documents and tests elsewhere speak of this data, so change it only on purpose", got, want)
	}
}

func TestPreparedDataIsWhatTheDemonstrationSpeaksOf(t *testing.T) {
	a := start(t)
	var customers, regions, nonASCII int
	rows, err := a.db.QueryContext(t.Context(), `SELECT first_name, email FROM users`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var first, email string
		if err := rows.Scan(&first, &email); err != nil {
			t.Fatal(err)
		}
		customers++
		if strings.ContainsFunc(first, func(r rune) bool { return r > 127 }) {
			nonASCII++
		}
		_, err := mail.ParseAddress(email)
		_, domain, _ := strings.Cut(email, "@")
		reserved := strings.HasSuffix(domain, ".example") || domain == "example.com" || domain == "example.org" || domain == "example.net"
		if err != nil || !reserved || strings.ContainsFunc(email, func(r rune) bool { return r > 127 }) {
			t.Errorf("e-mail %q of %s is no address at a domain reserved for examples (RFC 2606)", email, first)
		}
	}
	if err := a.db.QueryRowContext(t.Context(), `SELECT count(DISTINCT region) FROM users`).Scan(&regions); err != nil {
		t.Fatal(err)
	}
	if customers != 1000 || regions != 6 || nonASCII < 200 {
		t.Errorf("%d customers in %d regions, %d with names beyond ASCII", customers, regions, nonASCII)
	}
	for _, region := range []string{"USA", "Europe"} { // those of the seeded people
		if got, _ := a.list(a.do(a.token(claims(region)), "GET", "/users?limit=100", ""), "users"); len(got) != 100 {
			t.Errorf("%s has fewer than 100 customers", region)
		}
	}
	orders, _ := a.list(a.do(a.token(claims("USA")), "GET", "/users/1/orders", ""), "orders")
	last := orders[len(orders)-1]
	if last["id"] != float64(1007) || last["refundable"] != last["amount"] {
		t.Errorf("Ana's last order is %v, want 1007 and refundable", last)
	}
}

// A restart keeps changes; a database from a newer version is left alone.
func TestPrepareKeepsWhatThereIs(t *testing.T) {
	a := start(t)
	a.want(a.do(a.token(claims("USA")), "DELETE", "/users/1", ""), 204)
	if err := sampleapi.Prepare(t.Context(), a.db); err != nil {
		t.Fatal(err)
	}
	a.want(a.do(a.token(claims("USA")), "GET", "/users/1", ""), 404)

	if _, err := a.db.ExecContext(t.Context(), `PRAGMA user_version = 2`); err != nil {
		t.Fatal(err)
	}
	if err := sampleapi.Prepare(t.Context(), a.db); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("Prepare of a newer database says %v", err)
	}
}
