package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

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
