package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gatehouse/internal/app"
)

type trustCommand struct {
	List    trustListCommand    `cmd:"" help:"List whose assertions are believed, and for which clients."`
	Explain trustExplainCommand `cmd:"" help:"Say what a token is, whether it is genuine, and which rule would be for it."`
	Test    trustTestCommand    `cmd:"" help:"Run a folder of tokens through the rules."`
}

func (c *trustCommand) Help() string {
	return "Workloads present a token of the platform that they run on, and no secret. Which platform is believed, and which of its tokens are for which client, is in trust of the configuration file; see docs/workloads.md.\n\nExamples:\n\n" +
		"  kubectl create token report --audience https://login.example.com | gatehouse trust explain -\n  gatehouse trust test tokens/"
}

type trustListCommand struct {
	JSON bool `help:"Print the result as JSON."`
	configFlag
}

func (c *trustListCommand) Help() string { return "Example:\n\n  gatehouse trust list" }

func (c *trustListCommand) Run(_ context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	lines, err := app.TrustLines(&config)
	if err != nil {
		return err
	}
	if c.JSON {
		return encodeList(o, lines)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tISSUER\tCLIENT\tWHEN")
	for _, l := range lines {
		for _, r := range l.Rules {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Name, l.Kind, l.Issuer, r.Client, r.When)
		}
	}
	return t.Flush()
}

type trustExplainCommand struct {
	Token string `arg:"" help:"The token; - reads it from standard input, where no list of processes shows it."`
	JSON  bool   `help:"Print the result as JSON."`
	configFlag
}

func (c *trustExplainCommand) Help() string {
	return "The token is not used up and not kept. Where its issuer is not configured, the keys that it publishes are read, if they are at a public address.\n\nExamples:\n\n" +
		"  gatehouse trust explain - < /var/run/secrets/tokens/gatehouse\n  kubectl create token report --audience https://login.example.com | gatehouse trust explain -"
}

func (c *trustExplainCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	token := c.Token
	if token == "-" {
		text, err := io.ReadAll(io.LimitReader(o.In, 64<<10))
		if err != nil {
			return fmt.Errorf("read the token from standard input: %w", err)
		}
		token = string(text)
	}
	e, err := app.ExplainToken(ctx, &config, token)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(e)
	}
	fmt.Fprintf(o.Out, "%s\n\n", plainText(e.Says))
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	for _, f := range e.Facts {
		fmt.Fprintf(t, "  %s\t%s\n", f.Name, plainText(f.Value))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "\nSignature: %s.\n", plainText(e.Signature))
	if e.Client != "" {
		fmt.Fprintf(o.Out, "Now it gets tokens of the client %s, by %s.\n", plainText(e.Client), e.Entry)
	} else {
		fmt.Fprintf(o.Out, "Now it gets nothing: %s.\n", plainText(e.Refused))
	}
	for _, s := range e.Attention {
		fmt.Fprintln(o.Out, "Attention: "+plainText(s))
	}
	fmt.Fprint(o.Out, "\nThe narrowest rule for it:\n\n")
	for line := range strings.Lines(e.Proposal) {
		fmt.Fprintln(o.Out, "  "+plainText(strings.TrimSuffix(line, "\n")))
	}
	fmt.Fprint(o.Out, "\nWhat else it would let in:\n\n")
	for _, s := range e.AlsoFits {
		fmt.Fprintln(o.Out, "  "+plainText(s))
	}
	if len(e.Narrower) > 0 {
		fmt.Fprint(o.Out, "\nNarrower still:\n\n")
		for _, s := range e.Narrower {
			fmt.Fprintln(o.Out, "  "+plainText(s))
		}
	}
	return nil
}

type trustTestCommand struct {
	Folder string `arg:"" type:"existingdir" help:"Folder with a file for each token."`
	JSON   bool   `help:"Print the result as JSON."`
	configFlag
}

func (c *trustTestCommand) Help() string {
	return "Tokens in a subfolder must speak for the client of its name; those in the subfolder refused must speak for none. Each is judged at a time when it was good, so that a collection can be kept. Ends with 1 if one is judged wrongly.\n\nExample:\n\n" +
		"  tokens/nightly-report/report.jwt   tokens/refused/another-cluster.jwt\n\n  gatehouse trust test tokens/"
}

func (c *trustTestCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	verdicts, err := app.TryTokens(ctx, &config, c.Folder)
	if err != nil {
		return err
	}
	wrong := 0
	for _, v := range verdicts {
		if v.Wrong {
			wrong++
		}
	}
	if c.JSON {
		err = encodeList(o, verdicts)
	} else {
		t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TOKEN\tSPEAKS FOR\tWANTED\t")
		for _, v := range verdicts {
			speaks, mark := v.Client, ""
			if speaks == "" {
				speaks = "nobody: " + v.Refused
			}
			if v.Wrong {
				mark = "WRONG"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", plainText(v.File), plainText(speaks), plainText(v.Want), mark)
		}
		err = t.Flush()
	}
	if err == nil && wrong > 0 {
		err = errors.New(count(wrong, "token") + " judged wrongly; see trust in the configuration")
	}
	return err
}
