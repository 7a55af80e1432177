// Command bench measures Gatehouse's processes beside the least that the same
// work can cost: server CPU per request, as ratios within one run (Linux).
//
//	go run ./bench            all benchmarks; writes bench/results.json and the README's table
//	go run ./bench -quick     a look whether they run; its figures mean nothing
//
// Each contender is a process of its own, loaded in turns of a second, so that
// what else the machine does falls on all alike. Never compare figures of two
// runs. bench/README.md says what each figure is beside.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	quick := flag.Bool("quick", false, "short turns, nothing is written")
	only := flag.String("only", "", "one benchmark, such as P5")
	flag.Parse()
	r := runner{turn: time.Second, rounds: 7, only: *only, log: os.Stderr}
	if *quick {
		r.turn, r.rounds = 150*time.Millisecond, 1
	}
	if err := run(&r, *quick || *only != ""); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything and writes what came of it.
func run(r *runner, dry bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	results, err := r.all(root)
	if err != nil {
		return err
	}
	fmt.Println(table(results))
	if dry {
		return nil
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "bench", "results.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return writeReadme(filepath.Join(root, "README.md"), results)
}

// moduleRoot finds the folder of go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("run it within the project")
}
