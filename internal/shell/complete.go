package shell

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// complete extends the line before pos, or shows what could come.
func (s *Shell) complete(out io.Writer, line string, pos int) (string, int, bool) {
	head, tail := line[:pos], line[pos:]
	start := strings.LastIndexAny(head, " \t") + 1
	begun := head[start:]
	var fitting []string
	for _, c := range s.candidates(strings.Fields(head[:start]), begun) {
		if strings.HasPrefix(c, begun) {
			fitting = append(fitting, c)
		}
	}
	if len(fitting) == 0 {
		return "", 0, false
	}
	common := fitting[0]
	for _, c := range fitting[1:] {
		for !strings.HasPrefix(c, common) {
			common = common[:len(common)-1]
		}
	}
	if len(fitting) == 1 && !strings.HasSuffix(common, "=") {
		common += " "
	}
	if common == begun {
		for i, c := range fitting { // of a=b, b is what is chosen
			if _, value, ok := strings.Cut(c, "="); ok && value != "" {
				fitting[i] = value
			}
		}
		fmt.Fprintln(out, clean(strings.Join(fitting, "  ")))
		return line, pos, true
	}
	head = head[:start] + common
	return head + tail, len(head), true
}

// candidates lists what can stand after words: commands, tools, arguments of a
// tool that were not given yet, and their values.
func (s *Shell) candidates(words []string, begun string) []string {
	var list []string
	switch {
	case len(words) == 0:
		for _, c := range commands() {
			list = append(list, c.name)
		}
		return append(list, "quit")
	case words[0] == "trace" && len(words) == 1:
		return []string{"on", "off"}
	case words[0] == "logout" && len(words) == 1:
		return []string{"forget"}
	case (words[0] == "call" || words[0] == "describe") && len(words) == 1:
		for _, t := range s.tools {
			list = append(list, t.Name)
		}
		return list
	case words[0] != "call":
		return nil
	}
	for _, t := range s.tools {
		if t.Name != words[1] {
			continue
		}
		p := parametersOf(t)
		if name, _, ok := strings.Cut(begun, "="); ok {
			for _, v := range p.values(name) {
				list = append(list, name+"="+v)
			}
			return list
		}
		for _, name := range p.names {
			given := slices.ContainsFunc(words[2:], func(w string) bool { return strings.HasPrefix(w, name+"=") })
			if !given || slices.Contains(p.types(name), "array") {
				list = append(list, name+"=")
			}
		}
	}
	return list
}
