package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
)

// scanner is a row.
type scanner interface {
	Scan(dest ...any) error
}

// toWords stores a list whose members hold no blanks, such as scopes (RFC 6749
// §3.3) and authentication methods (RFC 8176).
func toWords(list []string) string { return strings.Join(list, " ") }

// fromWords reads what toWords stored; nothing is nil.
func fromWords(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, " ")
}

// toJSON stores any other list or map. An empty one is the empty text.
func toJSON[T []string | map[string]string](v T) (string, error) {
	if len(v) == 0 {
		return "", nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}

// fromJSON reads what toJSON stored; what was empty leaves v as it is.
func fromJSON[T []string | map[string]string](text string, v *T) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("read stored JSON: %w", err)
	}
	return nil
}
