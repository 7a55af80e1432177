package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkNamed returns a page of docs, and complains about files and tests that
// it names and that are not there.
func checkNamed(t *testing.T, file string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`([a-z/]+/[a-z_]+\\.go|[a-z]+_test\\.go)(?::(\\w+))?`").FindAllStringSubmatch(string(page), -1) {
		path := m[1]
		if strings.HasPrefix(path, "test/") || strings.HasPrefix(path, "mcpclient/") || strings.HasPrefix(path, "bench/") {
			path = "../" + path
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("docs/%s names %s: %v", file, m[1], err)
		} else if m[2] != "" && !strings.Contains(string(source), "func "+m[2]+"(") {
			t.Errorf("docs/%s names %s, which has no %s", file, m[1], m[2])
		}
	}
	return string(page)
}

// docs/security-model.md names real tests for each rule and attack.
func TestSecurityModelIsTrue(t *testing.T) {
	page := checkNamed(t, "security-model.md")
	if n := strings.Count(page, ":Test"); n < 60 {
		t.Errorf("only %d tests are named; has the page another form now?", n)
	}
}

// docs/standards.md names real files and tests, and every requirement that a
// test names is in it.
func TestStandardsAreTrue(t *testing.T) {
	page := checkNamed(t, "standards.md")
	named := map[string]string{}
	for _, pattern := range []string{"*/*_test.go", "../test/*/*_test.go", "../mcpclient/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range regexp.MustCompile(`R-(?:RS|AS|CL)-\d+`).FindAllString(string(source), -1) {
				named[r] = file
			}
		}
	}
	for r, file := range named {
		if !regexp.MustCompile(regexp.QuoteMeta(r) + `\b`).MatchString(page) {
			t.Errorf("%s names %s, which docs/standards.md does not have", file, r)
		}
	}
}
