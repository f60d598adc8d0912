// Nothing that one asks for holds up what others ask for: with 1024 units of 8 paths, whatever the route, control's event loop
// turns on. Measured against what a display of everything would cost in one go, in the same run.

import { request } from "node:http";
import test from "ava";
import { ROUTES, type RouteId } from "../../../host/control/schemas/routes.ts";
import { unitView } from "../../../host/control/views/views.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

/** A part of what everything in one go costs: an answer that is made in one go would cost all of it, and its JSON more. */
const SHARE_MAX = 0.8;
/** The least of up to so many: what the machine does beside is nobody's fault. */
const ROUNDS = 10;

type Asked = readonly [path: string, body?: unknown];

/** One request to each route, of those that a route can be asked the one that is most work. */
const REQUESTS: Readonly<Record<RouteId, Asked>> = {
  status: ["/v1/status"],
  units: ["/v1/units"],
  unit: ["/v1/units/5"],
  paths: ["/v1/paths"],
  arrays: ["/v1/arrays"],
  statistics: ["/v1/statistics"],
  patchUnit: ["/v1/units/5", { policy: { name: "round-robin" } }],
  attachUnit: ["/v1/units/5/attach", {}],
  detachUnit: ["/v1/units/5/detach", {}],
  releaseUnit: ["/v1/units/5/release"],
  moveUnit: ["/v1/units/5/move", { reactor: 0 }],
  reservation: ["/v1/units/5/reservation"],
  askReservation: ["/v1/units/5/reservation/in?action=keys"],
  orderReservation: ["/v1/units/5/reservation", { action: "register", serviceActionKey: "0x5" }],
  enablePath: ["/v1/paths/4:0:0:5/enable"],
  disablePath: ["/v1/paths/4:0:0:5/disable"],
  usePath: ["/v1/paths/4:0:0:5/use"],
  setPriority: ["/v1/paths/4:0:0:5/priority", { priority: 77 }],
  failbackPath: ["/v1/paths/4:0:0:5/failback"],
  checkPath: ["/v1/paths/4:0:0:1/check"],
  rescan: ["/v1/rescan", {}],
  forgetPath: ["/v1/paths/4:0:0:5/forget"],
  swapPaths: ["/v1/paths/swap", { a: "4:0:0:5", b: "4:0:1:5" }],
  useMatching: ["/v1/paths/use-matching", { pattern: "4:0:0:" }],
  failbackAll: ["/v1/failback-all"],
  mode: ["/v1/mode"],
  patchMode: ["/v1/mode", { failback: "standby" }],
  patrol: ["/v1/patrol"],
  patchPatrol: ["/v1/patrol", { intervalS: 60 }],
  events: ["/v1/events?limit=1000"],
  eventStream: ["/v1/events/stream?since=0"],
  config: ["/v1/config"],
  reloadConfig: ["/v1/config/reload"],
  revertConfig: ["/v1/config/revert"],
  acceptSettings: ["/v1/config/accept"],
  faults: ["/v1/array/faults"],
  addFault: ["/v1/array/faults", { fault: { kind: "slow", factor: 1 }, where: { unit: 9 } }],
  removeFaults: ["/v1/array/faults"],
  receivers: ["/v1/receivers"],
  testReceivers: ["/v1/receivers/test"],
  metrics: ["/metrics"],
  latencies: ["/v1/latencies"],
  page: ["/"],
  simulator: ["/simulator"],
  openapi: ["/openapi.json"],
};

/** Asks, and takes the answer without a look at it; of a stream a quarter of a second. */
function ask(socketPath: string, route: RouteId): Promise<void> {
  const [path, body] = REQUESTS[route];
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = text === undefined ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method: ROUTES[route].method, path, headers }, (response) => {
      response.on("data", () => undefined).on("end", resolve);
      if (route !== "eventStream") return;
      setTimeout(() => {
        sent.destroy();
        resolve();
      }, 250);
    });
    sent.on("error", reject);
    sent.end(text);
  });
}

/** The longest time between two turns of the event loop while something is done. */
async function longestMs(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let isOver = false;
  const turn = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  isOver = true;
  turn();
  return longest;
}

/** The least of a number of measurements, of which none is made any more when one was small enough. */
async function leastOf(measure: () => Promise<number>, enough = 0): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < ROUNDS && least > enough; round++) least = Math.min(least, await measure());
  return least;
}

test("no route holds the event loop for long, with 1024 units of 8 paths", async (t) => {
  t.timeout(300_000);
  const daemon = await TestDaemon.start(t, "patrol.mode = 'none'\n[array]\nunits = 1024\npaths = 8\nunit_mib = 1\n");
  const everything = await leastOf(async () => {
    const snapshot = await daemon.daemon.snapshots.current();
    const began = performance.now();
    const sources = { ...daemon.daemon.views, snapshot };
    const text = JSON.stringify(daemon.daemon.inventory.units().map((unit) => unitView(unit, sources)));
    t.true(text.length > 1_000_000);
    return performance.now() - began;
  });
  const measured: Record<string, number> = {};
  for (const route of Object.keys(REQUESTS) as RouteId[]) {
    const longest = await leastOf(() => longestMs(() => ask(daemon.socket, route)), everything / 4);
    measured[route] = Math.round(longest);
    t.true(longest < SHARE_MAX * everything, `${route}: ${longest} ms, everything in one go: ${everything} ms`);
  }
  const worst = Object.entries(measured).toSorted(([, a], [, b]) => b - a);
  t.log(
    `everything in one go: ${Math.round(everything)} ms; ${worst
      .slice(0, 6)
      .map(([route, ms]) => `${route} ${ms}`)
      .join(", ")}`,
  );
});
