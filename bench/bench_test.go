package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Every benchmark runs and measures something. What, depends on the machine and
// on what else it does: no figure is asserted.
func TestBenchmarksRun(t *testing.T) {
	if _, err := os.Stat("../test/node/node_modules/oidc-provider"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("oidc-provider is missing; make test installs it")
		}
		t.Skip("oidc-provider is missing; make test installs it")
	}
	var log bytes.Buffer
	r := &runner{turn: 100 * time.Millisecond, rounds: 1, log: &log}
	got, err := r.all("..")
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	named := map[string]int{}
	for _, l := range got.Lines {
		named[l.Name]++
		if l.Ratio <= 0 || l.Low > l.Ratio || l.High < l.Ratio || l.Goal == "" || l.Beside == "" {
			t.Errorf("%+v", l)
		}
	}
	for _, name := range []string{"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P10"} {
		if named[name] == 0 {
			t.Errorf("%s measured nothing", name)
		}
	}
}

// The README shows what was measured, and bench/README.md says of each missed
// goal why.
func TestReadmeShowsTheResults(t *testing.T) {
	data, err := os.ReadFile("results.json")
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), beginMark+"\n"+table(r)+endMark) {
		t.Error("README.md's table is not that of bench/results.json; make bench writes both")
	}
	reasons, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Lines {
		if !l.Met && !strings.Contains(string(reasons), "| "+l.Name+" ") {
			t.Errorf("bench/README.md does not say why %s is missed: %s beside %s", l.Name, l.Work, l.Beside)
		}
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" { // as a contender of TestBenchmarksRun
		if err := serve(os.Args[2:]); err != nil {
			os.Exit(1)
		}
		return
	}
	if _, err := exec.LookPath("node"); err != nil && os.Getenv("CI") != "true" {
		os.Exit(0) // there is no peer to run
	}
	os.Exit(m.Run())
}
