package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"gatehouse/internal/catalog"
)

const (
	maxResponse = 4 << 20 // bytes of an API's answer that are passed on
	maxExcerpt  = 2000    // bytes of an API's words about an error
)

// toolResult is what a tool call came to: content for the agent and, for the
// machine, the same as JSON.
type toolResult struct {
	text       string
	structured json.RawMessage // a JSON value, or nil
	failed     bool            // isError
	reason     string          // for the audit, if failed: in our words, without anything the API or the client said
	status     int             // of the API's answer, for the audit; 0 if none came
}

// failure returns a result that says to the agent what went wrong and what
// would help, and to the audit why.
func failure(reason, format string, args ...any) toolResult {
	return toolResult{text: fmt.Sprintf(format, args...), failed: true, reason: reason}
}

// encode serialises r as a CallToolResult. Only what this package chose is in
// it: no header field of the API's answer and nothing it said outside its body.
func (r toolResult) encode(meta []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(r.text) + len(r.text)/4 + len(r.structured) + 200)
	b.WriteByte('{')
	if meta != nil {
		b.WriteString(`"resultType":"complete",`)
	}
	b.WriteString(`"content":[{"type":"text","text":`)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.text); err != nil {
		return nil, fmt.Errorf("serialise a tool result: %w", err)
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	b.WriteString(`}]`)
	if r.structured != nil {
		b.WriteString(`,"structuredContent":`)
		b.Write(r.structured)
	}
	if r.failed {
		b.WriteString(`,"isError":true`)
	}
	if meta != nil {
		b.WriteString(`,"_meta":`)
		b.Write(meta)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// readResponse turns the API's answer into a tool result. api is what people
// call the API.
func readResponse(api string, tool *catalog.Tool, resp *http.Response) toolResult {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return failure("the API broke off its answer", "%s did not finish its answer. If the call changes something, check whether it did before trying again.", api)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var r toolResult
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		r = readRefusal(api, resp, media, body)
	case len(body) > maxResponse:
		r = failure("the answer is too large", "%s answered with more than %d MB, which is not passed on. Ask for less, for example with a filter or a smaller page.", api, maxResponse>>20)
	case len(body) == 0:
		r = readEmpty(api, tool, resp)
	case isJSON(media):
		r = readJSON(api, tool, body)
	case tool.OutputSchema == nil && strings.HasPrefix(media, "text/") && media != "text/html":
		r = toolResult{text: clean(string(body))}
	default:
		r = failure("the answer is not JSON", "%s answered with %s, where JSON was expected; it is not passed on. The call itself succeeded (%d).", api, describe(media), resp.StatusCode)
	}
	r.status = resp.StatusCode
	return r
}

func readEmpty(api string, tool *catalog.Tool, resp *http.Response) toolResult {
	text := fmt.Sprintf("%s did it (%d %s) and sent no data.", api, resp.StatusCode, http.StatusText(resp.StatusCode))
	// A tool with an output schema must return structured content unless the
	// result is an error; clients check.
	if tool.OutputSchema == nil {
		return toolResult{text: text}
	}
	return failure("the answer is empty", "%s Its own description promises some, so there is nothing more to tell.", text)
}

func readJSON(api string, tool *catalog.Tool, body []byte) toolResult {
	if !json.Valid(body) {
		return failure("the answer is not valid JSON", "%s answered with something that it calls JSON but is not. The call itself succeeded.", api)
	}
	structured, err := tool.Structure(body)
	if err != nil {
		return failure("the answer does not fit the API's description",
			"%s did it, but its answer is not what its own description promises (%s). The answer, unchecked: %s", api, excerpt(clean(err.Error())), body)
	}
	return toolResult{text: string(body), structured: structured}
}

// readRefusal words an answer outside 2xx. The body of a client error in JSON
// is meant for the caller and passed on, shortened; any other is not, for it
// may tell about the inside of the API.
func readRefusal(api string, resp *http.Response, media string, body []byte) toolResult {
	var said string
	switch {
	case media == "application/problem+json": // RFC 9457
		var p struct{ Title, Detail string }
		if json.Unmarshal(body, &p) == nil {
			said = strings.TrimSpace(p.Title + ". " + p.Detail)
		}
	case isJSON(media) && resp.StatusCode < 500:
		said = string(body)
	}
	if said = clean(excerpt(said)); strings.Trim(said, ". ") == "" {
		said = "It gave no reason that can be passed on."
	}
	return failure("the API refused", "%s refused the call (%d %s). It says: %s %s", api, resp.StatusCode, http.StatusText(resp.StatusCode), said, help(resp))
}

// help says what would help after a refusal by the API.
func help(resp *http.Response) string {
	switch status := resp.StatusCode; {
	case status < 400:
		return "It redirects elsewhere, which is not followed; the API's address in the gateway's configuration may be out of date."
	case status == http.StatusUnauthorized:
		return "The gateway's token was not accepted; signing in again does not help. Tell whoever runs the API."
	case status == http.StatusForbidden:
		return "Other arguments or scopes may not help: the API does not allow this to this person or agent."
	case status == http.StatusNotFound, status == http.StatusGone:
		return "Check the identifiers in the arguments."
	case status == http.StatusTooManyRequests:
		return "Wait before trying again."
	case status < 500:
		return "Change the arguments before trying again."
	}
	return "The arguments are probably not the reason. Try again later; if the call changes something, check first whether it did."
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

func describe(media string) string {
	if media == "" {
		return "content of an unnamed type"
	}
	return media
}

// excerpt shortens s to what may be quoted.
func excerpt(s string) string {
	if len(s) <= maxExcerpt {
		return s
	}
	return s[:maxExcerpt] + " …"
}

// clean makes text from elsewhere fit for an agent and its terminal: valid
// UTF-8 without control characters other than line breaks and tabs.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
