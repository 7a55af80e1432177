package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"gatehouse/internal/app"
)

type grantCommand struct {
	List grantListCommand `cmd:"" help:"List what people allowed which agents."`
	End  grantEndCommand  `cmd:"" help:"End one grant, while the server runs."`
}

func (c *grantCommand) Help() string {
	return "Ending takes effect everywhere within a second and cannot be undone: the person has to allow the agent anew.\n\nExamples:\n\n" +
		"  gatehouse grant list --person alice\n  gatehouse grant end 4f7dhe2kq... --reason \"wrong agent\""
}

type grantListCommand struct {
	Person string `placeholder:"NAME" help:"Only what this person allowed."`
	Client string `placeholder:"ID" help:"Only what this agent was allowed."`
	JSON   bool   `help:"Print the result as JSON."`
	where
}

func (c *grantListCommand) Help() string {
	return "Examples:\n\n  gatehouse grant list\n  gatehouse grant list --person alice --json"
}

func (c *grantListCommand) Run(ctx context.Context, o output) error {
	grants, err := c.grants(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return encodeList(o, grants)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GRANT\tPERSON\tAGENT\tCLIENT ID\tRESOURCE\tSCOPES\tSINCE")
	for _, g := range grants {
		person := g.Person
		if person == "" {
			person = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.ID, person, plainText(g.ClientName), plainText(g.ClientID), g.Resource, g.Scope, exact(g.CreatedAt))
	}
	return t.Flush()
}

// endFlags are those of every command that ends something.
type endFlags struct {
	Reason string `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	JSON   bool   `help:"Print the result as JSON."`
	where
}

// ended reports what a command ended.
func (f endFlags) ended(o output, name, value string, grants int, consequence string) error {
	if f.JSON {
		return json.NewEncoder(o.Out).Encode(map[string]any{name: value, "grants_ended": grants})
	}
	fmt.Fprintf(o.Out, "%s of %s ended; no call succeeds with them a second from now. %s\n", count(grants, "grant"), plainText(value), consequence)
	return nil
}

type grantEndCommand struct {
	ID string `arg:"" help:"Grant to end, as the list names it."`
	endFlags
}

func (c *grantEndCommand) Help() string {
	return "Example:\n\n  gatehouse grant end 4f7dhe2kq... --reason \"wrong agent\""
}

func (c *grantEndCommand) Run(ctx context.Context, o output) error {
	if err := c.end(ctx, o); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(map[string]string{"id": c.ID})
	}
	fmt.Fprintln(o.Out, "The grant ended; no call succeeds with its tokens a second from now.")
	return nil
}

func (c *grantEndCommand) end(ctx context.Context, o output) error {
	if c.remote() {
		_, err := c.stop(ctx, o, "/ends", app.Target{Grant: c.ID}, c.Reason)
		return err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.EndGrant(ctx, config, c.ID, c.Reason)
}

func (c *grantListCommand) grants(ctx context.Context, o output) ([]app.GrantLine, error) {
	if c.remote() {
		if (c.Person == "") == (c.Client == "") {
			return nil, usageError("with --server, name a --person or a --client")
		}
		return list[app.GrantLine](ctx, o, c.where, "/connections", "connections", map[string]string{"person": c.Person, "agent": c.Client})
	}
	config, err := app.Load(c.File)
	if err != nil {
		return nil, err
	}
	return app.Grants(ctx, config, c.Person, c.Client)
}

type clientListCommand struct {
	JSON bool `help:"Print the result as JSON."`
	where
}

func (c *clientListCommand) Help() string { return "Example:\n\n  gatehouse client list" }

func (c *clientListCommand) Run(ctx context.Context, o output) error {
	clients, err := c.clients(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return encodeList(o, clients)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT ID\tNAME\tORIGIN\tGRANTS\tSINCE")
	for _, a := range clients {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", plainText(a.ID), plainText(a.Name), a.Origin, a.Grants, exact(a.CreatedAt))
	}
	return t.Flush()
}

type clientEndCommand struct {
	ID string `arg:"" help:"Agent to end, by its client ID."`
	endFlags
}

func (c *clientEndCommand) Help() string {
	return "Everything it was allowed ends, and its registration with it: it cannot come back as itself. " +
		"One that registers itself, or is described by a document of its own, can come again, and then needs everybody's consent anew.\n\nExample:\n\n" +
		"  gatehouse client end 7hq2mdk4... --reason \"the laptop was stolen\""
}

func (c *clientEndCommand) Run(ctx context.Context, o output) error {
	if c.remote() {
		d, err := c.stop(ctx, o, "/ends", app.Target{Client: c.ID}, c.Reason)
		if err != nil {
			return err
		}
		return c.ended(o, "client_id", c.ID, d.Ended, "Its registration is gone.")
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	grants, err := app.EndClient(ctx, config, c.ID, c.Reason)
	if err != nil {
		return err
	}
	return c.ended(o, "client_id", c.ID, grants, "Its registration is gone.")
}

type personListCommand struct {
	JSON bool `help:"Print the result as JSON."`
	where
}

func (c *personListCommand) Help() string { return "Example:\n\n  gatehouse person list" }

func (c *personListCommand) Run(ctx context.Context, o output) error {
	people, err := c.people(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return encodeList(o, people)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tGRANTS\tSINCE")
	for _, p := range people {
		fmt.Fprintf(t, "%s\t%d\t%s\n", plainText(p.Name), p.Grants, exact(p.CreatedAt))
	}
	return t.Flush()
}

type personEndCommand struct {
	Name string `arg:"" help:"Person whose sessions and grants to end."`
	endFlags
}

func (c *personEndCommand) Help() string {
	return "Signs the person out everywhere and ends everything that agents were allowed. The person can sign in again.\n\nExample:\n\n" +
		"  gatehouse person end alice --reason \"left the team\""
}

func (c *personEndCommand) Run(ctx context.Context, o output) error {
	if c.remote() {
		d, err := c.stop(ctx, o, "/ends", app.Target{Person: c.Name}, c.Reason)
		if err != nil {
			return err
		}
		return c.ended(o, "name", c.Name, d.Ended, "The sessions ended too.")
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	grants, err := app.EndPerson(ctx, config, c.Name, c.Reason)
	if err != nil {
		return err
	}
	return c.ended(o, "name", c.Name, grants, "The sessions ended too.")
}

// encodeList prints a list as JSON; an empty one is [].
func encodeList[T any](o output, list []T) error {
	if list == nil {
		list = []T{}
	}
	return json.NewEncoder(o.Out).Encode(list)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// plainText shows a name that a stranger chose without what would move the
// cursor or turn the line around.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
}

func (c *clientListCommand) clients(ctx context.Context, o output) ([]app.ClientLine, error) {
	if c.remote() {
		return list[app.ClientLine](ctx, o, c.where, "/agents", "agents", nil)
	}
	config, err := app.Load(c.File)
	if err != nil {
		return nil, err
	}
	return app.Clients(ctx, config)
}

func (c *personListCommand) people(ctx context.Context, o output) ([]app.PersonLine, error) {
	if c.remote() {
		return list[app.PersonLine](ctx, o, c.where, "/people", "people", nil)
	}
	config, err := app.Load(c.File)
	if err != nil {
		return nil, err
	}
	return app.People(ctx, config)
}
