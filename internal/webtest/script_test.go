package webtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/webtest"
)

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header()["X-Many"] = []string{"one", "two"}
	w.WriteHeader(http.StatusCreated)
	err = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "host": r.Host, "url": "http://" + r.Host + r.URL.RequestURI(), "body": string(body), "token": "t-1",
		"authorization": r.Header.Get("Authorization"), "type": r.Header.Get("Content-Type"),
		"list": []any{1, map[string]int{"b": 2}}, "true": true,
	})
	if err != nil {
		panic(err)
	}
}

func TestScript(t *testing.T) {
	webtest.Script(t, http.HandlerFunc(echo), "testdata/example.txt", "from=the test")
}

// recorder is a testing.TB that keeps what a test would be told.
type recorder struct {
	testing.TB
	told    []string
	skipped bool
}

// stopped is what recorder panics with where testing.T ends the goroutine.
type stopped struct{}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Errorf(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stopped{})
}
func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = true
	r.Fatalf(format, args...)
}

// told runs f with a recorder and returns what it told.
func told(t *testing.T, f func(r *recorder)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() {
			if cause := recover(); cause != nil && cause != (stopped{}) {
				panic(cause)
			}
		}()
		f(r)
	}()
	return r
}

// TestScriptFails: a check that cannot fail checks nothing.
func TestScriptFails(t *testing.T) {
	for script, want := range map[string]string{
		"GET /\n":            ":1: code == 200; it is 201",
		"GET /\ncode == 200": `:2: code == 200; it is "201"`,
		"GET /\ncode != 201": ":2: code != 201",
		"GET /\ncode == 201\nheader X-Many == one":       `:3: header X-Many == one; it is "one, two"`,
		"GET /\ncode == 201\nheader X-None contains a":   ":3: header",
		"GET /\ncode == 201\nbody !contains method":      ":3: body",
		"GET /\ncode == 201\nbody ~ ^x":                  ":3: body",
		"GET /\ncode == 201\nbody !~ method":             ":3: body",
		"GET /\ncode == 201\njson .list.1.b == 3":        `it is "2"`,
		"GET /\ncode == 201\njson .true == yes":          `it is "true"`,
		"GET /\ncode == 201\n\n# x\n\nGET /b\ncode == 1": ":7: code == 1",
		"GET /\nbody ~ (":                                "missing closing",
		"GET /\ncode is 201":                             "no line of a script",
		"GET /\njson == 201":                             "no line of a script",
		"get /":                                          "no method and URL",
		"GET /${x}":                                      "nothing gave ${x} a value",
		"# nothing":                                      "no case in it",
	} {
		file := filepath.Join(t.TempDir(), "x.txt")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		r := told(t, func(r *recorder) { webtest.Script(r, http.HandlerFunc(echo), file) })
		if len(r.told) != 1 || !strings.Contains(r.told[0], want) {
			t.Errorf("%q told %q, want %q", script, r.told, want)
		}
	}
	if r := told(t, func(r *recorder) { webtest.Script(r, http.HandlerFunc(echo), "testdata/none.txt") }); len(r.told) != 1 {
		t.Error("a missing file is no error")
	}
}
