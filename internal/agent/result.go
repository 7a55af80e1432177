package agent

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Limits of what a card shows of a result; the rest is counted.
const (
	maxRows    = 50
	maxColumns = 6
	maxCell    = 120 // bytes
	maxShown   = 8000
	maxFacts   = 16
)

// resultView is a result as a table, as facts, or as the text that it is. All
// of it is text of a server.
type resultView struct {
	Columns                     []string
	Rows                        [][]string
	MoreRows, MoreColumns, List bool
	Count                       int
	ID                          int // tells the tables of a page apart
	Facts                       []fact
	Text                        string // neither table nor facts
	Whole                       string // all of it, as it came
}

func viewResult(text string) resultView {
	v := resultView{Whole: clip(text, maxShown)}
	list, ok := listIn([]byte(text))
	if ok {
		v.List, v.Count = true, len(list)
		v.table(list)
		if len(v.Columns) > 0 || len(list) == 0 {
			return v
		}
		v.List = false
	}
	if members, names, ok := object([]byte(text)); ok && len(names) > 0 && len(names) <= maxFacts {
		for _, name := range names {
			v.Facts = append(v.Facts, fact{clip(name, 60), cell(members[name], 500)})
		}
		return v
	}
	v.Text, v.Whole = v.Whole, ""
	return v
}

// listIn returns the one list of a result: the value itself, or its first
// member that is one.
func listIn(text []byte) ([]json.RawMessage, bool) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && list != nil {
		return list, true
	}
	members, names, _ := object(text)
	for _, name := range names {
		if json.Unmarshal(members[name], &list) == nil && list != nil {
			return list, true
		}
	}
	return nil, false
}

// table fills the rows, if all are objects.
func (v *resultView) table(list []json.RawMessage) {
	for i, item := range list {
		members, names, ok := object(item)
		if !ok {
			v.Columns, v.Rows = nil, nil
			return
		}
		if i == 0 {
			v.MoreColumns = len(names) > maxColumns
			v.Columns = names[:min(len(names), maxColumns)]
		}
		if i >= maxRows {
			v.MoreRows = true
			continue
		}
		row := make([]string, len(v.Columns))
		for c, name := range v.Columns {
			if value, there := members[name]; there {
				row[c] = cell(value, maxCell)
			}
		}
		v.Rows = append(v.Rows, row)
	}
}

// object reads a JSON object and keeps the order of its names.
func object(text []byte) (members map[string]json.RawMessage, names []string, ok bool) {
	if json.Unmarshal(text, &members) != nil || members == nil {
		return nil, nil, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, nil, false
	}
	known := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		var skipped json.RawMessage
		if err != nil || d.Decode(&skipped) != nil {
			return nil, nil, false
		}
		if s, isName := name.(string); isName && !known[s] {
			known[s] = true
			names = append(names, s)
		}
	}
	return members, names, true
}

// cell is a value as text: strings as they are, all else as JSON.
func cell(value json.RawMessage, limit int) string {
	var s string
	if json.Unmarshal(value, &s) == nil && !bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return clip(s, limit)
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return clip(string(value), limit)
	}
	return clip(strings.TrimSpace(compact.String()), limit)
}
