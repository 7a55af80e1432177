package inspect_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/inspect"
)

// security.md 22: what a gateway tells goes through the list once more; it can
// tell of MCP and its calls, of whom is being recorded, and of no secret.
func TestGatewayTellsNoMoreThanTheListPermits(t *testing.T) {
	now := time.Now()
	on := []inspect.Switch{{Subject: "client", ID: "desk", Until: now.Add(time.Minute).Unix()}}
	const secret = "gha_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	good := func(change func(*inspect.Told)) inspect.Told {
		told := inspect.Told{Time: now.UnixMicro(), Kind: inspect.MCP, Client: "desk", Message: inspect.Message{
			Method: "POST", Path: "/", Status: 200,
			Asked: []inspect.Field{{Name: "method", Value: "tools/call"}, {Name: "password", Value: secret}, {Name: "tool", Value: "fetch-users"}},
			Rule:  "invented",
		}}
		if change != nil {
			change(&told)
		}
		return told
	}
	m, ok := good(nil).FromGateway(on, now)
	if !ok || m.ClientID != "desk" || m.Kind != inspect.MCP || m.Rule != "" || len(m.Asked) != 2 {
		t.Errorf("%v %+v", ok, m)
	}
	if text, err := json.Marshal(m); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("it holds what the list has no place for: %s %v", text, err)
	}
	for name, change := range map[string]func(*inspect.Told){
		"a sign-in":             func(m *inspect.Told) { m.Kind = inspect.SignIn },
		"a consent":             func(m *inspect.Told) { m.Kind = inspect.Consent },
		"a kind that is none":   func(m *inspect.Told) { m.Kind = "x" },
		"somebody not recorded": func(m *inspect.Told) { m.Client = "other" },
		"nobody":                func(m *inspect.Told) { m.Client = "" },
		"yesterday":             func(m *inspect.Told) { m.Time = now.Add(-24 * time.Hour).UnixMicro() },
		"tomorrow":              func(m *inspect.Told) { m.Time = now.Add(24 * time.Hour).UnixMicro() },
		"a token for a label":   func(m *inspect.Told) { m.Message.Presented = &inspect.Token{Label: secret} },
		"a token for a claim": func(m *inspect.Told) {
			m.Message.Issued = &inspect.Token{Claims: []inspect.Field{{Name: "x", Value: secret}}}
		},
		"a token without end": func(m *inspect.Told) { m.Message.Issued = &inspect.Token{Claims: make([]inspect.Field, 1000)} },
		"tokens without end": func(m *inspect.Told) {
			x := &inspect.Token{}
			x.From = &inspect.Token{From: &inspect.Token{From: &inspect.Token{}}}
			m.Message.Issued = x
		},
		"a scope without end": func(m *inspect.Told) { m.Message.Issued = &inspect.Token{Scope: []string{strings.Repeat("s", 20_000)}} },
	} {
		if m, ok := good(change).FromGateway(on, now); ok {
			t.Errorf("%s is kept: %+v", name, m)
		}
	}
	if m, ok := good(func(m *inspect.Told) { m.Message.Host = strings.Repeat("h", 9000) + "\x00" }).FromGateway(on, now); !ok || len(m.Host) > 500 {
		t.Errorf("a long host: %v, %d bytes", ok, len(m.Host))
	}
}
