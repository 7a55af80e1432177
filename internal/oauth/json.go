package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrJSON is in the chain of every error of Members.
var ErrJSON = errors.New("not acceptable JSON")

// Members reads one JSON object and returns its members by their exact names.
// encoding/json alone would take "Redirect_URIs" for "redirect_uris" and the
// last of two members of one name; both are ways to make two readers see two
// documents. Refused: anything but one object, nesting beyond depth, and a
// repeated member name at any depth.
func Members(data []byte, depth int) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return nil, fmt.Errorf("%w: expected one JSON object", ErrJSON)
	}
	if err := checkObject(d, depth); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the object", ErrJSON)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	return members, nil
}

func checkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrJSON, err)
		}
		name, ok := t.(string)
		if !ok {
			return fmt.Errorf("%w: a member name is no string", ErrJSON)
		}
		if seen[name] {
			return fmt.Errorf("%w: member %q is given twice", ErrJSON, shorten(name))
		}
		seen[name] = true
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	return closing(d)
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth <= 0 {
		return fmt.Errorf("%w: nested too deeply", ErrJSON)
	}
	if delim == '{' {
		return checkObject(d, depth-1)
	}
	for d.More() {
		if err := checkValue(d, depth-1); err != nil {
			return err
		}
	}
	return closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	return nil
}
