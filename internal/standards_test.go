package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/standards.md names real files and tests, and every requirement that a
// test names is in it.
func TestStandardsAreTrue(t *testing.T) {
	data, err := os.ReadFile("../docs/standards.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, m := range regexp.MustCompile("`([a-z/]+/[a-z_]+\\.go)(?::(\\w+))?`").FindAllStringSubmatch(page, -1) {
		path := m[1]
		if strings.HasPrefix(path, "test/") || strings.HasPrefix(path, "mcpclient/") {
			path = "../" + path
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("docs/standards.md names %s: %v", m[1], err)
		} else if m[2] != "" && !strings.Contains(string(source), "func "+m[2]+"(") {
			t.Errorf("docs/standards.md names %s, which has no %s", m[1], m[2])
		}
	}
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
