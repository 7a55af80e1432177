package oauth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/internal/oauth"
)

// FuzzMembers holds Members against a slow reading by encoding/json's tokens.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"b":[1,2,{"c":"d"}]},"e":null}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, ` { "x" : -1.5e3 , "y" : [ ] } `, `{"a":"\"}","b":{}}`,
		`{"":"","\ud800":1,"\ud801":2}`, `[1]`, `{}x`, "{\"a\":\"\xff\"}", `{"a":[[[[[[[[[[1]]]]]]]]]]}`, `{"a":true,"b":false}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := oauth.Members(data, 8)
		want, wantErr := oracle(data, 8)
		if !utf8.Valid(data) {
			wantErr = oauth.ErrJSON
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: error %v, by tokens %v", data, err, wantErr)
		}
		if err != nil {
			if !errors.Is(err, oauth.ErrJSON) || got != nil {
				t.Fatalf("%q: %v, %v", data, got, err)
			}
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d members, by tokens %d", data, len(got), len(want))
		}
		for name, value := range want {
			if !bytes.Equal(bytes.TrimSpace(got[name]), bytes.TrimSpace(value)) {
				t.Fatalf("%q: member %q is %q, by tokens %q", data, name, got[name], value)
			}
		}
	})
}

// Many members cost no more than in proportion.
func TestMembersOfALargeObject(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 50_000 {
		fmt.Fprintf(&b, `"member%d":%d,`, i, i)
	}
	m, err := oauth.Members([]byte(b.String()+`"last":0}`), 1)
	if err != nil || len(m) != 50_001 {
		t.Errorf("%d members, %v", len(m), err)
	}
	if _, err := oauth.Members([]byte(b.String()+`"member7":0}`), 1); !errors.Is(err, oauth.ErrJSON) {
		t.Errorf("a repetition among many: %v", err)
	}
}

func BenchmarkMembers(b *testing.B) {
	call := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","arguments":{"limit":100,"name":"Ana"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oauth.Members(call, 64); err != nil {
			b.Fatal(err)
		}
	}
}

func oracle(data []byte, depth int) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return nil, fmt.Errorf("%w: expected one JSON object", oauth.ErrJSON)
	}
	if err := checkObject(d, depth); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the object", oauth.ErrJSON)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, fmt.Errorf("%w: %w", oauth.ErrJSON, err)
	}
	return members, nil
}

func checkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", oauth.ErrJSON, err)
		}
		name, ok := t.(string)
		if !ok {
			return fmt.Errorf("%w: a member name is no string", oauth.ErrJSON)
		}
		if seen[name] {
			return fmt.Errorf("%w: member %q is given twice", oauth.ErrJSON, name)
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
		return fmt.Errorf("%w: %w", oauth.ErrJSON, err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth <= 0 {
		return fmt.Errorf("%w: nested too deeply", oauth.ErrJSON)
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
		return fmt.Errorf("%w: %w", oauth.ErrJSON, err)
	}
	return nil
}
