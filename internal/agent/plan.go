package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxOwners = 10 // people whose orders are looked through for one order
)

// A plan is made anew from the whole conversation each time: it remembers
// nothing.
type planning struct {
	tools []planTool
	wish  wish
	done  []doneCall // all of the conversation
	since int        // done[since:] belong to the wish
}

// planTool is a tool as a planner sees it.
type planTool struct {
	name     string
	verb     string
	nouns    []string // of its name, then of its title
	named    int      // how many of nouns are in its name
	required []string
	params   map[string]param
}

type param struct {
	Type        any    `json:"type"`
	Description string `json:"description"`
	Format      string `json:"format"`
}

// doneCall is a call of the conversation, with what came of it.
type doneCall struct {
	tool      string
	arguments map[string]any
	rows      []map[string]any
	result    map[string]any
	more      bool // there is a next page
	failed    bool
}

func plan(messages []message, offers []offer) message {
	p := planning{}
	nouns := map[string]bool{}
	for _, o := range offers {
		t := readTool(o.Function)
		p.tools = append(p.tools, t)
		for _, n := range t.nouns {
			nouns[n] = true
		}
	}
	for i, m := range messages {
		switch m.Role {
		case "user":
			p.wish, p.since = readWish(clip(m.Content, 2000), nouns), len(p.done)
		case "assistant":
			for _, c := range m.ToolCalls {
				p.done = append(p.done, readDone(c, messages[i:]))
			}
		}
	}
	text, calls := p.next()
	for i := range calls {
		calls[i].ID, calls[i].Type = fmt.Sprintf("call_%d", len(p.done)+i+1), "function"
	}
	return message{Role: "assistant", Content: text, ToolCalls: calls}
}

func readTool(f offeredNamed) planTool {
	t := planTool{name: f.Name}
	var schema struct {
		Properties map[string]param `json:"properties"`
		Required   []string         `json:"required"`
	}
	_ = json.Unmarshal(f.Parameters, &schema) // what cannot be read has no parameters
	t.params, t.required = schema.Properties, schema.Required
	slices.Sort(t.required)
	for _, w := range split(f.Name) {
		if m := meaning(w); isVerb(m) && t.verb == "" {
			t.verb = m
		} else {
			t.nouns = append(t.nouns, m)
		}
	}
	t.named = len(t.nouns)
	title, _, _ := strings.Cut(f.Description, "\n")
	for _, w := range split(title) {
		m := meaning(w)
		if isVerb(m) && t.verb == "" {
			t.verb = m
		} else if len(m) > 2 && !isVerb(m) && !isFiller(m) {
			t.nouns = append(t.nouns, m)
		}
	}
	return t
}

// readDone reads a call and its result, if there is one.
func readDone(c request, after []message) doneCall {
	d := doneCall{tool: c.Function.Name, failed: true}
	_ = json.Unmarshal([]byte(c.Function.Arguments), &d.arguments) // without, it matches nothing
	for _, m := range after {
		if m.Role != "tool" || m.ToolCallID != c.ID {
			continue
		}
		d.failed = strings.HasPrefix(m.Content, notDone)
		var value any
		if json.Unmarshal([]byte(m.Content), &value) != nil {
			break
		}
		d.rows, d.more = rowsOf(value)
		d.result, _ = value.(map[string]any)
		break
	}
	return d
}

// next says what to do now: words, calls, or both.
func (p *planning) next() (string, []request) {
	t, ok := p.choose()
	if !ok {
		return p.cannot(), nil
	}
	arguments := map[string]any{}
	for _, name := range t.required {
		value, text, calls := p.value(t, name)
		if value == nil {
			return text, calls
		}
		arguments[name] = value
	}
	p.filter(t, arguments)
	for _, d := range p.done[p.since:] {
		if d.tool == t.name && same(d.arguments, arguments) {
			return p.report(t, d), nil
		}
	}
	return "", []request{call(t, arguments)}
}

func call(t planTool, arguments map[string]any) request {
	text, _ := json.Marshal(arguments) // texts and numbers
	return request{Function: requestNamed{Name: t.name, Arguments: string(text)}}
}

func same(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool { return fmt.Sprint(x) == fmt.Sprint(y) })
}

// choose returns the tool that fits the wish best.
func (p *planning) choose() (planTool, bool) {
	if p.wish.not || p.wish.strange != "" {
		return planTool{}, false
	}
	best, at := 0, -1
	for i, t := range p.tools {
		if t.verb != p.wish.verb {
			continue
		}
		score := 0
		for n, noun := range t.nouns {
			if p.wish.has(noun) && !slices.Contains(t.nouns[:n], noun) {
				score += 2
				if n < t.named {
					score += 4
				}
			}
		}
		if len(p.wish.names) > 0 && t.nameParam() != "" {
			score++
		}
		for _, name := range t.required {
			if p.number(t, name) != "" {
				score++
			} else if t.isNumber(name) && len(p.wish.names) == 0 {
				score--
			}
		}
		if score > best {
			best, at = score, i
		}
	}
	if at < 0 {
		return planTool{}, false
	}
	return p.tools[at], true
}

// cannot is the honest answer.
func (p *planning) cannot() string {
	var able []string
	for _, t := range p.tools {
		able = append(able, t.name)
	}
	why := "I found no tool here that does this."
	switch {
	case p.wish.not:
		why = "I am not sure what you do not want, so I did nothing."
	case p.wish.strange != "" && len(p.tools) > 0:
		why = "I do not understand this."
	}
	if len(able) == 0 {
		return why + " No tool is switched on for this chat; switch some on at the server's page."
	}
	return why + " I am a simple planner, not a language model: I match words like “show”, “refund” and “customers” with tools. Switched on here: " + strings.Join(able, ", ") + "; more may be off, which you find at the server's page. A language model can be set under Model."
}

// nameParam is the parameter by which a tool looks for a name.
func (t planTool) nameParam() string {
	for _, name := range []string{"name", "query", "q", "search"} {
		if _, ok := t.params[name]; ok {
			return name
		}
	}
	return ""
}

func (t planTool) isNumber(name string) bool {
	words := split(name)
	return len(words) > 0 && slices.Contains([]string{"id", "number", "no", "key"}, words[len(words)-1])
}

// thing is what a number parameter counts: an order for orderId; what its
// description names for id.
func (t planTool) thing(name string, nouns []string) string {
	words := split(name)
	if len(words) > 1 {
		return meaning(words[0])
	}
	for _, w := range split(t.params[name].Description) {
		if slices.Contains(nouns, meaning(w)) {
			return meaning(w)
		}
	}
	if len(t.nouns) > 0 {
		return t.nouns[0]
	}
	return ""
}

func (p *planning) nouns() []string {
	var all []string
	for _, t := range p.tools {
		all = append(all, t.nouns[:t.named]...)
	}
	return all
}

// number is what the person gave for a parameter.
func (p *planning) number(t planTool, name string) string {
	if !t.isNumber(name) {
		return ""
	}
	return p.wish.numbers[t.thing(name, p.nouns())]
}

// filter adds what narrows a list, where the person said so.
func (p *planning) filter(t planTool, arguments map[string]any) {
	if name := t.nameParam(); name != "" && len(p.wish.names) > 0 && arguments[name] == nil {
		arguments[name] = strings.Join(p.wish.names, " ")
	}
	if n, err := strconv.Atoi(p.wish.numbers["first"]); err == nil && n > 0 {
		if _, ok := t.params["limit"]; ok {
			arguments["limit"] = min(n, 100)
		}
	}
}

// report says what came of the call that was wished for. What the server wrote
// is on the card; it is not repeated as if it was ours.
func (p *planning) report(t planTool, d doneCall) string {
	noun := "entry"
	if len(t.nouns) > 0 {
		noun = t.nouns[0]
	}
	switch {
	case d.failed:
		return "That was not done. The card above says why."
	case d.rows != nil && len(d.rows) == 0:
		return "There is none that fits."
	case d.rows != nil && d.more:
		return fmt.Sprintf("Here are the first %d; there are more.", len(d.rows))
	case len(d.rows) == 1:
		return "Here it is: 1 " + plain(noun) + "."
	case d.rows != nil:
		return fmt.Sprintf("Here they are: %d.", len(d.rows))
	case t.verb == "fetch":
		return "Here it is."
	}
	return "Done. The card above has the answer of the server."
}

// plain keeps the letters of a word that a tool's name has.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, clip(s, 40))
}
