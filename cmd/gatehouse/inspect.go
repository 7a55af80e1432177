package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"gatehouse/internal/app"
)

type inspectCommand struct {
	On     inspectOnCommand     `cmd:"" help:"Record the messages of an agent or a grant for a while."`
	Off    inspectOffCommand    `cmd:"" help:"Stop recording."`
	List   inspectListCommand   `cmd:"" help:"Show what is recorded now."`
	Export inspectExportCommand `cmd:"" help:"Write the recorded messages to one HTML file."`
}

// inspected names whose messages it is about.
type inspected struct {
	Client string `xor:"what" required:"" placeholder:"ID" help:"An agent, by its client ID."`
	Grant  string `xor:"what" required:"" placeholder:"ID" help:"What one person allowed one agent, as grant list names it."`
}

func (i inspected) what() app.Inspected { return app.Inspected{Client: i.Client, Grant: i.Grant} }

type inspectOnCommand struct {
	For    time.Duration `default:"15m" placeholder:"TIME" help:"How long, an hour at most (default 15m)."`
	Reason string        `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	inspected
	where
}

func (c *inspectOnCommand) Help() string {
	return "Records every OAuth and MCP message of an agent or a grant, for an hour at most. Secrets, what is typed at sign-in, values of arguments and signatures are never recorded; messages are kept for an hour. The person sees those of their own agents at /account/messages.\n\nExample:\n\n" +
		"  gatehouse inspect on --client 7hq2mdk4... --for 15m --reason \"its step-up fails\""
}

func (c *inspectOnCommand) Run(ctx context.Context, o output) error {
	if err := c.record(ctx, o); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "Messages of %s are recorded for %s, beginning in two seconds.\n", plainText(c.what().String()), c.For)
	return nil
}

func (c *inspectOnCommand) record(ctx context.Context, o output) error {
	if c.remote() {
		kind, id := app.Target{Client: c.Client, Grant: c.Grant}.Named()
		return c.post(ctx, o, "/recordings", map[string]any{"subject": kind, "id": id, "minutes": int(c.For / time.Minute), "reason": c.Reason}, nil)
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.Record(ctx, config, c.what(), c.For, c.Reason)
}

type inspectOffCommand struct {
	inspected
	where
}

func (c *inspectOffCommand) Help() string {
	return "Example:\n\n  gatehouse inspect off --client 7hq2mdk4..."
}

func (c *inspectOffCommand) Run(ctx context.Context, o output) error {
	if err := c.stop(ctx, o); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "Messages of %s are recorded no more. Those that were stay for an hour.\n", plainText(c.what().String()))
	return nil
}

func (c *inspectOffCommand) stop(ctx context.Context, o output) error {
	if c.remote() {
		kind, id := app.Target{Client: c.Client, Grant: c.Grant}.Named()
		return c.post(ctx, o, "/recordings/ends", map[string]string{"subject": kind, "id": id}, nil)
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.StopRecording(ctx, config, c.what())
}

type inspectListCommand struct {
	JSON bool `help:"Print the result as JSON."`
	where
}

func (c *inspectListCommand) Help() string {
	return "Example:\n\n  gatehouse inspect list --json"
}

func (c *inspectListCommand) Run(ctx context.Context, o output) error {
	lines, err := c.recordings(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(append([]app.RecordingLine{}, lines...))
	}
	if len(lines) == 0 {
		fmt.Fprintln(o.Out, "Nothing is recorded. To begin: gatehouse inspect on --client ID --reason TEXT")
		return nil
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SUBJECT\tID\tUNTIL\tREASON")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Subject, plainText(l.ID), time.Unix(l.Until, 0).Format(time.TimeOnly), plainText(l.Reason))
	}
	return t.Flush()
}

func (c *inspectListCommand) recordings(ctx context.Context, o output) ([]app.RecordingLine, error) {
	if c.remote() {
		var answer struct{ Recordings []app.RecordingLine }
		_, err := c.get(ctx, o, "/recordings", &answer)
		return answer.Recordings, err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return nil, err
	}
	return app.Recordings(ctx, config)
}

type inspectExportCommand struct {
	Out string `required:"" placeholder:"FILE" help:"File to write; it must not exist."`
	inspected
	configFlag
}

func (c *inspectExportCommand) Help() string {
	return "The file needs no other and has no script: send it to whoever is to help. That it was written is in the audit.\n\nExample:\n\n  gatehouse inspect export --client 7hq2mdk4... --out messages.html"
}

func (c *inspectExportCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // it tells who did what
	if err != nil {
		return fmt.Errorf("export messages: %w", err)
	}
	if err := errors.Join(app.ExportMessages(ctx, config, c.what(), file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	fmt.Fprintf(o.Out, "Wrote the messages of %s to %s.\n", plainText(c.what().String()), c.Out)
	return nil
}
