// Package shell is the console client of MCP servers: commands that list,
// describe and call tools, for people at a terminal and for programs, with
// every message shown on request.
//
// It owns words, tables, completion and history. OAuth and MCP are mcpclient's.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/mcpclient"
)

// Shell runs commands against one MCP server. It connects when the first
// command needs that. It is not safe for concurrent use.
type Shell struct {
	Client *mcpclient.Client
	Server string
	Out    io.Writer // results
	Err    io.Writer // everything else
	JSON   bool      // results for programs
	Color  bool      // on Err and Out

	folder  string
	session *mcpclient.Session
	tools   []*mcp.Tool
	tracing atomic.Bool // Trace is called by others
	order   []string    // of members, in the answer that is printed
}

// Exit codes of a program that runs commands, by Code.
const (
	CodeFailure       = 1
	CodeUsage         = 2
	CodeAuthorization = 3 // no token, or not enough of one
	CodeTool          = 4 // the tool was called, and reported an error
)

// Code returns the exit code for an error of Run.
func Code(err error) int {
	var usage usageError
	var tool toolError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return CodeUsage
	case errors.As(err, &tool):
		return CodeTool
	case errors.Is(err, mcpclient.ErrAuthorization):
		return CodeAuthorization
	}
	return CodeFailure
}

// usageError is a mistake in how a command was given.
type usageError string

func (e usageError) Error() string { return string(e) }

// toolError is a result that says it is an error; it was printed already.
type toolError string

func (e toolError) Error() string { return string(e) + " reported an error" }

// command is one word that Run understands.
type command struct {
	name, arguments, help string
	run                   func(s *Shell, ctx context.Context, words []string) error
}

// commands returns what Run understands, in the order of help.
func commands() []command {
	return []command{
		{"list", "", "the tools that you may use here", (*Shell).list},
		{"describe", "TOOL", "what a tool does, and its arguments", (*Shell).describe},
		{"call", "TOOL [NAME=VALUE … | JSON]", "call a tool", (*Shell).call},
		{"whoami", "", "which client this is, and what its token allows", (*Shell).whoami},
		{"trace", "on|off", "show every OAuth and MCP message", (*Shell).trace},
		{"logout", "[forget]", "revoke the token; `forget` drops the client's registration too", (*Shell).logout},
		{"help", "", "this list", (*Shell).help},
	}
}

// Run runs one command.
func (s *Shell) Run(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return nil
	}
	for _, c := range commands() {
		if c.name != words[0] {
			continue
		}
		err := c.run(s, ctx, words[1:])
		if errors.Is(err, mcpclient.ErrNobodyToAsk) {
			return fmt.Errorf("%w; run this at a terminal, or add --browser=print to be told the address", err)
		}
		return err
	}
	return usageError(fmt.Sprintf("there is no command %q; `help` lists them", clean(words[0])))
}

// Close ends the session, if there is one.
func (s *Shell) Close() error {
	if s.session == nil {
		return nil
	}
	err := s.session.Close()
	s.session, s.tools = nil, nil
	return err
}

// connected opens the session if there is none.
func (s *Shell) connected(ctx context.Context) (*mcpclient.Session, error) {
	if s.session != nil {
		return s.session, nil
	}
	session, err := s.Client.Connect(ctx, s.Server)
	if err != nil {
		return nil, err
	}
	s.session = session
	return session, nil
}

// known returns the server's tools, asking once.
func (s *Shell) known(ctx context.Context) ([]*mcp.Tool, error) {
	if s.tools != nil {
		return s.tools, nil
	}
	session, err := s.connected(ctx)
	if err != nil {
		return nil, err
	}
	s.tools, err = session.Tools(ctx)
	return s.tools, err
}

// tool finds a tool by its name.
func (s *Shell) tool(ctx context.Context, name string) (*mcp.Tool, error) {
	tools, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tools {
		if t.Name == name {
			return t, nil
		}
	}
	var near []string
	for _, t := range tools {
		if strings.Contains(t.Name, name) || strings.HasPrefix(name, t.Name) {
			near = append(near, t.Name)
		}
	}
	if len(near) > 0 && len(near) <= 5 {
		return nil, usageError(fmt.Sprintf("the server offers no tool %q; did you mean %s?", clean(name), clean(strings.Join(near, ", "))))
	}
	return nil, usageError(fmt.Sprintf("the server offers no tool %q; `list` shows what it does", clean(name)))
}

func (s *Shell) list(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return usageError("list takes no arguments")
	}
	s.tools = nil // it is for seeing what there is now
	tools, err := s.known(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(map[string]any{"tools": nonNil(tools)})
	}
	if len(tools) == 0 {
		fmt.Fprintln(s.Out, "The server offers no tools.")
		return nil
	}
	rows := [][]string{{"TOOL", "EFFECT", "WHAT IT DOES"}}
	for _, t := range tools {
		rows = append(rows, []string{t.Name, effect(t), title(t)})
	}
	s.table(rows)
	return nil
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// effect says what a tool says of itself; nothing vouches for it.
func effect(t *mcp.Tool) string {
	switch a := t.Annotations; {
	case a == nil:
		return "unknown"
	case a.ReadOnlyHint:
		return "reads"
	case a.DestructiveHint != nil && !*a.DestructiveHint:
		return "changes"
	default:
		return "may delete"
	}
}

func title(t *mcp.Tool) string {
	if t.Title != "" {
		return t.Title
	}
	if t.Annotations != nil && t.Annotations.Title != "" {
		return t.Annotations.Title
	}
	first, _, _ := strings.Cut(strings.TrimSpace(t.Description), "\n")
	return first
}

func (s *Shell) describe(ctx context.Context, words []string) error {
	if len(words) != 1 {
		return usageError("describe takes the name of one tool, as in: describe fetch-users")
	}
	t, err := s.tool(ctx, words[0])
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(t)
	}
	fmt.Fprintf(s.Out, "%s  %s\n", s.strong(clean(t.Name)), s.quiet(effect(t)))
	if d := strings.TrimSpace(t.Description); d != "" {
		fmt.Fprintf(s.Out, "%s\n", clean(d))
	}
	p := parametersOf(t)
	if len(p.names) == 0 {
		fmt.Fprintf(s.Out, "\nIt takes no arguments.\n\n  call %s\n", clean(t.Name))
		return nil
	}
	fmt.Fprintln(s.Out)
	rows := [][]string{{"ARGUMENT", "TYPE", "", "MEANING"}}
	for _, name := range p.names {
		rows = append(rows, []string{name, p.kind(name), p.needed(name), p.text(name)})
	}
	s.table(rows)
	fmt.Fprintf(s.Out, "\n  call %s%s\n", clean(t.Name), p.example())
	return nil
}

func (s *Shell) call(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return usageError("call takes the name of a tool, as in: call fetch-users limit=5")
	}
	t, err := s.tool(ctx, words[0])
	if err != nil {
		return err
	}
	arguments, err := parametersOf(t).parse(words[1:])
	if err != nil {
		return err
	}
	session, err := s.connected(ctx)
	if err != nil {
		return err
	}
	result, err := session.Call(ctx, t.Name, arguments)
	if err != nil {
		return err
	}
	if err := s.printResult(result); err != nil {
		return err
	}
	if result.IsError {
		return toolError(t.Name)
	}
	return nil
}

func (s *Shell) trace(_ context.Context, words []string) error {
	if len(words) != 1 || !slices.Contains([]string{"on", "off"}, words[0]) {
		return usageError("say `trace on` or `trace off`")
	}
	s.tracing.Store(words[0] == "on")
	return nil
}

func (s *Shell) logout(ctx context.Context, words []string) error {
	forget := slices.Equal(words, []string{"forget"})
	if len(words) > 0 && !forget {
		return usageError("say `logout` or `logout forget`")
	}
	if err := s.Close(); err != nil {
		fmt.Fprintln(s.Err, "The session did not end well:", clean(err.Error()))
	}
	found, err := s.Client.Logout(ctx, s.Server, forget)
	switch {
	case err != nil:
		return err
	case s.JSON:
		return s.printJSON(map[string]any{"logged_out": found})
	case !found:
		fmt.Fprintln(s.Out, "There was no token for", s.Server)
	default:
		fmt.Fprintln(s.Out, "The token is revoked and forgotten.")
	}
	return nil
}

func (s *Shell) help(_ context.Context, _ []string) error {
	rows := [][]string{}
	for _, c := range commands() {
		rows = append(rows, []string{"  " + strings.TrimSpace(c.name+" "+c.arguments), c.help})
	}
	s.table(append(rows, []string{"  quit", "leave; so does Ctrl-D"}))
	return nil
}
