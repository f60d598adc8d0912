// The pages for a browser: whole in one answer, and with a policy that runs nothing but what was built into them.

import { createHash } from "node:crypto";
import { get } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import test from "ava";
import type { LatenciesView } from "../../../host/control/schemas/status-schema.ts";
import { RealDaemon } from "../cli/daemon.ts";

// What it fetches are build/page/page.html and build/page/simulator.html.
async function fetchPage(socketPath: string, path: string) {
  const [response] = (await once(get({ socketPath, path, agent: false }), "response")) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const digest = (part: string): string => `'sha256-${createHash("sha256").update(part).digest("base64")}'`;

test("readers get the page, whole, with a policy that names its scripts and its style", async (t) => {
  await using daemon = await RealDaemon.start();
  const { status, headers, body } = await fetchPage(join(daemon.folder, "api-read.sock"), "/");
  t.is(status, 200);
  t.is(headers["content-type"], "text/html; charset=utf-8");
  const policy = String(headers["content-security-policy"]);
  t.regex(policy, /default-src 'none'/);
  t.regex(policy, /frame-ancestors 'none'/);
  t.notRegex(policy, /unsafe-inline|unsafe-eval'|\*|https?:/);
  t.is(headers["x-content-type-options"], "nosniff");
  const scripts = [...body.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, part = ""]) => digest(part));
  const styles = [...body.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, part = ""]) => digest(part));
  // One before the first frame, one after it.
  t.is(scripts.length, 2);
  t.true(policy.includes(`script-src ${scripts.join(" ")}`), policy);
  t.true(policy.includes(`style-src ${styles[0]}`), policy);
  // Nothing is fetched from elsewhere.
  t.notRegex(body, /<(?:script|link|img|iframe)[^>]*(?:src|href)=/);
});

test("latencies are told for the paths that are asked for", async (t) => {
  await using daemon = await RealDaemon.start();
  const ask = (query: string) => daemon.client.call<LatenciesView>("GET", `/v1/latencies${query}`);
  const all = await ask("");
  t.true(all.paths.length > 1);
  t.is(all.paths[0]?.counts.length, all.boundsUs.length + 1);
  t.deepEqual(
    (await ask("?paths=4:0:0:0,9:9:9:9")).paths.map(({ number }) => number),
    ["4:0:0:0"],
  );
  await t.throwsAsync(ask("?paths=4:0:0:0,nonsense"), { code: "INVALID_REQUEST" });
  const many = Array.from({ length: 257 }, (_, lun) => `4:0:0:${lun}`).join(",");
  await t.throwsAsync(ask(`?paths=${many}`), { code: "INVALID_REQUEST" });
});
