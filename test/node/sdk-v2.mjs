// Drives the TypeScript SDK v2 against an MCP server: prints the authorization
// address, takes the answer on a loopback port, lists tools and calls one, in
// the newest revision. Prints one JSON line with what it saw.
import http from "node:http";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const [server, tool, args] = process.argv.slice(2);

const answers = [];
let arrived;
const listener = http.createServer((request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  response.end("done");
  if (url.pathname === "/callback") {
    answers.push(url.searchParams);
    arrived?.();
  }
});
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const redirect = `http://127.0.0.1:${listener.address().port}/callback`;

const kept = {};
const provider = {
  get redirectUrl() { return redirect; },
  get clientMetadata() {
    return { client_name: "SDK v2", redirect_uris: [redirect], token_endpoint_auth_method: "none", grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] };
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  redirectToAuthorization: (url) => { console.log(`authorize ${url}`); },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => { kept.discovery = state; },
  discoveryState: () => kept.discovery,
};

const connect = async () => {
  const client = new Client({ name: "witness", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  const transport = new StreamableHTTPClientTransport(new URL(server), { authProvider: provider });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    if (answers.length === 0) await new Promise((resolve) => { arrived = resolve; });
    await transport.finishAuth(answers[0]);
    return undefined;
  }
};

const client = (await connect()) ?? (await connect());
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(args ?? "{}") });
console.log(JSON.stringify({
  tools: tools.map((t) => t.name), isError: result.isError ?? false, structured: result.structuredContent, refresh: Boolean(kept.tokens.refresh_token),
}));
await client.close();
listener.close();
