package witness_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"gatehouse/internal/webtest"
)

// go-sdk's own client with its own OAuth: it registers, signs in, calls a tool,
// and steps up when another tool wants more.
func TestGoSDK(t *testing.T) {
	server, data := demo(t, "--tls") // it speaks plain http with exact localhost only
	authority := filepath.Join(data, "ca.pem")
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{DialContext: webtest.DialTCP, TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	local := &http.Client{Transport: transport}
	const redirect = "http://127.0.0.1:33418/callback" // never listened at: the answer is read from its address
	var asked []string
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "go-sdk", RedirectURIs: []string{redirect}, GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
		}},
		RedirectURL: redirect,
		Client:      local,
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			u, err := url.Parse(args.URL)
			if err != nil {
				return nil, err
			}
			asked = append(asked, u.Query().Get("scope"))
			b := webtest.NewBrowser(t, nil)
			b.Trust(authority)
			answer := b.Get(args.URL).Follow().Submit("username=bruno", nil).Follow().Submit("action=allow", nil).Location().Query()
			return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "go-sdk", Version: "1.8.0"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: server, HTTPClient: local, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil || !slices.ContainsFunc(list.Tools, func(t *mcp.Tool) bool { return t.Name == "fetch-users" }) {
		t.Fatalf("%v %v", list, err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "fetch-users", Arguments: map[string]any{"limit": 2}})
	if err != nil || result.IsError {
		t.Fatalf("fetch-users: %v %v", result, err)
	}
	users, _ := result.StructuredContent.(map[string]any)
	if list, _ := users["users"].([]any); len(list) != 2 {
		t.Errorf("structured content %v", result.StructuredContent)
	}
	result, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "create-user", Arguments: map[string]any{
		"firstName": "Lena", "lastName": "Sund", "email": "lena@sund.example", "company": "Sund",
	}})
	if err != nil || result.IsError {
		t.Fatalf("create-user after a step-up: %+v %v", result, err)
	}
	if len(asked) != 2 || asked[0] == asked[1] {
		t.Errorf("asked for %q", asked)
	}
}
