package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// value finds what a required parameter shall be: among the person's words,
// else by looking it up. If it is nil, text and calls say what to do first.
func (p *planning) value(t planTool, name string) (value any, text string, calls []request) {
	if n := p.number(t, name); n != "" {
		return json.Number(n), "", nil
	}
	if t.isNumber(name) {
		return p.lookUp(t, name)
	}
	switch words := split(name); {
	case t.params[name].Format == "email" && p.wish.email != "":
		return p.wish.email, "", nil
	case len(words) == 1 && slices.Contains([]string{"reason", "note", "comment"}, words[0]):
		return clip("Asked for in a chat: "+p.wish.text, 150), "", nil
	}
	return nil, fmt.Sprintf("For %s I need to know %s, which I cannot take from your words. A language model could; it is set under Model.", t.name, plainName(name)), nil
}

func plainName(s string) string { return "“" + strings.Join(split(clip(s, 40)), " ") + "”" }

// lookUp finds the number of a thing that the person named, or that owns one
// whose number they gave.
func (p *planning) lookUp(t planTool, name string) (value any, text string, calls []request) {
	thing := t.thing(name, p.nouns())
	list, ok := p.lister(thing)
	if !ok {
		return nil, fmt.Sprintf("For %s I need the number of the %s. Write it like this: %s 5", t.name, plain(thing), plain(thing)), nil
	}
	if len(p.wish.names) > 0 {
		return p.byName(thing, list)
	}
	for _, owned := range p.tools {
		// A list of what is owned wants its owner's number, as this tool does.
		key := p.ownerParam(owned, thing)
		if owned.verb != "fetch" || len(owned.nouns) == 0 || key == "" {
			continue
		}
		if number := p.wish.numbers[owned.nouns[0]]; number != "" {
			return p.byOwned(list, owned, key, number)
		}
	}
	return nil, fmt.Sprintf("Whose? Name the %s, or give its number like this: %s 5", plain(thing), plain(thing)), nil
}

// lister is a reading tool that lists things and needs nothing to do so.
func (p *planning) lister(thing string) (planTool, bool) {
	for _, t := range p.tools {
		if t.verb == "fetch" && len(t.required) == 0 && slices.Contains(t.nouns, thing) {
			return t, true
		}
	}
	return planTool{}, false
}

// ownerParam is the only required parameter of a tool, if it is a thing's number.
func (p *planning) ownerParam(t planTool, thing string) string {
	if len(t.required) != 1 || !t.isNumber(t.required[0]) || t.thing(t.required[0], p.nouns()) != thing || t.named > 0 && t.nouns[0] == thing {
		return ""
	}
	return t.required[0]
}

// byName looks a name up.
func (p *planning) byName(thing string, list planTool) (value any, text string, calls []request) {
	arguments := map[string]any{}
	p.filter(list, arguments)
	for _, d := range p.done[p.since:] {
		if d.tool != list.name || !same(d.arguments, arguments) {
			continue
		}
		if d.failed {
			return nil, "I could not look that up. The card above says why.", nil
		}
		var fit []map[string]any
		for _, row := range d.rows {
			if p.named(row) {
				fit = append(fit, row)
			}
		}
		switch len(fit) {
		case 0:
			return nil, "I found nobody of that name.", nil
		case 1:
			return fit[0]["id"], "", nil
		}
		return nil, fmt.Sprintf("%d have that name; the card above lists them. Say which by its number, like this: %s %v", len(fit), plain(thing), number(fit[0]["id"])), nil
	}
	return nil, "First I look for " + strings.Join(p.wish.names, " ") + ".", []request{call(list, arguments)}
}

// named reports whether a row has each of the person's names as a word.
func (p *planning) named(row map[string]any) bool {
	var words []string
	for _, v := range row {
		if s, ok := v.(string); ok {
			words = append(words, strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) })...)
		}
	}
	for _, name := range p.wish.names {
		if !slices.Contains(words, strings.ToLower(name)) {
			return false
		}
	}
	return number(row["id"]) != ""
}

// byOwned finds the owner of what has a number: in what was listed before in
// this conversation, else by looking through what the first owners have.
func (p *planning) byOwned(list, owned planTool, key, wanted string) (value any, text string, calls []request) {
	looked := map[string]bool{}
	var owners []map[string]any
	listed := false
	for i, d := range p.done {
		if d.tool == owned.name && !d.failed {
			for _, row := range d.rows {
				if number(row["id"]) == wanted {
					return d.arguments[key], "", nil
				}
			}
		}
		if d.tool == owned.name && i >= p.since {
			looked[number(d.arguments[key])] = true
		}
		if d.tool == list.name && i >= p.since {
			listed, owners = true, d.rows
		}
	}
	if !listed {
		return nil, "First I look for whose it is.", []request{call(list, map[string]any{})}
	}
	for _, o := range owners[:min(len(owners), maxOwners)] {
		id := number(o["id"])
		if id != "" && !looked[id] { // one after the other: nothing is read in vain
			return nil, "", []request{call(owned, map[string]any{key: o["id"]})}
		}
	}
	return nil, fmt.Sprintf("I looked through the first %d and did not find number %s. Say whose it is, with the name or number.", min(len(owners), maxOwners), wanted), nil
}

// number writes a JSON number as a whole one, and nothing else.
func number(v any) string {
	f, ok := v.(float64)
	if !ok || f != float64(int64(f)) {
		return ""
	}
	return fmt.Sprint(int64(f))
}

// rowsOf returns the rows of a result: the value itself or the one list in it.
// It is nil if there are none.
func rowsOf(value any) (rows []map[string]any, more bool) {
	list, isList := value.([]any)
	if o, ok := value.(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			member := o[name]
			if l, ok := member.([]any); ok && !isList {
				list, isList = l, true
			}
			more = more || member != nil && (name == "next" || name == "nextCursor" || name == "next_cursor")
		}
	}
	if !isList {
		return nil, false
	}
	rows = []map[string]any{}
	for _, v := range list {
		if row, ok := v.(map[string]any); ok {
			rows = append(rows, row)
		}
	}
	return rows, more
}
