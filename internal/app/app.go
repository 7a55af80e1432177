// Package app puts the product together: it reads the configuration, opens the
// store, loads keys, builds the roles, and serves them on one listener, each
// at its own host.
//
// It holds no rule of OAuth or MCP. Nothing below it reads files, flags or the
// environment. Roles reach one another by HTTP even in one process: the one
// seam is the dial function, which leads the hosts that live here to this
// process's own listener.
package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/resource"
	"gatehouse/internal/sqlstore"
)

// Options are what a caller may inject.
type Options struct {
	Log     *slog.Logger
	Version string // of the product, told to MCP clients
	// Dial reaches this process's own listener. Tests over an in-memory
	// network set it; nil dials the address that Run listens on.
	Dial func(ctx context.Context) (net.Conn, error)
	// Migrate brings the database up to date instead of refusing an old one.
	Migrate bool
	// Latency delays every store operation, for tests of concurrency.
	Latency time.Duration
}

// App is a built process, ready to run.
type App struct {
	config    Config
	options   Options
	store     *sqlstore.DB // nil if no role here keeps anything
	customers *sql.DB      // the sample API's own database
	server    *httpserver.Server
	live      live              // roles that change with the documents of APIs
	chats     *agentRole        // nil without one
	feed      *resource.Feed    // that the gateway follows; nil without one
	shipper   *gateway.Shipper  // of the gateway's audit entries; nil if its store is the installation's
	inspector *inspect.Recorder // of messages; nil if its store is no installation's
	peers     *http.Client      // that roles use for one another and for configured APIs
	cluster   *demoCluster      // nil but in a demo
	started   time.Time
	own       string // address of the own listener, once known
}

// New builds everything that cfg asks for and touches the store: whatever is
// wrong is an error here, before anything is served.
func New(ctx context.Context, cfg Config, o Options) (_ *App, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{config: cfg, options: o, own: cfg.Listen, started: time.Now()}
	defer func() {
		if err != nil {
			_ = a.Close() // the first error is the one to tell
		}
	}()
	if err := os.MkdirAll(cfg.Path(cfg.Data), 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder: %w; name a folder this user may write to", err)
	}
	if a.store, err = a.openStore(ctx); err != nil {
		return nil, err
	}
	if a.peers, err = a.peerClient(); err != nil {
		return nil, err
	}
	if cfg.demo != nil {
		if a.cluster, err = newDemoCluster(cfg.demo.data, cfg.URLs.AuthServer); err != nil {
			return nil, err
		}
	}
	hosts, err := a.roles(ctx)
	if err != nil {
		return nil, err
	}
	a.server = &httpserver.Server{Hosts: hosts, Log: o.Log}
	return a, nil
}

// OpenStore opens the configured database. A demo's database is refused to
// anything but a demo, and the other way round (security.md 19).
func OpenStore(ctx context.Context, cfg Config, o Options) (*sqlstore.DB, error) {
	dsn, err := cfg.store()
	if err != nil {
		return nil, err
	}
	db, err := sqlstore.Open(ctx, dsn, sqlstore.Options{NoMigrate: !o.Migrate, Latency: o.Latency})
	if err != nil {
		return nil, err
	}
	if err := stamp(ctx, db, cfg.demo != nil); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// demoStamp marks the database of a demo, where anybody can sign in as anybody.
const (
	demoStamp = "demo"
	realStamp = "production"
)

func stamp(ctx context.Context, db *sqlstore.DB, demo bool) error {
	want := realStamp
	if demo {
		want = demoStamp
	}
	have, err := db.Stamp(ctx)
	if err != nil {
		return err
	}
	switch {
	case have == "":
		// Of two processes that start at once on a new database the first one decides.
		if err := db.SetStamp(ctx, want); err != nil {
			return err
		}
		if have, err = db.Stamp(ctx); err != nil || have == want {
			return err
		}
	}
	switch {
	case have == want:
		return nil
	case demo:
		return errors.New("this database belongs to a real installation; the demo never uses one, name another folder with --data")
	}
	return errors.New("this database was made by `gatehouse demo`, where anybody can sign in as anybody; use a new one")
}

// Run serves on the given listeners until ctx ends, then shuts down gracefully.
func (a *App) Run(ctx context.Context, listeners ...net.Listener) error {
	if len(listeners) > 0 {
		a.own = listeners[0].Addr().String()
	}
	background, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	if a.store != nil {
		tasks.Go(func() { a.sweep(background) })
	}
	if a.config.plays(roleAuthServer) || a.config.plays(roleAdmin) || a.config.alone() {
		tasks.Go(func() { a.followDocuments(background) })
	}
	if a.cluster != nil {
		tasks.Go(func() {
			// A line of its own: no request is to blame.
			a.cluster.run(background, func(err error) { a.options.Log.Warn("the demo's workload has an old token", "error", err) })
		})
	}
	if a.shipper != nil {
		tasks.Go(func() { a.shipper.Run(background) })
	}
	if a.inspector != nil {
		tasks.Go(func() { a.inspector.Run(background) })
	}
	if a.feed != nil {
		tasks.Go(func() { a.feed.Run(background) })
	}
	if a.chats != nil {
		// Its event streams would hold a graceful shutdown up.
		defer context.AfterFunc(ctx, a.chats.server.Close)()
	}
	err := a.serve(ctx, listeners)
	stop()
	tasks.Wait()
	return errors.Join(err, a.Close())
}

// feedChanged tells operators that the gateway lost the revocation feed, or has
// it again. Lines of their own: no request is to blame.
func (a *App) feedChanged(err error) {
	if err != nil {
		a.options.Log.Warn("the revocation feed cannot be read; every call asks the authorization server until it can", "error", err)
		return
	}
	a.options.Log.Info("the revocation feed is read again")
}

func (a *App) serve(ctx context.Context, listeners []net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	results := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			err := a.server.Serve(ctx, l)
			stop() // one listener's end is the end of all
			results <- err
		}()
	}
	var errs []error
	for range listeners {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

// sweep removes expired rows; correctness never depends on it.
func (a *App) sweep(ctx context.Context) {
	rows := time.NewTicker(time.Minute)
	defer rows.Stop()
	sealed := time.NewTicker(grant.ReplayWindow / 2)
	defer sealed.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case now := <-rows.C:
			_, err = a.store.Sweep(ctx, now)
		case now := <-sealed.C:
			err = a.store.EraseSealed(ctx, now) // security.md 6: gone after ten seconds
		}
		if err != nil && ctx.Err() == nil {
			// A line of its own: no request is to blame.
			a.options.Log.Warn("sweep expired rows", "error", err)
		}
	}
}

// Close releases the databases; Run does it too.
func (a *App) Close() error {
	var errs []error
	if a.customers != nil {
		errs = append(errs, a.customers.Close())
		a.customers = nil
	}
	if a.chats != nil {
		a.chats.server.Close()
		errs = append(errs, a.chats.db.Close())
		a.chats = nil
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
		a.store = nil
	}
	return errors.Join(errs...)
}

// dialOwn reaches this process's own listener.
func (a *App) dialOwn(ctx context.Context) (net.Conn, error) {
	if a.options.Dial != nil {
		return a.options.Dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.own)
}

// peerClient makes the client that roles use for one another and for configured
// APIs. It reaches those that live here over the own listener.
func (a *App) peerClient() (*http.Client, error) {
	local := map[string]func(context.Context) (net.Conn, error){}
	plain := map[string]bool{}
	for _, role := range RoleNames {
		u, err := url.Parse(a.config.URLs.of(role))
		if !a.config.plays(role) || err != nil { // Validate has parsed it
			continue
		}
		if u.Scheme == "https" && !a.endsTLS() {
			plain[u.Host] = true
			u.Scheme = "http"
		}
		local[hostPort(u)] = a.dialOwn
	}
	roots, err := a.peerRoots()
	if err != nil {
		return nil, err
	}
	c := httpserver.PeerClient(&httpserver.Dialer{Local: local}, roots)
	c.Transport = &behindProxy{c.Transport, plain}
	return c, nil
}

// endsTLS reports whether the own listener speaks TLS itself.
func (a *App) endsTLS() bool {
	return a.config.endsTLS()
}

func (c *Config) endsTLS() bool { return c.TLS != nil || c.demo != nil && c.demo.tls != nil }

// behindProxy sends what is for this process's own https URLs, whose TLS a
// proxy ends, to the own listener as that proxy would. It never leaves this
// computer.
type behindProxy struct {
	http.RoundTripper
	hosts map[string]bool
}

func (b *behindProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" && b.hosts[r.URL.Host] {
		u := *r.URL
		u.Scheme = "http"
		r = r.WithContext(r.Context()) // a RoundTripper must not change its request
		r.URL = &u
	}
	return b.RoundTripper.RoundTrip(r)
}

// hostPort returns what is dialed for a URL.
func hostPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Host
	case u.Scheme == "https":
		return u.Host + ":443"
	}
	return u.Host + ":80"
}
