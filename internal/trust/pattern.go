package trust

import (
	"errors"
	"strings"
)

// Pattern is what a claim must look like. It is exact, but that a segment "*"
// stands for any one segment, and "**" at the end for one or more. Segments are
// what stands between the signs / and :, which must be the same. So nothing is
// ever matched in part: prod does not match prod-x, nor team/* team-x/a.
type Pattern struct{ text string }

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, errors.New("an empty pattern matches nothing; write the value")
	}
	if len(text) > maxClaimText {
		return Pattern{}, errors.New("the pattern is too long")
	}
	segments, _ := split(text)
	for n, s := range segments {
		switch {
		case !strings.Contains(s, "*") || s == "*":
		case s == "**" && n == len(segments)-1:
		case s == "**":
			return Pattern{}, errors.New(`"**" stands only at the end`)
		default:
			return Pattern{}, errors.New(`"*" must stand for a whole segment, between / or :, so that prod* cannot let prod-x in`)
		}
	}
	return Pattern{text}, nil
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Exact reports whether the pattern fits one value only.
func (p Pattern) Exact() bool { return !strings.Contains(p.text, "*") }

// Open reports whether the pattern says nothing: it has no fixed segment.
func (p Pattern) Open() bool {
	segments, _ := split(p.text)
	for _, s := range segments {
		if s != "" && s != "*" && s != "**" {
			return false
		}
	}
	return true
}

// Fits reports whether value is what the pattern describes. Case matters.
func (p Pattern) Fits(value string) bool {
	if p.text == "" || value == "" {
		return false
	}
	want, wantSigns := split(p.text)
	have, haveSigns := split(value)
	for n, s := range want {
		if s == "**" { // one or more, none of them empty
			return len(have) > n && wantSigns[:n] == haveSigns[:n] && !hasEmpty(have[n:])
		}
		if n >= len(have) || s != "*" && s != have[n] || s == "*" && have[n] == "" {
			return false
		}
	}
	return len(want) == len(have) && wantSigns == haveSigns
}

// split returns the segments of a text and the signs between them.
func split(text string) (segments []string, signs string) {
	rest := text
	for {
		at := strings.IndexAny(rest, "/:")
		if at < 0 {
			return append(segments, rest), signs
		}
		segments, signs, rest = append(segments, rest[:at]), signs+rest[at:at+1], rest[at+1:]
	}
}

func hasEmpty(segments []string) bool {
	for _, s := range segments {
		if s == "" {
			return true
		}
	}
	return false
}
