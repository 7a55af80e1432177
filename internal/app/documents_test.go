package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/webtest"
)

// The list of addresses and the authorities of the configuration file reach
// the authorization server: without them a document on this computer is none.
func TestDocumentsInsideTheNetwork(t *testing.T) {
	authority := webtest.NewAuthority(t)
	var id string
	port := authority.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"client_id":%q,"client_name":"Intranet agent","redirect_uris":["http://localhost/cb"]}`, id)
	}), "localhost")
	id = "https://localhost:" + port + "/client.json"

	for documents, want := range map[string]struct {
		status int
		text   string
	}{
		"{addresses: [\"localhost:" + port + "\"], roots: ca.pem}":   {http.StatusOK, "Intranet agent"},
		"{addresses: [\"127.0.0.0/8\", \"localhost:" + port + "\"]}": {http.StatusServiceUnavailable, "could not be read"}, // nobody vouches for its certificate
		"{addresses: [\"10.0.0.0/8\"], roots: ca.pem}":               {http.StatusBadRequest, "cannot be used"},
		"{}":             {http.StatusBadRequest, "cannot be used"},
		"{accept: none}": {http.StatusBadRequest, "not registered here"},
	} {
		folder := t.TempDir()
		for name, text := range map[string]string{
			"ca.pem":         string(authority.PEM()),
			"books.yaml":     `{openapi: 3.1.0, info: {title: Books, version: "1"}, paths: {/books: {get: {operationId: list-books, responses: {"200": {description: ok}}}}}}`,
			"gatehouse.yaml": good + "documents: " + documents + "\n",
		} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		status, text := authorize(t, filepath.Join(folder, "gatehouse.yaml"), id)
		if status != want.status || !strings.Contains(text, want.text) {
			t.Errorf("documents: %s: %d, without %q:\n%s", documents, status, want.text, text)
		}
	}
}

// authorize starts an installation and returns the page of an authorization
// request of a client.
func authorize(t *testing.T, path, clientID string) (status int, text string) {
	t.Helper()
	config, err := app.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	network := webtest.NewNetwork()
	a, err := app.New(t.Context(), config, app.Options{Migrate: true, Dial: network.Dial})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, network) }()
	transport := &http.Transport{DialContext: network.DialContext}
	defer func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	query := url.Values{
		"client_id": {clientID}, "redirect_uri": {"http://localhost:1234/cb"}, "response_type": {"code"}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "resource": {"https://mcp.example.com/books"},
	}
	address := "http://login.example.com/authorize?" + query.Encode()
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		r.URL.Scheme = "http" // a proxy would end TLS
		return nil
	}, Jar: anyJar{}}
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// anyJar keeps Secure cookies on plain http.
type anyJar map[string]*http.Cookie

func (j anyJar) SetCookies(_ *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		j[c.Name] = c
	}
}

func (j anyJar) Cookies(*url.URL) []*http.Cookie {
	var all []*http.Cookie
	for _, c := range j {
		all = append(all, c)
	}
	return all
}
