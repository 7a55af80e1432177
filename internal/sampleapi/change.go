package sampleapi

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// A change is what a request wants written to a customer; nil means that a
// member is not given. The region is not part of it: it is the caller's own
// before and after (security.md 20).
type change struct {
	firstName, lastName, company, email, status *string
}

const (
	plainJSON = "application/json"
	mergeJSON = "application/merge-patch+json" // RFC 7396
)

func changeMembers() []string {
	return []string{"firstName", "lastName", "company", "email", "region", "status"}
}

// readChange checks the members of a body. It refuses a region other than the
// caller's: nobody creates customers elsewhere, or moves them there.
func readChange(members map[string]json.RawMessage, c caller, required ...string) (change, error) {
	check := &checker{members: members}
	check.require(required...)
	ch := change{
		firstName: check.text("firstName", maxText),
		lastName:  check.text("lastName", maxText),
		company:   check.text("company", maxText),
		email:     check.email("email"),
		status:    check.oneOf("status", userStatuses()),
	}
	region := check.oneOf("region", regions())
	if err := check.result(); err != nil {
		return change{}, err
	}
	if c.region == "" {
		return change{}, refuse(http.StatusForbidden,
			"your access token names no region, so there are no customers that you may write; sign in with an account that has one")
	}
	if region != nil && *region != c.region {
		return change{}, refuse(http.StatusForbidden,
			"you may write customers of your own region only, and customers do not move; leave region out")
	}
	return ch, nil
}

func emailTaken() error {
	return refuse(http.StatusConflict,
		"another customer of your region has this e-mail address; find it with GET /users and change that one, or use another address")
}

// createUser adds a customer to the caller's region.
func (s *Server) createUser(w http.ResponseWriter, r *http.Request, c caller) error {
	if _, err := query(r); err != nil {
		return err
	}
	members, err := body(w, r, []string{plainJSON}, changeMembers()...)
	if err != nil {
		return err
	}
	ch, err := readChange(members, c, "firstName", "lastName", "email")
	if err != nil {
		return err
	}
	company, status := "", "active"
	if ch.company != nil {
		company = *ch.company
	}
	if ch.status != nil {
		status = *ch.status
	}
	u, err := scanCustomer(s.DB.QueryRowContext(r.Context(), `INSERT INTO users
		(first_name, first_folded, last_name, last_folded, company, email, region, status, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (region, email) DO NOTHING RETURNING `+customerColumns,
		*ch.firstName, fold(*ch.firstName), *ch.lastName, fold(*ch.lastName), company, *ch.email, c.region, status, time.Now().Unix()))
	if errors.Is(err, sql.ErrNoRows) {
		return emailTaken()
	}
	if err != nil {
		return fmt.Errorf("create customer: %w", err)
	}
	w.Header().Set("Location", "/users/"+strconv.FormatInt(u.ID, 10))
	return writeJSON(w, http.StatusCreated, u)
}

// updateUser changes the members given, as a JSON merge patch (RFC 7396) in
// which null is allowed for the one member that can be missing.
func (s *Server) updateUser(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	members, err := body(w, r, []string{plainJSON, mergeJSON}, changeMembers()...)
	if err != nil {
		return err
	}
	if len(members) == 0 {
		return refuse(http.StatusUnprocessableEntity, "the body changes nothing; give at least one member")
	}
	noCompany := string(members["company"]) == "null"
	if noCompany {
		delete(members, "company")
	}
	ch, err := readChange(members, c)
	if err != nil {
		return err
	}
	if noCompany {
		ch.company = new(string)
	}
	u, err := s.update(r.Context(), id, ch, c)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, u)
}

// update writes ch by one statement that holds every condition.
func (s *Server) update(ctx context.Context, id int64, ch change, c caller) (customer, error) {
	folded := func(name *string) *string {
		if name == nil {
			return nil
		}
		f := fold(*name)
		return &f
	}
	u, err := scanCustomer(s.DB.QueryRowContext(ctx, `UPDATE users SET
		first_name = coalesce($1, first_name), first_folded = coalesce($2, first_folded),
		last_name = coalesce($3, last_name), last_folded = coalesce($4, last_folded),
		company = coalesce($5, company), email = coalesce($6, email), status = coalesce($7, status)
		WHERE id = $8 AND region = $9
		AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.region = $9 AND other.email = $6 AND other.id <> $8)
		RETURNING `+customerColumns,
		ch.firstName, folded(ch.firstName), ch.lastName, folded(ch.lastName), ch.company, ch.email, ch.status, id, c.region))
	if !errors.Is(err, sql.ErrNoRows) {
		if err != nil {
			err = fmt.Errorf("change customer %d: %w", id, err)
		}
		return u, err
	}
	if _, err := s.customer(ctx, id, c); err != nil {
		return customer{}, err
	}
	return customer{}, emailTaken()
}

// deleteUser removes a customer with orders and refunds. What cannot be undone
// is not for agents that nobody vouches for.
func (s *Server) deleteUser(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	if c.assurance < 1 {
		return refuse(http.StatusForbidden,
			"deleting customers needs a client_assurance_level of 1 or more, and your access token shows 0: "+
				"an agent that registered itself, or that does not say what it is, may not delete. "+
				"It would help if an administrator created the client of this agent; or set the status of the customer to closed instead")
	}
	if err := s.remove(r.Context(), id, c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) remove(ctx context.Context, id int64, c caller) error {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("delete customer %d: %w", id, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	gone, err := tx.ExecContext(ctx, `DELETE FROM users WHERE id = $1 AND region = $2`, id, c.region)
	if err != nil {
		return fmt.Errorf("delete customer %d: %w", id, err)
	}
	n, err := gone.RowsAffected()
	if err != nil {
		return fmt.Errorf("delete customer %d: %w", id, err)
	}
	if n == 0 {
		return noCustomer()
	}
	for _, statement := range []string{
		`DELETE FROM refunds WHERE order_id IN (SELECT id FROM orders WHERE user_id = $1)`,
		`DELETE FROM orders WHERE user_id = $1`,
	} {
		if _, err := tx.ExecContext(ctx, statement, id); err != nil {
			return fmt.Errorf("delete orders of customer %d: %w", id, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("delete customer %d: %w", id, err)
	}
	return nil
}
