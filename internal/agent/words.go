package agent

import (
	"strconv"
	"strings"
	"unicode"
)

// meaning returns the word that stands for all of its kind, so that customers
// are users and showing is fetching. It is plain English and no more.
func meaning(word string) string {
	w := strings.ToLower(word)
	for _, ending := range []string{"’s", "'s"} {
		w = strings.TrimSuffix(w, ending)
	}
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		w = strings.TrimSuffix(w, "ies") + "y"
	case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && len(w) > 3:
		w = strings.TrimSuffix(w, "s")
	}
	switch w {
	case "customer", "client", "person", "people":
		return "user"
	case "purchase":
		return "order"
	case "list", "show", "get", "find", "read", "see", "display", "search", "query":
		return "fetch"
	case "reimburse":
		return "refund"
	case "remove", "erase":
		return "delete"
	case "add", "register":
		return "create"
	case "change", "edit", "modify", "rename":
		return "update"
	}
	return w
}

func isVerb(m string) bool {
	switch m {
	case "fetch", "refund", "delete", "create", "update", "cancel", "send", "close", "approve":
		return true
	}
	return false
}

// isFiller reports words that a wish may begin with and that say nothing.
func isFiller(w string) bool {
	return strings.Contains(" please can could would you i we me us want need to the a an my our your all every who what which whose where are is do does have has of for from in at with and there any some how many hello hi now then give tell let's let ", " "+w+" ")
}

// split cuts an identifier into words: fetch-users, orderId, list_all.
func split(identifier string) []string {
	var b strings.Builder
	before := ' '
	for _, r := range identifier {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			b.WriteByte(' ')
		case unicode.IsUpper(r) && unicode.IsLower(before):
			b.WriteByte(' ')
			fallthrough
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		before = r
	}
	return strings.Fields(b.String())
}

// wish is what the person wants, so far as it can be told from the words.
type wish struct {
	text    string
	verb    string
	words   []string          // meanings, in order
	names   []string          // of people and things: Ana
	numbers map[string]string // by the meaning of the word before: order → 1007
	email   string
	not     bool   // it says what not to do
	strange string // what it begins with is neither a verb nor a thing that is known
}

// readWish reads the person's words; nouns are what there are tools for.
func readWish(text string, nouns map[string]bool) wish {
	w := wish{text: text, numbers: map[string]string{}}
	before, begun := "", false
	for i, raw := range strings.Fields(text) {
		word := strings.Trim(raw, `.,;:!?()[]{}"“”«»#`)
		lower := strings.ToLower(word)
		switch lower {
		case "":
			continue
		case "not", "don't", "don’t", "dont", "never", "without":
			w.not = true
		}
		m := meaning(word)
		if _, err := strconv.ParseInt(word, 10, 64); err == nil {
			w.numbers[before] = word
			continue
		}
		if strings.Contains(word, "@") {
			w.email = word
			continue
		}
		w.words = append(w.words, m)
		known := nouns[m] || isVerb(m)
		if isVerb(m) && w.verb == "" && !nouns[w.verb] {
			w.verb = m
		}
		possessive := strings.HasSuffix(lower, "'s") || strings.HasSuffix(lower, "’s")
		capital := i > 0 && unicode.IsUpper([]rune(word)[0])
		named := !known && !isFiller(lower) && (possessive || capital)
		if named {
			w.names = append(w.names, strings.TrimSuffix(strings.TrimSuffix(word, "'s"), "’s"))
		}
		if !begun && !isFiller(lower) {
			begun = true
			if !known && !named {
				w.strange = word
			}
		}
		if !isFiller(lower) {
			before = m
		}
	}
	if w.verb == "" {
		w.verb = "fetch"
	}
	return w
}

func (w wish) has(m string) bool {
	for _, word := range w.words {
		if word == m {
			return true
		}
	}
	return false
}
