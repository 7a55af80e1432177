package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"gatehouse/internal/app"
	"gatehouse/internal/shell"
)

// where is which installation a command administers: that of the configuration
// file, or another computer's over the network.
type where struct {
	configFlag
	Server    string `placeholder:"URL" help:"Administer the installation with this MCP endpoint, such as https://mcp.example.com/administration, instead of that of the configuration file: sign in with a role there. What undoes something is done in its console."`
	LoginWith string `placeholder:"NAME" help:"With --server: go through the sign-in pages as NAME, with the password in GATEHOUSE_PASSWORD, instead of opening a browser."`
	CA        string `name:"ca" type:"existingfile" placeholder:"FILE" help:"With --server: believe the certificate authorities in FILE too."`
}

// remote reports whether it is another computer's.
func (w where) remote() bool { return w.Server != "" }

// ask calls an operation of the administration there.
func (w where) ask(ctx context.Context, o output, tool string, arguments, into any) error {
	roots, err := (&connectCommand{CA: w.CA}).roots()
	if err != nil {
		return err
	}
	ask := shell.AskNobody
	if isTerminal(o.Err) {
		ask = shell.AskBrowser
	}
	s, err := shell.New(shell.Options{
		Server: w.Server, Version: shortVersion(), Roots: roots, ClientID: app.TerminalID, Ask: ask,
		LoginWith: w.LoginWith, Password: os.Getenv("GATEHOUSE_PASSWORD"), Account: w.LoginWith, Out: o.Err, Err: o.Err,
	})
	if err != nil {
		return err
	}
	err = errors.Join(s.Ask(ctx, tool, arguments, into), s.Close())
	if code := shell.Code(err); code > exitFailure {
		return exitError{err, code}
	}
	return err
}

// list reads all pages of a list there.
func list[T any](ctx context.Context, o output, w where, tool, name string, filter map[string]string) ([]T, error) {
	var all []T
	arguments := map[string]string{}
	for key, value := range filter {
		if value != "" {
			arguments[key] = value
		}
	}
	for {
		var page map[string]json.RawMessage
		if err := w.ask(ctx, o, tool, arguments, &page); err != nil {
			return nil, err
		}
		var some []T
		if err := json.Unmarshal(page[name], &some); err != nil {
			return nil, fmt.Errorf("read the answer of %s: %w", tool, err)
		}
		all = append(all, some...)
		if len(page["next"]) == 0 {
			return all, nil
		}
		var next string
		if err := json.Unmarshal(page["next"], &next); err != nil || next == arguments["after"] {
			return nil, fmt.Errorf("read the answer of %s: it has no next page, and says it has", tool)
		}
		arguments["after"] = next
	}
}

// done is the answer to an act there.
type done struct {
	Audit string `json:"audit"`
	Ended int    `json:"ended"`
}

// stop pauses or ends something there.
func (w where) stop(ctx context.Context, o output, tool string, what app.Target, reason string) (done, error) {
	var d done
	kind, id := what.Named()
	err := w.ask(ctx, o, tool, map[string]string{"subject": kind, "id": id, "reason": reason}, &d)
	return d, err
}

// notThere refuses what is for whoever may read the configuration, or sits at
// the console (security.md 21).
func (w where) notThere(act string) error {
	if !w.remote() {
		return nil
	}
	return usageError(act + " is not for terminals elsewhere: open the installation's console, or leave --server out where its configuration file is")
}
