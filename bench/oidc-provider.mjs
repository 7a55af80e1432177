// Runs oidc-provider with its own in-memory store, as a peer in the benchmarks:
// resource indicators, registration, introspection, and its development pages.
// Prints its port.
import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.argv[2] + "/");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const listener = http.createServer();
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const port = listener.address().port;
const resource = "https://api.example.com/";
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: "robot", client_secret: "secret", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }],
  scopes: ["openid", "read"],
  clientBasedCORS: () => false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true }, registration: { enabled: true }, introspection: { enabled: true }, clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: () => undefined, useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: "read", audience: resource, accessTokenTTL: 3600, accessTokenFormat: "opaque" }),
    },
  },
  ttl: { Session: 600, Grant: 600, Interaction: 600, IdToken: 600, AuthorizationCode: 60 },
});
listener.on("request", provider.callback());
console.log(`127.0.0.1:${port}`);
