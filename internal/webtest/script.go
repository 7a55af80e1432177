package webtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Script runs the cases of a file against a handler, in order. Each of
// variables is name=value, for ${name} in the file. Failed checks are reported
// with file and line; a malformed script ends the test. The package comment
// describes the format.
func Script(t testing.TB, handler http.Handler, file string, variables ...string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read the script: %v", err)
	}
	s := script{t: t, file: file, variables: map[string]string{}}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		s.variables[name] = value
	}
	cases := parseScript(string(data))
	if len(cases) == 0 {
		t.Fatalf("%s: no case in it", file)
	}
	for _, c := range cases {
		s.run(handler, c)
	}
}

type script struct {
	t         testing.TB
	file      string
	variables map[string]string
}

type scriptLine struct {
	number int
	text   string
}

// parseScript splits a script into cases of non-empty lines.
func parseScript(data string) [][]scriptLine {
	var cases [][]scriptLine
	var current []scriptLine
	for i, text := range strings.Split(data+"\n", "\n") {
		text = strings.TrimRight(text, " \t\r")
		switch {
		case strings.HasPrefix(text, "#"):
		case text != "":
			current = append(current, scriptLine{i + 1, text})
		case current != nil:
			cases, current = append(cases, current), nil
		}
	}
	return cases
}

var (
	requestLine  = regexp.MustCompile(`^([A-Z]+) (\S+)$`)
	headerLine   = regexp.MustCompile(`^([A-Za-z0-9-]+): ?(.*)$`)
	checkLine    = regexp.MustCompile(`^(code|body|header \S+|json \S+) (==|!=|contains|!contains|~|!~)(?: (.*))?$`)
	letLine      = regexp.MustCompile(`^let (\w+) (body|header \S+|json \S+)$`)
	variableName = regexp.MustCompile(`\$\{\w+\}`)
)

// run sends one request and checks its answer.
func (s *script) run(handler http.Handler, lines []scriptLine) {
	s.t.Helper()
	req, rest := s.request(lines)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	a := answer{recorder.Code, recorder.Result().Header, strings.TrimSpace(recorder.Body.String())}
	failed, codeChecked := false, false
	for _, line := range rest {
		text := s.expand(line)
		if m := letLine.FindStringSubmatch(text); m != nil {
			s.variables[m[1]] = a.value(m[2])
			continue
		}
		m := checkLine.FindStringSubmatch(text)
		if m == nil {
			s.t.Fatalf("%s:%d: %q is no line of a script; see package webtest", s.file, line.number, line.text)
		}
		codeChecked = codeChecked || m[1] == "code"
		if got := a.value(m[1]); !s.holds(line, got, m[2], m[3]) {
			s.t.Errorf("%s:%d: %s; it is %q", s.file, line.number, text, got)
			failed = true
		}
	}
	if !codeChecked && a.status != http.StatusOK {
		s.t.Errorf("%s:%d: code == 200; it is %d", s.file, lines[0].number, a.status)
		failed = true
	}
	if failed {
		s.t.Logf("%s:%d: the answer was %d %v\n%s", s.file, lines[0].number, a.status, a.header, a.body)
	}
}

// request builds the request of a case and returns the lines that are not it.
func (s *script) request(lines []scriptLine) (*http.Request, []scriptLine) {
	s.t.Helper()
	first := requestLine.FindStringSubmatch(s.expand(lines[0]))
	if first == nil {
		s.t.Fatalf("%s:%d: %q is no method and URL", s.file, lines[0].number, lines[0].text)
	}
	var body []string
	var rest []scriptLine
	header, fields := http.Header{}, []string{}
	for _, line := range lines[1:] {
		text := s.expand(line)
		if send, ok := strings.CutPrefix(text, "send "); ok {
			body = append(body, send)
		} else if field, ok := strings.CutPrefix(text, "form "); ok {
			name, value, _ := strings.Cut(field, "=")
			fields = append(fields, url.QueryEscape(name)+"="+url.QueryEscape(value))
		} else if m := headerLine.FindStringSubmatch(text); m != nil {
			header.Add(m[1], m[2])
		} else {
			rest = append(rest, line)
		}
	}
	content := strings.Join(body, "\n")
	if len(fields) > 0 {
		content = strings.Join(fields, "&")
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	req := httptest.NewRequestWithContext(s.t.Context(), first[1], first[2], strings.NewReader(content))
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	return req, rest
}

// expand replaces variables; an unknown one is a mistake in the script.
func (s *script) expand(line scriptLine) string {
	s.t.Helper()
	return variableName.ReplaceAllStringFunc(line.text, func(name string) string {
		value, ok := s.variables[name[2:len(name)-1]]
		if !ok {
			s.t.Fatalf("%s:%d: nothing gave %s a value", s.file, line.number, name)
		}
		return value
	})
}

func (s *script) holds(line scriptLine, got, operator, want string) bool {
	s.t.Helper()
	plain, negated := strings.CutPrefix(operator, "!")
	var is bool
	switch plain {
	case "==", "=":
		is = got == want
	case "contains":
		is = strings.Contains(got, want)
	case "~":
		re, err := regexp.Compile(want)
		if err != nil {
			s.t.Fatalf("%s:%d: %v", s.file, line.number, err)
		}
		is = re.MatchString(got)
	}
	return is != negated
}

type answer struct {
	status int
	header http.Header
	body   string
}

// value returns what the left side of a check names.
func (a answer) value(what string) string {
	kind, argument, _ := strings.Cut(what, " ")
	switch kind {
	case "code":
		return strconv.Itoa(a.status)
	case "header":
		return strings.Join(a.header.Values(argument), ", ")
	case "json":
		return jsonValue(a.body, argument)
	}
	return a.body
}

// jsonValue looks a path such as .keys.0.kid up in a document.
func jsonValue(document, path string) string {
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return fmt.Sprintf("(no JSON: %v)", err)
	}
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' }) {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return ""
			}
			value = v[i]
		default:
			return ""
		}
	}
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	compact, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("(no JSON: %v)", err)
	}
	return string(compact)
}
