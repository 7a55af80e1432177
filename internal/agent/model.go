package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// The chat completions API, of which so much as this program uses
// (https://platform.openai.com/docs/api-reference/chat).
type (
	message struct {
		Role       string    `json:"role"` // system, user, assistant, tool
		Content    string    `json:"content"`
		ToolCalls  []request `json:"tool_calls,omitempty"`
		ToolCallID string    `json:"tool_call_id,omitempty"`
	}
	// request is a tool call that a model wants.
	request struct {
		Index    int          `json:"index"`
		ID       string       `json:"id,omitempty"`
		Type     string       `json:"type,omitempty"`
		Function requestNamed `json:"function"`
	}
	requestNamed struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments,omitempty"` // JSON
	}
	offer struct {
		Type     string       `json:"type"`
		Function offeredNamed `json:"function"`
	}
	offeredNamed struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	}
	completionRequest struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
		Tools    []offer   `json:"tools,omitempty"`
		Stream   bool      `json:"stream"`
	}
	choice struct {
		Index        int      `json:"index"`
		Message      *message `json:"message,omitempty"`
		Delta        *message `json:"delta,omitempty"`
		FinishReason *string  `json:"finish_reason"`
	}
	completion struct {
		ID      string   `json:"id"`
		Object  string   `json:"object"`
		Created int64    `json:"created"`
		Model   string   `json:"model"`
		Choices []choice `json:"choices"`
	}
)

// Limits of one answer of a model.
const (
	maxModelText  = 64 << 10 // bytes of what it says
	maxModelWire  = 4 << 20  // bytes of all events
	maxModelCalls = 8
	maxArguments  = 64 << 10 // bytes of one call's
)

var errModel = errors.New("the model did not answer as it should")

// complete asks a model, and passes on what it says so far as it says it.
func complete(ctx context.Context, c *http.Client, m model, ask completionRequest, said func(text string)) (message, error) {
	ask.Model, ask.Stream = m.Name, true
	body, err := json.Marshal(ask)
	if err != nil {
		return message{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(m.BaseURL, "/")+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return message{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream, application/json")
	if m.key != "" {
		req.Header.Set("Authorization", "Bearer "+m.key)
	}
	resp, err := c.Do(req)
	if err != nil {
		return message{}, err
	}
	defer resp.Body.Close()
	wire := io.LimitReader(resp.Body, maxModelWire)
	if resp.StatusCode != http.StatusOK {
		return message{}, modelRefusal(resp.StatusCode, wire)
	}
	a := answer{said: said}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		var whole completion
		if err := json.NewDecoder(wire).Decode(&whole); err != nil || len(whole.Choices) == 0 || whole.Choices[0].Message == nil {
			return message{}, fmt.Errorf("%w: its answer is no chat completion", errModel)
		}
		err := a.add(*whole.Choices[0].Message)
		return a.whole(), err
	}
	return a.read(wire)
}

func modelRefusal(status int, body io.Reader) error {
	var said struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(body, 8<<10))
	if err != nil || json.Unmarshal(text, &said) != nil || said.Error.Message == "" {
		return fmt.Errorf("%w: it answered %d", errModel, status)
	}
	return fmt.Errorf("%w: it answered %d, %q", errModel, status, clip(said.Error.Message, 300))
}

// answer is put together from the pieces of a stream.
type answer struct {
	said  func(string)
	text  strings.Builder
	calls []request
}

func (a *answer) read(wire io.Reader) (message, error) {
	lines := bufio.NewScanner(wire)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if data = strings.TrimSpace(data); !ok || data == "" {
			continue
		}
		if data == "[DONE]" {
			return a.whole(), nil
		}
		var piece completion
		if err := json.Unmarshal([]byte(data), &piece); err != nil {
			return message{}, fmt.Errorf("%w: a piece of its answer is no JSON", errModel)
		}
		if len(piece.Choices) == 0 || piece.Choices[0].Delta == nil {
			continue // usage, and other pieces without words
		}
		if err := a.add(*piece.Choices[0].Delta); err != nil {
			return message{}, err
		}
		if piece.Choices[0].FinishReason != nil {
			return a.whole(), nil
		}
	}
	if err := lines.Err(); err != nil {
		return message{}, err
	}
	return message{}, fmt.Errorf("%w: it broke off", errModel)
}

// add takes a piece; whatever is over a limit ends the answer.
func (a *answer) add(m message) error {
	if a.text.Len()+len(m.Content) > maxModelText {
		return fmt.Errorf("%w: it says more than %d kB at once", errModel, maxModelText>>10)
	}
	if m.Content != "" {
		a.text.WriteString(m.Content)
		a.said(a.text.String())
	}
	for i, r := range m.ToolCalls {
		at := r.Index
		if at == 0 && r.ID != "" { // whole answers number nothing
			at = max(i, 0)
		}
		if at < 0 || at >= maxModelCalls {
			return fmt.Errorf("%w: it wants more than %d calls at once", errModel, maxModelCalls)
		}
		for len(a.calls) <= at {
			a.calls = append(a.calls, request{Type: "function"})
		}
		c := &a.calls[at]
		c.ID += r.ID
		c.Function.Name += r.Function.Name
		c.Function.Arguments += r.Function.Arguments
		if len(c.Function.Arguments) > maxArguments || len(c.Function.Name) > 200 || len(c.ID) > 200 {
			return fmt.Errorf("%w: a call is larger than %d kB", errModel, maxArguments>>10)
		}
	}
	return nil
}

func (a *answer) whole() message {
	return message{Role: "assistant", Content: a.text.String(), ToolCalls: a.calls}
}

// clip shortens s to n bytes of whole characters.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// inside sends requests to a handler of this role as if to a server: the
// planner is reached by the same API as any model.
type inside struct{ handler http.Handler }

func (t inside) RoundTrip(r *http.Request) (*http.Response, error) {
	read, write := io.Pipe()
	w := &insideWriter{header: http.Header{}, body: write, begun: make(chan struct{})}
	stop := context.AfterFunc(r.Context(), func() { _ = read.CloseWithError(r.Context().Err()) }) // never fails
	go func() {                                                                                   // ends with its answer: planning waits for nobody but the reader
		defer stop()
		t.handler.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = write.Close() // never fails
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: read, ContentLength: -1, Request: r,
	}, nil
}

type insideWriter struct {
	header, sent http.Header
	status       int
	body         *io.PipeWriter
	begun        chan struct{}
}

func (w *insideWriter) Header() http.Header { return w.header }

func (w *insideWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	}
}

func (w *insideWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *insideWriter) Flush() {}
