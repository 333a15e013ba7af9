// GitHub's scheme by @octokit/webhooks, as a receiver is built with it.
import { readFileSync } from "node:fs";
import { Webhooks } from "@octokit/webhooks";

const answers = JSON.parse(readFileSync(0, "utf8")).map(async ({ secret, body, signature }) => {
  const text = Buffer.from(body, "base64").toString("utf8");
  const webhooks = new Webhooks({ secret });
  if (process.argv.at(-1) === "sign") return webhooks.sign(text);
  return (await webhooks.verify(text, signature)) ? "accepted" : "refused: it does not match";
});
process.stdout.write(JSON.stringify(await Promise.all(answers)));
