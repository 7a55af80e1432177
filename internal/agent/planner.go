package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// plannerName is what the planner answers as; it is no language model, and
// says so wherever it is shown.
const plannerName = "planner (not a language model)"

// maxPlannerWire bounds what the planner reads, in bytes.
const maxPlannerWire = 4 << 20

// Planner is the model for who has none: it serves the chat completions API,
// needs neither key nor network, and always does the same with the same words.
// It finds a tool by the words of its name, title and description, fills its
// parameters from what the person said, looks up numbers that are missing with
// the reading tools that there are, and says so when it cannot. Of a result it
// reads rows and their numbers, never sentences.
func Planner() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", servePlan)
	return mux
}

func servePlan(w http.ResponseWriter, r *http.Request) {
	var ask completionRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPlannerWire))
	if err != nil || json.Unmarshal(body, &ask) != nil || len(ask.Messages) == 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"type":"invalid_request_error","message":"The request is no chat completion with messages, or too large."}}`) // the caller may be gone
		return
	}
	said := plan(ask.Messages, ask.Tools)
	reason := "stop"
	if len(said.ToolCalls) > 0 {
		reason = "tool_calls"
	}
	whole := completion{ID: "plan", Object: "chat.completion", Created: time.Now().Unix(), Model: plannerName}
	if !ask.Stream {
		whole.Choices = []choice{{Message: &said, FinishReason: &reason}}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(whole) // the caller may be gone
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	whole.Object = "chat.completion.chunk"
	for _, delta := range pieces(said) {
		whole.Choices = []choice{{Delta: &delta}}
		event(w, whole)
	}
	whole.Choices = []choice{{Delta: &message{}, FinishReason: &reason}}
	event(w, whole)
	_, _ = io.WriteString(w, "data: [DONE]\n\n") // the caller may be gone
}

// pieces cuts an answer as a model would say it: words, then calls.
func pieces(m message) []message {
	var all []message
	for _, word := range strings.SplitAfter(m.Content, " ") {
		if word != "" {
			all = append(all, message{Role: "assistant", Content: word})
		}
	}
	for i, call := range m.ToolCalls {
		call.Index = i
		all = append(all, message{Role: "assistant", ToolCalls: []request{call}})
	}
	return all
}

func event(w http.ResponseWriter, c completion) {
	data, err := json.Marshal(c)
	if err != nil { // it is made of texts
		return
	}
	_, _ = fmt.Fprintf(w, "data: %s\n\n", data) // the caller may be gone
	_ = http.NewResponseController(w).Flush()   // or needs no flushing
}
