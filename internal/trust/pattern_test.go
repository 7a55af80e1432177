package trust_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/trust"
)

func pattern(t testing.TB, text string) trust.Pattern {
	t.Helper()
	p, err := trust.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPatternFitsWholeSegments is issue 5's "exact, prefix, glob on whole path
// segments; never an unanchored match", and its attack "rule with a glob at a
// segment edge".
func TestPatternFitsWholeSegments(t *testing.T) {
	for _, c := range []struct {
		pattern string
		fits    []string
		not     []string
	}{
		{"prod", []string{"prod"}, []string{"prod-x", "x-prod", "prod/", "/prod", "Prod", "prod ", "", "prod\n", "*"}},
		{"team/*", []string{"team/a", "team/*"}, []string{"team-x/a", "team", "team/", "team/a/b", "team/a:b", "team:a", "x/team/a", "/team/a"}},
		{"team/**", []string{"team/a", "team/a/b", "team/a:b/c"}, []string{"team-x/a", "team", "team/", "team//a", "team/a/", "team:a", "xteam/a"}},
		{"*/prod", []string{"a/prod"}, []string{"prod", "/prod", "a/b/prod", "a/prod-x", "a:prod"}},
		{"repo:octo/*:ref:refs/heads/main", []string{"repo:octo/app:ref:refs/heads/main"}, []string{
			"repo:octo/app:ref:refs/heads/main2", "repo:octo/a/b:ref:refs/heads/main", "repo:octo-evil/app:ref:refs/heads/main",
			"repo:octo/app:ref:refs/tags/main", "repo:octo/app:pull_request",
		}},
		{"spiffe://example.org/ns/*/sa/report", []string{"spiffe://example.org/ns/prod/sa/report"}, []string{
			"spiffe://example.org.evil/ns/prod/sa/report", "spiffe://example.org/ns/prod/sa/report/x", "spiffe://example.org/ns//sa/report", "spiffe:example.org/ns/prod/sa/report",
		}},
	} {
		p := pattern(t, c.pattern)
		for _, value := range c.fits {
			if !p.Fits(value) {
				t.Errorf("%s does not fit %q", c.pattern, value)
			}
		}
		for _, value := range c.not {
			if p.Fits(value) {
				t.Errorf("%s fits %q", c.pattern, value)
			}
		}
	}
}

func TestPatternRefusesPartsOfSegments(t *testing.T) {
	for _, text := range []string{"", "prod*", "*-x", "team/a*", "**/prod", "a/**/b", "***", "team/***", strings.Repeat("a", 2000)} {
		if p, err := trust.ParsePattern(text); err == nil {
			t.Errorf("%.20q became %v", text, p)
		}
	}
	for text, open := range map[string]bool{"*": true, "**": true, "*/*": true, "*/**": true, "a/*": false, "*:a": false} {
		if got := pattern(t, text).Open(); got != open {
			t.Errorf("%s: open is %v", text, got)
		}
	}
}

// TestPatternNeverFitsMore: whatever fits has the pattern's fixed segments at
// their places, byte for byte.
func TestPatternNeverFitsMore(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "prod", "prod-x", "*", "**", "", "A"})
	sign := rapid.SampledFrom([]string{"/", ":"})
	text := rapid.Custom(func(t *rapid.T) string {
		s := segment.Draw(t, "first")
		for range rapid.IntRange(0, 4).Draw(t, "more") {
			s += sign.Draw(t, "sign") + segment.Draw(t, "next")
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		p, err := trust.ParsePattern(text.Draw(t, "pattern"))
		value := text.Draw(t, "value")
		if err != nil || !p.Fits(value) {
			return
		}
		fixed := strings.FieldsFunc(p.String(), func(r rune) bool { return r == '*' })
		rest := value
		for n, part := range fixed {
			at := strings.Index(rest, part)
			if at < 0 || n == 0 && !strings.HasPrefix(p.String(), "*") && at != 0 {
				t.Fatalf("%s fits %q, which lacks %q", p, value, part)
			}
			rest = rest[at+len(part):]
		}
		if p.Exact() && value != p.String() {
			t.Fatalf("%s fits %q", p, value)
		}
	})
}
