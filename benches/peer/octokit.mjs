// The peer of the benches: @octokit/webhooks on Node's own server. It verifies and parses, and keeps nothing.
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";

const [port, secret] = process.argv.slice(-2);
const path = "/hooks/bench";
createServer(createNodeMiddleware(new Webhooks({ secret }), { path })).listen(Number(port), "127.0.0.1");
