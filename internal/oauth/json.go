package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrJSON is in the chain of every error of Members.
var ErrJSON = errors.New("not acceptable JSON")

// Members reads one JSON object and returns its members by their exact names;
// the values share data's memory. encoding/json alone would take
// "Redirect_URIs" for "redirect_uris", the last of two members of one name,
// and bytes that are no text; all are ways to make two readers see two
// documents. Refused: anything but one object in UTF-8 (RFC 8259 §8.1), values
// nested more than depth levels below it, and a repeated member name at any
// depth (§4: names SHOULD be unique).
func Members(data []byte, depth int) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrJSON)
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%w: it is no valid JSON object, or something follows the object", ErrJSON)
	}
	// From here on data is known to be one valid value, so the walk only has to
	// find where things end.
	w := walk{data: data}
	w.space()
	if w.data[w.at] != '{' {
		return nil, fmt.Errorf("%w: expected one JSON object", ErrJSON)
	}
	members := make(map[string]json.RawMessage, 8)
	if err := w.object(depth, members); err != nil {
		return nil, err
	}
	return members, nil
}

// walk goes over a valid JSON text.
type walk struct {
	data []byte
	at   int
}

func (w *walk) space() {
	for w.at < len(w.data) {
		switch w.data[w.at] {
		case ' ', '\t', '\n', '\r', ',', ':': // separators are in their places, since the text is valid
			w.at++
		default:
			return
		}
	}
}

// object goes over an object; members, if not nil, takes its values.
func (w *walk) object(depth int, members map[string]json.RawMessage) error {
	w.at++ // {
	var seen names
	for {
		w.space()
		if w.data[w.at] == '}' {
			w.at++
			return nil
		}
		name := unescaped(w.text())
		if !seen.add(name) {
			return fmt.Errorf("%w: member %q is given twice", ErrJSON, shorten(string(name)))
		}
		w.space()
		start := w.at
		if err := w.value(depth); err != nil {
			return err
		}
		if members != nil {
			members[string(name)] = json.RawMessage(w.data[start:w.at])
		}
	}
}

func (w *walk) value(depth int) error {
	switch w.data[w.at] {
	case '"':
		w.text()
		return nil
	case '{', '[':
		if depth <= 0 {
			return fmt.Errorf("%w: nested too deeply", ErrJSON)
		}
		if w.data[w.at] == '{' {
			return w.object(depth-1, nil)
		}
		return w.array(depth - 1)
	}
	for w.at < len(w.data) { // number, true, false, null
		switch w.data[w.at] {
		case ' ', '\t', '\n', '\r', ',', ']', '}':
			return nil
		}
		w.at++
	}
	return nil
}

func (w *walk) array(depth int) error {
	w.at++ // [
	for {
		w.space()
		if w.data[w.at] == ']' {
			w.at++
			return nil
		}
		if err := w.value(depth); err != nil {
			return err
		}
	}
}

// text goes over a string and returns it with its quotes.
func (w *walk) text() []byte {
	start := w.at
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.data[start:w.at]
}

// unescaped returns what a string means: "\u0061" is another way to write "a".
func unescaped(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return quoted // cannot be: it is a valid string
	}
	return []byte(s)
}

// names are the members of one object so far. A list is quicker for the few
// that objects usually have; a map bounds the work for many.
type names struct {
	few  [][]byte
	many map[string]bool
}

func (n *names) add(name []byte) bool {
	if n.many != nil {
		if n.many[string(name)] {
			return false
		}
		n.many[string(name)] = true
		return true
	}
	for _, other := range n.few {
		if bytes.Equal(other, name) {
			return false
		}
	}
	if n.few = append(n.few, name); len(n.few) > 16 {
		n.many = make(map[string]bool, 64)
		for _, other := range n.few {
			n.many[string(other)] = true
		}
	}
	return true
}
