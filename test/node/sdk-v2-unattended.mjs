// Drives the TypeScript SDK v2's providers for agents with no person there.
// Credentials come as JSON in CREDENTIALS. Prints one JSON line.
import { Client, ClientCredentialsProvider, CrossAppAccessProvider, PrivateKeyJwtProvider, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [kind, server, tool, args] = process.argv.slice(2);
const given = JSON.parse(process.env.CREDENTIALS);
const providers = {
  secret: () => new ClientCredentialsProvider(given),
  key: () => new PrivateKeyJwtProvider(given),
  "id-jag": () => new CrossAppAccessProvider({ ...given, assertion: async () => given.assertion }),
};
const client = new Client({ name: "unattended", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
await client.connect(new StreamableHTTPClientTransport(new URL(server), { authProvider: providers[kind]() }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(args ?? "{}") });
console.log(JSON.stringify({ tools: tools.map((t) => t.name), isError: result.isError ?? false, structured: result.structuredContent }));
await client.close();
