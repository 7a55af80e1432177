package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"gatehouse/internal/app"
)

// closable names what is stopped as a whole.
type closable struct {
	API        string `name:"api" xor:"what" required:"" placeholder:"NAME" help:"An API, by its name in the configuration."`
	Tool       string `xor:"what" required:"" placeholder:"API/NAME" help:"One tool of an API."`
	Everything bool   `xor:"what" required:"" help:"All agents, for everybody."`
	Reason     string `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	JSON       bool   `help:"Print the result as JSON."`
	where
}

func (c closable) what() app.Target { return app.Target{API: c.API, Tool: c.Tool} }

// told reports what became of something.
func (c closable) told(o output, what app.Target, state string, grants int, text string) error {
	if c.JSON {
		answer := map[string]any{"subject": what.String(), "state": state}
		if state == "ended" {
			answer["grants_ended"] = grants
		}
		return json.NewEncoder(o.Out).Encode(answer)
	}
	fmt.Fprintln(o.Out, text)
	return nil
}

// pausable names what is paused or resumed.
type pausable struct {
	Grant  string `xor:"what" required:"" placeholder:"ID" help:"What one person allowed one agent, as grant list names it."`
	Client string `xor:"what" required:"" placeholder:"ID" help:"All that an agent was allowed, by its client ID."`
	Person string `xor:"what" required:"" placeholder:"NAME" help:"All that agents may do for a person, who is signed out too."`
	closable
}

func (p pausable) what() app.Target {
	t := p.closable.what()
	t.Grant, t.Client, t.Person = p.Grant, p.Client, p.Person
	return t
}

type pauseCommand struct{ pausable }

func (c *pauseCommand) Help() string {
	return "Stops a grant, an agent, a person, an API, a tool or everything within a second, while the server runs, until it is resumed. " +
		"To stop something for good, end it: see end, grant end, client end and person end.\n\nExamples:\n\n" +
		"  gatehouse pause --client 7hq2mdk4... --reason \"acts strangely\"\n  gatehouse pause --tool orders/refund-order --reason \"wrong amounts\"\n  gatehouse pause --everything --reason \"incident 12\""
}

func (c *pauseCommand) Run(ctx context.Context, o output) error {
	if err := c.pause(ctx, o); err != nil {
		return err
	}
	return c.told(o, c.what(), "paused", 0, fmt.Sprintf(
		"Paused %s; no call succeeds a second from now. Nothing was ended: `gatehouse resume` takes it back.", plainText(c.what().String())))
}

func (c *pauseCommand) pause(ctx context.Context, o output) error {
	if c.remote() {
		_, err := c.stop(ctx, o, "/stops", c.what(), c.Reason)
		return err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.Pause(ctx, config, c.what(), c.Reason)
}

type resumeCommand struct{ pausable }

func (c *resumeCommand) Help() string {
	return "Example:\n\n  gatehouse resume --client 7hq2mdk4... --reason \"its owner explained it\""
}

func (c *resumeCommand) Run(ctx context.Context, o output) error {
	if err := c.resume(ctx, o); err != nil {
		return err
	}
	return c.told(o, c.what(), "resumed", 0, fmt.Sprintf("Resumed %s. What was ended or has expired stays so.", plainText(c.what().String())))
}

func (c *resumeCommand) resume(ctx context.Context, o output) error {
	if c.remote() {
		_, err := c.stop(ctx, o, "/resumptions", c.what(), c.Reason)
		return err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.Resume(ctx, config, c.what(), c.Reason)
}

type endCommand struct{ closable }

func (c *endCommand) Help() string {
	return "Ends all that agents were allowed at an API, or at all, and closes it, or a tool, within a second and for good: there is no resuming. " +
		"It can be reopened, and then people have to allow their agents anew. For one agent, person or grant see client end, person end and grant end.\n\nExamples:\n\n" +
		"  gatehouse end --tool orders/refund-order --reason \"not for agents\"\n  gatehouse end --api orders --reason \"moved\"\n  gatehouse end --everything --reason \"incident 12\""
}

func (c *endCommand) Run(ctx context.Context, o output) error {
	grants, err := c.end(ctx, o)
	if err != nil {
		return err
	}
	with := ""
	if c.Tool == "" {
		with = ", and " + count(grants, "grant") + " with it"
	}
	return c.told(o, c.what(), "ended", grants, fmt.Sprintf(
		"Ended %s%s; no call succeeds a second from now. It stays closed until `gatehouse reopen`.", plainText(c.what().String()), with))
}

func (c *endCommand) end(ctx context.Context, o output) (grants int, err error) {
	if c.remote() {
		d, err := c.stop(ctx, o, "/ends", c.what(), c.Reason)
		return d.Ended, err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return 0, err
	}
	return app.End(ctx, config, c.what(), c.Reason)
}

type reopenCommand struct{ closable }

func (c *reopenCommand) Help() string {
	return "Opens an API, a tool or everything that was ended. What ended with it stays so: people have to allow their agents anew.\n\nExample:\n\n" +
		"  gatehouse reopen --api orders --reason \"it is back\""
}

func (c *reopenCommand) Run(ctx context.Context, o output) error {
	if err := c.reopen(ctx, o); err != nil {
		return err
	}
	return c.told(o, c.what(), "reopened", 0, fmt.Sprintf("Reopened %s. What was ended stays so: people have to allow their agents anew.", plainText(c.what().String())))
}

func (c *reopenCommand) reopen(ctx context.Context, o output) error {
	if c.remote() {
		_, err := c.stop(ctx, o, "/resumptions", c.what(), c.Reason)
		return err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.Reopen(ctx, config, c.what(), c.Reason)
}

type stopsCommand struct {
	JSON bool `help:"Print the result as JSON."`
	where
}

func (c *stopsCommand) Help() string {
	return "Examples:\n\n  gatehouse stops\n  gatehouse stops --server https://admin.example.com"
}

func (c *stopsCommand) Run(ctx context.Context, o output) error {
	stops, err := c.stops(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return encodeList(o, stops)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SUBJECT\tNAME\tSTATE\tSINCE\tREASON")
	for _, s := range stops {
		name := s.Name
		if name == "" {
			name = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Subject, plainText(name), s.State, exact(s.Since), plainText(s.Reason))
	}
	return t.Flush()
}

func (c *stopsCommand) stops(ctx context.Context, o output) ([]app.StopLine, error) {
	if c.remote() {
		var answer struct{ Stops []app.StopLine }
		_, err := c.get(ctx, o, "/stops", &answer)
		return answer.Stops, err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return nil, err
	}
	return app.Stops(ctx, config)
}
