// What `npm run bench -- device` runs in the guest: fio on one block device after the other. Prints a line of JSON for each load.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { until } from "../until.ts";
import { bareMultipath, removeBareMultipath } from "./lib/bare-multipath.ts";
import { run } from "./lib/command.ts";
import { countedLoad } from "./lib/fio.ts";
import type { Selector } from "./lib/multipath.ts";
import { scsiDevices } from "./lib/scsi.ts";

const MIB = 64;
const MS_MAX = 120_000;
const MS_PER_TICK = 10;
const WARM_IOS = 4000;
const WARM_ROUNDS_MAX = 6;
/** Share of the compilers with which a server counts as warm. */
const WARM = 0.03;

const LOADS = [
  ["randread", 1],
  ["randread", 16],
  ["randread", 64],
  ["randwrite", 16],
] as const;

interface Served {
  readonly device: string;
  readonly pid: number | undefined;
  end(): Promise<void> | void;
}

/** Starts test/rig/lib/ublk-server.ts. */
async function server(device: string, ...args: readonly string[]): Promise<Served> {
  const child = spawn("node", ["test/rig/lib/ublk-server.ts", "0", String(MIB), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => void (said += bytes.toString()));
  const says = (text: string): Promise<unknown> =>
    until(
      `the server says "${text}"`,
      () => {
        if (child.exitCode !== null) throw new Error(`the server has ended: ${said}`);
        return said.includes(text) || undefined;
      },
      MS_MAX,
    );
  await says(`serves ${device}`);
  const end = async (): Promise<void> => {
    child.kill("SIGUSR2");
    await says("detached");
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  return { device, pid: child.pid, end };
}

function multipath(selector: Selector, mode: "rq" | "bio"): Served {
  return { device: bareMultipath(selector, mode, MIB), pid: undefined, end: removeBareMultipath };
}

const SYSTEMS: Readonly<Record<string, () => Served | Promise<Served>>> = {
  "one path": () => ({ device: scsiDevices()[0]?.sd ?? "", pid: undefined, end: () => undefined }),
  "dm service-time, rq": () => multipath("service-time", "rq"),
  "dm service-time, bio": () => multipath("service-time", "bio"),
  "dm round-robin, rq": () => multipath("round-robin", "rq"),
  "dm round-robin, bio": () => multipath("round-robin", "bio"),
  ublk: () => server("/dev/ublkb0"),
  "ublk, user copy": () => server("/dev/ublkb0", "--user-copy"),
  "ublk, emulated, user copy": () => server("/dev/ublkb0", "--emulated", "--user-copy"),
  nbd: () => server("/dev/nbd0", "--nbd"),
  "ublk, emulated": () => server("/dev/ublkb0", "--emulated"),
  "nbd, emulated": () => server("/dev/nbd0", "--nbd", "--emulated"),
};

/** Processor time of a server's reactor, and of its other threads, in ns. */
function processorNs(pid: number | undefined): { readonly reactor: number; readonly others: number } {
  let [reactor, others] = [0, 0];
  for (const thread of pid === undefined ? [] : readdirSync(`/proc/${pid}/task`)) {
    const of = (name: string): string => readFileSync(`/proc/${pid}/task/${thread}/${name}`, "utf8");
    const ns = Number(of("schedstat").split(" ")[0]);
    if (of("comm").trim() === "reactor") reactor += ns;
    else others += ns;
  }
  return { reactor, others };
}

const idleTicks = (): number => {
  const fields = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]?.trim().split(/\s+/) ?? [];
  return Number(fields[4]) + Number(fields[5]);
};

interface Result {
  readonly rw: string;
  readonly depth: number;
  readonly iops: number;
  readonly p99Us: number;
  /** Of the reactor for each I/O. */
  readonly serverNs: number;
  /** What the server's other threads, that is V8's compilers, needed for each ns of the reactor's. */
  readonly compiling: number;
  /** Of the time, fio's start included. */
  readonly idle: number;
}

async function load({ device, pid }: Served, rw: string, depth: number, ios: number): Promise<Result> {
  const [before, idle, begin] = [processorNs(pid), idleTicks(), performance.now()];
  const result = await countedLoad(device, { rw, depth, ios, sizeMib: 32 });
  if (result.status !== 0 || result.errors > 0) throw new Error(`fio: ${result.complaint}`);
  const after = processorNs(pid);
  const reactor = after.reactor - before.reactor;
  return {
    rw,
    depth,
    iops: result.iops,
    p99Us: result.p99Ms * 1000,
    serverNs: reactor / result.ios,
    compiling: pid === undefined ? 0 : (after.others - before.others) / reactor,
    idle: ((idleTicks() - idle) * MS_PER_TICK) / (performance.now() - begin),
  };
}

/** Until V8 compiles hardly anything any more: on one processor that time would be the load's. */
async function warm(served: Served): Promise<void> {
  if (served.pid === undefined) return;
  for (let round = 0; round < WARM_ROUNDS_MAX; round++) {
    const shares: number[] = [];
    for (const [rw, depth] of LOADS) shares.push((await load(served, rw, depth, WARM_IOS)).compiling);
    if (Math.max(...shares) < WARM) return;
  }
}

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    ios: { type: "string", default: "4000" },
    rounds: { type: "string", default: "1" },
  },
});
run("modprobe", "-a", "ublk_drv", "nbd");
const names = values.only ?? Object.keys(SYSTEMS);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const name of names) {
    const served = await SYSTEMS[name]?.();
    if (served === undefined) throw new Error(`no system ${name}`);
    await warm(served);
    for (const [rw, depth] of LOADS) {
      const result = await load(served, rw, depth, Number(values.ios));
      console.log(`RESULT ${JSON.stringify({ name, round, ...result })}`);
    }
    await served.end();
  }
}
process.exit(0);
