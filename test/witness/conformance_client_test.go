package witness_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// required reads the client scenarios that a revision requires, and those that
// the suite runs besides without scoring them.
func required(t *testing.T, revision string) (client, besides []string) {
	t.Helper()
	data, err := os.ReadFile("../node/node_modules/@modelcontextprotocol/conformance/requirements/" + revision + ".yaml")
	if err != nil {
		lack(t, "@modelcontextprotocol/conformance in test/node")
	}
	scored, rest, _ := strings.Cut(string(data), "\nnot_scored:\n")
	_, list, _ := strings.Cut(scored, "\nclient:\n")
	for line := range strings.Lines(list) {
		name, ok := strings.CutPrefix(line, "  - ")
		if !ok {
			break
		}
		client = append(client, strings.TrimSpace(name))
	}
	for _, m := range regexp.MustCompile(`- scenario: (\S+)\n\s+leg: client\n`).FindAllStringSubmatch(rest, -1) {
		besides = append(besides, m[1])
	}
	if len(client) == 0 || len(besides) == 0 {
		t.Fatalf("%s: the suite's list has another form than this test reads", revision)
	}
	return client, besides
}

// otherIssue are client scenarios of extensions, which no revision requires, and
// which need what this client does not have yet.
var otherIssue = map[string]string{
	"auth/dpop":                          "sender-constrained tokens: a later issue",
	"auth/dpop-nonce":                    "sender-constrained tokens: a later issue",
	"sep-2640-client-no-prefetch":        "skills, which this client does not have",
	"sep-2640-client-verify-digest":      "skills",
	"sep-2640-client-verify-size":        "skills",
	"sep-2640-client-verify-frontmatter": "skills",
}

// Every client scenario that the official suite, 0.2.0-alpha.12, requires of a
// revision passes with `gatehouse connect --conformance`: R-CL-1 to R-CL-18,
// R-CL-24 to R-CL-27. The rest is listed above by name.
func TestConformanceClient(t *testing.T) {
	for _, revision := range []string{"2026-07-28", "2025-11-25"} {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			scenarios, besides := required(t, revision)
			out := t.TempDir()
			p := start(t, "conformance", suite(t, "", "client", "--command", binary+" connect --conformance", "--requirements", revision, "-o", out))
			<-p.ended
			for _, scenario := range scenarios {
				passed := scenarioPassed(t, out, scenario)
				if passed == 0 && !t.Failed() {
					t.Errorf("%s was not run:\n%s", scenario, p.text())
				}
			}
			for _, scenario := range besides {
				if _, listed := otherIssue[scenario]; !listed {
					passed := scenarioPassed(t, out, scenario)
					if passed == 0 && strings.HasPrefix(scenario, "auth/") {
						t.Errorf("%s was not run:\n%s", scenario, p.text())
					}
					t.Logf("%s: %d checks passed", scenario, passed)
				}
			}
			if t.Failed() {
				t.Log(p.text())
			}
		})
	}
}

// scenarioPassed reports each failure of a scenario, and returns how many
// checks passed.
func scenarioPassed(t *testing.T, out, scenario string) (passed int) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(out, scenario+"-20*"))
	if err != nil || len(folders) > 1 {
		t.Fatalf("%s: %v %v", scenario, folders, err)
	}
	for _, folder := range folders {
		for _, c := range results(t, folder) {
			switch c.Status {
			case "SUCCESS":
				passed++
			case "FAILURE", "WARNING":
				t.Errorf("%s: %s: %s %s", scenario, c.ID, c.Status, c.ErrorMessage)
			}
		}
	}
	return passed
}
