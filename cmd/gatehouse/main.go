// Command gatehouse exposes the APIs an organization has to AI agents, with an
// OAuth authorization server, an MCP gateway and a sample API in one binary.
//
// This package reads flags and prints; everything else is in internal/app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

type cli struct {
	Demo       demoCommand       `cmd:"" help:"Start everything here, with people and customers to try it on."`
	Serve      serveCommand      `cmd:"" help:"Serve what a configuration file describes."`
	Connect    connectCommand    `cmd:"" help:"Connect to an MCP server, sign in, list and call its tools."`
	Tools      toolsCommand      `cmd:"" help:"Show the tools that an OpenAPI document would yield."`
	Config     configCommand     `cmd:"" help:"Work with configuration files."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database up to date."`
	Person     personCommand     `cmd:"" help:"Manage the people who sign in."`
	Client     clientCommand     `cmd:"" help:"Manage the agents that connect."`
	Grant      grantCommand      `cmd:"" help:"Manage what people allowed agents."`
	Pause      pauseCommand      `cmd:"" help:"Stop a grant, an agent, a person, an API, a tool or everything for now."`
	Resume     resumeCommand     `cmd:"" help:"Take a pause back."`
	End        endCommand        `cmd:"" help:"Stop an API, a tool or everything for good."`
	Reopen     reopenCommand     `cmd:"" help:"Open anew what was ended."`
	Stops      stopsCommand      `cmd:"" help:"List what is paused, or ended and closed."`
	Inspect    inspectCommand    `cmd:"" help:"Record the messages of an agent, and see them."`
	Trust      trustCommand      `cmd:"" help:"See and try whose workloads and people are believed."`
	Key        keyCommand        `cmd:"" help:"Manage the keys that sign tokens for APIs."`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// output is what commands write to.
type output struct {
	Out, Err io.Writer
	In       io.Reader
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], output{os.Stdout, os.Stderr, os.Stdin})
	stop()
	os.Exit(code)
}

// run is main without the process, and returns its exit code.
func run(ctx context.Context, args []string, o output) int {
	var c cli
	exited, code := false, 0
	parser, err := kong.New(&c,
		kong.Name("gatehouse"),
		kong.Description("Expose APIs to AI agents, securely.\n\nFirst steps:\n\n  gatehouse demo                      everything on this computer\n  gatehouse connect URL               use it from the terminal\n  gatehouse tools openapi.yaml        what your API would look like to an agent\n  gatehouse serve -c gatehouse.yaml   your own API (see docs/quickstart.md)"),
		kong.Vars{"version": versionText()},
		kong.Writers(o.Out, o.Err),
		kong.Exit(func(n int) { exited, code = true, n }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(o),
	)
	if err != nil {
		fmt.Fprintln(o.Err, "gatehouse:", err)
		return exitFailure
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return code
	}
	if err != nil {
		fmt.Fprintf(o.Err, "gatehouse: %v; see gatehouse --help\n", err)
		return exitUsage
	}
	if err := parsed.Run(parser.Model); err != nil {
		fmt.Fprintln(o.Err, "gatehouse:", err)
		return exitCode(err)
	}
	return 0
}

func exitCode(err error) int {
	if coded, ok := errors.AsType[exitError](err); ok {
		return coded.code
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// exitError ends the program with a code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// usageError is a mistake in how the command was called.
type usageError string

func (e usageError) Error() string { return string(e) }

// shortVersion is what MCP clients are told.
func shortVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "development-" + s.Value[:12]
			}
		}
	}
	return "development"
}

func versionText() string {
	return fmt.Sprintf("gatehouse %s (%s %s/%s)", shortVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
