package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The official SDK's client, which nobody here wrote, connects, lists and
// calls in every revision that it speaks.
func TestSDKClient(t *testing.T) {
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) {
			w := newWorld(t, nil)
			transport := &mcp.StreamableClientTransport{Endpoint: mcpURL + "/users", HTTPClient: &http.Client{
				Transport: withToken{hosts{"mcp.example.com": w.handler}, "reader"},
			}}
			client := mcp.NewClient(&mcp.Implementation{Name: "witness", Version: "1"}, nil)
			session, err := client.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if got := session.InitializeResult().ProtocolVersion; got != revision {
				t.Errorf("speaks %s", got)
			}
			list, err := session.ListTools(t.Context(), nil)
			if err != nil || len(list.Tools) != 7 {
				t.Fatalf("%v, %v", list, err)
			}
			got, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "fetch-user", Arguments: map[string]any{"id": "7"}})
			if err != nil || got.IsError || got.StructuredContent.(map[string]any)["name"] != "Ada" {
				t.Errorf("%+v, %v", got, err)
			}
			got, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "fetch-user"})
			if err != nil || !got.IsError {
				t.Errorf("without arguments: %+v, %v", got, err)
			}
			if _, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "no-such"}); err == nil || !strings.Contains(err.Error(), "unknown tool") {
				t.Errorf("unknown tool: %v", err)
			}
			// R-RS-10: a transport error, so that the client's OAuth sees it.
			if _, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "update-user"}); err == nil || !strings.Contains(err.Error(), "Forbidden") {
				t.Errorf("missing scope: %v", err)
			}
		})
	}
}

// A client that nobody here wrote shows its person why it cannot connect to an
// API that is paused, in every revision that it speaks.
func TestSDKClientIsToldOfAPause(t *testing.T) {
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) {
			w := newWorld(t, nil)
			w.as.tokens["reader"]["closed"] = map[string]any{"api": "paused"}
			transport := &mcp.StreamableClientTransport{Endpoint: mcpURL + "/users", HTTPClient: &http.Client{
				Transport: withToken{hosts{"mcp.example.com": w.handler}, "reader"},
			}}
			client := mcp.NewClient(&mcp.Implementation{Name: "witness", Version: "1"}, nil)
			session, err := client.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
			if err == nil {
				_ = session.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "An administrator has paused Customer API") {
				t.Errorf("connecting: %v", err)
			}
		})
	}
}

// withToken sends a token along.
type withToken struct {
	http.RoundTripper
	token string
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Host = r.URL.Host
	return w.RoundTripper.RoundTrip(r)
}
