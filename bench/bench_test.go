// Package bench_test measures Gatehouse as a whole process, on loopback sockets,
// against the least that the same work can cost: see README.md here.
//
// It owns the figures in the project's README and the load that makes them. The
// bare servers are package ceiling's.
package bench_test

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

var (
	full = flag.Bool("full", false, "measure for some minutes and write results.json and the table of README.md")
	only = flag.String("only", "", "goal to measure, such as P5; nothing is written")
)

// TestBench runs every benchmark. Without -full each is so short that it proves
// only that it works, and no figure is looked at.
func TestBench(t *testing.T) {
	p := plan{rounds: 1, turn: 50 * time.Millisecond}
	if *full {
		p = plan{rounds: 9, turn: 800 * time.Millisecond}
	}
	if runtime.GOOS != "linux" {
		t.Skip("processor time of other processes is read from /proc")
	}
	w := newWorld(t)
	r := results{Date: time.Now().Format(time.DateOnly), Go: runtime.Version(), Cores: runtime.NumCPU()}
	for _, b := range []struct {
		goal string
		run  func(plan) []row
	}{
		{"P1", w.issuance}, {"P2", w.introspection}, {"P3", w.registration}, {"P4", w.flow},
		{"P5", w.call}, {"P6", w.firstSeen}, {"P7", w.manyTools}, {"P10", w.start},
	} {
		if *only != "" && *only != b.goal {
			continue
		}
		begun := time.Now()
		rows := b.run(p)
		if *full {
			for _, row := range rows {
				fmt.Println(strings.Join(row.cells(), "  "))
			}
			fmt.Printf("  (%s)\n", time.Since(begun).Round(time.Second))
		}
		r.Rows = append(r.Rows, rows...)
	}
	if *full && *only == "" {
		if w.provider == nil {
			t.Fatal("oidc-provider is missing, so the table would be too; run npm ci in test/node")
		}
		r.write(t)
	}
}
