package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"gatehouse/internal/app"
	"gatehouse/internal/shell"
)

// where is which installation a command administers: that of the configuration
// file, or another computer's over the network.
type where struct {
	configFlag
	Server    string `placeholder:"URL" help:"Administer the installation whose console is at this address, such as https://admin.example.com, instead of that of the configuration file: sign in with a role there."`
	LoginWith string `placeholder:"NAME" help:"With --server: go through the sign-in pages as NAME, with the password in GATEHOUSE_PASSWORD, instead of opening a browser."`
	CA        string `name:"ca" type:"existingfile" placeholder:"FILE" help:"With --server: believe the certificate authorities in FILE too."`
}

// remote reports whether it is another computer's.
func (w where) remote() bool { return w.Server != "" }

// ask sends a request to the administration there.
func (w where) ask(ctx context.Context, o output, r shell.Request, into any) (etag string, err error) {
	roots, err := (&connectCommand{CA: w.CA}).roots()
	if err != nil {
		return "", err
	}
	ask := shell.AskNobody
	if isTerminal(o.Err) {
		ask = shell.AskBrowser
	}
	s, err := shell.New(shell.Options{
		Server: app.AdministrationAt(w.Server), Version: shortVersion(), Roots: roots, ClientID: app.TerminalID, Scope: app.TerminalScopes(), Ask: ask,
		LoginWith: w.LoginWith, Password: os.Getenv("GATEHOUSE_PASSWORD"), Account: w.LoginWith, Out: o.Err, Err: o.Err,
	})
	if err != nil {
		return "", err
	}
	etag, err = s.Ask(ctx, r, into)
	err = errors.Join(err, s.Close())
	if code := shell.Code(err); code > exitFailure {
		return "", exitError{err, code}
	}
	return etag, err
}

// get reads something there.
func (w where) get(ctx context.Context, o output, path string, into any) (etag string, err error) {
	return w.ask(ctx, o, shell.Request{Method: http.MethodGet, Path: path}, into)
}

// post does something there.
func (w where) post(ctx context.Context, o output, path string, body, into any) error {
	_, err := w.ask(ctx, o, shell.Request{Method: http.MethodPost, Path: path, Body: body}, into)
	return err
}

// list reads all pages of a list there.
func list[T any](ctx context.Context, o output, w where, path, name string, filter map[string]string) ([]T, error) {
	var all []T
	query := url.Values{}
	for key, value := range filter {
		if value != "" {
			query.Set(key, value)
		}
	}
	for {
		var page map[string]json.RawMessage
		if _, err := w.get(ctx, o, path+"?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		var some []T
		if err := json.Unmarshal(page[name], &some); err != nil {
			return nil, fmt.Errorf("read the answer of %s: %w", path, err)
		}
		all = append(all, some...)
		if len(page["next"]) == 0 {
			return all, nil
		}
		var next string
		if err := json.Unmarshal(page["next"], &next); err != nil || next == query.Get("after") {
			return nil, fmt.Errorf("read the answer of %s: it has no next page, and says it has", path)
		}
		query.Set("after", next)
	}
}

// done is the answer to an act there.
type done struct {
	Audit string `json:"audit"`
	Ended int    `json:"ended"`
}

// stop pauses, ends or resumes something there.
func (w where) stop(ctx context.Context, o output, path string, what app.Target, reason string) (done, error) {
	var d done
	kind, id := what.Named()
	err := w.post(ctx, o, path, map[string]string{"subject": kind, "id": id, "reason": reason}, &d)
	return d, err
}

// person is the path of somebody there.
func personPath(name string) string { return "/people/" + url.PathEscape(strings.TrimSpace(name)) }
