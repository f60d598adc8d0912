// What becomes of ublk devices whose daemon has gone and does not return.

import test from "ava";
import { giveUpAbandoned } from "../../../host/supervisor/abandoned.ts";
import type { UblkDevice } from "../../../host/native/index.ts";

const DAEMON = 10;
const NEXT = 11;
const HANGING = 12;

const quiesced: UblkDevice = {
  index: 0,
  state: "quiesced",
  depth: 128,
  serverPid: DAEMON,
  resizable: true,
  owner: 1,
  deadConnectionTimeoutSeconds: 5,
  userCopy: false,
};

/** A driver with these devices, and a clock that moves while somebody waits. @param later what happens at which ms */
function driver(devices: UblkDevice[], later: Readonly<Record<number, () => void>> = {}) {
  const table = new Map(devices.map((device) => [device.index, device]));
  const running = new Set([NEXT]);
  const removed: (readonly [index: number, atMs: number])[] = [];
  let now = 0;
  const said: string[] = [];
  const calls = {
    list: () => [...table.keys()],
    status: (index: number) => Promise.resolve(table.get(index) ?? null),
    remove: (index: number) => {
      if (table.get(index)?.serverPid === HANGING && now < 8000) return Promise.reject(new Error("EBUSY"));
      removed.push([index, now]);
      table.delete(index);
      return Promise.resolve();
    },
    isRunning: (pid: number) => running.has(pid),
    nowMs: () => now,
    pause: (ms: number) => {
      for (const [at, event] of Object.entries(later)) if (Number(at) >= now && Number(at) < now + ms) event();
      now += ms;
      return Promise.resolve();
    },
  };
  return { table, removed, said, begin: () => giveUpAbandoned((text) => said.push(text), calls) };
}

test("a device without a daemon is removed when its timeout has passed, not before", async (t) => {
  const { removed, said, begin } = driver([quiesced, { ...quiesced, index: 3, deadConnectionTimeoutSeconds: 60 }]);
  await begin();
  t.deepEqual(removed, [
    [0, 5000],
    [3, 60_000],
  ]);
  t.true(
    said.includes("/dev/ublkb0 is removed, as no daemon came within 5 s; what waited has failed"),
    said.join("\n"),
  );
});

test("with a timeout of 0 nothing waits", async (t) => {
  const { removed, begin } = driver([{ ...quiesced, deadConnectionTimeoutSeconds: 0 }]);
  await begin();
  t.deepEqual(removed, [[0, 0]]);
});

test("a device that the next daemon takes over is left alone, and one that loses that too has its whole time again", async (t) => {
  const over: UblkDevice = { ...quiesced, state: "live", serverPid: NEXT };
  const other: UblkDevice = { ...quiesced, index: 1, deadConnectionTimeoutSeconds: 30 };
  const { table, removed, begin } = driver([quiesced, other], {
    4000: () => table.set(0, over),
    10_000: () => table.set(0, quiesced),
  });
  await begin();
  t.deepEqual(removed, [
    [0, 15_500],
    [1, 30_000],
  ]);
  const taken = driver([quiesced], { 2000: () => taken.table.set(0, over) });
  await taken.begin();
  t.deepEqual(taken.removed, []);
});

test("a server that was killed counts as gone before the driver has noticed", async (t) => {
  const { removed, begin } = driver([{ ...quiesced, state: "live" }]);
  await begin();
  t.deepEqual(removed, [[0, 5000]]);
});

test("devices of other programs, and those that are served, are no reason to stay", async (t) => {
  const { owner: _, ...foreign } = quiesced;
  const { removed, said, begin } = driver([foreign, { ...quiesced, index: 1, state: "live", serverPid: NEXT }]);
  await begin();
  t.deepEqual([removed, said], [[], []]);
});

test("what cannot be removed is said once and tried again", async (t) => {
  const { removed, said, begin } = driver([{ ...quiesced, serverPid: HANGING }]);
  await begin();
  t.deepEqual(removed, [[0, 8000]]);
  t.is(said.filter((text) => text.includes("cannot be removed: EBUSY")).length, 1);
});
