package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxName is how many characters of a name that others chose a page shows:
// more than any honest name needs, too few to push a warning off the screen.
const maxName = 100

// blanks are letters that show nothing (Hangul fillers, the Braille blank).
const blanks = "\u115f\u1160\u2800\u3164\uffa0"

// funcs are the words every template can use.
func funcs(assets map[string]asset) template.FuncMap {
	return template.FuncMap{
		"asset": func(name string) (string, error) {
			a, ok := assets[name]
			if !ok {
				return "", fmt.Errorf("there is no asset %q", name)
			}
			return a.path, nil
		},
		"name":     cleanName,
		"between":  between,
		"sentence": sentence,
		"lasting":  func(t time.Time) string { return lasting(t, time.Now()) },
		"ago":      func(t time.Time) string { return ago(t, time.Now()) },
		"short":    short,
		"exact":    func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006, 15:04 UTC") },
		"date":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) }, // of an input
		"day":      func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
}

// cleanName prepares a name that somebody else chose for display inside <bdi>:
// without invisible and direction-changing characters (they make one name look
// like another), without stacks of accents that would paint over the lines
// beside it, and not longer than maxName. What remains empty is "no name".
func cleanName(s string) string {
	var b strings.Builder
	length, marks := 0, 0
	for _, r := range s {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r) && !unicode.IsSpace(r):
			continue
		case unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d': // joiners belong to Persian, Hindi and emoji
			continue
		case strings.ContainsRune(blanks, r):
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > 3 {
				continue
			}
		case r == '“' || r == '”': // a name stands in these; it must not close them
			r, marks = '"', 0
		case unicode.IsSpace(r):
			r, marks = ' ', 0
		default:
			marks = 0
		}
		if length++; length > maxName {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	if name := strings.Trim(b.String(), " \u200c\u200d"); name != "" {
		return name
	}
	return "no name"
}

// between is what stands before item i of n in a list that reads as a sentence.
func between(i, n int) string {
	switch {
	case i == 0:
		return ""
	case i == n-1:
		return " and "
	}
	return ", "
}

// ago says when something was, as a person would: "3 minutes ago", and the day
// when it is longer ago than one.
func ago(t, now time.Time) string {
	switch past := now.Sub(t); {
	case past < 0:
		return "in a moment"
	case past < 10*time.Second:
		return "now"
	case past < time.Minute:
		return fmt.Sprintf("%d seconds ago", int(past.Seconds()))
	case past < 2*time.Minute:
		return "a minute ago"
	case past < time.Hour:
		return fmt.Sprintf("%d minutes ago", int(past.Minutes()))
	case past < 2*time.Hour:
		return "an hour ago"
	case past < 24*time.Hour:
		return fmt.Sprintf("%d hours ago", int(past.Hours()))
	}
	return t.UTC().Format("2 Jan 2006, 15:04")
}

// short is an identifier with its middle left out.
func short(id string) string {
	r := []rune(id)
	if len(r) <= 14 {
		return id
	}
	return string(r[:6]) + "…" + string(r[len(r)-5:])
}

// sentence starts s with a capital letter.
func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// lasting says how long something holds that ends at t, as a person would:
// "for 1 hour", "for 20 minutes", "until 23 Dec 2026". The zero time never
// comes.
func lasting(t, now time.Time) string {
	if t.IsZero() {
		return "until you end it"
	}
	left := t.Sub(now)
	switch {
	case left <= time.Minute:
		return "for less than a minute"
	case left < 90*time.Minute && left.Round(time.Minute) != time.Hour:
		return fmt.Sprintf("for %d minutes", int(left.Round(time.Minute)/time.Minute))
	case left < 36*time.Hour:
		if h := int(left.Round(time.Hour) / time.Hour); h != 1 {
			return fmt.Sprintf("for %d hours", h)
		}
		return "for 1 hour"
	}
	return "until " + t.UTC().Format("2 Jan 2006")
}
