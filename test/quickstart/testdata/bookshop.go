// Command bookshop is a bookshop's API that knows nothing of Gatehouse but
// gatehouse.go, which docs/quickstart.md has. It keeps the last token that it
// accepted in a file, for the test.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

type book struct {
	ID     int    `json:"id"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Branch string `json:"branch"`
}

type shop struct {
	mu    sync.Mutex
	books []book
}

func main() {
	s := &shop{books: []book{
		{1, "The Book of Disquiet", "Pessoa", "Lisbon"},
		{2, "Blindness", "Saramago", "Lisbon"},
		{3, "Solitude", "Català", "Barcelona"},
	}}
	http.HandleFunc("GET /books", s.list)
	http.HandleFunc("POST /books", s.add)
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	log.Fatal(http.Serve(l, nil))
}

// allowed answers those who may not, and returns whether the caller may.
func allowed(w http.ResponseWriter, r *http.Request, scope string) (claims, bool) {
	c, status := authorize(r, scope)
	if status != http.StatusOK {
		reply(w, status, map[string]string{"error": http.StatusText(status)})
		return c, false
	}
	if err := os.WriteFile("accepted", []byte(strings.Fields(r.Header.Get("Authorization"))[1]), 0o600); err != nil {
		log.Fatal(err)
	}
	return c, true
}

func (s *shop) list(w http.ResponseWriter, r *http.Request) {
	c, ok := allowed(w, r, "books:read")
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := []book{}
	for _, b := range s.books {
		if author := r.FormValue("author"); b.Branch == c.Branch && (author == "" || author == b.Author) {
			mine = append(mine, b)
		}
	}
	reply(w, http.StatusOK, map[string]any{"books": mine})
}

func (s *shop) add(w http.ResponseWriter, r *http.Request) {
	c, ok := allowed(w, r, "books:write")
	if !ok {
		return
	}
	var b book
	if c.Branch == "" || json.NewDecoder(r.Body).Decode(&b) != nil {
		reply(w, http.StatusForbidden, map[string]string{"error": "you belong to no branch"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.ID, b.Branch = len(s.books)+1, c.Branch
	s.books = append(s.books, b)
	reply(w, http.StatusCreated, b)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left needs no answer
}
