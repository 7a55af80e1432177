package bench_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// results are one run, as kept in results.json: no absolute times, which are
// the machine's.
type results struct {
	Date  string `json:"date"`
	Go    string `json:"go"`
	Cores int    `json:"cores"`
	Rows  []row  `json:"rows"`
}

// row is one figure beside its goal in the design; without one if Limit is 0.
type row struct {
	Goal    string  `json:"goal"`
	Work    string  `json:"work"`
	Against string  `json:"against,omitempty"`
	Measure string  `json:"measure"`
	Limit   float64 `json:"limit,omitempty"`
	AtLeast bool    `json:"at_least,omitempty"`
	spread
}

func (r row) met() bool {
	if r.AtLeast {
		return r.Median >= r.Limit
	}
	return r.Median <= r.Limit
}

// cells are the columns of the table.
func (r row) cells() []string {
	sign, outcome := "≤", "met"
	if r.AtLeast {
		sign = "≥"
	}
	if !r.met() {
		outcome = "**missed**"
	}
	goal := fmt.Sprintf("%s %g", sign, r.Limit)
	if r.Limit == 0 {
		goal, outcome = "", ""
	}
	found := fmt.Sprintf("%.2f (%.2f–%.2f)", r.Median, r.Low, r.High)
	if r.Against == "" {
		found = fmt.Sprintf("%.0f", r.Median)
	}
	return []string{r.Goal, r.Work, r.Against, r.Measure, found, goal, outcome}
}

func (r results) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s with %s on %d cores, load generator included, by `make bench`: Gatehouse's figure divided by that of what it is held against, median and middle half of the rounds. [bench/README.md](bench/README.md) says how, and why what is missed is missed.\n\n", r.Date, r.Go, r.Cores)
	b.WriteString("| | work | against | of | ratio | goal | |\n|---|---|---|---|---|---|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	return b.String()
}

const (
	resultsFile = "results.json"
	readme      = "../README.md"
	from        = "<!-- Written by make bench, from bench/results.json. -->\n"
	to          = "<!-- End of what make bench writes. -->\n"
)

// write keeps the results and puts the table into the project's README.
func (r results) write(t testing.TB) {
	t.Helper()
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	before, _, after := splitReadme(t)
	for path, content := range map[string]string{resultsFile: string(data) + "\n", readme: before + from + r.table() + to + after} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func splitReadme(t testing.TB) (before, table, after string) {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), from)
	table, after, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("%s has no place for the table: it needs the lines\n%s%s", readme, from, to)
	}
	return before, table, after
}

// The README's table is that of the results which are kept.
func TestReadmeHasTheResults(t *testing.T) {
	data, err := os.ReadFile(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if _, table, _ := splitReadme(t); table != r.table() {
		t.Errorf("README.md has\n%s\nbut bench/results.json gives\n%s\nrun make bench", table, r.table())
	}
}

// Every goal that performance promises has a row, and each missed one a reason.
func TestEveryGoalIsAccountedFor(t *testing.T) {
	data, err := os.ReadFile(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, row := range r.Rows {
		seen[row.Goal] = true
		if row.Limit != 0 && !row.met() && !strings.Contains(string(reasons), "\n### "+row.Goal+" ") {
			t.Errorf("%s is missed (%v), and bench/README.md has no section %s that says why", row.Goal, row.cells(), row.Goal)
		}
	}
	for _, goal := range []string{"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P10"} {
		if !seen[goal] {
			t.Errorf("no figure for %s", goal)
		}
	}
}
