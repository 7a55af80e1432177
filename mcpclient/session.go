package mcpclient

import (
	"context"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Session is a connection with an MCP server. It is safe for concurrent use.
type Session struct {
	// MCP is the session underneath, for what has no method here.
	MCP        *mcp.ClientSession
	authorizer *authorizer
}

// maxTools bounds what a server can make a client hold.
const maxTools = 10_000

// Tools lists the tools that the server offers to this client's token.
func (s *Session) Tools(ctx context.Context) ([]*mcp.Tool, error) {
	s.authorizer.begin()
	var tools []*mcp.Tool
	for tool, err := range s.MCP.Tools(ctx, nil) {
		if err != nil {
			return nil, s.authorizer.explain("list tools", err)
		}
		if tools = append(tools, tool); len(tools) > maxTools {
			return nil, fmt.Errorf("list tools: the server has more than %d", maxTools)
		}
	}
	return tools, nil
}

// Call calls a tool. A tool that failed in its own terms is a result with
// IsError; an error means that it was not called, or that its answer was lost.
func (s *Session) Call(ctx context.Context, tool string, arguments any) (*mcp.CallToolResult, error) {
	s.authorizer.begin()
	result, err := s.MCP.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return nil, s.authorizer.explain("call "+tool, err)
	}
	return result, nil
}

// Close ends the session. Tokens stay in the Store.
func (s *Session) Close() error {
	err := s.MCP.Close()
	s.authorizer.wire.CloseIdleConnections()
	return err
}

// Authorization is what a session may do, and by whom it was told so.
type Authorization struct {
	Issuer    string    // the authorization server; empty if no token was needed yet
	ClientID  string    // who this client is there
	Resource  string    // what the token is for
	Scope     []string  // what was granted
	ExpiresAt time.Time // of the access token; zero if the server did not say
	Renewable bool      // there is a refresh token
}

// Authorization returns what the session has at this moment.
func (s *Session) Authorization() Authorization {
	t := s.authorizer.held()
	a := Authorization{Issuer: t.Issuer, ClientID: t.ClientID, Resource: t.Resource, Scope: t.Scope, Renewable: t.RefreshToken != ""}
	if t.ExpiresAt != 0 {
		a.ExpiresAt = time.Unix(t.ExpiresAt, 0)
	}
	return a
}
