package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/inspect"
	"gatehouse/internal/resource"
)

const (
	tellTimeout = 5 * time.Second
	tellBytes   = 1 << 20 // of messages in one request
)

// MessageSink is where a gateway that is a process of its own puts the messages
// that it records: the authorization server, where they are seen with the rest
// of their flow. That also says whose messages are recorded at all.
type MessageSink struct {
	Server   *resource.AuthorizationServer
	Endpoint string
}

// SaveMessages implements inspect.Sink. What is too much for one request is left
// out: messages are for looking at, and nothing waits for them.
func (s *MessageSink) SaveMessages(ctx context.Context, list []inspect.Message) error {
	text := []byte("[")
	for i, m := range list {
		one, err := json.Marshal(inspect.Tell(m))
		if err != nil {
			return fmt.Errorf("write a message: %w", err)
		}
		if len(text)+len(one) > tellBytes {
			break
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, one...)
	}
	_, err := s.tell(ctx, string(append(text, ']')))
	return err
}

// Switches implements inspect.Sink.
func (s *MessageSink) Switches(ctx context.Context, _ time.Time) ([]inspect.Switch, error) {
	return s.tell(ctx, "[]")
}

func (s *MessageSink) tell(ctx context.Context, messages string) ([]inspect.Switch, error) {
	status, body, err := s.Server.Post(ctx, s.Endpoint, url.Values{"messages": {messages}}, tellTimeout)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("tell %s of messages: it answered %d; does it know client %s and its key?", s.Endpoint, status, s.Server.ClientID)
	}
	var answer struct {
		Recorded []inspect.Switch `json:"recorded"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", s.Endpoint, err)
	}
	return answer.Recorded, nil
}
