package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"gatehouse/internal/app"
)

type configFlag struct {
	File string `name:"config" short:"c" default:"gatehouse.yaml" placeholder:"FILE" help:"Configuration file (default ${default})."`
}

type serveCommand struct {
	Role []string `placeholder:"ROLE" help:"Play these roles only: authserver, gateway, api, agent. Separate several by commas."`
	configFlag
}

func (c *serveCommand) Help() string {
	return "Plays every role that has a URL, or those in roles of the file, or those of --role. See docs/processes.md for roles in processes of their own.\n\nExamples:\n\n  gatehouse serve --role gateway -c gateway.yaml\n  gatehouse config check -c gatehouse.yaml && gatehouse migrate -c gatehouse.yaml && gatehouse serve -c gatehouse.yaml"
}

func (c *serveCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	if err := config.Play(c.Role); err != nil {
		return err
	}
	fmt.Fprint(o.Err, config.PlainHTTPWarning())
	log := slog.New(slog.NewJSONHandler(o.Err, nil))
	a, err := app.New(ctx, config, app.Options{Log: log, Version: shortVersion()})
	if err != nil {
		return err
	}
	l, err := listen(config)
	if err != nil {
		_ = a.Close() // the first error is the one to tell
		return err
	}
	fmt.Fprintf(o.Out, "gatehouse serves %s on %s\n", config.Serving(), l.Addr())
	return a.Run(ctx, l)
}

func listen(config app.Config) (net.Listener, error) {
	l, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with `listen:`", config.Listen, err)
	}
	if config.TLS == nil {
		return l, nil
	}
	certificate, err := tls.LoadX509KeyPair(config.Path(config.TLS.Certificate), config.Path(config.TLS.Key))
	if err != nil {
		_ = l.Close() // the first error is the one to tell
		return nil, fmt.Errorf("tls: %w", err)
	}
	return tls.NewListener(l, config.ListenerTLS(certificate)), nil
}

type migrateCommand struct {
	configFlag
}

func (c *migrateCommand) Help() string {
	return "What is stored stays. Run it after each update of gatehouse, before serve.\n\nExample:\n\n  gatehouse migrate -c gatehouse.yaml"
}

func (c *migrateCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	if err := app.Migrate(ctx, config); err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "The database is up to date.")
	return nil
}

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Validate a configuration file and the documents it names."`
}

func (c *configCommand) Help() string {
	return "Example:\n\n  gatehouse config check"
}

type configCheckCommand struct {
	configFlag
}

func (c *configCheckCommand) Help() string {
	return "Nothing is contacted and nothing is stored. Every problem is told with its place in the file.\n\nExample:\n\n  gatehouse config check -c gatehouse.yaml"
}

func (c *configCheckCommand) Run(_ context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	apis, err := app.Catalog(&config)
	if err != nil {
		return err
	}
	for _, a := range apis {
		fmt.Fprintf(o.Out, "API %s: %d tools at %s\n", a.Name, len(a.Tools), a.Resource)
		for _, s := range a.Skipped {
			fmt.Fprintf(o.Out, "  left out: %s: %s\n", s.Operation, s.Reason)
		}
	}
	fmt.Fprintf(o.Out, "%s is valid.\n", c.File)
	return nil
}
