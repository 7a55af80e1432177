// Drives openid-client as a relying party of OpenID Connect: discovery of the
// OpenID form, registration, sign-in with nonce and max_age, userinfo, and a
// sign-out by the ID token. Prints one JSON line with what it saw.
import http from "node:http";
import * as client from "openid-client";

const [issuer] = process.argv.slice(2);
let arrived;
const answer = new Promise((resolve) => { arrived = resolve; });
const listener = http.createServer((request, response) => {
  response.end("done");
  arrived(request.url);
});
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const home = `http://127.0.0.1:${listener.address().port}`;

const config = await client.dynamicClientRegistration(new URL(issuer), {
  client_name: "relying party", redirect_uris: [`${home}/callback`], post_logout_redirect_uris: [`${home}/bye`],
  token_endpoint_auth_method: "client_secret_basic", grant_types: ["authorization_code"], response_types: ["code"], id_token_signed_response_alg: "ES256",
}, undefined, { execute: issuer.startsWith("http:") ? [client.allowInsecureRequests] : [] });
client.enableNonRepudiationChecks(config); // it verifies the ID token's signature too
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
console.log(`authorize ${client.buildAuthorizationUrl(config, {
  redirect_uri: `${home}/callback`, state, nonce, scope: "openid profile", max_age: "600",
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
})}`);
const tokens = await client.authorizationCodeGrant(config, new URL(await answer, home), { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 600, idTokenExpected: true });
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
console.log(JSON.stringify({
  sub: claims.sub, authTime: claims.auth_time, userinfo,
  logout: client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: `${home}/bye`, state: "after" }).href,
}));
listener.close();
