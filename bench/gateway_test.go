package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

const mb = 1 << 20

var asMessage = map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

func withToken(token string) map[string]string {
	return map[string]string{"Content-Type": asMessage["Content-Type"], "Accept": asMessage["Accept"], "Authorization": "Bearer " + token}
}

const callOne = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-user-0","arguments":{"id":"7"}}}`

// calling calls a tool with tokens in turn.
func calling(c *caller, endpoint string, tokens []string, body string) func(int) error {
	var next atomic.Int64
	return func(int) error {
		token := tokens[int(next.Add(1))%len(tokens)]
		_, err := c.send(http.MethodPost, endpoint, withToken(token), body, http.StatusOK, "ada@example.com")
		return err
	}
}

// P5: a tool call with everything known, beside a proxy that passes the same
// request to the same API.
func (w *world) call(p plan) []row {
	c := newCaller(w.t, workers)
	get := func(path string) func(int) error {
		return func(int) error {
			_, err := c.send(http.MethodGet, w.bare.URL+path, nil, "", http.StatusOK, "ada@example.com")
			return err
		}
	}
	sides := []side{
		{name: "tools/call", on: w.gatehouse, do: calling(c, w.mcp+"/one", w.tokens(c, w.mcp+"/one", agents), callOne)},
		{name: "proxy", on: w.bare, do: get("/users/7")},
		{name: "proxy with audit", on: w.bare, do: get("/audited/users/7")},
	}
	busy, quiet := p.measure(w.t, workers, sides...), p.measure(w.t, 1, sides...)
	var apart, record []float64
	for i, gateway := range busy[0] {
		proxy, audited := max(busy[1][i].cpu, 0.01), busy[2][i].cpu
		record = append(record, (audited-proxy)/proxy)
		apart = append(apart, (gateway.cpu-(audited-proxy))/proxy)
	}
	const work = "tools/call, everything known: token, arguments, scopes, audit, result"
	return []row{
		{Goal: "P5", Work: work + "; the audit's writes taken off", Against: "tuned httputil.ReverseProxy", Measure: "CPU", Limit: 1.25, spread: spreadOf(apart)},
		{Goal: "P5", Work: "the two audit writes of a call alone", Against: "tuned httputil.ReverseProxy", Measure: "CPU", spread: spreadOf(record)},
		{Goal: "P5", Work: work, Against: "the same proxy with the same audit writes", Measure: "CPU", spread: ratio(busy[0], busy[2], cpu)},
		{Goal: "P5", Work: work, Against: "the same proxy with the same audit writes", Measure: "p50, one at a time", spread: ratio(quiet[0], quiet[2], p50)},
		{Goal: "P5", Work: work, Against: "tuned httputil.ReverseProxy", Measure: "p50, one at a time", Limit: 1.15, spread: ratio(quiet[0], quiet[1], p50)},
	}
}

// P6: the first call with a token costs what its parts cost alone.
func (w *world) firstSeen(p plan) []row {
	c := newCaller(w.t, workers)
	var fresh []string
	var next atomic.Int64
	known := w.tokens(c, w.mcp+"/one", agents)
	first := side{name: "first call of a token", on: w.gatehouse,
		before: func() {
			fresh = w.tokens(c, w.mcp+"/one", max(workers, int(p.turn.Seconds()*1500)))
			next.Store(0)
		},
		do: func(int) error {
			i := int(next.Add(1)) - 1
			if i >= len(fresh) {
				return io.EOF
			}
			_, err := c.send(http.MethodPost, w.mcp+"/one", withToken(fresh[i]), callOne, http.StatusOK, "ada@example.com")
			return err
		},
	}
	found := p.measure(w.t, workers, first,
		side{name: "tools/call", on: w.gatehouse, do: calling(c, w.mcp+"/one", known, callOne)},
		side{name: "introspection", on: w.gatehouse, do: w.introspecting(c, w.issuer, w.issuer+"/introspect", known[0])},
		side{name: "exchange", on: w.gatehouse, do: w.exchanging(c, w.issuer, known[0])},
	)
	var values []float64
	for i, s := range found[0] {
		values = append(values, s.cpu/max(found[1][i].cpu+found[2][i].cpu+found[3][i].cpu, 0.01))
	}
	return []row{{Goal: "P6", Work: "first tools/call with a token, both roles' CPU", Against: "known call + introspection + exchange", Measure: "CPU", Limit: 1, spread: spreadOf(values)}}
}

// P7: a thousand tools.
func (w *world) manyTools(p plan) []row {
	c := newCaller(w.t, workers)
	one, many := w.tokens(c, w.mcp+"/one", agents), w.tokens(c, w.mcp+"/many", agents)
	const callLast = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-user-999","arguments":{"id":"7"}}}`
	calls := p.measure(w.t, workers,
		side{name: "one of 1,000 tools", on: w.gatehouse, do: calling(c, w.mcp+"/many", many, callLast)},
		side{name: "the only tool", on: w.gatehouse, do: calling(c, w.mcp+"/one", one, callOne)},
	)
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
	page, err := c.send(http.MethodPost, w.mcp+"/many", withToken(many[0]), list, http.StatusOK, "fetch-user-")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.send(http.MethodPut, w.bare.URL+"/list", nil, string(page), http.StatusOK, ""); err != nil {
		w.t.Fatal(err)
	}
	var next atomic.Int64
	lists := p.measure(w.t, workers,
		side{name: "tools/list", on: w.gatehouse, do: func(int) error {
			_, err := c.send(http.MethodPost, w.mcp+"/many", withToken(many[int(next.Add(1))%len(many)]), list, http.StatusOK, "fetch-user-")
			return err
		}},
		side{name: "bare list", on: w.bare, do: func(int) error {
			_, err := c.send(http.MethodPost, w.bare.URL+"/list", asMessage, list, http.StatusOK, "fetch-user-")
			return err
		}},
	)
	return []row{
		{Goal: "P7", Work: "tools/call with 1,000 tools", Against: "with one tool", Measure: "CPU", Limit: 1.1, spread: ratio(calls[0], calls[1], cpu)},
		{Goal: "P7", Work: fmt.Sprintf("tools/list of 1,000 tools, %d kB", len(page)/1000), Against: "bare handler writing the same bytes", Measure: "CPU", spread: ratio(lists[0], lists[1], cpu)},
	}
}

// P10: from the start of the demo to its first answer; what it holds when idle;
// how large it is.
func (w *world) start(p plan) []row {
	var first, again, bare []sample
	var idle []float64
	for round := range p.rounds {
		folder := w.folder(fmt.Sprint("start-", round))
		var demo *process
		first = append(first, timed(func() { demo, _ = w.demo(folder) }))
		time.Sleep(p.turn)
		idle = append(idle, demo.resident(w.t))
		demo.stop()
		again = append(again, timed(func() { demo, _ = w.demo(folder) }))
		demo.stop()
		var server *process
		bare = append(bare, timed(func() {
			server = start(w.t, w.folder(fmt.Sprint("bare-", round)), w.ceiling, "-data", ".")
			answers(w.t, newCaller(w.t, 1).client, server.URL+"/healthz")
		}))
		server.stop()
	}
	w.t.Logf("start %.0f ms, again %.0f ms, bare %.0f ms", middle(first, p50)/1000, middle(again, p50)/1000, middle(bare, p50)/1000)
	const against = "bare server with the same store"
	return []row{
		{Goal: "P10", Work: "first start of the demo, to its first answer", Against: against, Measure: "time", Limit: 1.5, spread: ratio(first, bare, p50)},
		{Goal: "P10", Work: "start of the demo on the folder that it has", Against: against, Measure: "time", spread: ratio(again, bare, p50)},
		{Goal: "P10", Work: "memory of the idle demo", Measure: "MB", Limit: 64, spread: spreadOf(idle)},
		{Goal: "P10", Work: "size of the binary", Measure: "MB", Limit: 40, spread: spreadOf([]float64{size(w.t, w.binary)})},
	}
}

func timed(do func()) sample {
	begun := time.Now()
	do()
	return sample{p50: float64(time.Since(begun).Microseconds())}
}

func size(t testing.TB, path string) float64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return float64(info.Size()) / mb
}
