package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"gatehouse/internal/app"
)

type personCommand struct {
	Add  personAddCommand  `cmd:"" help:"Add somebody who can sign in."`
	List personListCommand `cmd:"" help:"List who can sign in."`
	End  personEndCommand  `cmd:"" help:"Sign somebody out everywhere and end what agents were allowed."`
}

func (c *personCommand) Help() string {
	return "Example:\n\n  gatehouse person add alice --claim region=USA"
}

type personAddCommand struct {
	Name  string            `arg:"" help:"Name to sign in with."`
	Claim map[string]string `placeholder:"NAME=VALUE" help:"Attribute that tokens carry to APIs that ask for it; repeat for more."`
	JSON  bool              `help:"Print the result as JSON."`
	configFlag
}

func (c *personAddCommand) Help() string {
	return "The password is asked for, or read from standard input where that is no terminal.\n\nExamples:\n\n" +
		"  gatehouse person add alice --claim region=USA\n  gatehouse person add bruno --claim region=Europe < password.txt"
}

func (c *personAddCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	password, err := readPassword(o)
	if err != nil {
		return err
	}
	id, err := app.AddPerson(ctx, config, c.Name, password, c.Claim)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(map[string]string{"id": id, "name": c.Name})
	}
	fmt.Fprintf(o.Out, "%s can sign in now.\n", c.Name)
	return nil
}

// minPassword is NIST SP 800-63B's lower bound for a password that is the only
// factor, in characters.
const minPassword = 8

// readPassword asks for a password twice, or reads one line from a pipe.
func readPassword(o output) (string, error) {
	password, err := promptPassword(o)
	if err != nil {
		return "", err
	}
	if len([]rune(password)) < minPassword {
		return "", fmt.Errorf("the password has fewer than %d characters; choose a longer one", minPassword)
	}
	return password, nil
}

func promptPassword(o output) (string, error) {
	in, ok := o.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		data, err := io.ReadAll(io.LimitReader(o.In, 4096))
		if err != nil {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		return strings.TrimSuffix(first, "\r"), nil
	}
	var entered [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(o.Err, prompt)
		line, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(o.Err)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		entered[i] = string(line)
	}
	if entered[0] != entered[1] {
		return "", errors.New("the two passwords differ; nothing was stored")
	}
	return entered[0], nil
}

type clientCommand struct {
	Add  clientAddCommand  `cmd:"" help:"Add an agent that an administrator vouches for."`
	List clientListCommand `cmd:"" help:"List the agents that are known."`
	End  clientEndCommand  `cmd:"" help:"End everything that an agent was allowed, and its registration."`
}

func (c *clientCommand) Help() string {
	return "Agents also register themselves; this is for those that cannot, or that you vouch for.\n\nExample:\n\n  gatehouse client add \"Nightly report\" --scope orders:read"
}

type clientAddCommand struct {
	Name        string   `arg:"" help:"Name that people see."`
	RedirectURI []string `sep:"none" placeholder:"URL" help:"Where answers go, for an agent that people use; repeat for more."`
	Scope       []string `placeholder:"SCOPE" help:"What it may do for itself, without a person (client credentials); repeat for more."`
	Public      bool     `help:"Make no secret, for an agent that cannot keep one."`
	JSON        bool     `help:"Print the result as JSON."`
	configFlag
}

func (c *clientAddCommand) Help() string {
	return "The secret is printed once and stored only as a hash.\n\nExamples:\n\n" +
		"  gatehouse client add \"Support desk\" --redirect-uri https://desk.example.com/callback\n" +
		"  gatehouse client add \"Nightly report\" --scope orders:read"
}

func (c *clientAddCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	id, value, err := app.AddClient(ctx, config, app.NewClient{Name: c.Name, RedirectURIs: c.RedirectURI, Scopes: c.Scope, Public: c.Public})
	if err != nil {
		return err
	}
	if c.JSON {
		answer := map[string]string{"client_id": id, "client_name": c.Name}
		if value != "" {
			answer["client_secret"] = value
		}
		return json.NewEncoder(o.Out).Encode(answer)
	}
	fmt.Fprintf(o.Out, "client_id:     %s\n", id)
	if value != "" {
		fmt.Fprintf(o.Out, "client_secret: %s   (shown this once)\n", value)
	}
	return nil
}
