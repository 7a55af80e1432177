// Drives oauth4webapi, a strict protocol client, through discovery, dynamic
// registration, the code flow with iss, a refresh and a revocation. Prints one
// JSON line with what it saw.
import http from "node:http";
import * as oauth from "oauth4webapi";

const [issuer, resource] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: issuer.startsWith("http:") };
const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...insecure }));

let arrived;
const answer = new Promise((resolve) => { arrived = resolve; });
const listener = http.createServer((request, response) => {
  response.end("done");
  arrived(new URL(request.url, "http://127.0.0.1"));
});
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const redirect = `http://127.0.0.1:${listener.address().port}/callback`;

const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(server, {
  client_name: "oauth4webapi", redirect_uris: [redirect], token_endpoint_auth_method: "client_secret_basic", grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
}, insecure));
const authentication = oauth.ClientSecretBasic(client.client_secret);
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const authorize = new URL(server.authorization_endpoint);
for (const [name, value] of Object.entries({
  client_id: client.client_id, redirect_uri: redirect, response_type: "code", state, resource,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
})) authorize.searchParams.set(name, value);
console.log(`authorize ${authorize}`);

const callback = oauth.validateAuthResponse(server, client, await answer, state);
const tokens = await oauth.processAuthorizationCodeResponse(server, client, await oauth.authorizationCodeGrantRequest(
  server, client, authentication, callback, redirect, verifier, { additionalParameters: { resource }, ...insecure }));
const refreshed = await oauth.processRefreshTokenResponse(server, client, await oauth.refreshTokenGrantRequest(
  server, client, authentication, tokens.refresh_token, { additionalParameters: { resource }, ...insecure }));
const call = (token) => fetch(resource, {
  method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/json, text/event-stream" },
  body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "fetch-users", arguments: { limit: 1 } } }),
});
const before = await call(refreshed.access_token);
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, refreshed.refresh_token, insecure));
await new Promise((resolve) => setTimeout(resolve, 1000)); // what is revoked is refused a second later
const after = await call(refreshed.access_token);
console.log(JSON.stringify({ before: before.status, body: (await before.json()).result?.structuredContent, after: after.status, rotated: tokens.refresh_token !== refreshed.refresh_token }));
listener.close();
