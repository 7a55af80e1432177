package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

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
