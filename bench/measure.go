package main

import (
	"fmt"
	"io"
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
	root, err := filepath.Abs(root)
	if err != nil {
		return results{}, err
	}
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
	if s.peer, err = s.keep(start(exec.Command(node(s.root), filepath.Join(s.root, "bench", "oidc-provider.mjs"), filepath.Join(s.root, "test", "node")))); err != nil {
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

// node is the one that make test installs for what needs a newer one than the
// system's.
func node(root string) string {
	own := filepath.Join(root, "test", "node22", "node_modules", ".bin", "node")
	if _, err := os.Stat(own); err == nil {
		return own
	}
	return "node"
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
