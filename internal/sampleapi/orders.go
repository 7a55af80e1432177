package sampleapi

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An order is what a customer bought. Amounts are in the smallest unit of the
// currency.
type order struct {
	ID         int64     `json:"id"`
	UserID     int64     `json:"userId"`
	Product    string    `json:"product"`
	Amount     int64     `json:"amount"`
	Currency   string    `json:"currency"`
	Refunded   int64     `json:"refunded"`
	Refundable int64     `json:"refundable"`
	Status     string    `json:"status"`
	OrderedAt  time.Time `json:"orderedAt"`
}

const orderColumns = `id, user_id, product, amount, currency, refunded, refundable, status, ordered_at`

func scanOrder(row scanner) (order, error) {
	var o order
	var ordered int64
	err := row.Scan(&o.ID, &o.UserID, &o.Product, &o.Amount, &o.Currency, &o.Refunded, &o.Refundable, &o.Status, &ordered)
	o.OrderedAt = time.Unix(ordered, 0).UTC()
	return o, err
}

// A refund is money given back for an order.
type refund struct {
	ID         int64     `json:"id"`
	OrderID    int64     `json:"orderId"`
	Amount     int64     `json:"amount"`
	Currency   string    `json:"currency"`
	Reason     string    `json:"reason"`
	Reference  string    `json:"reference,omitempty"`
	Refundable int64     `json:"refundable"` // what is left of the order now
	CreatedAt  time.Time `json:"createdAt"`
}

const (
	maxReason    = 200
	maxReference = 64
	maxAmount    = 1_000_000_000_000
)

func orderStatuses() []string { return []string{"paid", "shipped", "delivered", "cancelled"} }

// fetchOrders lists the orders of one customer.
func (s *Server) fetchOrders(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	q, err := query(r, "limit", "cursor", "status")
	if err != nil {
		return err
	}
	p, err := parsePage(q)
	if err != nil {
		return err
	}
	status, err := oneOf(q, "status", orderStatuses())
	if err != nil {
		return err
	}
	if _, err := s.customer(r.Context(), id, c); err != nil {
		return err
	}
	rows, err := s.DB.QueryContext(r.Context(), `SELECT `+orderColumns+` FROM balances
		WHERE user_id = $1 AND region = $2 AND id > $3 AND ($4 = '' OR status = $4)
		ORDER BY id LIMIT $5`, id, c.region, p.after, status, p.limit+1)
	if err != nil {
		return fmt.Errorf("list orders of customer %d: %w", id, err)
	}
	answer := struct {
		Orders []order `json:"orders"`
		Next   string  `json:"next,omitempty"`
	}{}
	if answer.Orders, err = scanAll(rows, scanOrder); err != nil {
		return fmt.Errorf("list orders of customer %d: %w", id, err)
	}
	if len(answer.Orders) > p.limit {
		answer.Orders = answer.Orders[:p.limit]
		answer.Next = cursor(answer.Orders[p.limit-1].ID)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// A refundRequest is what refund-order asks for.
type refundRequest struct {
	userID, orderID int64
	amount          int64 // 0 asks for all that is left
	reason          string
	reference       *string // nil when the caller gave none
}

// refundOrder gives money back.
func (s *Server) refundOrder(w http.ResponseWriter, r *http.Request, c caller) error {
	var req refundRequest
	var err error
	if req.userID, err = pathID(r, "id"); err != nil {
		return err
	}
	if req.orderID, err = pathID(r, "orderId"); err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	members, err := body(w, r, []string{plainJSON}, "amount", "reason", "reference")
	if err != nil {
		return err
	}
	check := &checker{members: members}
	check.require("reason")
	reason := check.text("reason", maxReason)
	req.amount = check.amount("amount", maxAmount)
	req.reference = check.text("reference", maxReference)
	if err := check.result(); err != nil {
		return err
	}
	req.reason = *reason
	done, status, err := s.refund(r.Context(), req, c)
	if err != nil {
		return err
	}
	return writeJSON(w, status, done)
}

// refund makes a refund by one conditional statement, so that however many
// requests come at once no order is refunded beyond its amount and no
// reference twice. The status is 200 if the refund existed, else 201.
func (s *Server) refund(ctx context.Context, req refundRequest, c caller) (refund, int, error) {
	var id int64
	err := s.DB.QueryRowContext(ctx, `INSERT INTO refunds (order_id, amount, reason, reference, created_at)
		SELECT id, CASE WHEN $1 = 0 THEN refundable ELSE $1 END, $2, $3, $4 FROM balances
		WHERE id = $5 AND user_id = $6 AND region = $7 AND refundable >= max($1, 1)
		ON CONFLICT (order_id, reference) DO NOTHING RETURNING id`,
		req.amount, req.reason, req.reference, time.Now().Unix(), req.orderID, req.userID, c.region).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		done, err := s.notRefunded(ctx, req, c)
		return done, http.StatusOK, err
	}
	if err != nil {
		return refund{}, 0, fmt.Errorf("refund order %d: %w", req.orderID, err)
	}
	done, err := s.readRefund(ctx, `refunds.id = $1`, id)
	if err != nil {
		return refund{}, 0, fmt.Errorf("read refund %d: %w", id, err)
	}
	return done, http.StatusCreated, nil
}

// notRefunded finds out why refund wrote nothing: the same was done before,
// or it may not be done.
func (s *Server) notRefunded(ctx context.Context, req refundRequest, c caller) (refund, error) {
	o, err := scanOrder(s.DB.QueryRowContext(ctx,
		`SELECT `+orderColumns+` FROM balances WHERE id = $1 AND user_id = $2 AND region = $3`, req.orderID, req.userID, c.region))
	if errors.Is(err, sql.ErrNoRows) {
		return refund{}, refuse(http.StatusNotFound,
			"there is no such order of such a customer in your region; list the customer's orders with GET /users/{id}/orders")
	}
	if err != nil {
		return refund{}, fmt.Errorf("read order %d: %w", req.orderID, err)
	}
	if req.reference != nil {
		done, err := s.readRefund(ctx, `refunds.order_id = $1 AND refunds.reference = $2`, req.orderID, *req.reference)
		switch {
		case err == nil && (done.Reason != req.reason || req.amount != 0 && req.amount != done.Amount):
			return refund{}, refuse(http.StatusConflict, fmt.Sprintf(
				"the reference names an earlier refund of %d %s with another amount or reason; use a new reference for a new refund", done.Amount, done.Currency))
		case err == nil:
			return done, nil
		case !errors.Is(err, sql.ErrNoRows):
			return refund{}, fmt.Errorf("read refund of order %d: %w", req.orderID, err)
		}
	}
	switch {
	case o.Status == "cancelled":
		return refund{}, refuse(http.StatusConflict, "the order was cancelled and not charged, so there is nothing to give back")
	case o.Refundable == 0:
		return refund{}, refuse(http.StatusConflict, "the order is refunded in full already; nothing is left to do")
	}
	return refund{}, refuse(http.StatusConflict, fmt.Sprintf(
		"only %d %s, in the smallest unit, are left to refund of this order; ask for that or less, or leave amount out for all of it", o.Refundable, o.Currency))
}

// readRefund reads the refund that matches a condition. The caller has checked
// whose it is.
func (s *Server) readRefund(ctx context.Context, condition string, args ...any) (refund, error) {
	var f refund
	var reference sql.NullString
	var created int64
	err := s.DB.QueryRowContext(ctx, `SELECT refunds.id, refunds.order_id, refunds.amount, balances.currency,
		refunds.reason, refunds.reference, balances.refundable, refunds.created_at
		FROM refunds JOIN balances ON balances.id = refunds.order_id WHERE `+condition, args...).
		Scan(&f.ID, &f.OrderID, &f.Amount, &f.Currency, &f.Reason, &reference, &f.Refundable, &created)
	f.Reference, f.CreatedAt = reference.String, time.Unix(created, 0).UTC()
	return f, err
}
