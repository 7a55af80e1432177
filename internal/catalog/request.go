package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Request makes the API request of a call. Arguments must come from Validate.
// Everything is serialised anew, each value at its own place: none can reach
// another path, parameter, header or host than the document gives it. Errors
// concern a value that its place cannot carry, and can be shown.
func (t *Tool) Request(ctx context.Context, base string, arguments map[string]any) (*http.Request, error) {
	path := t.Path
	query := query{}
	header := http.Header{}
	for _, a := range t.Arguments {
		v, given := arguments[a.Name]
		if !given || v == nil && a.In != "body" { // RFC 6570 §2.3: null is undefined
			continue
		}
		var err error
		switch a.In {
		case "path":
			path, err = a.intoPath(path, v)
		case "query":
			err = t.intoQuery(query, a, v)
		case "header":
			err = a.intoHeader(header, v)
		}
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", a.Name, err)
		}
	}
	address, err := join(base, path, query)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if body, send := t.bodyOf(arguments); send {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request body: %w", err)
		}
		content = bytes.NewReader(data)
		header.Set("Content-Type", t.body.media)
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, address, content)
	if err != nil {
		return nil, fmt.Errorf("make the request to the API: %w", err)
	}
	req.Header = header
	return req, nil
}

// join puts path and query behind base. A segment of dots, which whoever reads
// the path next would resolve to another place, is refused here, where the
// segment is whole: {a}{b} can make one of two harmless values.
func join(base, path string, q query) (string, error) {
	if strings.ContainsAny(path, "{}") {
		return "", errors.New("a value for the path is missing")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if dots(segment) {
			return "", errors.New("the arguments would make a dot segment in the path")
		}
	}
	address := strings.TrimRight(base, "/") + path
	if len(q) > 0 {
		address += "?" + q.encode()
	}
	return address, nil
}

// dots reports whether a segment means here or above, as it is or decoded.
func dots(segment string) bool {
	decoded, err := url.PathUnescape(segment)
	return segment == "." || segment == ".." || err == nil && (decoded == "." || decoded == "..")
}

// intoPath fills a place of the template, within its segment. A slash is
// refused although it would be encoded, since some servers decode it before
// they look for segments.
func (a Argument) intoPath(path string, v any) (string, error) {
	s, err := a.joined(v, ",")
	if err != nil {
		return "", err
	}
	switch {
	case s == "":
		return "", errors.New("must not be empty")
	case strings.ContainsAny(s, "/\\") || strings.ContainsFunc(s, control):
		return "", errors.New("must not contain slashes or control characters")
	}
	return strings.ReplaceAll(path, "{"+a.Field+"}", url.PathEscape(s)), nil
}

func (a Argument) intoHeader(header http.Header, v any) error {
	s, err := a.joined(v, ",")
	if err != nil {
		return err
	}
	if !httpguts.ValidHeaderFieldValue(s) || strings.ContainsFunc(s, control) {
		return errors.New("must not contain line breaks or control characters")
	}
	header.Set(a.Field, s)
	return nil
}

// query has the values of each parameter, encoded.
type query map[string][]string

func (q query) encode() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		for _, v := range q[name] {
			pairs = append(pairs, escape(name)+"="+v)
		}
	}
	return strings.Join(pairs, "&")
}

// escape writes a space as %20 (RFC 6570), which every server reads.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// delimiters separate the items of a list, in the styles that join them.
// The comma stays as it is, so that servers can split before they decode.
func (a Argument) delimiters() (plain, encoded string) {
	switch a.Style {
	case "spaceDelimited":
		return " ", "%20"
	case "pipeDelimited":
		return "|", "%7C"
	}
	return ",", ","
}

func (t *Tool) intoQuery(q query, a Argument, v any) error {
	plain, encoded := a.delimiters()
	list, isList := v.([]any)
	object, isObject := v.(map[string]any)
	switch {
	case isObject && !a.JSON && (a.Explode || a.Style == "deepObject"):
		return t.membersIntoQuery(q, a, object)
	case isList && !a.JSON && a.Explode:
		for _, item := range list {
			s, err := primitive(item)
			if err != nil {
				return err
			}
			q[a.Field] = append(q[a.Field], escape(s))
		}
		return nil
	case isList && len(list) == 0 && !a.JSON, isObject && len(object) == 0 && !a.JSON:
		return nil
	}
	s, err := a.joined(v, plain)
	if err != nil {
		return err
	}
	s = escape(s)
	if (isList || isObject) && !a.JSON { // no item contains the delimiter
		s = strings.ReplaceAll(s, escape(plain), encoded)
	}
	q[a.Field] = []string{s}
	return nil
}

// membersIntoQuery spreads an object. Without a prefix its members must not be
// taken for parameters that have a schema of their own.
func (t *Tool) membersIntoQuery(q query, a Argument, object map[string]any) error {
	for name, v := range object {
		s, err := primitive(v)
		if err != nil {
			return err
		}
		if a.Style == "deepObject" {
			if strings.ContainsAny(name, "[]") {
				return errors.New("its member names must not contain brackets")
			}
			q[a.Field+"["+name+"]"] = []string{escape(s)}
			continue
		}
		taken := func(b Argument) bool { return b.In == "query" && b.Field == name }
		if slices.ContainsFunc(t.Arguments, taken) || q[name] != nil {
			return fmt.Errorf("its member %q has the name of another parameter", clip(name, maxEcho))
		}
		q[name] = []string{escape(s)}
	}
	return nil
}

// joined writes a value as one text: JSON where the parameter says so, lists
// and objects joined. An item that contains the delimiter is refused, for it
// would become two, which no schema has seen.
func (a Argument) joined(v any, delimiter string) (string, error) {
	if a.JSON {
		data, err := json.Marshal(v)
		return string(data), err
	}
	var items []any
	pair := delimiter
	switch v := v.(type) {
	case []any:
		items = v
	case map[string]any:
		if a.Explode { // only in path and header: key=value
			pair = "="
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, name, v[name])
		}
	default:
		return primitive(v)
	}
	_, object := v.(map[string]any)
	var text strings.Builder
	for i, item := range items {
		s, err := primitive(item)
		if err != nil {
			return "", err
		}
		if strings.Contains(s, delimiter) || object && strings.Contains(s, pair) {
			return "", fmt.Errorf("its items must not contain %q", delimiter)
		}
		switch {
		case i == 0:
		case object && i%2 == 1:
			text.WriteString(pair)
		default:
			text.WriteString(delimiter)
		}
		text.WriteString(s)
	}
	return text.String(), nil
}

func primitive(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	case json.Number:
		return v.String(), nil
	case nil:
		return "", nil
	}
	return "", errors.New("is nested more deeply than its place can carry")
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }
