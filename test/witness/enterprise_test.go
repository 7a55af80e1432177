package witness_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"gatehouse/internal/jose"
	"gatehouse/internal/secret"
)

// organization is an identity provider that somebody has signed in at, and an
// installation that trusts it.
type organization struct {
	t                  *testing.T
	folder             string
	idp                *httptest.Server
	signer             *jose.Signer
	login, mcp, secret string
	exchanges          int
}

func (o *organization) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.folder, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *organization) run(input string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdin = o.folder, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (o *organization) sign(typ string, claims map[string]any) string {
	o.t.Helper()
	now := time.Now().Unix()
	claims["iss"], claims["sub"], claims["iat"], claims["exp"] = o.idp.URL, "U1", now, now+300
	token, err := o.signer.Sign(typ, claims)
	if err != nil {
		o.t.Error(err) // in the provider's goroutine
	}
	return token
}

// idJAG is what the provider issues for a resource.
func (o *organization) idJAG(audience, resource string) string {
	return o.sign("oauth-id-jag+jwt", map[string]any{"aud": audience, "resource": resource, "client_id": "desk", "jti": secret.ID(), "email": "ana@corp.example", "email_verified": true})
}

func newOrganization(t *testing.T) *organization {
	t.Helper()
	o := &organization{t: t, folder: t.TempDir()}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	if o.signer, err = jose.NewSigner(key); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	o.idp = httptest.NewServer(mux)
	t.Cleanup(o.idp.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": o.idp.URL, "authorization_endpoint": o.idp.URL + "/authorize", "token_endpoint": o.idp.URL + "/token", "jwks_uri": o.idp.URL + "/jwks",
			"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
			"grant_types_supported": []string{"urn:ietf:params:oauth:grant-type:token-exchange"}, "token_endpoint_auth_methods_supported": []string{"none"},
		})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) { // RFC 8693, as the draft's §4.3 has it
		o.exchanges++
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "token_type": "N_A", "expires_in": 300,
			"access_token": o.idJAG(r.PostFormValue("audience"), r.PostFormValue("resource")),
		})
	})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"books":[]}`)
	}))
	t.Cleanup(api.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// Two names of this computer, which every client takes on plain http.
	o.login, o.mcp = "http://localhost:"+port, "http://127.0.0.1:"+port
	o.write("idp.json", string(jose.PublicSet(key)))
	o.write("openapi.yaml", `{openapi: 3.1.0, info: {title: Bookshop, version: "1"}, paths: {/books: {get: {operationId: list-books, responses: {"200": {description: ok}}}}}}`)
	o.write("gatehouse.yaml", fmt.Sprintf(`
urls: {authserver: "%s", gateway: "%s"}
listen: 127.0.0.1:%s
store: sqlite:gatehouse.db
data: data
trust:
  - name: company
    kind: identity-provider
    issuer: %s
    key_set: file:idp.json
    people: {claim: email, domain: corp.example, clients: [desk]}
apis:
  - {name: books, mcp_path: /, openapi: file:openapi.yaml, url: "%s"}
`, o.login, o.mcp, port, o.idp.URL, api.URL))
	o.run("", "migrate")
	o.run("correct horse battery", "person", "add", "ana")
	var added struct {
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(o.run("", "client", "add", "Desk", "--id", "desk", "--id-jag", "--secret", "--json")), &added); err != nil {
		t.Fatal(err)
	}
	o.secret = added.Secret
	cmd := exec.Command(binary, "serve")
	cmd.Dir = o.folder
	start(t, "gatehouse serve", cmd).wait("gatehouse serves", 0)
	return o
}

// R-AS-EMA by three clients: the TypeScript SDK v2's provider, go-sdk's handler,
// and ours. Nobody sees a page, and the API's call is ana's.
func TestEnterpriseManagedAuthorization(t *testing.T) {
	o := newOrganization(t)
	t.Run("TypeScript SDK v2", func(t *testing.T) {
		text, err := json.Marshal(map[string]any{"clientId": "desk", "clientSecret": o.secret, "expectedIssuer": o.login, "assertion": o.idJAG(o.login, o.mcp)})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("CREDENTIALS", string(text))
		o.write("localhost.mjs", "") // its names need no help
		p := script(t, o.folder, "sdk-v2-unattended.mjs", "id-jag", o.mcp, "list-books")
		var got struct{ IsError bool }
		if answer(t, p, &got); got.IsError {
			t.Error(p.text())
		}
	})
	t.Run("go-sdk", func(t *testing.T) {
		handler, err := extauth.NewEnterpriseHandler(&extauth.EnterpriseHandlerConfig{
			IdPIssuerURL: o.idp.URL, IdPCredentials: &oauthex.ClientCredentials{ClientID: "desk-there"},
			MCPAuthServerURL: o.login, MCPResourceURI: o.mcp,
			MCPCredentials: &oauthex.ClientCredentials{ClientID: "desk", ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: o.secret}},
			IDTokenFetcher: func(context.Context) (*oauth2.Token, error) {
				return (&oauth2.Token{}).WithExtra(map[string]any{"id_token": o.sign("JWT", map[string]any{"aud": "desk-there"})}), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "go-sdk", Version: "1.8.0"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: o.mcp, OAuthHandler: handler}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list-books"}); err != nil || result.IsError {
			t.Errorf("%+v %v", result, err)
		}
	})
	t.Run("gatehouse connect", func(t *testing.T) {
		o.write("id.jwt", o.sign("JWT", map[string]any{"aud": "desk-there"}))
		cmd := exec.Command(binary, "connect", "--store", t.TempDir(), "--client-id", "desk", "--idp", o.idp.URL, "--idp-client-id", "desk-there", "--id-token", "id.jwt", o.mcp, "call", "list-books")
		cmd.Dir, cmd.Env = o.folder, append(os.Environ(), "GATEHOUSE_CLIENT_SECRET="+o.secret)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if o.exchanges != 2 {
		t.Errorf("the provider was asked %d times", o.exchanges)
	}
	if grants := o.run("", "grant", "list", "--person", "ana", "--json"); !strings.Contains(grants, `"client_id":"desk"`) {
		t.Errorf("ana's connections: %s", grants)
	}
}
