package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jose"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// serve is a child process: the ceiling, the proxy, or the API that both proxy
// and gateway call. It prints its address.
func serve(args []string) error {
	var h http.Handler
	var err error
	switch kind := args[0]; {
	case kind == "api":
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, apiAnswer) // the caller may be gone
		})
	case kind == "proxy" && len(args) == 2:
		h, err = proxy(args[1])
	case kind == "ceiling" && len(args) == 2:
		h, err = ceiling(args[1])
	default:
		err = fmt.Errorf("no such server: %v", args)
	}
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return (&http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}

const apiAnswer = `{"users":[{"id":1,"firstName":"Ana","lastName":"Moreno","email":"ana.moreno@pelican.example","region":"USA","status":"active","createdAt":"2026-01-12T15:30:00Z"},{"id":3,"firstName":"Malik","lastName":"Kealoha","email":"malik.kealoha@otautahi.example","region":"USA","status":"paused","createdAt":"2024-07-07T21:40:56Z"}]}`

// proxy is a reverse proxy with as many idle connections as it can use.
func proxy(to string) (http.Handler, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute},
	}, nil
}

// ceiling is net/http with the unavoidable part of each kind of work, on the
// same store: what it costs is what no server can go below.
func ceiling(folder string) (http.Handler, error) {
	db, err := sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(folder, "ceiling.db"), sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	plain, err := sqlstore.OpenPlain(filepath.Join(folder, "rows.db"))
	if err != nil {
		return nil, err
	}
	if _, err := plain.Exec(`CREATE TABLE IF NOT EXISTS tokens (hash TEXT PRIMARY KEY, claims TEXT NOT NULL)`); err != nil {
		return nil, err
	}
	if _, err := plain.Exec(`INSERT OR REPLACE INTO tokens VALUES (?, ?)`, string(secret.Sum("token")), `{"active":true,"scope":"read","exp":4102444800}`); err != nil {
		return nil, err
	}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		return nil, err
	}
	keys, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		return nil, err
	}
	assertion, err := jose.Assertion(signer, "gateway", "https://login.example.com", time.Now())
	if err != nil {
		return nil, err
	}
	c := &bare{db: db, rows: plain, signer: signer, keys: keys, assertion: assertion}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /issue", c.answer(c.issue))
	mux.HandleFunc("POST /sign", c.answer(c.sign))
	mux.HandleFunc("POST /lookup", c.answer(c.lookup))
	mux.HandleFunc("POST /register", c.answer(c.register))
	mux.HandleFunc("POST /audit", c.answer(c.audit))
	mux.HandleFunc("POST /nothing", c.answer(func(*http.Request) (any, error) { return "ok", nil }))
	return mux, nil
}

type bare struct {
	db        *sqlstore.DB
	rows      *sql.DB
	signer    *jose.Signer
	keys      *jose.KeySet
	assertion string
}

func (c *bare) answer(do func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := do(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // the caller may be gone
	}
}

func (c *bare) write(ctx context.Context) error {
	return c.db.Append(ctx, audit.Entry{ID: secret.ID(), Time: time.Now().UnixMilli(), Kind: audit.TokenIssued, Outcome: audit.Done, ClientID: "client"})
}

// audit writes an entry and its end, as a tool call does.
func (c *bare) audit(r *http.Request) (any, error) {
	e := audit.Entry{ID: secret.ID(), Time: time.Now().UnixMilli(), Kind: audit.Call, Outcome: audit.Started, ClientID: "client", GrantID: "grant", API: "customers", Tool: "fetch-users"}
	if err := c.db.Enqueue(r.Context(), e); err != nil {
		return nil, err
	}
	return "ok", c.db.Finish(r.Context(), e.ID, audit.Done, "", map[string]string{"status": "200"})
}

// issue compares a secret, makes an opaque token, and makes its hash and a
// record durable.
func (c *bare) issue(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	if !secret.Equal(string(secret.Sum(r.Form.Get("client_secret"))), string(secret.Sum("secret"))) {
		return nil, errors.New("wrong secret")
	}
	value := secret.New("gha_")
	_ = secret.Sum(value)
	return map[string]any{"access_token": value, "token_type": "Bearer", "expires_in": 3600}, errors.Join(c.write(r.Context()), c.write(r.Context()))
}

// sign verifies one signature, makes its single use and a record durable, and
// makes another signature.
func (c *bare) sign(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	if _, _, err := jose.VerifyAssertion(c.assertion, c.keys, "gateway", []string{"https://login.example.com"}, time.Now()); err != nil && !errors.Is(err, jose.ErrExpired) {
		return nil, err
	}
	now := time.Now().Unix()
	token, err := c.signer.Sign("at+jwt", jose.AccessClaims{Issuer: "https://login.example.com", Subject: "s", Audience: "https://api.example.com", ExpiresAt: now + 300, IssuedAt: now, ID: secret.ID(), ClientID: "gateway", Scope: "read"})
	if err != nil {
		return nil, err
	}
	return map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 300}, errors.Join(c.write(r.Context()), c.write(r.Context()))
}

// lookup reads one row by the hash of a token.
func (c *bare) lookup(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	var claims string
	if err := c.rows.QueryRowContext(r.Context(), `SELECT claims FROM tokens WHERE hash = ?`, string(secret.Sum(r.Form.Get("token")))).Scan(&claims); err != nil {
		return nil, err
	}
	return json.RawMessage(claims), nil
}

// register reads a document and makes it durable.
func (c *bare) register(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	return map[string]any{"client_id": secret.ID()}, errors.Join(c.write(r.Context()), c.write(r.Context()))
}
