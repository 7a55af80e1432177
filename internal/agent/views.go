package agent

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// frame is what every page shows.
type frame struct {
	Host   string // of this place
	Person string // who is signed in; empty for nobody
}

func (f frame) Style() string { return staticPath("agent.css") }

func (s *Server) frame(v visit) frame { return frame{Host: s.host, Person: v.Name} }

type problemView struct {
	frame
	Title, What, Next, Reference string
}

// signView fills sign-in.html and create.html.
type signView struct {
	frame
	Name, Problem string
	MinPassword   int
}

type homeView struct {
	frame
	Servers          []serverLine
	Chats            []chatLine
	Address, Problem string // of the form for a new server
}

type serverLine struct {
	ID, Host, URL     string
	Connected, Listed bool
}

type chatLine struct{ ID, Title, Host string }

type serverView struct {
	frame
	ID, URL, ServerHost   string
	Connected, Listed, On bool
	Reading, Changing     []toolLine
	Problem               string
}

// toolLine is a tool as a person judges it, in the server's words.
type toolLine struct {
	Name, Title, Description, Mode, Seen string
	Parameters                           []string
	Changed, Reads                       bool
}

func seen(t tool) string {
	sum := t.fingerprint()
	return hex.EncodeToString(sum[:8])
}

func toolView(t tool) toolLine {
	l := toolLine{Name: t.Name, Title: t.Title, Description: t.Description, Mode: t.Mode, Seen: seen(t), Changed: t.Changed, Reads: t.Reads}
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	if json.Unmarshal(t.Parameters, &schema) == nil {
		for name := range schema.Properties {
			l.Parameters = append(l.Parameters, clip(name, 60))
		}
	}
	slices.Sort(l.Parameters)
	l.Parameters = l.Parameters[:min(len(l.Parameters), 30)]
	return l
}

type modelView struct {
	frame
	BaseURL, Name, Problem string
	HasKey                 bool
}

type chatView struct {
	frame
	ID, Title, ServerID, ServerHost string
	Planner                         bool // there is no language model
	Model, ModelHost                string
	Entries                         []entryView
	Running                         bool
	Tools                           int // switched on
	Script                          string
}

// entryView is an entry as a card or a line.
type entryView struct {
	Chat                 string
	N                    int
	Kind, Text, Status   string
	Tool, Title          string
	Reads                bool // the server says so
	Arguments            []fact
	Raw                  string // arguments that are no object
	Result               resultView
	Host                 string
	Scopes               []string
	Waits, Leads, Broken bool // for a click; to another page; its turn ended without it
}

type fact struct{ Name, Value string }

func entryOf(chat string, e entry, l *live, tools []tool) entryView {
	v := entryView{Chat: chat, N: e.N, Kind: e.Kind, Text: e.Text, Status: e.Status, Tool: e.Tool, Title: e.Tool, Host: e.Host, Scopes: e.Scopes}
	over := true
	if l != nil {
		var waiting, offered int
		waiting, offered, over = l.asks()
		v.Waits, v.Leads = waiting == e.N, offered == e.N
	}
	v.Broken = over && (e.Status == statusAsk || e.Status == statusRunning)
	if e.Kind != kindCall {
		return v
	}
	for _, t := range tools {
		if t.Name == e.Tool {
			v.Reads = t.Reads
			if t.Title != "" {
				v.Title = t.Title
			}
		}
	}
	v.Arguments, v.Raw = arguments(e.Arguments)
	if e.Result != "" {
		v.Result = viewResult(e.Result)
		v.Result.ID = e.N
	}
	return v
}

// visible writes what could not be seen, or would turn the words around it, as
// its number.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || unicode.IsControl(r) && r != '\n' && r != '\t' {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// arguments are shown whole, each as the server will get it: a person can only
// allow what they see.
func arguments(text string) (facts []fact, raw string) {
	members, names, ok := object([]byte(text))
	if !ok {
		if strings.TrimSpace(text) == "" {
			return nil, ""
		}
		return nil, visible(text)
	}
	for _, name := range names {
		facts = append(facts, fact{visible(name), visible(cell(members[name], maxArguments))})
	}
	return facts, ""
}
