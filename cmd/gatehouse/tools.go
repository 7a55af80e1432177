package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gatehouse/internal/app"
)

type toolsCommand struct {
	Document string `arg:"" placeholder:"OPENAPI" help:"OpenAPI 3.0 or 3.1 document, YAML or JSON."`
	Name     string `default:"api" placeholder:"NAME" help:"Name of the API, which begins the scopes of operations that name none (default ${default})."`
	JSON     bool   `help:"Print everything, schemas included, as JSON."`
}

func (c *toolsCommand) Help() string {
	return "Nothing is contacted and nothing is stored.\n\nExamples:\n\n" +
		"  gatehouse tools openapi.yaml\n  gatehouse tools openapi.yaml --json | jq '.tools[].name'"
}

func (c *toolsCommand) Run(_ context.Context, o output) error {
	list, err := app.DocumentTools(c.Document, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return printToolsJSON(o.Out, list)
	}
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TOOL\tOPERATION\tRISK\tSCOPES\tWHAT IT DOES")
	for _, tool := range list.Tools {
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", tool.Name, tool.Method, tool.Path, tool.Risk, alternatives(tool.Scopes), tool.Title)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range list.Skipped {
		fmt.Fprintf(o.Err, "left out: %s: %s\n", s.Operation, s.Reason)
	}
	fmt.Fprintf(o.Out, "\n%d tools. Agents ask first for: %s\n", len(list.Tools), strings.Join(list.DefaultScopes, " "))
	return nil
}

// alternatives prints scopes as they are meant: sets joined by +, any of them by |.
func alternatives(scopes [][]string) string {
	var sets []string
	for _, set := range scopes {
		sets = append(sets, strings.Join(set, "+"))
	}
	return strings.Join(sets, " | ")
}

func printToolsJSON(w io.Writer, list *app.ToolList) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(list)
}
