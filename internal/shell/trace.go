package shell

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/mcpclient"
)

// shown are the headers that say something about OAuth or MCP.
var shown = []string{"Authorization", "Www-Authenticate", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "Location", "Retry-After", "Cache-Control"}

// Trace shows the request of an exchange, or its answer, if tracing is on.
func (s *Shell) Trace(e mcpclient.Exchange) {
	switch {
	case !s.tracing.Load():
	case !e.Done, e.Status == 0 && e.Err == nil: // or the browser's
		s.traceRequest(e)
	case e.Err != nil:
		fmt.Fprintf(s.Err, "%s %s\n\n", s.style("1;31", fmt.Sprintf("%d ✗", e.Number)), clean(e.Err.Error()))
	default:
		colour := "1;32"
		if e.Status >= 400 {
			colour = "1;33"
		}
		fmt.Fprintf(s.Err, "%s %d %s %s\n", s.style(colour, fmt.Sprintf("%d ←", e.Number)), e.Status, http.StatusText(e.Status), s.quiet(e.Took.Round(100*time.Microsecond).String()))
		s.traceHeader(e.ResponseHeader)
		s.traceBody(e.ResponseHeader, e.ResponseBody)
		fmt.Fprintln(s.Err)
	}
}

func (s *Shell) traceRequest(e mcpclient.Exchange) {
	address, query := e.URL, ""
	if u, err := url.Parse(e.URL); err == nil && u.RawQuery != "" {
		query, u.RawQuery = u.RawQuery, ""
		address = u.String()
	}
	fmt.Fprintf(s.Err, "%s %s %s\n", s.style("1;36", fmt.Sprintf("%d →", e.Number)), s.strong(clean(e.What)), s.quiet(clean(e.Method+" "+address)))
	s.traceForm(query)
	s.traceHeader(e.RequestHeader)
	s.traceBody(e.RequestHeader, e.RequestBody)
	if e.Done {
		fmt.Fprintln(s.Err)
	}
}

func (s *Shell) traceHeader(h http.Header) {
	for _, name := range shown {
		for _, value := range h.Values(name) {
			fmt.Fprintf(s.Err, "    %s: %s\n", name, clean(value))
		}
	}
}

func (s *Shell) traceForm(form string) {
	for part := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if name != "" {
			fmt.Fprintf(s.Err, "    %s = %s%s\n", clean(name), clean(value), s.purpose(name))
		}
	}
}

// purpose says what a parameter is for, in the words of the inspector.
func (s *Shell) purpose(name string) string {
	p, ok := oauth.ParameterOf(name)
	if !ok || p.Ref == "" {
		return ""
	}
	return s.quiet("  # " + p.Purpose + " (" + p.Ref + ")")
}

func (s *Shell) traceBody(h http.Header, body string) {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch {
	case body == "":
	case media == "application/x-www-form-urlencoded":
		s.traceForm(body)
	case media == "text/event-stream":
		for line := range strings.Lines(body) {
			if data, ok := strings.CutPrefix(line, "data:"); ok {
				s.traceJSON(strings.TrimSpace(data))
			}
		}
	default:
		s.traceJSON(body)
	}
}

// traceJSON shows JSON with its members in their order, on one line where they
// fit.
func (s *Shell) traceJSON(body string) {
	body = strings.TrimSpace(body)
	if json.Valid([]byte(body)) {
		body = fold([]byte(body), 4)
	}
	const most = 6000
	if len(body) > most {
		body = body[:most] + fmt.Sprintf("… (%d bytes more)", len(body)-most)
	}
	fmt.Fprintln(s.Err, "    "+clean(body))
}

const width = 110 // columns of what is put on one line

// fold writes a valid JSON value, indented where it is long.
func fold(raw json.RawMessage, indent int) string {
	var flat bytes.Buffer
	_ = json.Compact(&flat, raw) // it is valid
	if flat.Len()+indent <= width || flat.Len() == 0 || flat.Bytes()[0] != '{' && flat.Bytes()[0] != '[' {
		return flat.String()
	}
	d := json.NewDecoder(&flat)
	open, _ := d.Token() // and so are its parts
	var lines []string
	for d.More() {
		name := ""
		if open == json.Delim('{') {
			key, _ := d.Token()
			quoted, _ := json.Marshal(key)
			name = string(quoted) + ": "
		}
		var value json.RawMessage
		_ = d.Decode(&value)
		lines = append(lines, strings.Repeat(" ", indent+2)+name+fold(value, indent+2))
	}
	end := "}"
	if open == json.Delim('[') {
		end = "]"
	}
	return fmt.Sprint(open) + "\n" + strings.Join(lines, ",\n") + "\n" + strings.Repeat(" ", indent) + end
}
