package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	beginMark = "<!-- bench: made by `make bench` from bench/results.json -->"
	endMark   = "<!-- /bench -->"
)

// table is the README's: ratios only, since nothing else can be compared.
func table(r results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | ours | beside | | ratio | goal |\n|---|---|---|---|---|---|\n")
	for _, l := range r.Lines {
		met := ""
		if !l.Met {
			met = " ✗"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.2f (%.2f–%.2f) | %s%s |\n", l.Name, l.Work, l.Beside, l.What, l.Ratio, l.Low, l.High, l.Goal, met)
	}
	fmt.Fprintf(&b, "\n%s, %s, %d cores with the load generator on them; median of the rounds of one run, and the lowest and highest. What ✗ means and why is in [bench/README.md](bench/README.md).\n", r.Date, r.Go, r.Cores)
	return b.String()
}

// writeReadme puts the table between its marks.
func writeReadme(file string, r results) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(data), beginMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok1 || !ok2 {
		return errors.New("README.md has no place for the benchmarks' table")
	}
	return os.WriteFile(file, []byte(before+beginMark+"\n"+table(r)+endMark+after), 0o644)
}
