// Runs npm's oidc-provider, in memory, as the benchmarks compare with it:
// opaque tokens, introspection by private_key_jwt, open registration, its own
// sign-in and consent pages, which ask for no password.
import http from "node:http";
import { readFileSync } from "node:fs";
import { generateKeyPair, exportJWK } from "../test/node/node_modules/jose/dist/webapi/index.js";
import Provider from "../test/node/node_modules/oidc-provider/lib/index.js";

const key = JSON.parse(readFileSync(process.argv[2]));
delete key.d;
const { privateKey } = await generateKeyPair("ES256", { extractable: true });

const listener = http.createServer();
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const issuer = `http://localhost:${listener.address().port}`;
const provider = new Provider(issuer, {
  clients: [
    { client_id: "gateway", token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256",
      grant_types: ["client_credentials"], redirect_uris: [], response_types: [], jwks: { keys: [key] } },
    { client_id: "agent", token_endpoint_auth_method: "none", application_type: "native",
      grant_types: ["authorization_code", "refresh_token"], redirect_uris: ["http://127.0.0.1/callback"] },
  ],
  jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: "signing", use: "sig", alg: "ES256" }] },
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  enabledJWA: { idTokenSigningAlgValues: ["ES256"], clientAuthSigningAlgValues: ["ES256"], introspectionSigningAlgValues: ["ES256"] },
  scopes: ["openid", "offline_access", "users:read"],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    introspection: { enabled: true },
    clientCredentials: { enabled: true },
  },
  issueRefreshToken: () => true,
});
listener.on("request", provider.callback());
console.log(issuer);
