package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

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
