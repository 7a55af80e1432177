package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxReply bounds an answer of a protected API, in bytes.
const maxReply = 16 << 20

// Request is one of a program on the command line to a protected API.
type Request struct {
	Method, Path string // below the shell's Server
	Body         any    // JSON; nil for none
	IfMatch      string // the ETag that it was made from; empty for none
}

// Ask sends a request to the protected API that Server is, as whoever signs in,
// and decodes its JSON answer; into may be nil. Its errors have an exit code
// (Code): a problem document (RFC 9457) is one, in its own words.
func (s *Shell) Ask(ctx context.Context, ask Request, into any) (etag string, err error) {
	client, err := s.Client.Protected(ctx, s.Server)
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	var body io.Reader
	if ask.Body != nil {
		text, err := json.Marshal(ask.Body)
		if err != nil {
			return "", err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, ask.Method, s.Server+ask.Path, body)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "application/json")
	if ask.Body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if ask.IfMatch != "" {
		r.Header.Set("If-Match", ask.IfMatch)
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", ask.Path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", asRefusal(resp, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			return "", fmt.Errorf("the answer of %s has another form: %w", ask.Path, err)
		}
	}
	return resp.Header.Get("ETag"), nil
}

// refusal is what an API says that could not do it.
type refusal string

func (r refusal) Error() string { return string(r) }

func asRefusal(resp *http.Response, text []byte) error {
	var problem struct{ Title, Detail string }
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(text, &problem) == nil && problem.Title+problem.Detail != "" {
		if problem.Detail == "" {
			problem.Detail = problem.Title
		}
		return refusal(clean(problem.Detail))
	}
	return fmt.Errorf("the server answered %d; is this the address of a console, such as https://admin.example.com?", resp.StatusCode)
}
