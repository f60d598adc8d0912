import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { makeLogger } from "../../../host/control/ground/logger.ts";
import { takePrivileges } from "../../../host/supervisor/privileges.ts";
import { carriersOf } from "../../rig/lib/threads.ts";
import type { Status } from "../../../host/control/schemas/status-schema.ts";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";
import { spawnDaemon } from "./fixtures/process.ts";

const CAP_SYS_NICE = 23n;
const CAP_SYS_RESOURCE = 24n;

function permitted(capability: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

test("the daemon's threads flush I/O and go before others, as far as it is permitted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-privileges-"));
  TestDaemon.configure(folder, "[process]\nnice = -7\nslice_us = 300\n[array]\nunits = 1\nunit_mib = 1\n");
  const child = await spawnDaemon(folder);
  const carriers = carriersOf(child.pid ?? 0);
  const isFlushing = permitted(CAP_SYS_RESOURCE);
  const isFirst = permitted(CAP_SYS_NICE);
  t.deepEqual(
    carriers.map(({ name, isIoFlusher, nice }) => ({ name, isIoFlusher, isFirst: nice === -7 })),
    carriers.map(({ name }) => ({ name, isIoFlusher: isFlushing, isFirst })),
  );
  const { scheduling } = (await callSocket<Status>(join(folder, "api.sock"), "GET", "/v1/status")).body;
  t.is(scheduling?.nice, carriers.find(({ name }) => name === "MainThread")?.nice);
  // A kernel before 6.12 does not tell the slice.
  t.true([null, 300].includes(scheduling?.sliceUs ?? null), JSON.stringify(scheduling));
  child.kill("SIGTERM");
  t.deepEqual(await once(child, "exit"), [0, null]);
});

const REAL = { nice: -10, sliceUs: 0, emulated: false };

const refusing = (niceness: number) => ({
  becomeIoFlusher: () => {
    throw new Error("prctl PR_SET_IO_FLUSHER: Operation not permitted");
  },
  niceness: () => niceness,
  requestNiceness: () => {
    throw new Error("EACCES");
  },
  requestSlice: () => {
    throw new Error("sched_setattr: Operation not permitted");
  },
});

test("what is refused is a warning with what to do when there are real devices, and no reason not to start", (t) => {
  const lines: string[] = [];
  const logger = makeLogger("info", (line) => lines.push(line), false);
  takePrivileges({ ...REAL, sliceUs: 200 }, refusing(0), logger);
  t.is(lines.length, 3);
  t.regex(lines[0] ?? "", /warning: prctl PR_SET_IO_FLUSHER.*CAP_SYS_RESOURCE/);
  t.regex(lines[1] ?? "", /process\.slice_us: sched_setattr: .*set it to 0/);
  t.regex(lines[2] ?? "", /process\.nice: cannot become -10.*CAP_SYS_NICE/);
  takePrivileges({ ...REAL, emulated: true }, refusing(0), logger);
  t.is(lines.length, 3, "an emulated array is no reason to warn");
});

test("nothing is asked for that the service manager has given already", (t) => {
  const lines: string[] = [];
  const logger = makeLogger("debug", (line) => lines.push(line), false);
  takePrivileges(REAL, { ...refusing(-10), becomeIoFlusher: () => undefined }, logger);
  t.deepEqual(lines, []);
});

/** What is asked for of a kernel that heeds slices, or does not. */
function asked(wanted: { nice: number | null; sliceUs: number | null }, isHeeding: boolean): (string | number)[] {
  const calls: (string | number)[] = [];
  const logger = makeLogger("debug", (line) => calls.push(line), false);
  const kernel = {
    becomeIoFlusher: () => undefined,
    niceness: () => 5,
    requestNiceness: (nice: number) => void calls.push("nice", nice),
    requestSlice: (us: number) => {
      calls.push("slice", us);
      return isHeeding;
    },
  };
  takePrivileges({ ...wanted, emulated: false }, kernel, logger);
  return calls;
}

test("without a setting it is a low niceness, and the kernel's slices", (t) => {
  t.deepEqual(asked({ nice: null, sliceUs: null }, true), ["nice", -10]);
});

test("what is set holds", (t) => {
  t.deepEqual(asked({ nice: -10, sliceUs: null }, true), ["nice", -10]);
  t.deepEqual(asked({ nice: -3, sliceUs: 500 }, true), ["slice", 500, "nice", -3]);
  t.deepEqual(asked({ nice: null, sliceUs: 0 }, true), ["nice", -10]);
  t.deepEqual(asked({ nice: null, sliceUs: 500 }, true), ["slice", 500, "nice", 0]);
  t.deepEqual(asked({ nice: null, sliceUs: 500 }, false), ["slice", 500, "nice", -10]);
});
