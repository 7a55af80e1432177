package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Ask calls one tool of an MCP server for a program on the command line, and
// decodes its structured result; into may be nil. Its errors have an exit code
// (Code): a result that says it is an error is one, in the tool's words.
func (s *Shell) Ask(ctx context.Context, tool string, arguments, into any) error {
	session, err := s.Client.Connect(ctx, s.Server)
	if err != nil {
		return err
	}
	result, err := session.Call(ctx, tool, arguments)
	err = errors.Join(err, session.Close())
	if err != nil {
		return err
	}
	if result.IsError {
		return refusal(clean(saying(result)))
	}
	if into == nil {
		return nil
	}
	data, err := json.Marshal(result.StructuredContent)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("the answer of %s has another form: %w", tool, err)
	}
	return nil
}

// refusal is what a tool says that could not do it.
type refusal string

func (r refusal) Error() string { return string(r) }

// saying is the text of a result.
func saying(r *mcp.CallToolResult) string {
	for _, c := range r.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			return t.Text
		}
	}
	return "the tool reports an error and says no more"
}
