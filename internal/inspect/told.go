package inspect

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Sink is where a Recorder puts messages, and learns what to record: a Store, or
// the authorization server, for a gateway that is a process of its own.
type Sink interface {
	// SaveMessages adds messages, and drops the oldest beyond MaxMessages.
	SaveMessages(ctx context.Context, m []Message) error
	// Switches returns those that hold at now.
	Switches(ctx context.Context, now time.Time) ([]Switch, error)
}

// Told is a message as such a gateway sends it.
type Told struct {
	Time    int64   `json:"time"`
	Kind    Kind    `json:"kind"`
	Client  string  `json:"client_id"`
	Grant   string  `json:"grant_id,omitempty"`
	Account string  `json:"account_id,omitempty"`
	Peer    string  `json:"peer,omitempty"`
	Message Message `json:"message"`
}

// Tell writes a message for sending.
func Tell(m Message) Told {
	return Told{m.Time, m.Kind, m.ClientID, m.GrantID, m.AccountID, m.Peer, m}
}

// Limits of what a gateway tells.
const (
	maxToldText   = 500      // bytes of a value
	maxToldFields = 40       // of a message or a token
	maxTold       = 16 << 10 // bytes of a message
)

// FromGateway reads a message that a gateway told, under the same list as if it
// had been told here (security.md 22). It reports false for what gateways have
// nothing to tell of, and for what nothing is recorded of now.
func (t Told) FromGateway(on []Switch, now time.Time) (Message, bool) {
	if t.Kind != MCP && t.Kind != APICall && t.Kind != ResourceMetadata {
		return Message{}, false
	}
	recorded := slices.ContainsFunc(on, func(s Switch) bool {
		return s.Subject == "client" && t.Client != "" && s.ID == t.Client || s.Subject == "grant" && t.Grant != "" && s.ID == t.Grant
	})
	at := time.UnixMicro(t.Time)
	if !recorded || at.After(now.Add(time.Minute)) || at.Before(now.Add(-MaxAge)) {
		return Message{}, false
	}
	m := t.Message
	row, _ := rowOf(t.Kind)
	m.Keys = Keys{ClientID: cut(t.Client), GrantID: cut(t.Grant), AccountID: cut(t.Account)}
	m.Time, m.Kind, m.Peer = t.Time, t.Kind, cut(t.Peer)
	for _, text := range []*string{&m.RequestID, &m.Method, &m.Path, &m.Host} {
		*text = cut(*text)
	}
	m.Asked, m.Answered = listedFields(m.Asked, row.asked), listedFields(m.Answered, row.answered)
	m.Needs = m.Needs[:min(len(m.Needs), maxToldFields)]
	if !slices.ContainsFunc(rules(), func(r Rule) bool { return r.ID == m.Rule }) {
		m.Rule = ""
	}
	if !m.Presented.fits() || !m.Issued.fits() {
		return Message{}, false
	}
	text, err := json.Marshal(m)
	return m, err == nil && len(text) <= maxTold
}

// listedFields keeps what the list of a kind has a place for.
func listedFields(told []Field, list fields) []Field {
	var kept []Field
	for _, f := range told[:min(len(told), maxToldFields)] {
		shape, ok := list[f.Name]
		if !ok {
			continue
		}
		if shape == masked {
			f.Value, f.Masked = "", true
		}
		f.Value = cut(f.Value)
		kept = append(kept, f)
	}
	return kept
}

// fits reports whether what is shown of a token is no more than that: its label
// no token, and nothing of it endless.
func (t *Token) fits() bool {
	for depth := 0; t != nil; t, depth = t.From, depth+1 {
		if depth > 2 || len(t.Label) > 8 || len(t.Header) > maxToldFields || len(t.Claims) > maxToldFields {
			return false
		}
		for _, f := range slices.Concat(t.Header, t.Claims) {
			if len(f.Value) > maxToldText || ours(f.Value) {
				return false
			}
		}
	}
	return true
}

func cut(s string) string {
	if len(s) > maxToldText {
		s = s[:maxToldText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
