package sampleapi

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

//go:embed schema.sql
var schema string

// schemaVersion is written into the database as its user_version.
const schemaVersion = 1

const seededCustomers = 1000

// Prepare makes an empty SQLite database ready: schema, 1,000 customers and
// their orders, the same every time. It does all of it or nothing. A database
// that is ready stays as it is, changes made to it included; one of a newer
// version is refused.
func Prepare(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return fmt.Errorf("read version of the customer database: %w", err)
	}
	switch {
	case version == schemaVersion:
		return nil
	case version > schemaVersion:
		return fmt.Errorf("the customer database has version %d and this program knows %d at most; use a newer program, or another folder", version, schemaVersion)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create customer database: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create customer database: %w", err)
	}
	if err := seed(ctx, tx); err != nil {
		return fmt.Errorf("fill customer database: %w", err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)); err != nil {
		return fmt.Errorf("create customer database: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("create customer database: %w", err)
	}
	return nil
}

// seed writes the generated customers and orders, whose numbers begin at 1 and
// at 1001. The first customer is written by hand, so that the demonstration's
// texts can speak of Ana and her order 1007.
func seed(ctx context.Context, tx *sql.Tx) error {
	users, err := tx.PrepareContext(ctx, `INSERT INTO users
		(id, first_name, first_folded, last_name, last_folded, company, email, region, status, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`)
	if err != nil {
		return err
	}
	defer users.Close()
	orders, err := tx.PrepareContext(ctx, `INSERT INTO orders
		(id, user_id, product, amount, currency, status, ordered_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`)
	if err != nil {
		return err
	}
	defer orders.Close()

	g := newGenerator()
	orderID := int64(1000)
	for id := int64(1); id <= seededCustomers; id++ {
		u, bought := g.customer()
		if id == 1 {
			u, bought = ana()
		}
		if _, err := users.ExecContext(ctx, id, u.FirstName, fold(u.FirstName), u.LastName, fold(u.LastName),
			u.Company, u.Email, u.Region, u.Status, u.CreatedAt.Unix()); err != nil {
			return err
		}
		for _, o := range bought {
			orderID++
			if _, err := orders.ExecContext(ctx, orderID, id, o.Product, o.Amount, o.Currency, o.Status, o.OrderedAt.Unix()); err != nil {
				return err
			}
		}
	}
	return nil
}

// ana is the customer of the demonstration. Her last order, 1007, is the one
// to refund.
func ana() (customer, []order) {
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 15, 30, 0, 0, time.UTC) }
	return customer{
			FirstName: "Ana", LastName: "Moreno", Company: "Pelican Coffee", Email: "ana.moreno@pelican.example",
			Region: "USA", Status: "active", CreatedAt: day(time.January, 12),
		}, []order{
			{Product: "Coffee beans, 5 kg", Amount: 11900, Currency: "USD", Status: "delivered", OrderedAt: day(time.January, 13)},
			{Product: "Paper filters, 1,000", Amount: 2450, Currency: "USD", Status: "delivered", OrderedAt: day(time.January, 13)},
			{Product: "Milk jug", Amount: 3200, Currency: "USD", Status: "cancelled", OrderedAt: day(time.February, 2)},
			{Product: "Coffee beans, 5 kg", Amount: 11900, Currency: "USD", Status: "delivered", OrderedAt: day(time.March, 9)},
			{Product: "Burr grinder", Amount: 64900, Currency: "USD", Status: "delivered", OrderedAt: day(time.April, 1)},
			{Product: "Coffee beans, 5 kg", Amount: 12400, Currency: "USD", Status: "delivered", OrderedAt: day(time.May, 4)},
			{Product: "Espresso cups, set of 12", Amount: 4900, Currency: "USD", Status: "delivered", OrderedAt: day(time.May, 18)},
		}
}

// A generator makes the same customers in the same order every time.
type generator struct {
	rand   *rand.Rand
	places []place
	firsts [][]string // of each place
	lasts  [][]string
	emails map[string]bool // taken
}

func newGenerator() *generator {
	g := &generator{rand: rand.New(rand.NewPCG(9068, 9457)), places: places(), emails: map[string]bool{}}
	for _, p := range g.places {
		g.firsts = append(g.firsts, strings.Fields(p.firsts))
		g.lasts = append(g.lasts, strings.Fields(p.lasts))
	}
	return g
}

func (g *generator) customer() (customer, []order) {
	i := g.rand.IntN(len(g.places))
	first, firstLatin := spelled(g.pick(g.firsts[i]))
	last, lastLatin := spelled(g.pick(g.lasts[i]))
	u := customer{
		FirstName: first,
		LastName:  last,
		Region:    g.places[i].region,
		Status:    g.pick([]string{"active", "active", "active", "active", "active", "active", "active", "paused", "closed"}),
		CreatedAt: g.moment(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), 4*365),
	}
	domain := g.pick([]string{"example.com", "example.org", "example.net"})
	if g.rand.IntN(5) > 0 { // one in five is a private customer
		name := g.pick(companyNames())
		u.Company = name + " " + g.pick(companyTrades())
		domain = fold(name) + ".example"
	}
	u.Email = g.email(firstLatin+"."+lastLatin, domain)
	var bought []order
	for range g.rand.IntN(6) {
		o := g.order(g.places[i])
		o.OrderedAt = g.moment(u.CreatedAt, 500)
		bought = append(bought, o)
	}
	return u, bought
}

// order buys something at a price that is within a tenth of the usual one.
func (g *generator) order(p place) order {
	what := products()[g.rand.IntN(len(products()))]
	return order{
		Product:  what.name,
		Amount:   what.dollars * p.dollar * int64(90+g.rand.IntN(21)) / 100,
		Currency: p.currency,
		Status:   g.pick([]string{"paid", "shipped", "delivered", "delivered", "delivered", "delivered", "cancelled"}),
	}
}

func (g *generator) pick(from []string) string { return from[g.rand.IntN(len(from))] }

// moment returns a time within the days after start, to the second.
func (g *generator) moment(start time.Time, days int) time.Time {
	return start.Add(time.Duration(g.rand.IntN(days*24*60*60)) * time.Second)
}

// email returns an address that no earlier customer has.
func (g *generator) email(local, domain string) string {
	address := local + "@" + domain
	for n := 2; g.emails[address]; n++ {
		address = fmt.Sprintf("%s%d@%s", local, n, domain)
	}
	g.emails[address] = true
	return address
}

// spelled splits an entry of the name lists into the name as written and its
// form in plain Latin letters, which e-mail addresses use.
func spelled(entry string) (name, latin string) {
	name, latin, ok := strings.Cut(entry, "=")
	if !ok {
		latin = fold(name)
	}
	return name, strings.ReplaceAll(latin, "'", "")
}
