package shell

import (
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
				r.StructuredContent = v
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

// printValue prints a list of flat records as a table, and all else as JSON.
func (s *Shell) printValue(to io.Writer, v any) error {
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
		for _, name := range slices.Sorted(maps.Keys(record)) {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	// What names a thing comes first.
	slices.SortStableFunc(columns, func(a, b string) int { return rank(a) - rank(b) })
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

func rank(column string) int {
	switch strings.ToLower(column) {
	case "id":
		return 0
	case "name", "title":
		return 1
	}
	return 2
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
		if !isObject || len(record) == 0 || len(record) > 8 {
			return nil, nil, false
		}
		for _, member := range record {
			if !flat(member) {
				return nil, nil, false
			}
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
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = cell(e)
		}
		return strings.Join(parts, ", ")
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}
