// `npm run bench -- selection`: what a decision costs: choose a path, account for the command, learn from its completion.
//
// Each policy at 2 to 32 paths, in a loop inside the module (what the core pays), called from JavaScript, and the same
// algorithm in plain C (bench/peers/selection.c, gcc -O2), in turn within one run. Both must pick the same slots. Rounds
// are short: few of them are interrupted by what else the machine does, and the median forgets those.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Bench } from "tinybench";
import * as abi from "../host/reactor/abi.ts";
import { instantiate, loadPolicies } from "./policies.ts";
import { median, type Row } from "./report.ts";

const root = join(import.meta.dirname, "..");
const peer = join(root, "build", "bench", "selection-peer");

const policies: readonly (readonly [name: string, code: number])[] = [
  ["static", abi.POLICY_STATIC],
  ["round robin", abi.POLICY_ROUND_ROBIN],
  ["round robin over a subset", abi.POLICY_ROUND_ROBIN_SUBSET],
  ["least in flight", abi.POLICY_LEAST_IN_FLIGHT],
  ["least sectors", abi.POLICY_LEAST_SECTORS],
  ["service time", abi.POLICY_SERVICE_TIME],
  ["historical service time", abi.POLICY_HISTORICAL_SERVICE_TIME],
  ["weighted", abi.POLICY_WEIGHTED],
  ["affinity", abi.POLICY_AFFINITY],
  ["power of two", abi.POLICY_POWER_OF_TWO],
  ["adaptive", abi.POLICY_ADAPTIVE],
];
const pathCounts = [2, 4, 8, 16, 32];

/** Core and peer take turns so many times ... */
const TURNS = 3;
/** ... with so many rounds each, of which the first only warm up. */
const ROUNDS = 60;
const WARM = 20;
const COUNT = 10_000;
/** Pick + completion pairs of one call that tinybench times. */
const CALLS = 1000;

/** Builds the C peer. @throws when there is no gcc, with what to do about it */
function buildPeer(): void {
  mkdirSync(dirname(peer), { recursive: true });
  const made = spawnSync("gcc", ["-O2", "-o", peer, join(root, "bench", "peers", "selection.c")], { encoding: "utf8" });
  if (made.error !== undefined)
    throw new Error("bench selection: gcc is missing; apt-get install gcc", { cause: made.error });
  if (made.status !== 0) throw new Error(`bench selection: gcc failed:\n${made.stderr}`);
}

interface Timing {
  readonly ns: number[];
  readonly digests: number[];
}

/** All rounds of one policy in C, in a process of its own. */
function runPeer(policy: number, paths: number): Timing {
  const args = [policy, paths, 2 * paths, COUNT, ROUNDS].map(String);
  const { stdout, status } = spawnSync(peer, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench selection: the C peer ended with status ${status}`);
  const lines = stdout.trim().split("\n");
  return {
    ns: lines.map((line) => Number(line.split(" ")[0])),
    digests: lines.map((line) => Number(line.split(" ")[1])),
  };
}

/** A unit as the C peer has it: weights 1, 2, 3, 1, ... */
function prepared(policy: number, paths: number): ReturnType<typeof loadPolicies> {
  const { policies: core, selections } = loadPolicies();
  const [s = 0] = selections;
  core.init(s, 1n);
  for (let slot = 0; slot < paths; slot++) core.setPath(s, slot, slot + 1, 1 + (slot % 3));
  core.setUsable(s, paths === 32 ? 0xffffffff : 2 ** paths - 1);
  core.configure(s, policy, 0, 0);
  return { policies: core, selections };
}

interface Loop {
  prepared(policy: number, paths: number): number;
  loop(s: number, scratch: number, depth: number, count: number, startNs: number): number;
}
const loopModule = new WebAssembly.Module(readFileSync(join(root, "build", "bench", "loop.wasm")));

function runCore(policy: number, paths: number): Timing {
  const core = instantiate<Loop>(loopModule);
  const s = core.prepared(policy, paths);
  const scratch = s + 16384;
  const timing: Timing = { ns: [], digests: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const before = performance.now();
    timing.digests.push(core.loop(s, scratch, 2 * paths, COUNT, 1e9 + round * 1e9) >>> 0);
    timing.ns.push(((performance.now() - before) * 1e6) / COUNT);
  }
  return timing;
}

/** Pick + completion called from JavaScript, ns. */
function runJavaScript(policy: number, paths: number): number {
  const { policies: core, selections } = prepared(policy, paths);
  const [s = 0] = selections;
  const depth = 2 * paths;
  const chosen = new Int32Array(depth);
  let nowNs = 1e9;
  let i = 0;
  for (; i < depth; i++) chosen[i] = core.dispatch(s, -1, 4096, 0, i & 63, nowNs);
  const pairs = (): void => {
    for (let count = 0; count < CALLS; count++, i++) {
      const at = i & (depth - 1);
      const before = chosen[at] ?? 0;
      nowNs += 1000;
      core.finish(s, before & 31, 4096, 0, depth * 1000, 1, nowNs, before >>> 5);
      chosen[at] = core.dispatch(s, -1, 4096, 0, i & 63, nowNs);
    }
  };
  const bench = new Bench({ iterations: 400, time: 0, warmupIterations: 200, warmupTime: 0 });
  bench.add("pairs", pairs).runSync();
  const [task] = bench.tasks;
  const result = task?.result;
  if (result === undefined || !("latency" in result)) throw new Error("bench selection: tinybench gave no result");
  return (result.latency.p50 * 1e6) / CALLS;
}

const rounded = (value: number): number => Number(value.toPrecision(4));

/** Core and peer in turn: median ns of each. */
function inTurn(name: string, policy: number, paths: number): [core: number, peer: number] {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const core = runCore(policy, paths);
    const c = runPeer(policy, paths);
    if (core.digests.join(" ") !== c.digests.join(" ")) {
      throw new Error(`bench selection: ${name} at ${paths} paths: the C peer picked other slots`);
    }
    ours.push(...core.ns.slice(WARM));
    theirs.push(...c.ns.slice(WARM));
  }
  return [median(ours), median(theirs)];
}

/** Rows of one policy; `inCore` keeps the figures of every policy by number of paths. */
function rowsOf(name: string, policy: number): Row[] {
  const rows: Row[] = [];
  const inCore = new Map<number, number>();
  for (const paths of pathCounts) {
    const [value, peerValue] = inTurn(name, policy, paths);
    inCore.set(paths, value);
    const what = `${name}, ${paths} paths`;
    const shared = { case: what, unit: "ns" };
    rows.push(
      {
        ...shared,
        metric: "pick + completion in the core",
        value: rounded(value),
        peer: "same in C, gcc -O2",
        peerValue: rounded(peerValue),
        ratio: rounded(peerValue / value),
      },
      {
        ...shared,
        metric: "pick + completion from JavaScript",
        value: rounded(runJavaScript(policy, paths)),
        peer: null,
        peerValue: null,
        ratio: null,
      },
    );
  }
  const [four = 1, most = 0] = [inCore.get(4), inCore.get(32)];
  rows.push({
    case: name,
    metric: "32 paths over 4 paths",
    unit: "x",
    value: rounded(most / four),
    peer: "mark",
    peerValue: 2,
    ratio: rounded((2 * four) / most),
  });
  return rows;
}

/** Runs the suite. @throws when gcc is missing, or when core and C peer do not pick the same slots */
export async function selection(log: (line: string) => void = () => {}): Promise<Row[]> {
  buildPeer();
  // The engine first runs quickly compiled code and compiles better code beside it: give it reason and time.
  for (const [, code] of policies) for (let turn = 0; turn < 3; turn++) runCore(code, 32);
  await setTimeout(500);
  return policies.flatMap(([name, code]) => {
    log(name);
    return rowsOf(name, code);
  });
}
