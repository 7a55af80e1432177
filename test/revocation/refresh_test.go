package revocation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

const (
	processes       = 50
	addressVariable = "REVOCATION_TEST_ADDRESS"
	tokenVariable   = "REVOCATION_TEST_TOKEN"
)

// tokens are what a client process got.
type tokens struct {
	Status       int
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`
}

// playClient is one process of an agent of which many share a refresh token. It
// refreshes when it is told to, and says what it got.
func playClient(ctx context.Context) error {
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, os.Getenv(addressVariable))
	}}}
	fmt.Println("ready")
	token := os.Getenv(tokenVariable)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		got, err := refresh(c, "agent", token)
		if err != nil {
			return err
		}
		token = got.RefreshToken
		if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
			return err
		}
	}
	return nil
}

func refresh(c *http.Client, clientID, token string) (tokens, error) {
	resp, err := c.PostForm(issuer+"/token", url.Values{"grant_type": {oauth.GrantRefreshToken}, "client_id": {clientID}, "refresh_token": {token}})
	if err != nil {
		return tokens{}, err
	}
	defer resp.Body.Close()
	got := tokens{Status: resp.StatusCode}
	return got, json.NewDecoder(resp.Body).Decode(&got)
}

// playServer is the authorization server as a process of its own, whose store
// answers a millisecond late.
func playServer(ctx context.Context) error {
	config, err := app.Load("gatehouse.yaml")
	if err != nil {
		return err
	}
	a, err := app.New(ctx, config, app.Options{Latency: time.Millisecond})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("server on", l.Addr())
	return a.Run(ctx, l)
}

// refreshToken stores what a person allowed and returns a refresh token for it.
func (w *world) refreshToken(clientID string) string {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now()
	code, token, scopes := secret.ID(), secret.New("ghr_"), []string{"books:read"}
	r := grant.Request{ID: secret.ID(), BrowserHash: "b", ClientID: clientID, RedirectURI: "http://127.0.0.1/cb", Challenge: "c", Scopes: scopes, Resource: gateURL, ExpiresAt: now.Unix() + 60}
	must(w.t, w.db.SaveRequest(ctx, r))
	must(w.t, w.db.SignIn(ctx, r.ID, "alice", nil, now.Unix(), now))
	g := grant.Grant{ID: secret.ID(), AccountID: "alice", ClientID: clientID, Resource: gateURL, Scopes: scopes, CreatedAt: now.Unix(), ExpiresAt: now.Unix() + 3600}
	must(w.t, w.db.Approve(ctx, r.ID, grant.Grant{}, g, grant.Code{
		Hash: secret.Sum(code), ClientID: clientID, RedirectURI: r.RedirectURI, Challenge: "c", Scopes: scopes, Resource: gateURL, AuthTime: now.Unix(), ExpiresAt: now.Unix() + 60,
	}, now))
	must(w.t, w.db.RedeemCode(ctx, secret.Sum(code), grant.Token{
		Hash: secret.Sum(secret.New("")), Scopes: scopes, IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 600,
		Refresh: &grant.Refresh{Hash: secret.Sum(token), Family: secret.ID(), Scopes: scopes, ExpiresAt: now.Unix() + 3600},
	}, now))
	return token
}

// security.md 6, RFC 9700 §4.14.2, OAuth 2.1 §4.3.1: fifty processes of one
// agent refresh the same token at once, again and again, with a millisecond of
// store latency: all get the same and go on working. A thief who replays an
// older token after the window ends the family, which shows in the audit; the
// attempt of another client ends nothing.
func TestProcessesRefreshAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn, func(w *world) (address string) {
			cmd := w.command(os.Args[0])
			cmd.Env = append(cmd.Env, childRole+"=server")
			return start(t, cmd, `^server on (.*)$`)
		})
		w.person("alice")
		w.client("agent")
		w.client("stranger")
		g, first := w.gateway("gateway-1"), w.refreshToken("agent")
		var all []*agentProcess
		for range processes {
			all = append(all, w.agent(first))
		}
		var last tokens
		for round := range 3 {
			for _, p := range all {
				p.tell()
			}
			for i, p := range all {
				got := p.hear()
				if i == 0 {
					last = got
				}
				if got.Status != http.StatusOK || got != last {
					t.Fatalf("round %d: process %d got %+v, process 0 got %+v", round, i, got, last)
				}
			}
			if err := g.call(last.AccessToken); err != nil {
				t.Errorf("round %d: what all got is worth nothing: %v", round, err)
			}
		}
		w.thieves(g, first, last)
	})
}

// thieves replay what others have had: a refresh token that was used long ago,
// and one that is good.
func (w *world) thieves(g gatewayProcess, first string, last tokens) {
	w.t.Helper()
	c := caller(w.t, w.address)
	time.Sleep(grant.ReplayWindow + 2*time.Second)
	for _, token := range []string{first, last.RefreshToken} {
		if got, err := refresh(c, "stranger", token); err != nil || got.Error != string(oauth.InvalidGrant) {
			w.t.Errorf("another client: %+v, %v", got, err)
		}
	}
	if err := g.call(last.AccessToken); err != nil {
		w.t.Errorf("another client's attempt ended the family: %v", err)
	}
	got, err := refresh(c, "agent", first)
	acknowledged := time.Now()
	if err != nil || got.Error != string(oauth.InvalidGrant) {
		w.t.Errorf("a replay: %+v, %v", got, err)
	}
	if got, err := refresh(c, "agent", last.RefreshToken); err != nil || got.Error != string(oauth.InvalidGrant) {
		w.t.Errorf("the family lives on: %+v, %v", got, err)
	}
	time.Sleep(time.Until(acknowledged.Add(promise)))
	if err := g.call(last.AccessToken); err == nil || !strings.Contains(err.Error(), "401") {
		w.t.Errorf("a second later, a call with the family's access token: %v", err)
	}
	entries, err := w.db.Recent(w.t.Context(), 100)
	must(w.t, err)
	shown := false
	for _, e := range entries {
		shown = shown || e.Kind == audit.Revocation && e.ClientID == "agent"
	}
	if !shown {
		w.t.Error("the audit does not show the replay")
	}
}

// agentProcess is a process that plays a client.
type agentProcess struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func (w *world) agent(token string) *agentProcess {
	w.t.Helper()
	cmd := w.command(os.Args[0])
	cmd.Env = append(cmd.Env, childRole+"=refresh", addressVariable+"="+w.address, tokenVariable+"="+token)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(w.t, err)
	out, err := cmd.StdoutPipe()
	must(w.t, err)
	must(w.t, cmd.Start())
	w.t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := &agentProcess{w.t, in, bufio.NewScanner(out)}
	if !p.out.Scan() || p.out.Text() != "ready" {
		w.t.Fatalf("a client process said %q: %v", p.out.Text(), p.out.Err())
	}
	return p
}

func (p *agentProcess) tell() {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, "refresh")
	must(p.t, err)
}

func (p *agentProcess) hear() (got tokens) {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("a client process ended: %v", p.out.Err())
	}
	must(p.t, json.Unmarshal(p.out.Bytes(), &got))
	return got
}
