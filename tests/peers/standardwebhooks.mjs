// GitLab's signing tokens by the npm package standardwebhooks.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const answers = JSON.parse(readFileSync(0, "utf8")).map(({ secret, id, time, body, signature }) => {
  const text = Buffer.from(body, "base64").toString("utf8");
  const webhook = new Webhook(secret);
  if (process.argv.at(-1) === "sign") return webhook.sign(id, new Date(time * 1000), text);
  const headers = { "webhook-id": id, "webhook-timestamp": String(time), "webhook-signature": signature };
  try {
    webhook.verify(text, headers);
    return "accepted";
  } catch (error) {
    return `refused: ${error.message}`;
  }
});
process.stdout.write(JSON.stringify(answers));
