package sampleapi

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A customer is one of the API's users.
type customer struct {
	ID        int64     `json:"id"`
	FirstName string    `json:"firstName"`
	LastName  string    `json:"lastName"`
	Company   string    `json:"company,omitempty"`
	Email     string    `json:"email"`
	Region    string    `json:"region"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"createdAt"`
}

const customerColumns = `id, first_name, last_name, company, email, region, status, created_at`

func scanCustomer(row scanner) (customer, error) {
	var u customer
	var created int64
	err := row.Scan(&u.ID, &u.FirstName, &u.LastName, &u.Company, &u.Email, &u.Region, &u.Status, &created)
	u.CreatedAt = time.Unix(created, 0).UTC()
	return u, err
}

func regions() []string {
	return []string{"USA", "Europe", "Asia", "Africa", "Latin America", "Oceania"}
}

func userStatuses() []string { return []string{"active", "paused", "closed"} }

// fetchUsers lists customers of the caller's region.
func (s *Server) fetchUsers(w http.ResponseWriter, r *http.Request, c caller) error {
	q, err := query(r, "limit", "cursor", "name", "region", "status")
	if err != nil {
		return err
	}
	p, err := parsePage(q)
	if err != nil {
		return err
	}
	region, err := oneOf(q, "region", regions())
	if err != nil {
		return err
	}
	status, err := oneOf(q, "status", userStatuses())
	if err != nil {
		return err
	}
	name := strings.TrimSpace(fold(q.Get("name")))
	if q.Has("name") && name == "" {
		return refuse(http.StatusBadRequest, "name has no letters; leave it out or give part of a name")
	}
	rows, err := s.DB.QueryContext(r.Context(), `SELECT `+customerColumns+` FROM users
		WHERE region = $1 AND id > $2 AND ($3 = '' OR region = $3) AND ($4 = '' OR status = $4)
		AND ($5 = '' OR instr(first_folded || ' ' || last_folded, $5) > 0)
		ORDER BY id LIMIT $6`, c.region, p.after, region, status, name, p.limit+1)
	if err != nil {
		return fmt.Errorf("list customers: %w", err)
	}
	answer := struct {
		Users []customer `json:"users"`
		Next  string     `json:"next,omitempty"`
	}{}
	if answer.Users, err = scanAll(rows, scanCustomer); err != nil {
		return fmt.Errorf("list customers: %w", err)
	}
	if len(answer.Users) > p.limit {
		answer.Users = answer.Users[:p.limit]
		answer.Next = cursor(answer.Users[p.limit-1].ID)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// fetchUser answers with one customer.
func (s *Server) fetchUser(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	u, err := s.customer(r.Context(), id, c)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, u)
}

// customer returns a customer whom the caller may see.
func (s *Server) customer(ctx context.Context, id int64, c caller) (customer, error) {
	u, err := scanCustomer(s.DB.QueryRowContext(ctx,
		`SELECT `+customerColumns+` FROM users WHERE id = $1 AND region = $2`, id, c.region))
	if errors.Is(err, sql.ErrNoRows) {
		return customer{}, noCustomer()
	}
	if err != nil {
		return customer{}, fmt.Errorf("read customer %d: %w", id, err)
	}
	return u, nil
}
