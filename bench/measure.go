package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is one line of the table: ours beside one other, in one run.
type result struct {
	Name   string  `json:"name"`   // P5
	Work   string  `json:"work"`   // what was done
	Beside string  `json:"beside"` // with what it is compared
	What   string  `json:"what"`   // CPU per request, p50, …
	Ratio  float64 `json:"ratio"`  // median of the rounds
	Low    float64 `json:"low"`    // of the rounds
	High   float64 `json:"high"`
	Goal   string  `json:"goal"`
	Met    bool    `json:"met"`
}

// results is what a run came to.
type results struct {
	Date  string   `json:"date"`
	Go    string   `json:"go"`
	Cores int      `json:"cores"`
	Lines []result `json:"lines"`
}

// runner holds how long things are measured.
type runner struct {
	turn   time.Duration
	rounds int
	only   string
	log    io.Writer

	lines []result
}

const workers = 12

// round is what the contenders of one round came to, by name.
type round map[string]turn

// rounds has contenders take turns.
func (r *runner) compete(name string, workers int, contenders ...*contender) ([]round, error) {
	var all []round
	for i := range r.rounds + 1 { // the first is for warming up
		this := round{}
		for k := range contenders {
			c := contenders[(k+i)%len(contenders)] // nobody is always first
			t := c.take(r.turn, workers)
			if t.failed != nil {
				return nil, fmt.Errorf("%s: %w", name, t.failed)
			}
			this[c.name] = t
		}
		if i > 0 || r.rounds == 1 {
			all = append(all, this)
		}
	}
	return all, nil
}

// add makes a line: the median over rounds of what a round comes to.
func (r *runner) add(line result, most bool, goal float64, rounds []round, ratio func(round) float64) {
	var values []float64
	for _, one := range rounds {
		values = append(values, ratio(one))
	}
	slices.Sort(values)
	line.Ratio, line.Low, line.High = values[len(values)/2], values[0], values[len(values)-1]
	sign := "≤"
	if !most {
		sign = "≥"
	}
	line.Goal = fmt.Sprintf("%s %.2f", sign, goal)
	line.Met = most && line.Ratio <= goal || !most && line.Ratio >= goal
	r.lines = append(r.lines, line)
	fmt.Fprintf(r.log, "%s  %s beside %s, %s: %.2f (%.2f to %.2f), goal %s\n", line.Name, line.Work, line.Beside, line.What, line.Ratio, line.Low, line.High, line.Goal)
}

func cpuRatio(a, b string) func(round) float64 {
	return func(r round) float64 { return float64(r[a].cpu) / float64(r[b].cpu) }
}

func rateRatio(a, b string) func(round) float64 {
	return func(r round) float64 { return r[a].rate / r[b].rate }
}

func p50Ratio(a, b string) func(round) float64 {
	return func(r round) float64 {
		return float64(r[a].took[len(r[a].took)/2]) / float64(r[b].took[len(r[b].took)/2])
	}
}

// stage is everything that runs.
type stage struct {
	r                      *runner
	root, folder, binary   string
	api, proxy, bare, peer *process
	one, many              *place
	demo                   *process
	demoIssuer             string
	stops                  []func()
}

func (s *stage) keep(p *process, err error) (*process, error) {
	if err == nil {
		s.stops = append(s.stops, p.stop)
	}
	return p, err
}

// all starts the processes and measures everything.
func (r *runner) all(root string) (results, error) {
	folder, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return results{}, err
	}
	defer os.RemoveAll(folder)
	s := &stage{r: r, root: root, folder: folder, binary: filepath.Join(folder, "gatehouse")}
	defer func() {
		for _, stop := range s.stops {
			stop()
		}
	}()
	build := exec.Command("go", "build", "-trimpath", "-o", s.binary, "gatehouse/cmd/gatehouse")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return results{}, fmt.Errorf("build gatehouse: %w\n%s", err, out)
	}
	if err := s.start(); err != nil {
		return results{}, err
	}
	for _, m := range []struct {
		name string
		run  func() error
	}{{"P1", s.issuance}, {"P2", s.introspection}, {"P3", s.registration}, {"P4", s.flows}, {"P5", s.calls}, {"P6", s.firstCalls}, {"P7", s.manyTools}, {"P10", s.beginnings}} {
		if r.only != "" && r.only != m.name {
			continue
		}
		if err := m.run(); err != nil {
			return results{}, err
		}
	}
	return results{Date: time.Now().Format("2 January 2006"), Go: runtime.Version(), Cores: runtime.NumCPU(), Lines: r.lines}, nil
}

func (s *stage) start() (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.api, err = s.keep(start(exec.Command(self, "serve", "api"))); err != nil {
		return err
	}
	if s.proxy, err = s.keep(start(exec.Command(self, "serve", "proxy", "http://"+s.api.address))); err != nil {
		return err
	}
	if s.bare, err = s.keep(start(exec.Command(self, "serve", "ceiling", s.folder))); err != nil {
		return err
	}
	if s.peer, err = s.keep(start(exec.Command("node", filepath.Join(s.root, "bench", "oidc-provider.mjs"), filepath.Join(s.root, "test", "node")))); err != nil {
		return fmt.Errorf("%w; make test installs oidc-provider", err)
	}
	if s.one, err = newPlace(s.binary, filepath.Join(s.folder, "one"), s.api.address, 1); err != nil {
		return err
	}
	s.stops = append(s.stops, s.one.stop)
	if s.many, err = newPlace(s.binary, filepath.Join(s.folder, "many"), s.api.address, 1000); err != nil {
		return err
	}
	s.stops = append(s.stops, s.many.stop)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if s.demo, err = s.keep(start(exec.Command(s.binary, "demo", "--listen", address, "--data", filepath.Join(s.folder, "demo")))); err != nil {
		return err
	}
	_, port, _ := strings.Cut(address, ":")
	s.demoIssuer = "http://login.localhost:" + port
	return s.awaitDemo()
}

func (s *stage) awaitDemo() error {
	c := newClient()
	defer c.CloseIdleConnections()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := c.Get(s.demoIssuer + "/jwks.json")
		if _, err = expect(resp, err, 200, "keys"); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the demo does not answer: %w", err)
		}
	}
}

// issuance is P1: what exists today of issuing durably. An opaque token by
// client credentials, and a JWT by token exchange, beside bare handlers that do
// the unavoidable part of each.
func (s *stage) issuance() error {
	opaque := &contender{name: "ours", process: s.one.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		_, err := s.one.token(ctx, c, int(n)%agents)
		return err
	}}
	least := &contender{name: "bare", process: s.bare, act: func(ctx context.Context, c *http.Client, _ int64) error {
		resp, err := post(ctx, c, "http://"+s.bare.address+"/issue", url.Values{"grant_type": {"client_credentials"}, "client_id": {"client"}, "client_secret": {"secret"}, "scope": {"read"}})
		_, err = expect(resp, err, 200, "access_token")
		return err
	}}
	rounds, err := s.r.compete("P1", workers, opaque, least)
	if err != nil {
		return err
	}
	line := result{Name: "P1", Work: "an opaque token by client credentials, durable", Beside: "net/http, a secret, two durable writes"}
	line.What = "CPU"
	s.r.add(line, true, 1.25, rounds, cpuRatio("ours", "bare"))
	line.What = "throughput"
	s.r.add(line, false, 0.80, rounds, rateRatio("ours", "bare"))

	tokens, err := s.one.tokens(agents)
	if err != nil {
		return err
	}
	exchange := &contender{name: "ours", process: s.one.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		return s.exchange(ctx, c, tokens[int(n)%len(tokens)])
	}}
	sign := &contender{name: "bare", process: s.bare, act: func(ctx context.Context, c *http.Client, _ int64) error {
		form, err := s.one.asGateway(url.Values{"grant_type": {"x"}}) // the load generator signs for both
		if err != nil {
			return err
		}
		resp, err := post(ctx, c, "http://"+s.bare.address+"/sign", form)
		_, err = expect(resp, err, 200, "access_token")
		return err
	}}
	if rounds, err = s.r.compete("P1", workers, exchange, sign); err != nil {
		return err
	}
	line = result{Name: "P1", Work: "a JWT by token exchange, durable", Beside: "net/http, one verification, one signature, two durable writes", What: "CPU"}
	s.r.add(line, true, 1.25, rounds, cpuRatio("ours", "bare"))
	line.What = "throughput"
	s.r.add(line, false, 0.80, rounds, rateRatio("ours", "bare"))
	return nil
}

func (s *stage) exchange(ctx context.Context, c *http.Client, token string) error {
	form, err := s.one.asGateway(url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"audience": {"http://" + s.api.address}, "scope": {"customers:read"},
	})
	if err != nil {
		return err
	}
	resp, err := post(ctx, c, s.one.issuer+"/token", form)
	_, err = expect(resp, err, 200, "access_token")
	return err
}

// introspection is P2. Ours authenticates by a key, whose assertion is good for
// one use; the others by a secret or not at all.
func (s *stage) introspection() error {
	tokens, err := s.one.tokens(agents)
	if err != nil {
		return err
	}
	ours := &contender{name: "ours", process: s.one.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		return s.introspect(ctx, c, tokens[int(n)%len(tokens)])
	}}
	least := &contender{name: "bare", process: s.bare, act: func(ctx context.Context, c *http.Client, _ int64) error {
		resp, err := post(ctx, c, "http://"+s.bare.address+"/lookup", url.Values{"token": {"token"}})
		_, err = expect(resp, err, 200, "active")
		return err
	}}
	theirs, err := s.peerToken()
	if err != nil {
		return err
	}
	peer := &contender{name: "peer", process: s.peer, act: func(ctx context.Context, c *http.Client, _ int64) error {
		resp, err := post(ctx, c, "http://"+s.peer.address+"/token/introspection", url.Values{"token": {theirs}, "client_id": {"robot"}, "client_secret": {"secret"}})
		_, err = expect(resp, err, 200, `"active":true`)
		return err
	}}
	rounds, err := s.r.compete("P2", workers, ours, least, peer)
	if err != nil {
		return err
	}
	line := result{Name: "P2", Work: "introspection of an opaque token, the caller authenticated by key", Beside: "oidc-provider in memory, by secret", What: "CPU"}
	s.r.add(line, true, 0.40, rounds, cpuRatio("ours", "peer"))
	line.Beside, line.What = "net/http looking one row up, without authentication", "throughput"
	s.r.add(line, false, 0.80, rounds, rateRatio("ours", "bare"))
	return nil
}

func (s *stage) introspect(ctx context.Context, c *http.Client, token string) error {
	form, err := s.one.asGateway(url.Values{"token": {token}})
	if err != nil {
		return err
	}
	resp, err := post(ctx, c, s.one.issuer+"/introspect", form)
	_, err = expect(resp, err, 200, `"active":true`)
	return err
}

func (s *stage) peerToken() (string, error) {
	c := newClient()
	defer c.CloseIdleConnections()
	resp, err := post(context.Background(), c, "http://"+s.peer.address+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {"secret"}, "resource": {"https://api.example.com/"}, "scope": {"read"}})
	body, err := expect(resp, err, 200, "access_token")
	_, rest, _ := strings.Cut(string(body), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return token, err
}

// registration is P3. Each client comes from an address of its own for fifty
// registrations: ours counts them.
func (s *stage) registration() error {
	many := func(endpoint string) act {
		return func(ctx context.Context, c *http.Client, n int64) error {
			if n%40 == 0 {
				return fresh(func(c *http.Client) error { _, err := register(ctx, c, endpoint); return err })
			}
			fresh := newClient()
			defer fresh.CloseIdleConnections()
			_, err := register(ctx, fresh, endpoint)
			return err
		}
	}
	ours := &contender{name: "ours", process: s.demo, act: many(s.demoIssuer + "/register")}
	least := &contender{name: "bare", process: s.bare, act: func(ctx context.Context, _ *http.Client, _ int64) error {
		return fresh(func(c *http.Client) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.bare.address+"/register", strings.NewReader(`{"client_name":"bench","redirect_uris":["`+callback+`"]}`))
			if err != nil {
				return err
			}
			resp, err := c.Do(req)
			_, err = expect(resp, err, 200, "client_id")
			return err
		})
	}}
	peer := &contender{name: "peer", process: s.peer, act: many("http://" + s.peer.address + "/reg")}
	rounds, err := s.r.compete("P3", workers, ours, least, peer)
	if err != nil {
		return err
	}
	line := result{Name: "P3", Work: "dynamic registration, durable", Beside: "net/http and two durable writes", What: "throughput"}
	s.r.add(line, false, 0.70, rounds, rateRatio("ours", "bare"))
	line.Beside = "oidc-provider in memory"
	s.r.add(line, false, 1.50, rounds, rateRatio("ours", "peer"))
	return nil
}

// fresh does something from an address of its own.
func fresh(do func(*http.Client) error) error {
	c := newClient()
	defer c.CloseIdleConnections()
	return do(c)
}

// flows is P4. Nobody hashes a password: any name signs in at both.
func (s *stage) flows() error {
	walkAt := func(issuer, authorize, reg string, query url.Values) (act, error) {
		c := newClient()
		defer c.CloseIdleConnections()
		id, err := register(context.Background(), c, issuer+reg)
		return func(ctx context.Context, _ *http.Client, _ int64) error {
			q := url.Values{"client_id": {id}}
			for name, values := range query {
				q[name] = values
			}
			return fresh(func(c *http.Client) error { return flow(ctx, c, issuer+authorize, issuer+"/token", q) })
		}, err
	}
	mcp := strings.Replace(s.demoIssuer, "login.", "mcp.", 1)
	one, err1 := walkAt(s.demoIssuer, "/authorize", "/register", url.Values{"resource": {mcp}, "scope": {"users:read"}})
	two, err2 := walkAt("http://localhost"+s.peer.address[strings.LastIndex(s.peer.address, ":"):], "/auth", "/reg", url.Values{"resource": {"https://api.example.com/"}, "scope": {"openid read"}})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	rounds, err := s.r.compete("P4", workers, &contender{name: "ours", process: s.demo, act: one}, &contender{name: "peer", process: s.peer, act: two})
	if err != nil {
		return err
	}
	s.r.add(result{Name: "P4", Work: "code + PKCE + sign-in + consent, durable, without a password hash", Beside: "oidc-provider in memory", What: "CPU"}, true, 0.33, rounds, cpuRatio("ours", "peer"))
	return nil
}

const fetch = `{"name":"fetch-users","arguments":{"limit":2}}`

func (s *stage) warm(p *place, name string) (*contender, error) {
	tokens, err := p.tokens(agents)
	c := newClient()
	defer c.CloseIdleConnections()
	for _, token := range tokens { // each is first seen here
		if err == nil {
			err = p.call(context.Background(), c, token, "tools/call", fetch, "Moreno")
		}
	}
	return &contender{name: name, process: p.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		return p.call(ctx, c, tokens[int(n)%len(tokens)], "tools/call", fetch, "Moreno")
	}}, err
}

func (s *stage) proxied() *contender {
	return &contender{name: "proxy", process: s.proxy, act: func(ctx context.Context, c *http.Client, _ int64) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.proxy.address+"/users?limit=2", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer fixed")
		resp, err := c.Do(req)
		_, err = expect(resp, err, 200, "Moreno")
		return err
	}}
}

// calls is P5.
func (s *stage) calls() error {
	ours, err := s.warm(s.one, "ours")
	if err != nil {
		return err
	}
	// The audit's write counted apart: what the same number of writes costs alone.
	audit := &contender{name: "audit", process: s.bare, act: func(ctx context.Context, c *http.Client, _ int64) error {
		resp, err := post(ctx, c, "http://"+s.bare.address+"/audit", url.Values{"x": {"y"}})
		_, err = expect(resp, err, 200, "ok")
		return err
	}}
	nothing := &contender{name: "nothing", process: s.bare, act: func(ctx context.Context, c *http.Client, _ int64) error {
		resp, err := post(ctx, c, "http://"+s.bare.address+"/nothing", url.Values{"x": {"y"}})
		_, err = expect(resp, err, 200, "ok")
		return err
	}}
	rounds, err := s.r.compete("P5", workers, ours, s.proxied(), audit, nothing)
	if err != nil {
		return err
	}
	line := result{Name: "P5", Work: "a warm tools/call, the audit's writes counted apart", Beside: "a tuned reverse proxy", What: "CPU"}
	s.r.add(line, true, 1.25, rounds, func(r round) float64 {
		return float64(r["ours"].cpu-(r["audit"].cpu-r["nothing"].cpu)) / float64(r["proxy"].cpu)
	})
	line.Work = "a warm tools/call with the audit's two writes"
	s.r.add(line, true, 1.25, rounds, cpuRatio("ours", "proxy"))
	alone, err := s.r.compete("P5", 1, ours, s.proxied())
	if err != nil {
		return err
	}
	line.What = "p50, one at a time"
	s.r.add(line, true, 1.15, alone, p50Ratio("ours", "proxy"))
	return nil
}

// firstCalls is P6: each call has a token that the gateway has not seen.
func (s *stage) firstCalls() error {
	warm, err := s.warm(s.one, "warm")
	if err != nil {
		return err
	}
	tokens, err := s.one.tokens(max(400, int(float64(s.r.rounds+2)*s.r.turn.Seconds()*900)))
	if err != nil {
		return err
	}
	var first = &contender{name: "first", process: s.one.process}
	first.act = func(ctx context.Context, c *http.Client, n int64) error {
		if int(n) > len(tokens) {
			return s.one.call(ctx, c, tokens[0], "ping", `{}`, "result") // there are no more
		}
		return s.one.call(ctx, c, tokens[n-1], "tools/call", fetch, "Moreno")
	}
	seen := warm.act // a token of its own for each agent
	ask := &contender{name: "introspection", process: s.one.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		return s.introspect(ctx, c, tokens[int(n)%agents])
	}}
	change := &contender{name: "exchange", process: s.one.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		return s.exchange(ctx, c, tokens[int(n)%agents])
	}}
	warm.act = seen
	rounds, err := s.r.compete("P6", 4, first, warm, ask, change)
	if err != nil {
		return err
	}
	s.r.add(result{Name: "P6", Work: "the first call with a token", Beside: "a warm call, one introspection and one exchange", What: "CPU"}, true, 1.00, rounds, func(r round) float64 {
		return float64(r["first"].cpu) / float64(r["warm"].cpu+r["introspection"].cpu+r["exchange"].cpu)
	})
	return nil
}

// manyTools is P7.
func (s *stage) manyTools() error {
	one, err1 := s.warm(s.one, "one")
	many, err2 := s.warm(s.many, "many")
	tokens, err3 := s.many.tokens(agents)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	rounds, err := s.r.compete("P7", workers, one, many)
	if err != nil {
		return err
	}
	s.r.add(result{Name: "P7", Work: "a warm tools/call of one of 1,000 tools", Beside: "of the only tool", What: "CPU"}, true, 1.10, rounds, cpuRatio("many", "one"))
	list := &contender{name: "list", process: s.many.process, act: func(ctx context.Context, c *http.Client, n int64) error {
		return s.many.call(ctx, c, tokens[int(n)%len(tokens)], "tools/list", `{}`, "fetch-")
	}}
	if rounds, err = s.r.compete("P7", workers, list, many); err != nil {
		return err
	}
	s.r.add(result{Name: "P7", Work: "tools/list of 1,000 tools, made beforehand", Beside: "a warm tools/call", What: "CPU"}, true, 2.00, rounds, cpuRatio("list", "many"))
	return nil
}

// beginnings is P10.
func (s *stage) beginnings() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var firsts, agains []round
	for i := range s.r.rounds {
		folder := filepath.Join(s.folder, fmt.Sprint("bare-", i))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		for _, rounds := range []*[]round{&firsts, &agains} {
			address, err := freeAddress()
			if err != nil {
				return err
			}
			ours, err := firstAnswer(exec.Command(s.binary, "demo", "--listen", address, "--data", filepath.Join(s.folder, fmt.Sprint("demo-", i))), address, "/")
			if err != nil {
				return err
			}
			bare, err := firstAnswer(exec.Command(self, "serve", "ceiling", folder), "", "/nothing")
			if err != nil {
				return err
			}
			*rounds = append(*rounds, round{"ours": {took: []time.Duration{ours}}, "bare": {took: []time.Duration{bare}}})
		}
	}
	s.r.add(result{Name: "P10", Work: "the demo from start to first answer", Beside: "a bare server with the same store", What: "time"}, true, 1.50, agains, p50Ratio("ours", "bare"))
	s.r.add(result{Name: "P10", Work: "the demo's very first start, which makes a thousand customers", Beside: "a bare server that makes the same store", What: "time"}, true, 1.50, firsts, p50Ratio("ours", "bare"))
	memory, err := s.idle()
	if err != nil {
		return err
	}
	info, err := os.Stat(s.binary)
	if err != nil {
		return err
	}
	s.r.add(result{Name: "P10", Work: "the demo, idle", Beside: "64 MiB", What: "memory"}, true, 1.00, []round{nil}, func(round) float64 { return memory / 64 })
	s.r.add(result{Name: "P10", Work: "the binary", Beside: "40 MiB", What: "size"}, true, 1.00, []round{nil}, func(round) float64 { return float64(info.Size()) / (40 << 20) })
	return nil
}

// idle is the memory of a demo that answered once, in MiB.
func (s *stage) idle() (float64, error) {
	address, err := freeAddress()
	if err != nil {
		return 0, err
	}
	p, err := start(exec.Command(s.binary, "demo", "--listen", address, "--data", filepath.Join(s.folder, "idle")))
	if err != nil {
		return 0, err
	}
	defer p.stop()
	time.Sleep(2 * time.Second)
	return p.resident()
}

// firstAnswer starts a program and returns when it first answered, whatever.
func firstAnswer(cmd *exec.Cmd, address, path string) (time.Duration, error) {
	begun := time.Now()
	p, err := start(cmd)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if address == "" {
		address = p.address
	}
	c := newClient()
	defer c.CloseIdleConnections()
	for time.Since(begun) < 20*time.Second {
		resp, err := c.Post("http://"+address+path, "text/plain", nil)
		if err == nil {
			_ = resp.Body.Close() // that it came is enough
			return time.Since(begun), nil
		}
		time.Sleep(time.Millisecond)
	}
	return 0, fmt.Errorf("%v did not answer", cmd.Args)
}
