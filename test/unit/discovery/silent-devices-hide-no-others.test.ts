// A command to a device blocks a thread until the kernel gives it back. However many devices answer nothing, the others are
// found, and a rescan ends.

import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { discover } from "../../../host/discovery/discover.ts";
import { AdapterQueues } from "../../../host/discovery/adapter-queues.ts";
import type { ScsiTransport } from "../../../host/discovery/transport.ts";
import { candidate, disk, transportOf } from "./pages.ts";

const BUDGET_MS = 200;
const THREADS = 256;
const SILENT = 300;
const HEALTHY = 50;
/** Longer than any test; a timer of so long keeps no process from ending. */
const FOREVER_MS = 3_600_000;

/** As the addon's line: so many threads, commands beyond them wait for one. A silent device keeps its thread for `silentMs`. */
function threads(silentMs: number, isSilent: (device: string) => boolean): ScsiTransport {
  const devices = transportOf(
    Object.fromEntries(Array.from({ length: SILENT + HEALTHY }, (_, index) => [`d${index}`, disk(index % 250)])),
  );
  const line: (() => void)[] = [];
  let busy = 0;
  const next = (): void => {
    busy--;
    line.shift()?.();
  };
  return {
    command: async (device, cdb, bytes, timeoutMs) => {
      if (busy >= THREADS) await new Promise<void>((resolve) => line.push(resolve));
      busy++;
      try {
        await (isSilent(device) ? sleep(silentMs, undefined, { ref: silentMs < FOREVER_MS }) : sleep(1));
        if (isSilent(device)) throw new Error(`${device} answers nothing`);
        return await devices.command(device, cdb, bytes, timeoutMs);
      } finally {
        next();
      }
    },
  };
}

const isSilent = (device: string): boolean => Number(device.slice(1)) < SILENT;
const candidates = (hostOf: (index: number) => number) =>
  Array.from({ length: SILENT + HEALTHY }, (_, index) => candidate(`d${index}`, `${hostOf(index)}:0:0:${index}`));
const ALL = { devices: "all", exclude: [], budgetMs: BUDGET_MS } as const;

test("more silent devices than threads, all of one host adapter: those behind them are found when their turn comes", async (t) => {
  const queues = new AdapterQueues(THREADS, THREADS);
  // The kernel takes longer than it was told to: its error recovery is part of it.
  const found = await discover(
    threads(1.5 * BUDGET_MS, isSilent),
    candidates(() => 1),
    { ...ALL, queues },
  );
  t.is(found.paths.length, HEALTHY);
  t.is(found.refusals.length, SILENT);
});

test("silent devices of one host adapter hold up none of another, even when their commands never come back", async (t) => {
  const queues = new AdapterQueues(THREADS / 2, THREADS);
  const started = performance.now();
  const never = threads(FOREVER_MS, isSilent);
  const list = candidates((index) => (index < SILENT ? 1 : 2));
  const found = await discover(never, list, { ...ALL, queues });
  t.is(found.paths.length, HEALTHY);
  t.true(performance.now() - started < 10 * BUDGET_MS, "those that wait for a place are given up");
  const waited = found.refusals.filter(({ reason }) => reason.includes("too many devices of host1 answer nothing"));
  t.is(waited.length, SILENT - THREADS / 2);
  // The next rescan: the places of the host are still taken, the other host's are free.
  const again = await discover(never, list, { ...ALL, queues });
  t.is(again.paths.length, HEALTHY);
});

test("places are taken in turn, at most so many of a host and of all together, and left only once", async (t) => {
  const queues = new AdapterQueues(2, 3);
  const enter = async (host: string): Promise<() => void> => {
    const leave = await queues.enter(host, 60_000);
    return leave ?? t.fail("given up") ?? (() => undefined);
  };
  const [one, two] = [await enter("1"), await enter("1")];
  const order: string[] = [];
  const third = enter("1").then((leave) => (order.push("third"), leave));
  const other = await enter("2");
  const fourth = enter("2").then((leave) => (order.push("fourth"), leave));
  await Promise.resolve();
  t.deepEqual(order, []);
  one();
  one();
  const leave = await third;
  t.deepEqual(order, ["third"]);
  two();
  await fourth;
  t.deepEqual(order, ["third", "fourth"]);
  for (const out of [leave, other]) out();
});
