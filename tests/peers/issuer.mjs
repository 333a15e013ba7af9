// An issuer of ID tokens: its keys under /jwks, and a token for each line of claims on standard input.
import { createInterface } from "node:readline";
import { OAuth2Server } from "oauth2-mock-server";

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");
process.stdout.write(`http://127.0.0.1:${new URL(server.issuer.url).port}/jwks\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const claims = JSON.parse(line);
  const token = await server.issuer.buildToken({
    scopesOrTransform: (_header, payload) => {
      for (const name of Object.keys(payload)) delete payload[name];
      Object.assign(payload, claims);
    },
  });
  process.stdout.write(`${token}\n`);
}
await server.stop();
