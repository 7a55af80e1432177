package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"
)

type token struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope"`
	ClientID  string `json:"client_id"`
	Subject   string `json:"sub"`
	ExpiresAt int64  `json:"exp"`
}

// token issues a JWT: the client proves itself by a signature, what it
// exchanges is looked up, the new token is signed, and its record is on the
// disk before it is told.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	t, ok := s.asked(r, "subject_token")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	now := time.Now().Unix()
	id := rand.Text()
	signed, err := s.sign(map[string]any{
		"iss": "http://login.example.com", "aud": "http://api.example.com", "sub": t.Subject, "client_id": t.ClientID,
		"scope": t.Scope, "iat": now, "exp": now + 300, "jti": id,
	})
	if err == nil {
		err = s.durable.do(addEntry, id, t.Scope)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"access_token": signed, "token_type": "Bearer", "expires_in": 300, "scope": t.Scope})
}

// introspect tells what a token is worth, to a client that proved itself.
func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	t, ok := s.asked(r, "token")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, t)
}

// asked verifies the client assertion and looks up the token that field names.
func (s *server) asked(r *http.Request, field string) (t token, ok bool) {
	if r.ParseForm() != nil || !s.proven(r.PostForm.Get("client_assertion")) {
		return t, false
	}
	err := s.reader.QueryRow(hash(r.PostForm.Get(field))).Scan(&t.Scope, &t.ClientID, &t.Subject, &t.ExpiresAt)
	t.Active = err == nil && t.ExpiresAt > time.Now().Unix()
	return t, t.Active
}

// proven verifies the signature and the life of an ES256 JWT.
func (s *server) proven(assertion string) bool {
	end := strings.LastIndexByte(assertion, '.')
	start := strings.IndexByte(assertion, '.')
	if end <= start {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(assertion[end+1:])
	if err != nil || len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(assertion[:end]))
	if !ecdsa.Verify(s.client, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(assertion[start+1 : end])
	if err != nil {
		return false
	}
	var claims struct {
		ExpiresAt int64 `json:"exp"`
	}
	return json.Unmarshal(payload, &claims) == nil && claims.ExpiresAt > time.Now().Unix()
}

func (s *server) sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.signer, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// register stores a client's metadata and answers with an identifier.
func (s *server) register(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	var metadata map[string]any
	if err == nil {
		err = json.Unmarshal(body, &metadata)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id := rand.Text()
	if err := s.durable.do(addClient, id, string(body)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	metadata["client_id"], metadata["client_id_issued_at"] = id, time.Now().Unix()
	writeJSON(w, http.StatusCreated, metadata)
}

// audited passes a request on between the two entries that a reading call has.
func (s *server) audited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		if err := s.relaxed.do(addEntry, id, r.URL.Path); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
		_ = s.relaxed.do(finishEntry, id, "done") // the answer has left
	})
}

// list answers with bytes that were made before, which setList takes.
func (s *server) list(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a client that left needs no answer
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.listing)
}

func (s *server) setList(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.listing = body // before any load
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}
