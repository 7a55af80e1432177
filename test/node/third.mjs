// An MCP server made of the TypeScript SDK's own parts, whose authorization
// server is oidc-provider: nothing of either is Gatehouse's. Prints one JSON
// line when both listen, and one for each token that is revoked.
import http from "node:http";
import express from "express";
import { z } from "zod";
import Provider from "oidc-provider";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from "@modelcontextprotocol/sdk/server/auth/router.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";

const [signInPort, mcpPort] = process.argv.slice(2).map(Number);
const issuer = `http://localhost:${signInPort}`, endpoint = new URL(`http://localhost:${mcpPort}/mcp`);

const provider = new Provider(issuer, {
  scopes: ["openid", "offline_access", "people"],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true }, registration: { enabled: true }, introspection: { enabled: true }, revocation: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: () => undefined, useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({ scope: "people", audience: resource, accessTokenTTL: 300, accessTokenFormat: "opaque" }),
    },
  },
  issueRefreshToken: () => true,
  ttl: { Session: 600, Grant: 600, Interaction: 600, RefreshToken: 600, AuthorizationCode: 60 },
});
provider.on("access_token.destroyed", () => console.log(JSON.stringify({ destroyed: "access_token" })));
provider.on("refresh_token.destroyed", () => console.log(JSON.stringify({ destroyed: "refresh_token" })));
await new Promise((resolve) => http.createServer(provider.callback()).listen(signInPort, "127.0.0.1", resolve));

const users = [{ id: 1, name: "Grace Hopper" }, { id: 2, name: "Alan Turing" }, { id: 3, name: "Ada Lovelace" }];
const app = express();
app.use(express.json());
const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
app.use(mcpAuthMetadataRouter({ oauthMetadata: metadata, resourceServerUrl: endpoint, scopesSupported: ["people"] }));
const verifier = {
  async verifyAccessToken(value) {
    const token = await provider.AccessToken.find(value); // its own store: the two are one process
    if (!token || !token.isValid) throw new InvalidTokenError("unknown or expired");
    const audience = [token.aud].flat()[0];
    return { token: value, clientId: token.clientId, scopes: token.scope.split(" "), expiresAt: token.exp, resource: audience && new URL(audience) };
  },
};
app.all("/mcp", requireBearerAuth({ verifier, requiredScopes: ["people"], expectedResource: endpoint, resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(endpoint) }), async (req, res) => {
  const server = new McpServer({ name: "people of others", version: "1.0.0" });
  server.registerTool("list-users", { title: "List users", description: "Lists the users.", inputSchema: { limit: z.number().int().optional() }, annotations: { readOnlyHint: true } },
    async () => ({ content: [{ type: "text", text: JSON.stringify({ users }) }], structuredContent: { users } }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  res.on("close", () => { transport.close(); server.close(); });
  await server.connect(transport);
  await transport.handleRequest(req, res, req.body);
});
await new Promise((resolve) => app.listen(mcpPort, "127.0.0.1", resolve));
console.log(JSON.stringify({ endpoint: endpoint.href, issuer }));
