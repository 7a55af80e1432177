package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"gatehouse/internal/app"
)

type keyCommand struct {
	List   keyListCommand   `cmd:"" help:"List the keys that sign tokens for APIs."`
	Rotate keyRotateCommand `cmd:"" help:"Replace the signing key, while the server runs."`
}

type keyListCommand struct {
	JSON bool `help:"Print the result as JSON."`
	where
}

func (c *keyListCommand) Help() string { return "Example:\n\n  gatehouse key list" }

func (c *keyListCommand) Run(ctx context.Context, o output) error {
	keys, err := c.keys(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(keys)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tALGORITHM\tSIGNS FROM\tPUBLISHED UNTIL")
	for _, k := range keys {
		until := "-"
		if k.PublishedUntil != 0 {
			until = exact(k.PublishedUntil)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.KeyID, k.Algorithm, exact(k.SignsFrom), until)
	}
	return t.Flush()
}

func (c *keyListCommand) keys(ctx context.Context, o output) ([]app.KeyLine, error) {
	if c.remote() {
		var answer struct{ Keys []app.KeyLine }
		_, err := c.get(ctx, o, "/keys", &answer)
		return answer.Keys, err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return nil, err
	}
	return app.Keys(ctx, config)
}

type keyRotateCommand struct {
	Algorithm   string `default:"ES256" enum:"ES256,RS256" help:"Algorithm of the key to replace: ES256 or RS256 (default ${default})."`
	Compromised bool   `help:"The old key may be in wrong hands: stop using and publishing it at once. What it signed is refused."`
	Reason      string `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	JSON        bool   `help:"Print the result as JSON."`
	where
}

func (c *keyRotateCommand) Help() string {
	return "The new key is published at once and signs ten minutes later, so that no request fails.\n\nExamples:\n\n" +
		"  gatehouse key rotate --reason \"once a year\"\n  gatehouse key rotate --compromised --reason \"a backup was lost\""
}

func (c *keyRotateCommand) Run(ctx context.Context, o output) error {
	key, err := c.rotate(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(key)
	}
	fmt.Fprintf(o.Out, "Key %s is published now and signs from %s.\n", key.KeyID, exact(key.SignsFrom))
	return nil
}

func (c *keyRotateCommand) rotate(ctx context.Context, o output) (app.KeyLine, error) {
	if c.remote() {
		var key app.KeyLine
		err := c.post(ctx, o, "/keys", map[string]any{"alg": c.Algorithm, "compromised": c.Compromised, "reason": c.Reason}, &key)
		return key, err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return app.KeyLine{}, err
	}
	return app.RotateKey(ctx, config, c.Algorithm, c.Compromised, c.Reason)
}

// exact is a time as operators compare it.
func exact(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04:05Z") }
