package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/mcpclient"
)

// conformance is what the official conformance suite tells a client under test,
// in its environment: MCP_CONFORMANCE_PROTOCOL_VERSION and _CONTEXT.
type conformance struct {
	Revision     string
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	PrivateKey   string `json:"private_key_pem"`
	ValidJWT     string `json:"valid_jwt"` // of a workload
	IDPClientID  string `json:"idp_client_id"`
	IDPToken     string `json:"idp_id_token"`
	IDPIssuer    string `json:"idp_issuer"`
	ToolCalls    []struct {
		Name      string         `json:"name"`
		Arguments map[string]any `json:"arguments"`
	} `json:"toolCalls"`
}

// readConformance reads the environment.
func readConformance() (conformance, error) {
	c := conformance{Revision: os.Getenv("MCP_CONFORMANCE_PROTOCOL_VERSION")}
	if text := os.Getenv("MCP_CONFORMANCE_CONTEXT"); text != "" {
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return c, fmt.Errorf("read MCP_CONFORMANCE_CONTEXT: %w", err)
		}
	}
	return c, nil
}

// metadataDocument is the address that the suite's scenarios know.
const metadataDocument = "https://conformance-test.local/client-metadata.json"

// run uses everything that a server has, once. The suite's authorization server
// redirects at once, so that its browser is one request.
func (c conformance) run(ctx context.Context, client *mcpclient.Client, server string) error {
	client.ClientID, client.ClientSecret = c.ClientID, c.ClientSecret
	client.ClientMetadataURL, client.ProtocolVersion = metadataDocument, c.Revision
	c.unattended(client)
	client.Open = func(ctx context.Context, address string) error {
		return SignIn{Transport: mcpclient.NewTransport(nil)}.Open(ctx, address)
	}
	client.Elicit = func(_ context.Context, q mcpclient.Question) (map[string]any, bool) {
		schema, _ := q.Schema.(map[string]any)
		return synthesize(schema), true
	}
	session, err := client.Connect(ctx, server)
	if err != nil {
		return err
	}
	return errors.Join(c.use(ctx, session), session.Close())
}

// unattended sets up scenarios in which nobody is there: they give a key, what a
// platform says of the workload, or what an identity provider says of a person;
// where they give a secret only, the name alone tells.
func (c conformance) unattended(client *mcpclient.Client) {
	switch {
	case c.PrivateKey != "":
		client.PrivateKey, client.Unattended = []byte(c.PrivateKey), true
	case c.ValidJWT != "":
		client.ClientID = ""
		client.Assertion = func(context.Context, mcpclient.Audience) (string, error) { return c.ValidJWT, nil }
	case c.IDPToken != "":
		idp := &mcpclient.IdentityProvider{Issuer: c.IDPIssuer, ClientID: c.IDPClientID, IDToken: func(context.Context) (string, error) { return c.IDPToken, nil }}
		client.Assertion = idp.Assertion
	case os.Getenv("MCP_CONFORMANCE_SCENARIO") == "auth/client-credentials-basic":
		client.Unattended = true
	}
}

func (c conformance) use(ctx context.Context, session *mcpclient.Session) error {
	capabilities := session.MCP.InitializeResult().Capabilities
	if capabilities == nil {
		capabilities = &mcp.ServerCapabilities{}
	}
	tools, err := session.Tools(ctx)
	if err != nil {
		return err
	}
	var failed error
	// What a tool refuses is its business; that nobody is authorized is ours.
	call := func(name string, arguments map[string]any) {
		if _, err := session.Call(ctx, name, arguments); err != nil && (errors.Is(err, mcpclient.ErrAuthorization) || ctx.Err() != nil) {
			failed = errors.Join(failed, err)
		}
	}
	for _, one := range c.ToolCalls {
		call(one.Name, one.Arguments)
	}
	for _, t := range tools {
		if len(c.ToolCalls) > 0 {
			break
		}
		arguments := synthesize(schemaOf(t))
		if t.Name == "json_schema_echo" { // shows what a client kept of another tool's schema
			i := slices.IndexFunc(tools, func(t *mcp.Tool) bool { return t.Name == "json_schema_2020_12_tool" })
			if i >= 0 {
				arguments = map[string]any{"schema": tools[i].InputSchema}
			}
		}
		call(t.Name, arguments)
	}
	if capabilities.Resources != nil {
		if list, err := session.MCP.ListResources(ctx, nil); err == nil && len(list.Resources) > 0 {
			_, _ = session.MCP.ReadResource(ctx, &mcp.ReadResourceParams{URI: list.Resources[0].URI}) // the suite sees the request
		}
	}
	if capabilities.Prompts != nil {
		if list, err := session.MCP.ListPrompts(ctx, nil); err == nil && len(list.Prompts) > 0 {
			_, _ = session.MCP.GetPrompt(ctx, &mcp.GetPromptParams{Name: list.Prompts[0].Name, Arguments: map[string]string{}})
		}
	}
	return failed
}

func schemaOf(t *mcp.Tool) map[string]any { s, _ := t.InputSchema.(map[string]any); return s }

// synthesize makes the smallest object that a schema seems to want.
func synthesize(schema map[string]any) map[string]any {
	values := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range asList(schema["required"]) {
		key, _ := name.(string)
		property, _ := properties[key].(map[string]any)
		values[key] = sample(property)
	}
	return values
}

func sample(property map[string]any) any {
	if d, ok := property["default"]; ok {
		return d
	}
	if enum := asList(property["enum"]); len(enum) > 0 {
		return enum[0]
	}
	switch property["type"] {
	case "integer", "number":
		return 5
	case "boolean":
		return true
	case "array":
		return []any{}
	case "object":
		return synthesize(property)
	}
	return "us-west1"
}
