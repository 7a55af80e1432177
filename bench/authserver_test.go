package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/webtest"
)

const (
	workers = 16 // concurrent requests of the load generator
	few     = 4  // where each of them is a whole sign-in
)

// exchanging asks for a JWT: a token exchange (RFC 8693), the one way in which
// Gatehouse issues them.
func (w *world) exchanging(c *caller, issuer, token string) func(int) error {
	return func(int) error {
		form, err := w.proven(url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"http://api.example.com"}, "scope": {"users:read"},
		}, "gateway", w.issuer)
		if err == nil {
			_, err = c.send(http.MethodPost, issuer+"/token", asForm, form, http.StatusOK, "access_token")
		}
		return err
	}
}

func (w *world) introspecting(c *caller, issuer, address, token string) func(int) error {
	return func(int) error {
		form, err := w.proven(url.Values{"token": {token}}, "gateway", issuer)
		if err == nil {
			_, err = c.send(http.MethodPost, address, asForm, form, http.StatusOK, `"active":true`)
		}
		return err
	}
}

// P1: durable issuance of a JWT.
func (w *world) issuance(p plan) []row {
	c := newCaller(w.t, workers)
	token := w.tokens(c, w.mcp+"/one", 1)[0]
	pod, err := w.podToken()
	if err != nil {
		w.t.Fatal(err)
	}
	found := p.measure(w.t, workers,
		side{name: "gatehouse /token", on: w.gatehouse, do: w.exchanging(c, w.issuer, token)},
		side{name: "bare /token", on: w.bare, do: w.exchanging(c, w.bare.URL, "live")},
		side{name: "gatehouse, client credentials by signature", on: w.gatehouse, do: w.unattended(c, "client_credentials", nil)},
		side{name: "gatehouse, a workload's token", on: w.gatehouse, do: w.unattended(c, "urn:ietf:params:oauth:grant-type:jwt-bearer", url.Values{"assertion": {pod}})},
	)
	const work = "issue a JWT (token exchange; client by signature, one durable record)"
	return []row{
		{Goal: "P1", Work: work, Against: "bare durable handler", Measure: "CPU", Limit: 1.25, spread: ratio(found[0], found[1], cpu)},
		{Goal: "P1", Work: work, Against: "bare durable handler", Measure: "throughput", Limit: 0.8, AtLeast: true, spread: ratio(found[0], found[1], rate)},
		{Goal: "P1", Work: "client credentials (by signature, good for one use; an opaque token)", Against: "the same", Measure: "CPU", spread: ratio(found[2], found[1], cpu)},
		{Goal: "P1", Work: "a token for a workload, by its platform's token (keys known)", Against: "the same", Measure: "CPU", spread: ratio(found[3], found[1], cpu)},
	}
}

// podToken is what a cluster says of a pod.
func (w *world) podToken() (string, error) {
	now := time.Now().Unix()
	return w.cluster.Sign("JWT", map[string]any{
		"iss": "https://cluster.example.com", "sub": "system:serviceaccount:bench:pod", "aud": w.issuer, "iat": now, "exp": now + 3600,
		"kubernetes.io": map[string]any{"namespace": "bench", "serviceaccount": map[string]any{"name": "pod"}},
	})
}

// unattended asks for an opaque token with no person: by what more holds, or by
// a fresh signature.
func (w *world) unattended(c *caller, grantType string, more url.Values) func(int) error {
	return func(int) error {
		form := url.Values{"grant_type": {grantType}, "resource": {w.mcp + "/one"}}
		maps.Copy(form, more)
		if more == nil {
			assertion, err := jose.Assertion(w.cluster, "signer", w.issuer, time.Now())
			if err != nil {
				return err
			}
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			form.Set("client_assertion", assertion)
		}
		_, err := c.send(http.MethodPost, w.issuer+"/token", asForm, form.Encode(), http.StatusOK, "access_token")
		return err
	}
}

// P2: introspection of an opaque token, uncached; the asking client proves
// itself by a fresh signature to all.
func (w *world) introspection(p plan) []row {
	c := newCaller(w.t, workers)
	token := w.tokens(c, w.mcp+"/one", 1)[0]
	sides := []side{
		{name: "gatehouse /introspect", on: w.gatehouse, do: w.introspecting(c, w.issuer, w.issuer+"/introspect", token)},
		{name: "bare /introspect", on: w.bare, do: w.introspecting(c, w.bare.URL, w.bare.URL+"/introspect", "live")},
	}
	if w.provider != nil {
		sides = append(sides, side{name: "oidc-provider introspection", on: w.provider,
			do: w.introspecting(c, w.provider.URL, w.provider.URL+"/token/introspection", w.providerToken(c))})
	}
	found := p.measure(w.t, workers, sides...)
	const work = "introspect an opaque token (client by signature, good for one use)"
	rows := []row{
		{Goal: "P2", Work: work, Against: "bare handler, one look-up", Measure: "throughput", Limit: 0.8, AtLeast: true, spread: ratio(found[0], found[1], rate)},
		{Goal: "P2", Work: work, Against: "bare handler, one look-up", Measure: "CPU", spread: ratio(found[0], found[1], cpu)},
	}
	if w.provider != nil {
		rows = append(rows, row{Goal: "P2", Work: work, Against: "oidc-provider", Measure: "CPU", Limit: 0.4, spread: ratio(found[0], found[2], cpu)})
	}
	return rows
}

// providerToken gets an opaque token of oidc-provider.
func (w *world) providerToken(c *caller) string {
	w.t.Helper()
	form, err := w.proven(url.Values{"grant_type": {"client_credentials"}}, "gateway", w.provider.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := c.send(http.MethodPost, w.provider.URL+"/token", asForm, form, http.StatusOK, "access_token")
	if err != nil {
		w.t.Fatal(err)
	}
	return member(w.t, answer, "access_token")
}

func member(t testing.TB, answer []byte, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(answer, &members); err != nil {
		t.Fatal(err)
	}
	value, _ := members[name].(string)
	return value
}

const metadata = `{"client_name":"Load","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none",` +
	`"application_type":"native","grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`

// P3: dynamic registration.
func (w *world) registration(p plan) []row {
	at := func(address string) func(int) error {
		crowd := newCrowd(w.t, workers)
		return func(worker int) error {
			c := crowd[worker]
			c.moved()
			_, err := c.send(http.MethodPost, address, map[string]string{"Content-Type": "application/json"}, metadata, http.StatusCreated, "client_id")
			return err
		}
	}
	sides := []side{
		{name: "gatehouse /register", on: w.gatehouse, do: at(w.issuer + "/register")},
		{name: "bare /register", on: w.bare, do: at(w.bare.URL + "/register")},
	}
	if w.provider != nil {
		sides = append(sides, side{name: "oidc-provider registration", on: w.provider, do: at(w.provider.URL + "/reg")})
	}
	found := p.measure(w.t, workers, sides...)
	const work = "register a client, durably, with its audit entry"
	rows := []row{{Goal: "P3", Work: work, Against: "bare durable handler", Measure: "throughput", Limit: 0.7, AtLeast: true, spread: ratio(found[0], found[1], rate)}}
	if w.provider != nil {
		rows = append(rows, row{Goal: "P3", Work: work, Against: "oidc-provider in memory", Measure: "throughput", Limit: 1.5, AtLeast: true, spread: ratio(found[0], found[2], rate)})
	}
	return rows
}

// RFC 7636 appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	callback  = "http://127.0.0.1/callback"
)

// P4: the whole flow with PKCE, sign-in and consent, every page loaded by a
// browser without cookies. No side hashes a password: the demo of Gatehouse and
// the development pages of oidc-provider believe any name.
func (w *world) flow(p plan) []row {
	if w.provider == nil {
		return nil
	}
	demo, port := w.demo(w.folder("flow"))
	login, mcp := "http://login.localhost:"+port, "http://mcp.localhost:"+port
	c := newCaller(w.t, 1)
	answer, err := c.send(http.MethodPost, login+"/register", map[string]string{"Content-Type": "application/json"}, metadata, http.StatusCreated, "client_id")
	if err != nil {
		w.t.Fatal(err)
	}
	ours := flow{authorize: login + "/authorize", token: login + "/token", client: member(w.t, answer, "client_id"),
		extra: url.Values{"resource": {mcp}, "scope": {"users:read"}}, person: ourPerson}
	theirs := flow{authorize: w.provider.URL + "/auth", token: w.provider.URL + "/token", client: "agent",
		extra: url.Values{"scope": {"openid offline_access"}, "prompt": {"consent"}}, person: theirPerson}
	found := p.measure(w.t, few,
		side{name: "gatehouse flow", on: demo, do: ours.run(w.t)},
		side{name: "oidc-provider flow", on: w.provider, do: theirs.run(w.t)},
	)
	return []row{{Goal: "P4", Work: "code with PKCE, sign-in and consent, durable; no password on either side", Against: "oidc-provider in memory", Measure: "CPU", Limit: 0.33, spread: ratio(found[0], found[1], cpu)}}
}

// flow is how one server is asked.
type flow struct {
	authorize, token, client string
	extra                    url.Values
	person                   func(page *webtest.Page, name string) *url.URL // answers the pages, returns where the browser is sent
}

// run walks the flow once for each call. Addresses and names change, so that no
// limit on guessing is met.
func (f flow) run(t testing.TB) func(int) error {
	var count [few]int
	return func(worker int) error {
		count[worker]++
		n := count[worker]
		var conns []net.Conn
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialFrom(ctx, network, address, worker, int64(n/perAddress))
			conns = append(conns, conn)
			return conn, err
		}
		defer func() {
			for _, conn := range conns {
				conn.Close()
			}
		}()
		q := url.Values{
			"client_id": {f.client}, "response_type": {"code"}, "redirect_uri": {callback}, "state": {"s"},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"},
		}
		for name, values := range f.extra {
			q[name] = values
		}
		browser := webtest.NewBrowser(t, dial)
		back := f.person(browser.Get(f.authorize+"?"+q.Encode()), fmt.Sprintf("person-%d-%d", worker, n)).Query()
		if back.Get("code") == "" {
			return errors.New("no code: " + back.Encode())
		}
		form := url.Values{"grant_type": {"authorization_code"}, "client_id": {f.client}, "code": {back.Get("code")}, "code_verifier": {verifier}, "redirect_uri": {callback}}
		c := &caller{client: &http.Client{Transport: &http.Transport{DialContext: dial}}}
		_, err := c.send(http.MethodPost, f.token, asForm, form.Encode(), http.StatusOK, "access_token")
		return err
	}
}

// ourPerson signs in and allows what is asked.
func ourPerson(page *webtest.Page, name string) *url.URL {
	consent := page.Follow().Submit("Sign in", url.Values{"username": {name}}).Follow()
	return consent.Submit("action=allow", nil).Location()
}

// theirPerson does the same on the pages of oidc-provider.
func theirPerson(page *webtest.Page, name string) *url.URL {
	resumed := page.Follow().Submit("", url.Values{"login": {name}, "password": {"any"}}).Follow()
	return resumed.Follow().Submit("", nil).Follow().Location()
}

// demo starts `gatehouse demo` in a folder and returns once it answers.
func (w *world) demo(folder string) (*process, string) {
	w.t.Helper()
	port := freePort(w.t)
	p := start(w.t, folder, w.binary, "demo", "--listen", "127.0.0.1:"+port)
	answers(w.t, newCaller(w.t, 1).client, "http://127.0.0.1:"+port+"/healthz")
	return p, port
}
