// Drives openid-client through discovery of the OAuth form, registration and
// the code flow. Prints one JSON line with what it saw.
import http from "node:http";
import * as client from "openid-client";

const [issuer, resource] = process.argv.slice(2);
let arrived;
const answer = new Promise((resolve) => { arrived = resolve; });
const listener = http.createServer((request, response) => {
  response.end("done");
  arrived(request.url);
});
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const redirect = `http://127.0.0.1:${listener.address().port}/callback`;

const config = await client.dynamicClientRegistration(new URL(issuer), {
  client_name: "openid-client", redirect_uris: [redirect], token_endpoint_auth_method: "client_secret_post", grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
}, undefined, { algorithm: "oauth2", execute: issuer.startsWith("http:") ? [client.allowInsecureRequests] : [] });
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
console.log(`authorize ${client.buildAuthorizationUrl(config, {
  redirect_uri: redirect, state, resource, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
})}`);
const tokens = await client.authorizationCodeGrant(config, new URL(await answer, redirect), { pkceCodeVerifier: verifier, expectedState: state }, { resource });
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, { resource });
console.log(JSON.stringify({ scope: refreshed.scope, type: refreshed.token_type, rotated: tokens.refresh_token !== refreshed.refresh_token }));
listener.close();
