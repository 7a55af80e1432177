// A bookshop's API that knows nothing of Gatehouse but gatehouse.mjs, which
// docs/quickstart.md has. It keeps the last token that it accepted in a file, for the test.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { authorize } from "./gatehouse.mjs";

const books = [
  { id: 1, title: "The Book of Disquiet", author: "Pessoa", branch: "Lisbon" },
  { id: 2, title: "Blindness", author: "Saramago", branch: "Lisbon" },
  { id: 3, title: "Solitude", author: "Català", branch: "Barcelona" },
];

async function answer(request) {
  const address = new URL(request.url, "http://localhost");
  if (address.pathname !== "/books") return [404, { error: "there is no such page" }];
  const change = request.method === "POST";
  const claims = await authorize(request, change ? "books:write" : "books:read");
  writeFileSync("accepted", request.headers.authorization.split(" ")[1]);
  if (!change) {
    const author = address.searchParams.get("author");
    const mine = books.filter((b) => b.branch === claims.branch && (!author || b.author === author));
    return [200, { books: mine }];
  }
  if (!claims.branch) return [403, { error: "you belong to no branch" }];
  let text = "";
  for await (const chunk of request) text += chunk;
  const book = { id: books.length + 1, ...JSON.parse(text), branch: claims.branch };
  books.push(book);
  return [201, book];
}

createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((e) => [e.status ?? 401, { error: e.message }]);
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
