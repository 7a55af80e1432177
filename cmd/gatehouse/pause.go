package main

import (
	"context"
	"encoding/json"
	"fmt"

	"gatehouse/internal/app"
)

// pausable names what is paused or resumed.
type pausable struct {
	Grant      string `xor:"what" required:"" placeholder:"ID" help:"What one person allowed one agent, as grant list names it."`
	Client     string `xor:"what" required:"" placeholder:"ID" help:"All that an agent was allowed, by its client ID."`
	Person     string `xor:"what" required:"" placeholder:"NAME" help:"All that agents may do for a person, who is signed out too."`
	Everything bool   `xor:"what" required:"" help:"All agents, for everybody."`
	Reason     string `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	JSON       bool   `help:"Print the result as JSON."`
	configFlag
}

func (p pausable) what() app.Pausable {
	return app.Pausable{Grant: p.Grant, Client: p.Client, Person: p.Person}
}

func (p pausable) done(o output, state string) error {
	if p.JSON {
		return json.NewEncoder(o.Out).Encode(map[string]string{"subject": p.what().String(), "state": state})
	}
	if state == "paused" {
		fmt.Fprintf(o.Out, "Paused %s; no call succeeds a second from now. Nothing was ended: `gatehouse resume` takes it back.\n", plainText(p.what().String()))
		return nil
	}
	fmt.Fprintf(o.Out, "Resumed %s. What was ended or has expired stays so.\n", plainText(p.what().String()))
	return nil
}

type pauseCommand struct{ pausable }

func (c *pauseCommand) Help() string {
	return "Stops a grant, an agent, a person or everything within a second, while the server runs, until it is resumed. " +
		"To stop something for good, end it: see grant end, client end and person end.\n\nExamples:\n\n" +
		"  gatehouse pause --client 7hq2mdk4... --reason \"acts strangely\"\n  gatehouse pause --everything --reason \"incident 12\""
}

func (c *pauseCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	if err := app.Pause(ctx, config, c.what(), c.Reason); err != nil {
		return err
	}
	return c.done(o, "paused")
}

type resumeCommand struct{ pausable }

func (c *resumeCommand) Help() string {
	return "Example:\n\n  gatehouse resume --client 7hq2mdk4... --reason \"its owner explained it\""
}

func (c *resumeCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	if err := app.Resume(ctx, config, c.what(), c.Reason); err != nil {
		return err
	}
	return c.done(o, "resumed")
}
