package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// token ADDRESS HOST ID SECRET NAME [RESOURCE] sets NAME to the access token that
// a client gets for itself, or prints why it gets none.
func agentToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 || len(args) > 6 {
		ts.Fatalf("usage: token ADDRESS HOST ID SECRET NAME [RESOURCE]")
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {args[2]}, "client_secret": {args[3]}, "resource": args[5:]}
	req, err := http.NewRequest(http.MethodPost, args[0]+"/token", strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Host = args[1]
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	ts.Check(json.NewDecoder(resp.Body).Decode(&answer))
	fmt.Fprintln(ts.Stdout(), resp.Status, answer.Error)
	ts.Setenv(args[4], answer.AccessToken)
}

// list ADDRESS HOST TOKEN prints what a gateway's endpoint answers who asks for
// its tools.
func listTools(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: list ADDRESS HOST TOKEN")
	}
	req, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	ts.Check(err)
	req.Host = args[1]
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+args[2])
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.Status)
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}
