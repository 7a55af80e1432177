// Runs oidc-provider, an authorization server that others wrote, with resource
// indicators, registration and introspection, until it is stopped. Its tokens
// for the MCP server are opaque or JWTs, as told. Once it listens it prints one
// JSON line: tokens that it or somebody else made and that the gateway must not
// take, by name; a good one, and a sound JWT made as the bad ones are.
import http from "node:http";
import { readFileSync } from "node:fs";
import { createHmac } from "node:crypto";
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const [port, format, mcp, api, keys] = process.argv.slice(2);
const scopes = "users:read users:write orders:read refunds:create";
const origin = (resource) => resource.replace(/\/$/, "");
const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
const kid = "signing";

const server = (issuer, signing) => {
  const provider = new Provider(issuer, {
    clients: [
      // The gateway: by its own key where its public half is given, else by a secret.
      { client_id: "gatehouse", grant_types: ["client_credentials"], redirect_uris: [], response_types: [],
        ...(keys ? { token_endpoint_auth_method: "private_key_jwt", jwks: JSON.parse(readFileSync(keys)) } : { client_secret: "of-the-gateway" }) },
      { client_id: "robot", client_secret: "of-the-robot", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
      { client_id: "agent", token_endpoint_auth_method: "none", grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: ["http://127.0.0.1/callback"], application_type: "native" },
    ],
    jwks: { keys: [{ ...signing, kid, use: "sig", alg: "ES256" }] },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
    scopes: ["openid", "offline_access", ...scopes.split(" ")],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // What the sample API wants to know of whoever calls: the gateway calls for
    // customers in USA, whoever the person is.
    extraTokenClaims: (_, token) => (token.kind === "ClientCredentials" ? { region: "USA" } : undefined),
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: scopes, audience: resource, accessTokenTTL: 300,
          accessTokenFormat: origin(resource) === origin(api) || format === "jwt" ? "jwt" : "opaque",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
    issueRefreshToken: () => true,
    ttl: { Session: 600, Grant: 600, Interaction: 600, IdToken: 600, RefreshToken: 600, AuthorizationCode: 60 },
  });
  return provider;
};

const issuer = `http://localhost:${port}`;
const provider = server(issuer, await exportJWK(privateKey));
const listener = http.createServer(provider.callback());
await new Promise((resolve) => listener.listen(Number(port), "127.0.0.1", resolve));

// Another server of the same make, with keys of its own.
const stranger = await generateKeyPair("ES256", { extractable: true });
const elsewhere = http.createServer();
await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
const otherIssuer = `http://localhost:${elsewhere.address().port}`;
elsewhere.on("request", server(otherIssuer, await exportJWK(stranger.privateKey)).callback());

const credentials = async (at, resource) => {
  const response = await fetch(`${at}/token`, {
    method: "POST", headers: { Authorization: `Basic ${btoa("robot:of-the-robot")}` },
    body: new URLSearchParams({ grant_type: "client_credentials", resource, scope: scopes }),
  });
  if (!response.ok) throw new Error(`${at}: ${response.status} ${await response.text()}`);
  return (await response.json()).access_token;
};

const now = Math.floor(Date.now() / 1000);
const claims = { iss: issuer, aud: mcp, sub: "alice", client_id: "agent", jti: "1", scope: scopes, iat: now - 600, exp: now + 600 };
const sign = (changes, header = {}, key = privateKey) => new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid, ...header }).sign(key);
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const withHMAC = (secret) => {
  const text = `${part({ alg: "HS256", typ: "at+jwt", kid })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
};

const refused = {
  "for another resource": await credentials(issuer, "https://other.example.com/"),
  "for the API": await credentials(issuer, api),
  "of another server": await credentials(otherIssuer, mcp),
  "without algorithm": `${part({ alg: "none", typ: "at+jwt", kid })}.${part(claims)}.`,
  "HMAC by the public key": withHMAC(await exportSPKI(publicKey)),
  "HMAC by the public JWK": withHMAC(JSON.stringify(await exportJWK(publicKey))),
  "expired": await sign({ exp: now - 60 }),
  "for several resources": await sign({ aud: [mcp, "https://other.example.com/"] }),
  "signed by another key": await sign({}, {}, stranger.privateKey),
  "by a key of another name": await sign({}, { kid: "unknown" }, stranger.privateKey),
  "of another issuer, by this key": await sign({ iss: `${issuer}/` }),
  "of no type": await sign({}, { typ: "JWT" }),
  "bound to a key": await sign({ cnf: { jkt: "x" } }),
};
console.log(JSON.stringify({ issuer, good: await credentials(issuer, mcp), sound: await sign({}), refused }));
