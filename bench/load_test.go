package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/webtest"
)

// side is one of the servers that do the same work in turns.
type side struct {
	name string
	on   *process
	do   func(worker int) error // one request, from start to checked answer; io.EOF: no more in this turn

	before func() // each turn, uncounted
}

// sample is what one side did in one turn.
type sample struct {
	cpu  float64 // of the server, for each request, in µs
	rate float64 // requests a second
	p50  float64 // µs
}

// plan says how long to measure.
type plan struct {
	rounds int
	turn   time.Duration
}

// measure loads the sides in turns, A B A B …, so that what else the machine
// does meets all of them. The order changes with each round.
func (p plan) measure(t testing.TB, workers int, sides ...side) [][]sample {
	t.Helper()
	found := make([][]sample, len(sides))
	for _, s := range sides { // connections, caches, statements
		s.turn(t, workers, p.turn/4)
	}
	for round := range p.rounds {
		for i := range sides {
			i = (i + round) % len(sides)
			found[i] = append(found[i], sides[i].turn(t, workers, p.turn))
		}
	}
	for i, s := range sides {
		t.Logf("%s: %.0f µs of CPU, %.0f/s, p50 %.0f µs, %d at a time", s.name, middle(found[i], cpu), middle(found[i], rate), middle(found[i], p50), workers)
	}
	return found
}

// turn sends requests for a while, each worker the next when the last is
// answered.
func (s side) turn(t testing.TB, workers int, length time.Duration) sample {
	t.Helper()
	if s.before != nil {
		s.before()
	}
	var failed atomic.Pointer[error]
	times := make([][]time.Duration, workers)
	begun, used := time.Now(), s.on.cpu(t)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for failed.Load() == nil && (len(times[w]) == 0 || time.Since(begun) < length) {
				sent := time.Now()
				err := s.do(w)
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				times[w] = append(times[w], time.Since(sent))
			}
		})
	}
	group.Wait()
	took := time.Since(begun)
	if err := failed.Load(); err != nil {
		t.Fatalf("%s: %v", s.name, *err)
	}
	used = s.on.cpu(t) - used
	all := slices.Concat(times...)
	if len(all) == 0 {
		t.Fatalf("%s: nothing was asked", s.name)
	}
	slices.Sort(all)
	n := float64(len(all))
	return sample{
		cpu:  float64(used.Microseconds()) / n,
		rate: n / took.Seconds(),
		p50:  float64(all[len(all)/2].Nanoseconds()) / 1000,
	}
}

func cpu(s sample) float64  { return s.cpu }
func rate(s sample) float64 { return s.rate }
func p50(s sample) float64  { return s.p50 }

// spread is a ratio as measured in each round: the middle and the quarters.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func spreadOf(values []float64) spread {
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1)+0.5)] }
	return spread{at(0.5), at(0.25), at(0.75)}
}

// middle is one side's own figure, which is the machine's too.
func middle(samples []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	return spreadOf(values).Median
}

// ratio compares two sides round by round: their turns were neighbours.
func ratio(a, b []sample, of func(sample) float64) spread {
	var values []float64
	for i := range a {
		values = append(values, of(a[i])/max(of(b[i]), 0.01)) // a smoke run is too short for the clock
	}
	return spreadOf(values)
}

// parallel does n things, so many at a time, and returns the first error.
func parallel(n, workers int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// caller sends requests and checks answers.
type caller struct {
	client *http.Client
	sent   atomic.Int64 // requests, where the source address changes
}

func newCaller(t testing.TB, workers int) *caller {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: workers, MaxIdleConns: 4 * workers, DialContext: webtest.DialTCP}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// perAddress is how many requests come from one address: fewer than the limits
// of registration and sign-in allow, which stay as in production.
const perAddress = 40

// newCrowd returns callers from ever new addresses of the loopback network, one
// for each worker.
func newCrowd(t testing.TB, workers int) []*caller {
	t.Helper()
	var crowd []*caller
	for w := range workers {
		c := newCaller(t, 1)
		c.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialFrom(ctx, network, address, w, c.sent.Load()/perAddress)
		}
		crowd = append(crowd, c)
	}
	return crowd
}

// dialFrom dials as the given one of a worker's addresses.
func dialFrom(ctx context.Context, network, address string, worker int, n int64) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+worker), byte(n>>8), byte(n))}}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(host, "localhost") {
		host = "127.0.0.1"
	}
	return d.DialContext(ctx, network, net.JoinHostPort(host, port))
}

// moved is called before each request of a crowd.
func (c *caller) moved() {
	if c.sent.Add(1)%perAddress == 0 {
		c.client.CloseIdleConnections()
	}
}

// send fails unless the answer has the status and holds what is wanted.
func (c *caller) send(method, address string, header map[string]string, body string, status int, want string) ([]byte, error) {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status || !bytes.Contains(answer, []byte(want)) {
		return nil, fmt.Errorf("%s %s: %d %.300s", method, address, resp.StatusCode, answer)
	}
	return answer, nil
}
