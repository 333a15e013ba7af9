// GitHub's scheme by @octokit/webhooks-methods.
import { readFileSync } from "node:fs";
import { sign, verify } from "@octokit/webhooks-methods";

const answers = JSON.parse(readFileSync(0, "utf8")).map(async ({ secret, body, signature }) => {
  const text = Buffer.from(body, "base64").toString("utf8");
  if (process.argv.at(-1) === "sign") return sign(secret, text);
  return (await verify(secret, text, signature)) ? "accepted" : "refused: it does not match";
});
process.stdout.write(JSON.stringify(await Promise.all(answers)));
