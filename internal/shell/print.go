package shell

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// clean removes what could drive a terminal or turn text around: what servers
// and tools say is shown, not obeyed.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError:
			return '·'
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x2028 || r == 0x2029:
			return '·'
		}
		return r
	}, s)
}

func (s *Shell) style(code, text string) string {
	if !s.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *Shell) strong(text string) string { return s.style("1", text) }
func (s *Shell) quiet(text string) string  { return s.style("2", text) }

// printJSON prints for programs: one value, one line.
func (s *Shell) printJSON(v any) error {
	e := json.NewEncoder(s.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns; of the last column, what does not fit wraps by
// itself.
func (s *Shell) table(rows [][]string) {
	widths := []int{}
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(clean(cell)))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			cell = strings.ReplaceAll(clean(cell), "\n", " ")
			if i < len(row)-1 {
				cell += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			}
			b.WriteString(cell)
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 && len(row) > 2 {
			line = s.quiet(line)
		}
		fmt.Fprintln(s.Out, line)
	}
}

// printResult prints what a tool returned.
func (s *Shell) printResult(r *mcp.CallToolResult) error {
	if r.StructuredContent != nil && len(r.Content) == 1 {
		// The text says the same with every digit of large numbers, which the
		// decoded form has lost.
		if t, ok := r.Content[0].(*mcp.TextContent); ok {
			if v, ok := exact(t.Text); ok {
				r.StructuredContent, s.order = v, order(t.Text)
			}
		}
	}
	if s.JSON {
		return s.printJSON(r)
	}
	to := s.Out
	if r.IsError {
		to = s.Err
	}
	if r.StructuredContent != nil {
		return s.printValue(to, r.StructuredContent)
	}
	for _, content := range r.Content {
		switch c := content.(type) {
		case *mcp.TextContent:
			if v, ok := exact(c.Text); ok {
				s.order = order(c.Text)
				if err := s.printValue(to, v); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintln(to, clean(strings.TrimRight(c.Text, "\n")))
		case *mcp.ImageContent:
			fmt.Fprintf(to, "(an image, %s, %d bytes; --json has it)\n", clean(c.MIMEType), len(c.Data))
		case *mcp.AudioContent:
			fmt.Fprintf(to, "(a sound, %s, %d bytes; --json has it)\n", clean(c.MIMEType), len(c.Data))
		default:
			if err := s.printValue(to, content); err != nil {
				return err
			}
		}
	}
	return nil
}

// exact reads one JSON value without rounding its numbers.
func exact(text string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	ok = d.Decode(&v) == nil && !d.More()
	return v, ok
}

// order lists the names of members as they first appear in a text, which says
// more than the alphabet.
func order(text string) []string {
	var names []string
	d := json.NewDecoder(strings.NewReader(text))
	inObject, key := []bool{}, false // for each level; whether a name comes next
	for {
		t, err := d.Token()
		if err != nil {
			return names
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			inObject = append(inObject, t == json.Delim('{'))
			key = t == json.Delim('{')
			continue
		case json.Delim('}'), json.Delim(']'):
			inObject = inObject[:len(inObject)-1]
		default:
			if name, ok := t.(string); key && ok {
				if !slices.Contains(names, name) && len(names) < 100 {
					names = append(names, name)
				}
				key = false
				continue
			}
		}
		key = len(inObject) > 0 && inObject[len(inObject)-1]
	}
}

// sorted puts names into the order in which the server gave them.
func (s *Shell) sorted(names []string) []string {
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(uint(slices.Index(s.order, a)), uint(slices.Index(s.order, b))) // unknown ones last
	})
	return names
}

// printValue prints a flat record or a list of them as a table, and all else as
// JSON.
func (s *Shell) printValue(to io.Writer, v any) error {
	if o, isObject := v.(map[string]any); isObject && len(o) > 0 && len(o) <= 24 && flatObject(o) && to == s.Out {
		s.table(s.facts(o))
		return nil
	}
	list, rest, ok := records(v)
	if !ok || to != s.Out {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(to, clean(string(text)))
		return nil
	}
	var columns []string
	for _, record := range list {
		for name := range record {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	columns = s.sorted(columns)
	header := []string{}
	for _, c := range columns {
		header = append(header, strings.ToUpper(c))
	}
	rows := [][]string{header}
	for _, record := range list {
		row := []string{}
		for _, c := range columns {
			row = append(row, cell(record[c]))
		}
		rows = append(rows, row)
	}
	s.table(rows)
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		fmt.Fprintf(to, "%s\n", s.quiet(clean(name+": "+cell(rest[name]))))
	}
	return nil
}

// facts are the members of a flat object, one in a row.
func (s *Shell) facts(o map[string]any) [][]string {
	var rows [][]string
	for _, name := range s.sorted(slices.Collect(maps.Keys(o))) {
		rows = append(rows, []string{name, cell(o[name])})
	}
	return rows
}

func flatObject(o map[string]any) bool {
	for _, member := range o {
		if !flat(member) {
			return false
		}
	}
	return true
}

// records finds a list of flat objects, alone or as the one list in an object
// of plain values.
func records(v any) (list []map[string]any, rest map[string]any, ok bool) {
	if o, isObject := v.(map[string]any); isObject {
		rest = map[string]any{}
		var found []any
		for name, member := range o {
			if l, isList := member.([]any); isList && found == nil {
				found = l
			} else if flat(member) {
				rest[name] = member
			} else {
				return nil, nil, false
			}
		}
		v = found
	}
	elements := asList(v)
	if len(elements) == 0 {
		return nil, nil, false
	}
	for _, e := range elements {
		record, isObject := e.(map[string]any)
		if !isObject || len(record) == 0 || len(record) > 10 {
			return nil, nil, false
		}
		if !flatObject(record) {
			return nil, nil, false
		}
		list = append(list, record)
	}
	return list, rest, true
}

func flat(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !flat(e) || asList(e) != nil })
	case string:
		return len(v) <= 80 && !strings.Contains(v, "\n")
	}
	return true
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		if len(v) == 0 {
			return "(none)"
		}
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = cell(e)
		}
		return strings.Join(parts, ", ")
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}
