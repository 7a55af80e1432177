// Command nightly is a job that nobody watches: it reads customers through an
// MCP server, as a workload that its platform vouches for, and prints how many
// there are. It uses mcpclient and nothing else of Gatehouse, and holds no
// secret: see README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gatehouse/mcpclient"
)

func main() {
	server := flag.String("server", "http://mcp.localhost:8080", "MCP server")
	token := flag.String("token", "gatehouse-demo/workload/token", "file in which the platform puts what it says of this job")
	every := flag.Duration("every", 0, "go on, and report this often; 0: once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *server, *token, *every); err != nil {
		fmt.Fprintln(os.Stderr, "nightly:", err)
		os.Exit(1)
	}
}

// run reports until ctx ends. The client gets a token when it needs one, and
// another before that is over; the file is read each time, since the platform
// replaces it.
func run(ctx context.Context, server, token string, every time.Duration) error {
	c := &mcpclient.Client{Name: "Nightly report", Assertion: mcpclient.AssertionFile(token)}
	session, err := c.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer session.Close()
	for {
		n, err := customers(ctx, session)
		if err != nil {
			return err
		}
		fmt.Printf("%d customers\n", n)
		if every == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// customers counts them, page by page.
func customers(ctx context.Context, session *mcpclient.Session) (n int, err error) {
	arguments := map[string]any{"limit": 100}
	for {
		result, err := session.Call(ctx, "fetch-users", arguments)
		if err != nil {
			return n, err
		}
		if result.IsError {
			return n, errors.New("the server could not tell: " + fmt.Sprint(result.Content))
		}
		text, err := json.Marshal(result.StructuredContent)
		if err != nil {
			return n, err
		}
		var found struct {
			Users []json.RawMessage
			Next  string
		}
		if err := json.Unmarshal(text, &found); err != nil {
			return n, err
		}
		if n += len(found.Users); found.Next == "" {
			return n, nil
		}
		arguments["cursor"] = found.Next
	}
}
