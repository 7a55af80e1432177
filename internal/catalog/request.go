package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	query := url.Values{}
	header := http.Header{}
	members := map[string]any{}
	var body any
	hasBody := false
	for _, a := range t.Arguments {
		v, given := arguments[a.Name]
		if !given {
			continue
		}
		var err error
		switch a.In {
		case "path":
			path, err = a.intoPath(path, v)
		case "query":
			err = a.intoQuery(query, v)
		case "header":
			err = a.intoHeader(header, v)
		case "body":
			if hasBody = true; a.Field == "" {
				body = v
			} else {
				members[a.Field] = v
				body = members
			}
		}
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", a.Name, err)
		}
	}
	address := strings.TrimSuffix(base, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, address, nil)
	if err != nil {
		return nil, fmt.Errorf("make the request to the API: %w", err)
	}
	req.Header = header
	if t.media == "" || !hasBody && t.Method == http.MethodDelete {
		return req, nil
	}
	if !hasBody {
		body = map[string]any{}
	}
	return withBody(req, t.media, body)
}

func withBody(req *http.Request, media string, body any) (*http.Request, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write the request body: %w", err)
	}
	withBody, err := http.NewRequestWithContext(req.Context(), req.Method, req.URL.String(), bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("make the request to the API: %w", err)
	}
	withBody.Header = req.Header
	withBody.Header.Set("Content-Type", media)
	return withBody, nil
}

// intoPath fills a place of the template with one whole segment. Dots alone
// would be resolved away by whoever reads the path next, and an encoded slash
// is decoded by some, so both are refused.
func (a Argument) intoPath(path string, v any) (string, error) {
	s, err := a.joined(v, ",", false)
	if err != nil {
		return "", err
	}
	switch {
	case s == "":
		return "", errors.New("must not be empty")
	case s == "." || s == "..":
		return "", errors.New("must not be a dot segment")
	case strings.ContainsAny(s, "/\\") || strings.ContainsFunc(s, control):
		return "", errors.New("must not contain slashes or control characters")
	}
	return strings.ReplaceAll(path, "{"+a.Field+"}", url.PathEscape(s)), nil
}

func (a Argument) intoQuery(query url.Values, v any) error {
	if object, ok := v.(map[string]any); ok && !a.JSON {
		return a.objectIntoQuery(query, object)
	}
	list, ok := v.([]any)
	if !ok || a.JSON || !a.Explode {
		s, err := a.joined(v, a.delimiter(), a.Style == "form")
		if err != nil {
			return err
		}
		query.Set(a.Field, s)
		return nil
	}
	for _, item := range list {
		s, err := primitive(item)
		if err != nil {
			return err
		}
		query.Add(a.Field, s)
	}
	return nil
}

// objectIntoQuery spreads an object (deepObject, form with explode). Members
// of a form without prefix must not be taken for other parameters.
func (a Argument) objectIntoQuery(query url.Values, object map[string]any) error {
	if a.Style == "form" && !a.Explode {
		s, err := a.joined(object, ",", true)
		if err != nil {
			return err
		}
		query.Set(a.Field, s)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		s, err := primitive(object[name])
		if err != nil {
			return err
		}
		field := name
		if a.Style == "deepObject" {
			field = a.Field + "[" + name + "]"
		}
		if query.Has(field) {
			return fmt.Errorf("its member %q has the name of another parameter", clip(name, maxEcho))
		}
		query.Set(field, s)
	}
	return nil
}

func (a Argument) intoHeader(header http.Header, v any) error {
	s, err := a.joined(v, ",", false)
	if err != nil {
		return err
	}
	if !httpguts.ValidHeaderFieldValue(s) || strings.ContainsFunc(s, control) {
		return errors.New("must not contain line breaks or control characters")
	}
	header.Set(a.Field, s)
	return nil
}

func (a Argument) delimiter() string {
	switch a.Style {
	case "spaceDelimited":
		return " "
	case "pipeDelimited":
		return "|"
	}
	return ","
}

// joined writes a value as one text: JSON where the parameter says so, lists
// and objects joined. With guard, an item that contains the delimiter is
// refused, for it would become two.
func (a Argument) joined(v any, delimiter string, guard bool) (string, error) {
	if a.JSON {
		data, err := json.Marshal(v)
		return string(data), err
	}
	var items []any
	switch v := v.(type) {
	case []any:
		items = v
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, name, v[name])
		}
	default:
		return primitive(v)
	}
	parts := make([]string, 0, len(items))
	for _, item := range items {
		s, err := primitive(item)
		if err != nil {
			return "", err
		}
		if guard && strings.Contains(s, delimiter) {
			return "", fmt.Errorf("its items must not contain %q", delimiter)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, delimiter), nil
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

// templateNames lists the names in braces of a path template.
func templateNames(path string) []string {
	var names []string
	for {
		_, after, ok := strings.Cut(path, "{")
		if !ok {
			return names
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			return names
		}
		names = append(names, name)
		path = rest
	}
}
