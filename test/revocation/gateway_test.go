package revocation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/client"
	"gatehouse/internal/gateway"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// gatewaySettings are what a gateway process is told by its environment.
type gatewaySettings struct {
	Config string // path of the installation's configuration
	ID     string // of its client
	Key    []byte // private
	Server string // the address at which it reaches the authorization server
	Data   string // its own folder
}

const settingsVariable = "REVOCATION_TEST_SETTINGS"

// playGateway is a gateway as a process of its own: its own listener, key, feed
// and audit database, and nothing in common with the authorization server but
// the wire.
func playGateway(ctx context.Context) error {
	var s gatewaySettings
	if err := json.Unmarshal([]byte(os.Getenv(settingsVariable)), &s); err != nil {
		return err
	}
	config, err := app.Load(s.Config)
	if err != nil {
		return err
	}
	apis, err := app.Catalog(&config)
	if err != nil {
		return err
	}
	key, err := jose.ParsePrivate(s.Key)
	if err != nil {
		return err
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		return err
	}
	log, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(s.Data, "audit.db"), sqlstore.Options{})
	if err != nil {
		return err
	}
	peers := httpserver.PeerClient(&httpserver.Dialer{Local: map[string]func(context.Context) (net.Conn, error){
		host(issuer): func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", s.Server)
		},
	}}, nil)
	feed := &resource.Feed{
		Server:   &resource.AuthorizationServer{Issuer: issuer, ClientID: s.ID, Signer: signer, Client: peers},
		Endpoint: issuer + "/revocations",
	}
	h, err := (&gateway.Server{
		URL: gateURL, Version: "test", APIs: apis, Issuer: issuer, TokenEndpoint: issuer + "/token", IntrospectionEndpoint: issuer + "/introspect",
		ClientID: s.ID, Signer: signer, Client: peers, Feed: feed, Audit: log, AuditKey: []byte(secret.New("") + secret.New("")),
		CallsPerSecond: 1000,
	}).Handler()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go feed.Run(ctx)
	fmt.Println("gateway on", l.Addr())
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	return (&httpserver.Server{Hosts: map[string]http.Handler{host(gateURL): h}, Log: logger}).Serve(ctx, l)
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// gatewayProcess is a gateway and the way from it to the authorization server.
type gatewayProcess struct {
	http *http.Client // which reaches the gateway
	way  *proxy
}

// gateway registers a gateway, as an administrator would, and starts it.
func (w *world) gateway(id string) gatewayProcess {
	w.t.Helper()
	key, err := jose.Generate(jose.ES256)
	must(w.t, err)
	private, err := key.MarshalPrivate()
	must(w.t, err)
	must(w.t, w.db.PutClient(w.t.Context(), client.Client{
		ID: id, Origin: client.Gateway, Name: id, GrantTypes: []string{oauth.GrantTokenExchange},
		AuthMethod: oauth.AuthPrivateKey, Keys: jose.PublicSet(key), CreatedAt: time.Now().Unix(),
	}))
	way := newProxy(w.t, w.address)
	settings, err := json.Marshal(gatewaySettings{
		Config: filepath.Join(w.dir, "gatehouse.yaml"), ID: id, Key: private, Server: way.listener.Addr().String(), Data: w.t.TempDir(),
	})
	must(w.t, err)
	cmd := w.command(os.Args[0])
	cmd.Env = append(cmd.Env, childRole+"=gateway", settingsVariable+"="+string(settings))
	return gatewayProcess{caller(w.t, start(w.t, cmd, `^gateway on (.*)$`)), way}
}

// call lists the books and returns why it did not succeed.
func (g gatewayProcess) call(token string) error { return g.callTool(gateURL, "list-books", token) }

// callTool calls a tool at an endpoint and returns why it did not succeed.
func (g gatewayProcess) callTool(endpoint, tool, token string) error {
	req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := g.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Result *struct {
			IsError bool `json:"isError"`
			Content []struct{ Text string }
		}
		Error json.RawMessage
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	if err != nil || resp.StatusCode != http.StatusOK || answer.Result == nil || answer.Result.IsError {
		return fmt.Errorf("%s %s %+v (%w)", resp.Status, answer.Error, answer.Result, err)
	}
	return nil
}

// proxy is the network between a gateway and the authorization server.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	cond     *sync.Cond
	silent   bool // lets nothing through, and tells nobody
	refusing bool // ends all connections
	conns    map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: l, conns: map[net.Conn]bool{}}
	p.cond = sync.NewCond(&p.mu)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.connect(in, target) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.set(false, true)
		running.Wait()
	})
	return p
}

func (p *proxy) connect(in net.Conn, target string) {
	defer in.Close()
	out, err := net.Dial("tcp", target)
	if err != nil || !p.add(in, out) {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	both.Go(func() { p.pass(out, in) })
	both.Go(func() { p.pass(in, out) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, in)
	delete(p.conns, out)
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusing {
		for _, c := range conns {
			_ = c.Close()
		}
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

// pass copies until either end closes, while the way is open.
func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		for p.silent && !p.refusing {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// set cuts or heals the way. What was on it while it was silent arrives when it
// is healed, as after a partition.
func (p *proxy) set(silent, refusing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent, p.refusing = silent, refusing
	if refusing {
		for c := range p.conns {
			_ = c.Close()
		}
	}
	p.cond.Broadcast()
}
