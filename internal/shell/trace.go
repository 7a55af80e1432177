package shell

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/mcpclient"
)

// shown are the headers that say something about OAuth or MCP.
var shown = []string{"Authorization", "Www-Authenticate", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "Location", "Retry-After", "Cache-Control"}

// Trace shows an exchange if tracing is on.
func (s *Shell) Trace(e mcpclient.Exchange) {
	if !s.tracing {
		return
	}
	s.traced++
	address, query := e.URL, ""
	if u, err := url.Parse(e.URL); err == nil && u.RawQuery != "" {
		query, u.RawQuery = u.RawQuery, ""
		address = u.String()
	}
	fmt.Fprintf(s.Err, "%s %s %s\n", s.style("1;36", fmt.Sprintf("%d →", s.traced)), s.strong(clean(e.What)), s.quiet(clean(e.Method+" "+address)))
	s.traceForm(query)
	s.traceHeader(e.RequestHeader)
	s.traceBody(e.RequestHeader, e.RequestBody)
	switch {
	case e.Err != nil:
		fmt.Fprintf(s.Err, "%s %s\n\n", s.style("1;31", fmt.Sprintf("%d ✗", s.traced)), clean(e.Err.Error()))
	case e.Status == 0:
		fmt.Fprintln(s.Err)
	default:
		colour := "1;32"
		if e.Status >= 400 {
			colour = "1;33"
		}
		fmt.Fprintf(s.Err, "%s %d %s %s\n", s.style(colour, fmt.Sprintf("%d ←", s.traced)), e.Status, http.StatusText(e.Status), s.quiet(e.Took.Round(100*time.Microsecond).String()))
		s.traceHeader(e.ResponseHeader)
		s.traceBody(e.ResponseHeader, e.ResponseBody)
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
			fmt.Fprintf(s.Err, "    %s = %s\n", clean(name), clean(value))
		}
	}
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

func (s *Shell) traceJSON(body string) {
	var pretty bytes.Buffer
	if json.Indent(&pretty, []byte(body), "    ", "  ") == nil {
		body = pretty.String()
	}
	const most = 8000
	if len(body) > most {
		body = body[:most] + fmt.Sprintf("… (%d bytes more)", len(body)-most)
	}
	fmt.Fprintln(s.Err, "    "+clean(body))
}
