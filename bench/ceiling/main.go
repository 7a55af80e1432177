// Command ceiling is what the benchmarks hold Gatehouse against: bare net/http
// handlers that do only what nobody can leave out, on the same SQLite with the
// same durability. It checks no more than its work needs, so it is for
// measuring only.
//
// It owns no figures: package bench starts it, loads it and reads its clocks.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"modernc.org/sqlite"
)

func main() {
	data := flag.String("data", "", "folder for the databases")
	client := flag.String("client", "", "JWK of the client that asks for tokens; only its public half is used")
	api := flag.String("api", "", "base URL that /users/ is passed on to")
	flag.Parse()
	if err := run(*data, *client, *api); err != nil {
		fmt.Fprintln(os.Stderr, "ceiling:", err)
		os.Exit(1)
	}
}

// run serves on a free port of the loopback interface, which it prints.
func run(data, client, api string) error {
	s, err := newServer(data, client)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /introspect", s.introspect)
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("GET /api/", answer)
	mux.HandleFunc("POST /list", s.list)
	mux.HandleFunc("PUT /list", s.setList)
	if api != "" {
		proxy, err := newProxy(api)
		if err != nil {
			return err
		}
		mux.Handle("GET /users/", proxy)
		mux.Handle("GET /audited/users/", http.StripPrefix("/audited", s.audited(proxy)))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	return http.Serve(l, mux)
}

// server has the handlers that remember something.
type server struct {
	reader  *sql.Stmt // a live token
	durable *group    // waits for the disk
	relaxed *group    // leaves it to the operating system, as the audit of reading calls does
	signer  *ecdsa.PrivateKey
	client  *ecdsa.PublicKey
	listing []byte
}

const schema = `CREATE TABLE tokens (hash TEXT PRIMARY KEY, scope TEXT, client_id TEXT, subject TEXT, expires_at INTEGER);
CREATE TABLE entries (id TEXT PRIMARY KEY, detail TEXT, outcome TEXT);
CREATE TABLE clients (id TEXT PRIMARY KEY, metadata TEXT)`

const settings = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous("

func open(path, synchronous string) (*sql.DB, error) {
	path, err := filepath.Abs(path) // a file URL has no relative paths
	if err != nil {
		return nil, err
	}
	c, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path}).String() + settings + synchronous + ")")
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

func newServer(data, client string) (*server, error) {
	s := &server{}
	for _, f := range []struct {
		name, synchronous string
		group             **group
	}{{"durable.db", "FULL", &s.durable}, {"relaxed.db", "NORMAL", &s.relaxed}} {
		db, err := open(filepath.Join(data, f.name), f.synchronous)
		if err != nil {
			return nil, err
		}
		if _, err := db.Exec(schema); err != nil {
			return nil, err
		}
		if *f.group, err = newGroup(db); err != nil {
			return nil, err
		}
	}
	readers, err := open(filepath.Join(data, "durable.db"), "FULL")
	if err != nil {
		return nil, err
	}
	readers.SetMaxIdleConns(4)
	if _, err := readers.Exec(`INSERT INTO tokens VALUES ($1, 'users:read', 'agent', 'alice', $2)`, hash("live"), int64(1)<<40); err != nil {
		return nil, err
	}
	if s.reader, err = readers.Prepare(`SELECT scope, client_id, subject, expires_at FROM tokens WHERE hash = $1`); err != nil {
		return nil, err
	}
	if s.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if client != "" {
		s.client, err = readKey(client)
	}
	return s, err
}

// readKey reads the public half of a P-256 JWK.
func readKey(path string) (*ecdsa.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k struct{ X, Y string }
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, err
	}
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)) // SEC 1, section 2.3.3
}

// newProxy is httputil.ReverseProxy, tuned: net/http's two idle connections
// would dial for most concurrent calls.
func newProxy(api string) (*httputil.ReverseProxy, error) {
	target, err := url.Parse(api)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 64},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Authorization", "Bearer fixed")
		},
	}, nil
}

// answer is the API behind gateway and proxy alike.
func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"id":"7","name":"Ada","email":"ada@example.com","region":"USA"}`)
}
