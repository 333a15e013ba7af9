// Connects a GitHub account in Chromium, from the link to the end, with the keyboard alone on our own pages. On each of
// them axe finds nothing, the console is silent (so the page keeps its own policy), and nothing is wider than a phone.
// Arguments: the link, the guide's address, the account's name, a folder for pictures.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [link, guide, login, pictures] = process.argv.slice(1);
const axe = readFileSync(createRequire(join(process.cwd(), "x.js")).resolve("axe-core/axe.min.js"), "utf8");
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
const page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
const wrong = [];
const ours = new URL(link).origin;
let refused = 0;
page.on("console", (message) => {
  // The forge's pages are the forge's business.
  const from = message.location().url;
  if (!["error", "warning"].includes(message.type()) || (from && new URL(from).origin !== ours)) return;
  // Chromium names every 400; the form that is shown again is one.
  if (message.text().includes("status of 400")) refused += 1;
  else wrong.push(message.text());
});
page.on("pageerror", (error) => wrong.push(String(error)));
let count = 0;

async function look(name) {
  if (new URL(page.url()).origin !== ours) throw new Error(`${name} is at ${page.url()}`);
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run());
  for (const it of found.violations) wrong.push(`${name}: ${it.id}: ${it.help} ${it.nodes[0].html}`);
  await page.setViewportSize({ width: 360, height: 700 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > 360) wrong.push(`${name}: ${wide} pixels wide on a phone of 360`);
  await page.screenshot({ path: join(pictures, `${name}-phone.png`), fullPage: true });
  await page.setViewportSize({ width: 1000, height: 900 });
  const kept = await page.evaluate(() => localStorage.length + sessionStorage.length);
  if (kept > 0) wrong.push(`${name}: keeps something in the browser`);
  count += 1;
}

// Presses a button as somebody without a mouse does.
async function press(name) {
  const button = page.getByRole("button", { name, exact: true });
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press("Tab");
    if (await button.evaluate((element) => element === document.activeElement)) {
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      return;
    }
  }
  throw new Error(`no way to ${name} by the keyboard`);
}

await page.goto(guide);
await look("0-guide");
await page.goto(link);
await look("1-link");
await press("Begin");
await look("2-form");
await page.getByLabel("Organization name").focus();
await page.keyboard.type(login.toUpperCase());
await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
await look("3-spelling");
await press(`Use \u201c${login}\u201d`);
await look("4-review");
await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Create GitHub App" }).click()]);
await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Create it" }).click()]);
await look("5-install");
await press("Install");
await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: `Install on ${login}` }).click()]);
await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Authorize" }).click()]);
await page.getByRole("heading", { name: "Connected" }).waitFor({ timeout: 15000 });
await look("6-connected");
const cookies = await page.context().cookies(ours);
if (cookies.length > 0) wrong.push(`${cookies.length} cookies are left`);
await page.reload();
await page.getByRole("heading", { name: "Nothing has begun in this browser" }).waitFor({ timeout: 15000 });
await browser.close();

const kept = wrong.filter((line) => !line.includes("status of 403"));
console.log(`${count} pages, ${refused} refused form, ${kept.length} complaints`);
if (kept.length > 0) {
  console.log(kept.join("\n"));
  process.exit(1);
}
