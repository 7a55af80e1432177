// Package cli_test runs the real binary as people do: what it prints, what it
// refuses, and how it ends. The scripts are in testdata.
package cli_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // to look into databases, and to age them
)

// binary is the folder of the built product.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-cli-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = dir
		if out, err := exec.Command("go", "build", "-o", dir, "gatehouse/cmd/gatehouse").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build gatehouse: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", binary+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "exits": exits, "get": get, "lines": lines, "sql": query, "occupy": occupy,
			"token": agentToken, "list": listTools, "platform": platform, "member": member,
		},
	})
}

const (
	patience = 30 * time.Second
	interval = 10 * time.Millisecond
)

// await FILE PATTERN [NAME] waits until another process has written a match
// into the file, and sets NAME to its first group.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await FILE PATTERN [NAME]")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var text []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(interval) {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err != nil {
			continue // not there yet
		}
		if m := pattern.FindSubmatch(text); m != nil {
			if len(args) == 3 {
				ts.Setenv(args[2], string(m[1]))
			}
			return
		}
	}
	ts.Fatalf("%s did not get a match of %s: %s", args[0], args[1], text)
}

// exits CODE COMMAND... runs a command that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e, ok := err.(*exec.ExitError); ok {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s ended with %d instead of %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// lines N FILE wants exactly N lines in a file, stdout or stderr.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N FILE")
	}
	if n := strings.Count(ts.ReadFile(args[1]), "\n"); fmt.Sprint(n) != args[0] {
		ts.Fatalf("%s has %d lines instead of %s:\n%s", args[1], n, args[0], ts.ReadFile(args[1]))
	}
}

// get ADDRESS HOST prints the status that a host answers with at an address.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get ADDRESS HOST")
	}
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	req.Host = args[1]
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.Status)
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

// sql FILE STATEMENT runs a statement on an SQLite database and prints the
// first column; @FILE runs the statements in a file.
func query(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	if name, ok := strings.CutPrefix(args[1], "@"); ok {
		_, err := db.Exec(ts.ReadFile(name))
		ts.Check(err)
		return
	}
	rows, err := db.Query(args[1])
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		var value any
		ts.Check(rows.Scan(&value))
		fmt.Fprintln(ts.Stdout(), value)
	}
	ts.Check(rows.Err())
}

// occupy NAME takes a port until the script ends, and sets NAME to it.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// Every command, groups included, shows how it is used.
func TestHelpShowsExamples(t *testing.T) {
	gatehouse := filepath.Join(binary, "gatehouse")
	var visit func(chain ...string)
	visit = func(chain ...string) {
		out, err := exec.Command(gatehouse, append(chain, "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("gatehouse %s --help: %v\n%s", strings.Join(chain, " "), err, out)
			return
		}
		if want := strings.TrimSpace("gatehouse " + strings.Join(chain, " ")); strings.Count(string(out), want) < 2 {
			t.Errorf("%s --help shows no example of it:\n%s", want, out)
		}
		_, commands, _ := strings.Cut(string(out), "\nCommands:\n")
		commands, _, _ = strings.Cut(commands, "\n\n")
		for _, m := range regexp.MustCompile(`(?m)^  ((?:[a-z-]+ )*[a-z-]+)  `).FindAllStringSubmatch(commands, -1) {
			visit(strings.Fields(m[1])...)
		}
	}
	visit()
	for _, group := range []string{"config", "person", "client", "grant"} {
		visit(group)
	}
}
