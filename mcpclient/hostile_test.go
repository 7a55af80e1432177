package mcpclient_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/mcpclient"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// authServer is an authorization server that a test makes as bad as it wants.
type authServer struct {
	*httptest.Server
	change   func(metadata map[string]any)                     // of what it publishes
	token    func(w http.ResponseWriter, form url.Values) bool // answers in its place
	redirect func(answer url.Values)                           // of the authorization response
	register func(w http.ResponseWriter) bool                  // answers in its place
	secret   string                                            // of registered clients
	expires  int                                               // seconds

	mu      sync.Mutex
	seen    []string // every request: path, query, header and body
	count   map[string]int
	codes   map[string]url.Values
	valid   map[string]string // access token to scope
	refresh map[string]string // refresh token to scope
	secrets []string          // every secret it gave or got
	n       int
}

func newAuthServer(t *testing.T) *authServer {
	s := &authServer{expires: 3600, count: map[string]int{}, codes: map[string]url.Values{}, valid: map[string]string{}, refresh: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *authServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprint(r.URL, r.Header, string(body)))
	s.count[r.URL.Path]++
	form, _ := url.ParseQuery(string(body))
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		m := map[string]any{
			"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token",
			"registration_endpoint": s.URL + "/register", "revocation_endpoint": s.URL + "/revoke",
			"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
		}
		if s.change != nil {
			s.change(m)
		}
		_ = json.NewEncoder(w).Encode(m)
	case "/register":
		if s.register != nil && s.register(w) {
			return
		}
		s.n++
		answer := map[string]any{"client_id": fmt.Sprint("client-", s.n)}
		if s.secret != "" {
			answer["client_secret"], answer["token_endpoint_auth_method"] = s.secret, "client_secret_basic"
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(answer)
	case "/authorize":
		s.authorize(w, r)
	case "/token":
		s.issue(w, form)
	case "/revoke":
	default:
		http.NotFound(w, r)
	}
}

func (s *authServer) authorize(w http.ResponseWriter, r *http.Request) {
	s.n++
	q := r.URL.Query()
	code := fmt.Sprint(s.URL[len(s.URL)-5:], "-code-secret-", s.n)
	s.codes[code], s.secrets = q, append(s.secrets, code)
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {s.URL}}
	if s.redirect != nil {
		s.redirect(answer)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

func (s *authServer) issue(w http.ResponseWriter, form url.Values) {
	if s.token != nil && s.token(w, form) {
		return
	}
	var scope string
	var known bool
	if form.Get("grant_type") == "refresh_token" {
		scope, known = s.refresh[form.Get("refresh_token")]
		delete(s.refresh, form.Get("refresh_token")) // it rotates, and forgives nothing
	} else {
		request := s.codes[form.Get("code")]
		delete(s.codes, form.Get("code"))
		s.secrets = append(s.secrets, form.Get("code_verifier"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		known = request.Get("code_challenge") == base64.RawURLEncoding.EncodeToString(sum[:]) && form.Get("resource") != ""
		scope = request.Get("scope")
	}
	if !known {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	s.n++
	access, refresh := fmt.Sprint(s.URL[len(s.URL)-5:], "-access-secret-", s.n), fmt.Sprint(s.URL[len(s.URL)-5:], "-refresh-secret-", s.n)
	s.valid[access], s.refresh[refresh], s.secrets = scope, scope, append(s.secrets, access, refresh)
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": s.expires, "scope": scope})
}

func (s *authServer) times(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[path]
}

func (s *authServer) everything() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n")
}

// resource is an MCP server behind a check of tokens.
type resource struct {
	*httptest.Server
	mu       sync.Mutex
	issuer   *authServer
	needs    string // the scope of calls
	never    bool   // no token is good enough
	metadata func(metadata map[string]any)
}

func newResource(t *testing.T, issuer *authServer) *resource {
	server := mcp.NewServer(&mcp.Implementation{Name: "victim", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello"}}}, nil, nil
	})
	inner := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	m := &resource{issuer: issuer}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, inner) }))
	t.Cleanup(m.Close)
	return m
}

func (m *resource) serve(w http.ResponseWriter, r *http.Request, inner http.Handler) {
	m.mu.Lock()
	issuer, needs, never, change := m.issuer, m.needs, m.never, m.metadata
	m.mu.Unlock()
	if r.URL.Path == "/.well-known/oauth-protected-resource" {
		doc := map[string]any{"resource": m.URL, "authorization_servers": []string{issuer.URL}, "scopes_supported": []string{"read"}}
		if change != nil {
			change(doc)
		}
		_ = json.NewEncoder(w).Encode(doc)
		return
	}
	issuer.mu.Lock()
	scope, known := issuer.valid[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	issuer.mu.Unlock()
	if !known || never {
		// A token68 before it, and a comma in a string: RFC 9110 §11.6.1.
		w.Header().Set("WWW-Authenticate", `Negotiate abc==, Basic realm="a, Bearer b", Bearer resource_metadata="`+m.URL+`/.well-known/oauth-protected-resource"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if needs != "" && r.Header.Get("Mcp-Method") == "tools/call" && !strings.Contains(" "+scope+" ", " "+needs+" ") {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+needs+`"`)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	inner.ServeHTTP(w, r)
}

// browser follows an authorization to its end, as a person who agrees to all.
func browser(_ context.Context, address string) error {
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// call connects and calls the tool.
func call(t *testing.T, c *mcpclient.Client, server string) error {
	t.Helper()
	s, err := c.Connect(t.Context(), server)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Call(t.Context(), "echo", map[string]any{})
	return err
}

func base64Basic(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
}

// traced collects what several sessions tell.
type traced struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *traced) add(e mcpclient.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.text, "%+v\n", e)
}

func (c *traced) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
