package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"

	"gatehouse/internal/app"
)

type demoCommand struct {
	Listen    string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on (default ${default})."`
	Domain    string `placeholder:"NAME" help:"Use login.NAME, mcp.NAME and api.NAME instead of names below localhost."`
	AgentHost string `placeholder:"NAME" help:"Host name of the agent front end, which plays another organization (default agent.external.localhost, or below --domain)."`
	Data      string `default:"gatehouse-data" placeholder:"DIR" help:"Folder that keeps everything (default ${default}); a restart goes on with it."`
	TLS       bool   `name:"tls" help:"Serve https with a certificate of an authority made on this computer."`
	Ephemeral bool   `help:"Keep nothing: use a temporary folder and remove it at the end."`
	Anyone    bool   `name:"i-know-anyone-can-sign-in" help:"Allow --listen on an address that other computers reach. Anybody can sign in to the demo as anybody."`
}

func (c *demoCommand) Help() string {
	return "Any name signs in to the demo, so it listens on this computer alone.\n\nExamples:\n\n" +
		"  gatehouse demo\n  gatehouse demo --ephemeral --listen 127.0.0.1:9000\n  gatehouse demo --domain example.com --agent-host agent.external.example --listen 127.0.0.1:80\n" +
		"  gatehouse demo --tls --listen 127.0.0.1:8443"
}

func (c *demoCommand) Run(ctx context.Context, o output) (err error) {
	if err := c.checkListen(); err != nil {
		return err
	}
	if c.Ephemeral {
		if c.Data, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
			return fmt.Errorf("make a temporary folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Data)) }()
	}
	listeners, err := c.listen()
	if err != nil {
		return err
	}
	closeAll := func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}
	config, err := c.configure(listeners[0].Addr().String())
	if err != nil {
		closeAll()
		return dataProblem(c.Data, err)
	}
	if certificate := config.TLSCertificate(); certificate != nil {
		for i, l := range listeners {
			listeners[i] = tls.NewListener(l, config.ListenerTLS(*certificate))
		}
	}
	a, err := app.New(ctx, config, app.Options{Log: slog.New(slog.NewTextHandler(o.Err, nil)), Version: shortVersion(), Migrate: true})
	if err != nil {
		closeAll()
		return dataProblem(c.Data, err)
	}
	password, err := a.SeedDemo(ctx)
	if err := errors.Join(err, writeModule(c.Data)); err != nil {
		closeAll()
		return errors.Join(err, a.Close())
	}
	fmt.Fprint(o.Err, config.PlainHTTPWarning())
	// Beside serving: asking whether names resolve can take its time.
	var announced sync.WaitGroup
	announced.Go(func() { c.announce(ctx, o.Out, &config, password) })
	defer announced.Wait()
	return a.Run(ctx, listeners...)
}

// configure makes the demo's configuration; the development authority is kept
// in the data folder.
func (c *demoCommand) configure(address string) (app.Config, error) {
	if c.TLS {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return app.Config{}, fmt.Errorf("create the data folder: %w", err)
		}
	}
	return app.Demo(app.DemoOptions{Address: address, Domain: c.Domain, AgentHost: c.AgentHost, Data: c.Data, TLS: c.TLS})
}

func writeModule(folder string) error {
	_, err := app.WriteLocalhostModule(folder)
	return err
}

// checkListen keeps the demo on this computer unless told otherwise.
func (c *demoCommand) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return usageError(fmt.Sprintf("--listen %q is no HOST:PORT such as 127.0.0.1:8080", c.Listen))
	}
	addr, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && addr.IsLoopback() || c.Anyone {
		return nil
	}
	return usageError(fmt.Sprintf("--listen %s is not on loopback, and anybody who reaches the demo can sign in as anybody. If that is what you want, add --i-know-anyone-can-sign-in", c.Listen))
}

// listen binds the address; on 127.0.0.1 also [::1], so that no other program
// can take that half of localhost.
func (c *demoCommand) listen() ([]net.Listener, error) {
	first, err := net.Listen("tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(c.Listen) // checkListen has split it
		return nil, fmt.Errorf("port %s is taken by another program; stop it, or choose another with --listen 127.0.0.1:9000", port)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --listen", c.Listen, err)
	}
	// A name may lead elsewhere than it says; what counts is what was bound.
	if bound, ok := first.Addr().(*net.TCPAddr); !c.Anyone && (!ok || !bound.IP.IsLoopback()) {
		_ = first.Close() // nothing was accepted yet
		return nil, usageError(fmt.Sprintf("--listen %s leads to %s, which is not on loopback, and anybody who reaches the demo can sign in as anybody. If that is what you want, add --i-know-anyone-can-sign-in", c.Listen, first.Addr()))
	}
	listeners := []net.Listener{first}
	host, port, err := net.SplitHostPort(first.Addr().String())
	if err == nil && host == "127.0.0.1" {
		if second, err := net.Listen("tcp", net.JoinHostPort("::1", port)); err == nil {
			listeners = append(listeners, second)
		}
	}
	return listeners, nil
}

// dataProblem says what to do about a folder that cannot be used.
func dataProblem(folder string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("the folder %s cannot be written to; name another with --data DIR, or use --ephemeral", folder)
	}
	return err
}

func (c *demoCommand) announce(ctx context.Context, w io.Writer, config *app.Config, password string) {
	v := app.DemoView(config)
	fmt.Fprintf(w, "\nGatehouse demo: any name signs in, so keep it on this computer.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, u := range v.URLs {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", u.Component, u.Role, u.URL)
	}
	_ = t.Flush() // the terminal is gone
	fmt.Fprintf(w, "\nPeople: ")
	for i, p := range v.People {
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprintf(w, "%s (%s)", p.Name, p.Where)
	}
	fmt.Fprintf(w, "; anybody else gets customers in USA.\n")
	if password != "" {
		fmt.Fprintf(w, "Administrator: %s, password %s (shown this once)\n", app.DemoAdministrator, password)
	} else {
		fmt.Fprintf(w, "Administrator: %s, with the password that the first start in this folder showed.\n", app.DemoAdministrator)
	}
	fmt.Fprintf(w, "\nThings to try:\n")
	for i, item := range v.Try {
		fmt.Fprintf(w, "\n%d. %s\n   %s\n", i+1, item.Title, item.Text)
		for line := range strings.Lines(item.Command) {
			fmt.Fprintf(w, "\n     %s", strings.TrimRight(line, "\n"))
		}
		fmt.Fprintln(w)
	}
	if c.Ephemeral {
		fmt.Fprintf(w, "\nNothing is kept (--ephemeral). Ctrl-C stops.\n\n")
	} else {
		fmt.Fprintf(w, "\nEverything is kept in %s. Ctrl-C stops.\n\n", c.Data)
	}
	if advice := app.TrustAdvice(config); advice != "" {
		fmt.Fprintln(w, advice)
	}
	if missing := app.Unresolved(ctx, config); len(missing) > 0 {
		fmt.Fprintln(w, hostsAdvice(c.Domain, missing))
	}
}

// hostsAdvice says what to do about names that this system does not resolve.
func hostsAdvice(domain string, missing []string) string {
	line := "127.0.0.1 " + strings.Join(missing, " ")
	if domain == "" {
		return "This system does not resolve names below localhost by itself. Browsers and curl do; for Node use the\n" +
			"NODE_OPTIONS line above. For other programs add this line to the hosts file (/etc/hosts):\n\n  " + line + "\n"
	}
	return "These names do not resolve yet. Add this line to the hosts file (/etc/hosts):\n\n  " + line + "\n"
}
