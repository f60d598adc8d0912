// However large an answer is, others are answered meanwhile: no route holds the control thread for long.

import { request } from "node:http";
import test from "ava";

import type { Status } from "../../../host/control/schemas/status.ts";
import { ROUTES, type Route } from "../../../host/control/routes.ts";
import { RealDaemon, until } from "./daemon.ts";

/** Asks, reads the answer and throws it away; milliseconds until its end. */
function ask(socketPath: string, path: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      response.on("data", () => undefined);
      response.on("end", () => resolve(performance.now() - began));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** Longest of the answers that another client gets while `path` is answered. */
async function longestMeanwhile(socket: string, path: string): Promise<{ whole: number; longest: number }> {
  const state = { busy: true };
  let longest = 0;
  const whole = ask(socket, path).finally(() => {
    state.busy = false;
  });
  while (state.busy) longest = Math.max(longest, await ask(socket, "/v1/mode"));
  return { whole: await whole, longest };
}

const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

test("with 1024 units of 8 paths, no answer keeps others waiting while the largest is made", async (t) => {
  t.timeout(120_000);
  await using daemon = await RealDaemon.start("[array]\nunits = 1024\npaths = 8\n");
  const status = (): Promise<Status> => daemon.client.call<Status>("GET", "/v1/status");
  await until("every path is usable", async () => (await status()).pathsUsable === 8192);
  const paths = Object.values<Route>(ROUTES)
    .filter(({ method, path }) => method === "GET" && !path.includes(":") && !path.endsWith("/stream"))
    .map(({ path }) => path);
  t.true(paths.includes("/v1/units"));
  // Medians of some rounds: a machine that is busy elsewhere holds everybody now and then.
  const rounds = 7;
  const measured = new Map<string, { whole: number; longest: number }>();
  for (const path of paths) {
    const samples = [];
    for (let i = 0; i < rounds; i++) samples.push(await longestMeanwhile(daemon.socket, path));
    measured.set(path, {
      whole: middle(samples.map(({ whole }) => whole)),
      longest: middle(samples.map(({ longest }) => longest)),
    });
  }
  const largest = measured.get("/v1/units")?.whole ?? Number.NaN;
  for (const [path, { whole, longest }] of measured) {
    t.log(`${path}: ${whole.toFixed(1)} ms, others waited ${longest.toFixed(1)} ms at most`);
    t.true(longest < largest / 2, `${path}: others waited ${longest} ms, all units take ${largest} ms`);
  }
});
