package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"os/signal"

	"golang.org/x/term"

	"gatehouse/internal/shell"
)

type connectCommand struct {
	URL   string   `arg:"" placeholder:"URL" help:"Address of the MCP server."`
	Words []string `arg:"" optional:"" placeholder:"COMMAND" help:"list, describe TOOL, call TOOL [NAME=VALUE …], whoami, logout [forget]. Without: a shell."`

	Args              string   `placeholder:"JSON" help:"Arguments of a call as a JSON object; @FILE reads a file, - standard input."`
	JSON              bool     `help:"Print results as JSON."`
	Trace             bool     `help:"Show every OAuth and MCP message on standard error, secrets masked."`
	Scope             []string `placeholder:"SCOPE" help:"Ask for these scopes instead of what the server says it needs."`
	ClientID          string   `placeholder:"ID" help:"Client that was registered at the authorization server; its secret, if it has one, in GATEHOUSE_CLIENT_SECRET."`
	ClientMetadataURL string   `name:"client-metadata-url" placeholder:"URL" help:"Client ID metadata document that describes this client."`
	Issuer            string   `placeholder:"URL" help:"Use this authorization server and no other."`
	RedirectURI       string   `name:"redirect-uri" placeholder:"URI" help:"Await the browser here (default http://127.0.0.1/callback at a free port)."`
	Browser           string   `enum:"auto,open,print,never" default:"auto" help:"What to do when a person must decide: open a browser, print the address, or never ask. auto opens one at a terminal."`
	LoginWith         string   `placeholder:"NAME" help:"Go through Gatehouse's own sign-in pages as NAME, agreeing to everything; a password in GATEHOUSE_PASSWORD."`
	Account           string   `placeholder:"LABEL" help:"Keep tokens of several people apart."`
	CA                string   `name:"ca" type:"existingfile" placeholder:"FILE" help:"Believe the certificate authorities in FILE too (the one of demo --tls, for example)."`
	Store             string   `placeholder:"DIR" help:"Folder for tokens (default: in your configuration folder)."`
	Protocol          string   `placeholder:"REVISION" help:"Begin with this revision of MCP, such as 2025-11-25."`
	unattendedFlags   `group:"With nobody there:"`
	Conformance       bool `help:"Be the client under test of the official conformance suite."`
}

func (c *connectCommand) Help() string {
	return `Signs in when the server asks for it, and keeps the token for the next time.

Examples:

  gatehouse connect http://mcp.localhost:8080
  gatehouse connect http://mcp.localhost:8080 call fetch-users limit=5
  gatehouse connect https://mcp.example.com list --json
  gatehouse connect https://mcp.example.com --trace --browser=print whoami
  gatehouse connect https://mcp.example.com --workload-token /var/run/secrets/tokens/gatehouse call fetch-users
  gatehouse connect https://mcp.example.com --spiffe unix:///run/spire/agent.sock list
  gatehouse connect https://mcp.example.com --client-id exporter --key exporter.pem list
  gatehouse connect https://mcp.example.com --client-id exporter --mtls cert.pem,key.pem list

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not authorized, 4 the tool reported an error.`
}

func (c *connectCommand) Run(ctx context.Context, o output) error {
	roots, err := c.roots()
	if err != nil {
		return err
	}
	options := shell.Options{
		Server: c.URL, Version: shortVersion(), Folder: c.Store, Account: c.Account, Roots: roots,
		ClientID: c.ClientID, ClientSecret: os.Getenv("GATEHOUSE_CLIENT_SECRET"), ClientMetadataURL: c.ClientMetadataURL,
		Issuer: c.Issuer, RedirectURI: c.RedirectURI, Scope: c.scopes(), ProtocolVersion: c.Protocol,
		Ask: c.ask(o), LoginWith: c.LoginWith, Password: os.Getenv("GATEHOUSE_PASSWORD"),
		Out: o.Out, Err: o.Err, JSON: c.JSON, Trace: c.Trace, Color: c.color(o),
	}
	if err := c.unattendedFlags.set(&options); err != nil {
		return err
	}
	s, err := shell.New(options)
	if err != nil {
		return err
	}
	err = c.run(ctx, o, s)
	if code := shell.Code(err); code > exitFailure {
		err = exitError{err, code}
	}
	return errors.Join(err, s.Close())
}

func (c *connectCommand) run(ctx context.Context, o output, s *shell.Shell) error {
	switch in, terminal := o.In.(*os.File); {
	case c.Conformance:
		return s.Conform(ctx)
	case len(c.Words) > 0:
		return c.command(ctx, o, s)
	case terminal && term.IsTerminal(int(in.Fd())) && isTerminal(o.Out):
		// An interrupt ends a command here, not the program.
		ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM)
		defer stop()
		return s.Interactive(ctx, in, o.Out.(*os.File))
	}
	return s.Lines(ctx, o.In)
}

// command runs the words of the command line.
func (c *connectCommand) command(ctx context.Context, o output, s *shell.Shell) error {
	if c.Args == "" {
		return s.Run(ctx, c.Words)
	}
	if len(c.Words) != 2 || c.Words[0] != "call" {
		return usageError("--args goes with `call TOOL` and no other arguments")
	}
	text, err := c.arguments(o)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return usageError("--args must be a JSON object")
	}
	return s.Run(ctx, append(c.Words, text))
}

const maxArguments = 4 << 20 // bytes

func (c *connectCommand) arguments(o output) (string, error) {
	var from io.Reader
	switch file, ok := strings.CutPrefix(c.Args, "@"); {
	case ok:
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read --args: %w", err)
		}
		defer f.Close()
		from = f
	case c.Args == "-":
		from = o.In
	default:
		return c.Args, nil
	}
	text, err := io.ReadAll(io.LimitReader(from, maxArguments))
	if err != nil {
		return "", fmt.Errorf("read --args: %w", err)
	}
	return string(text), nil
}

// ask decides how a person is reached.
func (c *connectCommand) ask(o output) shell.Ask {
	switch {
	case c.Browser == "open", c.Browser == "auto" && isTerminal(o.Err):
		return shell.AskBrowser
	case c.Browser == "print":
		return shell.AskPrinted
	}
	return shell.AskNobody
}

func (c *connectCommand) color(o output) bool {
	return !c.JSON && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(o.Out) && isTerminal(o.Err)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// scopes takes several in one flag, too.
func (c *connectCommand) scopes() []string {
	var all []string
	for _, s := range c.Scope {
		all = append(all, strings.Fields(s)...)
	}
	return all
}

// roots are the system's authorities and those of --ca.
func (c *connectCommand) roots() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // the named one alone
	}
	text, err := os.ReadFile(filepath.Clean(c.CA))
	if err != nil {
		return nil, fmt.Errorf("read --ca: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca %s holds no certificate in PEM form", c.CA)
	}
	return pool, nil
}
