// What happens to the daemon while clients work: faults on half of each unit's paths, changes of settings, rude visitors.

import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { callSocket } from "../unit/control/fixtures/daemon.ts";
import { Random } from "../simulation/random.ts";
import type { Places } from "./places.ts";

const api = ({ folder }: Places) => join(folder, "api.sock");

const FAULTS = [
  { kind: "port-down" },
  { kind: "no-answer" },
  { kind: "slow", factor: 20, delayMs: 5 },
  { kind: "flapping", upMs: 700, downMs: 300 },
  { kind: "unit-attention", every: 50 },
  { kind: "busy", depth: 2 },
  { kind: "late", delayMs: 300 },
] as const;

const POLICIES = ["static", "round-robin", "least-in-flight", "service-time", "adaptive"] as const;

/** Ends when the soak does. */
async function pause({ signal }: Places, ms: number): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}

/** Path numbers of a unit, in order. */
async function pathsOf(places: Places, unit: number): Promise<string[]> {
  const { body } = await callSocket(api(places), "GET", `/v1/units/${unit}`);
  return (body as { readonly paths: readonly { readonly number: string }[] }).paths
    .map(({ number }) => number)
    .toSorted();
}

/** Faults on the first two paths of each unit, and their end; the others are spared. */
export async function raiseFaults(places: Places, units: number): Promise<void> {
  const random = new Random(places.seed * 1000 + 501);
  const paths: string[] = [];
  for (let unit = 0; unit < units; unit++) paths.push(...(await pathsOf(places, unit)).slice(0, 2));
  while (!places.signal.aborted) {
    for (let count = random.between(1, 4); count > 0; count--) {
      const fault = FAULTS[random.between(0, FAULTS.length - 1)];
      const path = paths[random.between(0, paths.length - 1)];
      await callSocket(api(places), "POST", "/v1/array/faults", { fault, where: { path } }).catch(() => undefined);
    }
    await pause(places, random.between(500, 4000));
    await callSocket(api(places), "DELETE", "/v1/array/faults").catch(() => undefined);
    await pause(places, random.between(100, 4000));
  }
}

/** Settings of all kinds; of the paths only the third of each unit is ever disabled. */
export async function changeSettings(places: Places, units: number): Promise<void> {
  const random = new Random(places.seed * 1000 + 502);
  const spare: string[] = [];
  for (let unit = 0; unit < units; unit++) spare.push(...(await pathsOf(places, unit)).slice(2, 3));
  while (!places.signal.aborted) {
    const unit = random.between(0, units - 1);
    const policy = POLICIES[random.between(0, POLICIES.length - 1)];
    const path = spare[unit] ?? "";
    const calls: readonly (readonly [string, string, unknown?])[] = [
      ["PATCH", `/v1/units/${unit}`, { policy }],
      ["PATCH", "/v1/patrol", { intervalS: random.between(1, 5) }],
      ["POST", `/v1/paths/${path}/disable`],
      ["POST", `/v1/paths/${path}/enable`],
      ["POST", "/v1/failback-all"],
      ["POST", "/v1/config/reload"],
      ["GET", "/v1/units"],
      ["GET", "/v1/statistics"],
      ["GET", "/v1/events?limit=1000"],
      ["GET", "/openapi.json"],
    ];
    const [method, where, body] = calls[random.between(0, calls.length - 1)] ?? ["GET", "/v1/status"];
    await callSocket(api(places), method, where, body).catch(() => undefined);
    await pause(places, random.between(20, 500));
  }
}

/** Visitors that leave in the middle, send nonsense or follow events for a while without reading them. */
export async function visitRudely(places: Places): Promise<void> {
  const random = new Random(places.seed * 1000 + 503);
  const words = ["", "GET / HTTP/1.1\r\n", "GET /v1/events/stream?since=0 HTTP/1.1\r\nhost: x\r\n\r\n", "\0\0\0\u0003"];
  while (!places.signal.aborted) {
    const socket = connect(random.chance(0.5) ? api(places) : join(places.folder, "nbd.sock"));
    socket.on("error", () => undefined);
    socket.write(words[random.between(0, words.length - 1)] ?? "");
    socket.pause();
    await pause(places, random.between(1, 300));
    socket.destroy();
  }
}
