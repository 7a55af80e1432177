// Package agent is an agent's web front end: people of another organization
// than Gatehouse's make an account here, add MCP servers, switch their tools on
// and off, and chat with a model that calls them.
//
// It owns these people, their sessions and conversations, the loop between
// model and tools, and what a person is asked before a call is sent. It is an
// external client: it knows nothing of a gateway but what any MCP server tells,
// and meets it through mcpclient. What a server or a model says is data: it is
// shown as text, and changes nothing that the person did not allow. Tokens and
// keys stay here, sealed, and reach neither page nor model.
package agent

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/egress"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/page"
	"gatehouse/internal/secret"
	"gatehouse/mcpclient"
)

// Name is what this agent calls itself, to people and at registration.
const Name = "Errand"

//go:embed pages/*.html
var pageFiles embed.FS

// Server is the front end. Its fields are set before Handler is called.
type Server struct {
	// URL is where people reach it: scheme and host.
	URL string
	// Version is told to MCP servers.
	Version string
	// DB is a SQLite database after Prepare, with foreign keys enforced and a
	// busy_timeout.
	DB *sql.DB
	// Key seals tokens and models' keys; it is made by secret.New and not kept in
	// DB.
	Key string
	// Egress guards every request to an address that a person or a server chose.
	Egress *egress.Client
	// Suggest is the address of an MCP server that is offered to who has none;
	// empty offers none.
	Suggest string

	store     store
	passwords secret.Passwords
	pages     *page.Set
	scripted  *page.Set
	host      string
	secure    bool // cookies can be
	limits    limits
	wire      *http.Transport // guarded
	planner   http.RoundTripper

	running context.Context // ends with Close
	stop    context.CancelFunc
	tasks   sync.WaitGroup
	shared  shared
}

// shared is what requests and turns have in common.
type shared struct {
	mu       sync.Mutex
	attempts map[string]*attempt // by state
	lives    map[string]*live    // by chat
	stores   map[string]*usedStore
	streams  map[string]int // by account
	checks   map[string]int // connections in the making, by account
}

// limits slow down what costs an attacker nothing and us something.
type limits struct {
	accounts *httpserver.Limiter // by address: accounts made
	address  *httpserver.Limiter // by address: sign-ins
	guesser  *httpserver.Limiter // by name and address
	connects *httpserver.Limiter // by account: servers added and connected
	messages *httpserver.Limiter // by account
}

// Handler returns the front end. Close ends what it began.
func (s *Server) Handler() (http.Handler, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || s.DB == nil || s.Key == "" || s.Egress == nil {
		return nil, errors.New("the agent needs a URL, a database, a key and a guard for its requests")
	}
	if s.pages, err = page.Parse(pageFiles, "pages/*.html"); err != nil {
		return nil, err
	}
	s.scripted = s.pages.Scripted()
	s.host = u.Host
	s.secure = u.Scheme == "https" || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
	s.store = store{s.DB, s.Key}
	s.wire, s.planner = s.Egress.Transport(), inside{Planner()}
	s.running, s.stop = context.WithCancel(context.Background())
	s.shared = shared{attempts: map[string]*attempt{}, lives: map[string]*live{}, stores: map[string]*usedStore{}, streams: map[string]int{}, checks: map[string]int{}}
	s.limits = limits{
		accounts: &httpserver.Limiter{Every: 10 * time.Second, Burst: 20, MaxKeys: maxKeys},
		address:  &httpserver.Limiter{Every: 3 * time.Second, Burst: 40, MaxKeys: maxKeys},
		guesser:  &httpserver.Limiter{Every: 20 * time.Second, Burst: 8, MaxKeys: maxKeys},
		connects: &httpserver.Limiter{Every: 6 * time.Second, Burst: 20, MaxKeys: maxKeys},
		messages: &httpserver.Limiter{Every: 2 * time.Second, Burst: 20, MaxKeys: maxKeys},
	}
	return http.NewCrossOriginProtection().Handler(s.routes()), nil
}

const maxKeys = 20_000 // remembered by one limiter

// Close ends turns and connections in the making, and waits for them.
func (s *Server) Close() {
	if s.stop != nil {
		s.stop()
		s.tasks.Wait()
		s.wire.CloseIdleConnections()
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", page.Assets())
	mux.Handle("GET /static/", static())
	mux.HandleFunc("GET /client.json", s.clientDocument)
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}": s.front, "GET /sign-in": s.showSignIn, "GET /create": s.showCreate,
		"POST /sign-in": s.signIn, "POST /create": s.create,
	} {
		mux.Handle(pattern, s.open(h))
	}
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, visit) error{
		"POST /sign-out": s.signOut,
		"GET /callback":  s.callback,
		"POST /servers":  s.addServer, "GET /servers/{id}": s.showServer,
		"POST /servers/{id}/connect": s.connect, "POST /servers/{id}/tools": s.switchTools, "POST /servers/{id}/remove": s.removeServer,
		"GET /model": s.showModel, "POST /model": s.setModel,
		"POST /chats": s.startChat, "GET /chats/{id}": s.showChat, "POST /chats/{id}": s.say, "POST /chats/{id}/remove": s.removeChat,
		"POST /chats/{id}/stop": s.stopTurn, "POST /chats/{id}/decide": s.decide, "GET /chats/{id}/events": s.events,
	} {
		mux.Handle(pattern, s.signedIn(h))
	}
	return mux
}

// problem is what a person is told when a page cannot be shown.
type problem struct {
	status            int
	title, what, next string
}

func (p *problem) Error() string { return p.title }

// open adapts a page that needs nobody to be signed in; it is the only writer of
// failures.
func (s *Server) open(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		httpserver.Note(r.Context(), "refused", err)
		p, ok := errors.AsType[*problem](err)
		switch {
		case ok:
		case errors.Is(err, errUnknown):
			p = &problem{http.StatusNotFound, "There is nothing here", "What this address names is not yours, or was removed.", "Go on from your start page."}
		case errors.Is(err, errFull):
			p = &problem{http.StatusConflict, "There is no room for more", "You have as many of these as one person can have.", "Remove some and try again."}
		default:
			p = &problem{http.StatusInternalServerError, "Something failed here", "It is not your fault, and was written down.", "Try again in a minute."}
		}
		view := problemView{frame: frame{Host: s.host}, Title: p.title, What: p.what, Next: p.next, Reference: httpserver.RequestID(r.Context())}
		if err := s.pages.Render(w, p.status, "problem.html", view); err != nil {
			httpserver.Note(r.Context(), "page", err)
		}
	})
}

// visit is who came, and in which session.
type visit struct {
	account
	session secret.Hash
}

// signedIn adapts a page of a person's own.
func (s *Server) signedIn(h func(http.ResponseWriter, *http.Request, visit) error) http.Handler {
	return s.open(func(w http.ResponseWriter, r *http.Request) error {
		v, err := s.visitor(r)
		if errors.Is(err, errUnknown) {
			if r.Method == http.MethodGet && r.URL.Path != "/callback" {
				http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
				return nil
			}
			return &problem{http.StatusUnauthorized, "You are not signed in", "Nothing was done.", "Sign in and start again."}
		}
		if err != nil {
			return err
		}
		return h(w, r, v)
	})
}

// usedStore is a store of tokens while somebody uses it: two of one state would
// overwrite what the other refreshed.
type usedStore struct {
	mcpclient.Store
	users int
}

// tokens returns the store of a person's server until release.
func (s *Server) tokens(account, server string) (st *mcpclient.Store, release func()) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	u, ok := s.shared.stores[server]
	if !ok {
		u = &usedStore{Store: mcpclient.Store{Elsewhere: keeper{s.store, account, server}}}
		s.shared.stores[server] = u
	}
	u.users++
	return &u.Store, func() {
		s.shared.mu.Lock()
		defer s.shared.mu.Unlock()
		if u.users--; u.users == 0 && s.shared.stores[server] == u {
			delete(s.shared.stores, server)
		}
	}
}
