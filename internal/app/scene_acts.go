package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/agent"
	"gatehouse/internal/audit"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/shell"
	"gatehouse/internal/sqlstore"
	"gatehouse/mcpclient"
)

// scene is something that the start page shows by doing it.
type scene struct {
	name, title, text string
	play              func(*stage) error
}

func scenes() []scene {
	return []scene{
		{"read", "A person's agent reads customers", "From an agent that knows nothing but an address to an answer of the API.", playRead},
		{"step-up", "The agent needs more", "A call lacks a scope; the agent is told which, asks once, and goes on.", playStepUp},
		{"narrowed", "Consent is narrowed", "The person switches something off, and says no when the agent asks again.", playNarrowed},
		{"revoked", "An agent is revoked", "The person ends the connection, and within a second nothing works any more.", playRevoked},
		{"stolen", "A stolen token is replayed at the API", "Who has the agent's token tries it directly at the customer API.", playStolen},
		{"workload", "A backend agent, with nobody there", "A pod shows what its cluster says of it; no secret is kept anywhere.", playWorkload},
		{"look-alike", "A look-alike asks for consent", "An agent takes another one's name; the consent page gives it away.", playLookAlike},
	}
}

// sceneName is what the scenes' agent calls itself.
const sceneName = "Notebook"

// scenePerson is whose agent it is.
const scenePerson = "alice"

// stage is where a scene is played.
type stage struct {
	ctx      context.Context
	app      *App
	thief    *thief
	lines    []string
	quote    []string
	link     string
	clientID string
	stays    bool // the client is left, for the visitor to look at
}

func (s *stage) say(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// decision is what the person answers on a consent page.
type decision func(shell.Consent) (scopes []string, allow bool)

func agree(c shell.Consent) ([]string, bool) { return c.Scopes, true }

// connect has the agent connect, and the person answer: each consent page by the
// next decision, and none beyond.
func (s *stage) connect(scope []string, decisions ...decision) (*mcpclient.Session, error) {
	c := &mcpclient.Client{Name: sceneName, Scope: scope, Transport: s.thief, Open: func(ctx context.Context, address string) error {
		if len(decisions) == 0 {
			return errors.New("the person is not there to be asked")
		}
		next := decisions[0]
		decisions = decisions[1:]
		return shell.SignIn{Name: scenePerson, Transport: s.app.peers.Transport, Decide: next}.Open(ctx, address)
	}}
	session, err := c.Connect(s.ctx, s.app.config.URLs.Gateway)
	if err == nil {
		s.clientID = session.Authorization().ClientID
	}
	return session, err
}

// customer reads customers and returns the first one's number.
func (s *stage) customers(session *mcpclient.Session) (first, n int, err error) {
	result, err := session.Call(s.ctx, "fetch-users", map[string]any{"limit": 3})
	if err != nil {
		return 0, 0, err
	}
	text, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return 0, 0, err
	}
	var found struct{ Users []struct{ ID int } }
	if err := json.Unmarshal(text, &found); err != nil || len(found.Users) == 0 {
		return 0, 0, errors.Join(errors.New("the API returned no customers"), err)
	}
	return found.Users[0].ID, len(found.Users), nil
}

func playRead(s *stage) error {
	session, err := s.connect(nil, agree)
	if err != nil {
		return err
	}
	defer session.Close()
	s.say("The agent knew the MCP server's address and nothing else. The first answer, 401, told it where people sign in and which scope to ask for; it read two metadata documents and registered itself.")
	s.say("Alice signed in and allowed it to read customers and orders. The agent got an opaque token that works at this MCP server only.")
	_, n, err := s.customers(session)
	if err != nil {
		return err
	}
	s.say("It called fetch-users. The gateway asked what the token is worth, exchanged it for a JWT with just the scope of this tool, and called the API with that. Open “Token exchange” to see both tokens side by side.")
	s.say("%d customers came back, all in Alice's region: the API decided for itself, by what the token says.", n)
	return nil
}

func playStepUp(s *stage) error {
	session, err := s.connect([]string{"users:read"}, agree, agree)
	if err != nil {
		return err
	}
	defer session.Close()
	s.say("The agent asked for no more than reading customers, and Alice allowed that.")
	id, _, err := s.customers(session)
	if err != nil {
		return err
	}
	result, err := session.Call(s.ctx, "fetch-orders", map[string]any{"id": id})
	if err != nil || result.IsError {
		return errors.Join(errors.New("the call was not carried out after the further consent"), err)
	}
	s.say("Then it called fetch-orders. The gateway answered 403 and named the scope that this call needs: orders:read.")
	s.say("The agent asked Alice again, for both together. Alice allowed it, and the same call went through.")
	s.say("The person was asked twice, each time for what was needed then, and never for everything.")
	return nil
}

func playNarrowed(s *stage) error {
	narrow := func(c shell.Consent) ([]string, bool) { return oauth.Without(c.Scopes, []string{"orders:read"}), true }
	refuse := func(shell.Consent) ([]string, bool) { return nil, false }
	session, err := s.connect(nil, narrow, refuse)
	if err != nil {
		return err
	}
	defer session.Close()
	s.say("The agent asked to read customers and orders. Alice switched off reading orders and allowed the rest: the token has users:read alone.")
	id, _, err := s.customers(session)
	if err != nil {
		return err
	}
	_, err = session.Call(s.ctx, "fetch-orders", map[string]any{"id": id})
	if err == nil {
		return errors.New("the call went through though nobody allowed it")
	}
	s.say("Reading customers worked. Reading orders was refused with the scope that it lacks, so the agent asked once more.")
	if _, _, err = s.customers(session); err != nil {
		return err
	}
	s.say("Alice said no. The agent was told access_denied, the call was not made, and reading customers still works.")
	return nil
}

func playRevoked(s *stage) error {
	session, err := s.connect(nil, agree)
	if err != nil {
		return err
	}
	defer session.Close()
	if _, _, err := s.customers(session); err != nil {
		return err
	}
	s.say("The agent was allowed to read, and read customers.")
	live, err := s.app.store.ListGrants(s.ctx, sqlstore.GrantFilter{ClientID: s.clientID}, time.Now())
	if err != nil || len(live) != 1 {
		return errors.Join(errors.New("the connection is not there"), err)
	}
	g := live[0].Grant
	entry := audit.Entry{AccountID: g.AccountID, ClientID: g.ClientID, GrantID: g.ID, Reason: "ended in a scene on the demo's start page"}
	if err := recorded(s.ctx, s.app.store, entry, func() error {
		return s.app.store.EndConnection(s.ctx, g.AccountID, g.ID, time.Now())
	}); err != nil {
		return err
	}
	ended, calls := time.Now(), 0
	for time.Since(ended) < 2*time.Second {
		if _, _, err = s.customers(session); err != nil {
			break
		}
		calls++
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil {
		return errors.New("the agent still reads customers two seconds later")
	}
	s.say("Alice ended the connection, as everybody can on a page of their own: one row in the database, and a numbered event that every gateway follows.")
	s.say("%d ms later the gateway refused the same token (401, invalid_token); %d calls had gone through in between.", time.Since(ended).Milliseconds(), calls)
	s.say("The agent tried its refresh token, which had ended with the rest, and could only ask the person again.")
	return nil
}

func playStolen(s *stage) error {
	session, err := s.connect(nil, agree)
	if err != nil {
		return err
	}
	defer session.Close()
	if _, _, err := s.customers(session); err != nil {
		return err
	}
	s.say("The agent read customers through the gateway. Somebody copied its token on the way, and now calls the customer API directly with it.")
	api, err := url.Parse(s.app.config.URLs.API)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, api.String()+"/users", nil)
	if err != nil {
		return err
	}
	token := s.thief.stolen()
	req.Header.Set("Authorization", "Bearer "+token)
	told := s.app.inspector.Begin(inspect.DirectCall, http.MethodGet, api.Host, "/users")
	told.Bearer(token)
	resp, err := s.app.peers.Do(req)
	if err != nil {
		told.End(0)
		return err
	}
	_ = resp.Body.Close() // what it says does not matter here
	if resp.StatusCode != http.StatusUnauthorized {
		told.End(resp.StatusCode)
		return fmt.Errorf("the API answered %d", resp.StatusCode)
	}
	told.Answer("error", string(oauth.InvalidToken))
	told.Refused("not-for-api")
	told.End(resp.StatusCode)
	s.say("The API answered 401. It takes only tokens that were made for it: signed, of the type at+jwt, with its own audience. The agent's token means nothing to it.")
	s.say("The token that the API did accept was never at the agent. It is good for five minutes, for one scope, and names the gateway and the agent in act.")
	return nil
}

func playWorkload(s *stage) error {
	s.clientID, s.stays = demoWorkload, true
	c := &mcpclient.Client{Name: "Nightly report", Transport: s.thief, Assertion: func(context.Context, mcpclient.Audience) (string, error) {
		return s.app.cluster.token(time.Now())
	}}
	session, err := c.Connect(s.ctx, s.app.config.URLs.Gateway)
	if err != nil {
		return err
	}
	defer session.Close()
	s.say("The agent runs in a cluster. It was refused (401), read where tokens come from, and showed the token that the cluster had put into its pod: who it is, for this installation alone, good for ten minutes. Nobody was asked, and nothing that could be stolen was stored.")
	s.say("A rule of the configuration says that the service account %s in the namespace %s is the client %s. An account of that name in another cluster, or in a namespace that only begins like it, is nobody.", demoWorkload, demoNamespace, demoWorkload)
	_, n, err := s.customers(session)
	if err != nil {
		return err
	}
	s.say("It got a token for what an administrator gave this client, and read %d customers: those of Europe, as the client's own region says. To the API, the agent itself is the subject.", n)
	_, err = session.Call(s.ctx, "refund-order", map[string]any{"id": 1007})
	if err == nil {
		return errors.New("the refund went through though nobody gave the agent that")
	}
	s.say("It tried a refund. That takes a scope that this client was never given, and there is no person to ask: 403, and the agent stopped.")
	return nil
}

// lookAlike is where the look-alike wants the answer: a domain that nobody can
// have (RFC 6761 §6.5).
const lookAlike = "agent-external.example"

// nowhere answers for the look-alike's server, which is not there.
type nowhere struct {
	http.RoundTripper
	brought url.Values
}

// RoundTrip implements http.RoundTripper.
func (n *nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != lookAlike {
		return n.RoundTripper.RoundTrip(r)
	}
	n.brought = r.URL.Query()
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

func playLookAlike(s *stage) error {
	redirect := "https://" + lookAlike + "/callback"
	id, err := s.register(agent.Name, redirect)
	if err != nil {
		return err
	}
	s.clientID, s.stays = id, true
	s.say("An agent registered itself under the name of one that people here know: “%s”. Anybody may register, and may say any name.", agent.Name)
	s.link = s.app.config.URLs.AuthServer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {id}, "redirect_uri": {redirect}, "state": {secret.New("")}, "resource": {s.app.config.URLs.Gateway},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {oauth.MethodS256}, "scope": {"users:read orders:read"},
	}.Encode()
	world := &nowhere{RoundTripper: s.app.peers.Transport}
	look := func(c shell.Consent) ([]string, bool) {
		for _, line := range c.Lines {
			if strings.Contains(line, "wants to") || strings.HasPrefix(line, "Not verified") || strings.HasPrefix(line, "The answer goes") || strings.HasPrefix(line, "Check first") {
				s.quote = append(s.quote, line)
			}
		}
		return nil, false
	}
	if err := (shell.SignIn{Name: scenePerson, Transport: world, Decide: look}).Open(s.ctx, s.link); err != nil {
		return err
	}
	if world.brought.Get("error") != string(oauth.AccessDenied) || world.brought.Has("code") || len(s.quote) < 3 {
		return fmt.Errorf("the look-alike was told %v", slices.Sorted(maps.Keys(world.brought)))
	}
	s.say("The consent page called it an agent that calls itself so, said that nobody has checked it, and showed where the answer would go: %s, which is not where the real one is.", lookAlike)
	s.say("Alice said no. The look-alike got access_denied and no code. An agent that describes itself at a host of its own would have been named by that host.")
	return nil
}

// register registers an agent as anybody can (RFC 7591).
func (s *stage) register(name, redirect string) (id string, err error) {
	body, err := json.Marshal(map[string]any{"client_name": name, "redirect_uris": []string{redirect}, "token_endpoint_auth_method": "none"})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.app.config.URLs.AuthServer+"/register", strings.NewReader(string(body)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.thief.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer); err != nil || answer.ID == "" {
		return "", errors.Join(fmt.Errorf("registration was answered %d", resp.StatusCode), err)
	}
	return answer.ID, nil
}
