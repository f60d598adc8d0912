// `npm run bench -- selection`: the cost of a decision: choose a path, account for the command, learn from its completion.
//
// Each policy at 2 to 32 paths, in a loop inside the module (what the core pays), called from JavaScript, and the same algorithm in plain C
// (bench/peers/selection.c), by gcc -O2 and by clang as WebAssembly in the same engine, in turn within one run. All must pick the same
// slots. What the loop itself costs is measured beside each round, with a loop without selection, and subtracted, in the core and in C.
// All of it runs on one processor. Rounds are short: the machine's other work interrupts few of them, and the median ignores those. If a
// machine's clock changes from one second to the next, the fastest rounds show its undisturbed speed.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Bench } from "tinybench";
import * as abi from "../host/abi.ts";
import { instantiate, loadPolicies } from "./policies.ts";
import { onOneProcessor } from "./processor.ts";
import { median, rounded, type Row } from "./report.ts";

const root = join(import.meta.dirname, "..");
const source = join(root, "bench", "peers", "selection.c");
const peer = join(root, "build", "bench", "selection-peer");
const enginePeer = `${peer}.wasm`;
const CLANG = "--target=wasm32 -O3 -msimd128 -mbulk-memory -ffreestanding -nostdlib -Wl,--no-entry".split(" ");

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

/** Core and peer take turns this many times ... */
const TURNS = 7;
/** ... with this many rounds each, of which the first only warm up. */
const ROUNDS = 36;
const WARM = 12;
const COUNT = 5000;
/** Pick + completion pairs of one call that tinybench times. */
const CALLS = 1000;
/** The fraction of rounds that are at least as fast as the fastest one that counts. */
const FAST_PART = 0.05;

/** Builds the C peer. @throws if gcc is missing, and says what to do */
function buildPeer(): void {
  mkdirSync(dirname(peer), { recursive: true });
  const made = spawnSync("gcc", ["-O2", "-o", peer, source], { encoding: "utf8" });
  if (made.error !== undefined)
    throw new Error("bench selection: gcc is missing; apt-get install gcc", { cause: made.error });
  if (made.status !== 0) throw new Error(`bench selection: gcc failed:\n${made.stderr}`);
}

/** The same C as WebAssembly: what the engine makes of it tells its share from the core's. Null where clang or wasm-ld is missing. */
function buildEnginePeer(log: (line: string) => void): WebAssembly.Module | null {
  const made = spawnSync("clang", [...CLANG, "-o", enginePeer, source], { encoding: "utf8" });
  if (made.error === undefined && made.status === 0) return new WebAssembly.Module(readFileSync(enginePeer));
  const why = made.error === undefined ? made.stderr.trim() : "clang is missing";
  log(`without the C peer as WebAssembly (apt-get install clang lld): ${why}`);
  return null;
}

interface Timing {
  /** For each round, without the cost of the loop. */
  readonly ns: number[];
  readonly digests: number[];
}

/** All rounds of one policy in C, in a process of its own. */
function runPeer(policy: number, paths: number): Timing {
  const args = [policy, paths, 2 * paths, COUNT, ROUNDS].map(String);
  const { stdout, status } = spawnSync(peer, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench selection: the C peer ended with status ${status}`);
  const rounds = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number));
  return {
    ns: rounds.map(([ns = 0, , emptyNs = 0]) => ns - emptyNs),
    digests: rounds.map(([, digest = 0]) => digest),
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
  empty(scratch: number, depth: number, count: number, startNs: number): number;
}
const loopModule = new WebAssembly.Module(readFileSync(join(root, "build", "bench", "loop.wasm")));

/** All rounds of one policy in the engine. @param module the core's, or the C peer's */
function runModule(module: WebAssembly.Module, policy: number, paths: number): Timing {
  const core = instantiate<Loop>(module);
  const s = core.prepared(policy, paths);
  const scratch = s + 16384;
  const timing: Timing = { ns: [], digests: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = 1e9 + round * 1e9;
    const from = performance.now();
    timing.digests.push(core.loop(s, scratch, 2 * paths, COUNT, startNs) >>> 0);
    const middle = performance.now();
    core.empty(scratch, 2 * paths, COUNT, startNs);
    const to = performance.now();
    timing.ns.push(((2 * middle - from - to) * 1e6) / COUNT);
  }
  return timing;
}

/** Pick + completion called from JavaScript, ns: in one call, or in one each. */
function runJavaScript(policy: number, paths: number, calls: 1 | 2): Figures {
  const { policies: core, selections } = prepared(policy, paths);
  const [s = 0] = selections;
  const depth = 2 * paths;
  const sent = new Int32Array(depth);
  for (let i = 0; i < depth; i++) sent[i] = core.send(s, 4096, 0, i & 63, 1000);
  let i = depth;
  const inOne = (): void => {
    for (let count = 0; count < CALLS; count++, i++) {
      const at = i & (depth - 1);
      sent[at] = core.exchange(s, sent[at] ?? 0, depth * 1000, i & 63, 1000);
    }
  };
  const inTwo = (): void => {
    for (let count = 0; count < CALLS; count++, i++) {
      const at = i & (depth - 1);
      core.receive(s, sent[at] ?? 0, 4096, 0, depth * 1000);
      sent[at] = core.send(s, 4096, 0, i & 63, 1000);
    }
  };
  const bench = new Bench({ iterations: 400, time: 0, warmupIterations: 300, warmupTime: 0, retainSamples: true });
  bench.add("pairs", calls === 1 ? inOne : inTwo).runSync();
  const [task] = bench.tasks;
  const result = task?.result;
  if (result === undefined || !("latency" in result)) throw new Error("bench selection: tinybench gave no result");
  return figuresOf((result.latency.samples ?? [result.latency.p50]).map((ms) => (ms * 1e6) / CALLS));
}

interface Figures {
  readonly median: number;
  readonly fastest: number;
}

function figuresOf(ns: readonly number[]): Figures {
  const sorted = ns.toSorted((a, b) => a - b);
  return { median: median(ns), fastest: sorted[Math.floor(FAST_PART * sorted.length)] ?? 0 };
}

interface Compared {
  readonly core: Figures;
  readonly peer: Figures;
  /** Peer over core: median of the ratios of the turns. */
  readonly ratio: number;
  /** The same C as WebAssembly; null without it. */
  readonly engine: Figures | null;
  readonly engineRatio: number;
}

/** Core and peers in turn. */
function inTurn(name: string, policy: number, paths: number, engineModule: WebAssembly.Module | null): Compared {
  const [ours, theirs, engine]: [number[], number[], number[]] = [[], [], []];
  const [ratios, engineRatios]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn++) {
    const core = runModule(loopModule, policy, paths);
    const c = runPeer(policy, paths);
    const inEngine = engineModule === null ? null : runModule(engineModule, policy, paths);
    for (const { digests } of [c, ...(inEngine === null ? [] : [inEngine])]) {
      if (core.digests.join(" ") === digests.join(" ")) continue;
      throw new Error(`bench selection: ${name} at ${paths} paths: the C peer picked other slots`);
    }
    const coreNs = median(core.ns.slice(WARM));
    ratios.push(median(c.ns.slice(WARM)) / coreNs);
    ours.push(...core.ns.slice(WARM));
    theirs.push(...c.ns.slice(WARM));
    if (inEngine === null) continue;
    engineRatios.push(median(inEngine.ns.slice(WARM)) / coreNs);
    engine.push(...inEngine.ns.slice(WARM));
  }
  return {
    core: figuresOf(ours),
    peer: figuresOf(theirs),
    ratio: median(ratios),
    engine: engine.length === 0 ? null : figuresOf(engine),
    engineRatio: engineRatios.length === 0 ? 0 : median(engineRatios),
  };
}

/** Rows of one policy; `inCore` keeps the figures of every policy by number of paths. */
function rowsOf(name: string, policy: number, engineModule: WebAssembly.Module | null): Row[] {
  const rows: Row[] = [];
  const inCore = new Map<number, number>();
  for (const paths of pathCounts) {
    const { core, peer: c, ratio, engine, engineRatio } = inTurn(name, policy, paths, engineModule);
    const one = runJavaScript(policy, paths, 1);
    const two = runJavaScript(policy, paths, 2);
    inCore.set(paths, core.fastest);
    const shared = { case: `${name}, ${paths} paths`, unit: "ns" };
    const native = "same in C, gcc -O2";
    const row = (metric: string, value: number, peerValue: number | null, over: number | null, by = native): void => {
      rows.push({
        ...shared,
        metric,
        value: rounded(value),
        peer: peerValue === null ? null : by,
        peerValue: peerValue === null ? null : rounded(peerValue),
        ratio: over === null ? null : rounded(over),
      });
    };
    row("pick + completion in the core", core.median, c.median, ratio);
    row("in the core, fastest rounds", core.fastest, c.fastest, c.fastest / core.fastest);
    if (engine !== null) {
      const by = "same C as WebAssembly, clang -O3";
      row("in the core, against C in the same engine", core.median, engine.median, engineRatio, by);
      const fastest = engine.fastest / core.fastest;
      row("against C in the same engine, fastest rounds", core.fastest, engine.fastest, fastest, by);
    }
    row("pick + completion from JavaScript, in one call", one.median, null, null);
    row("from JavaScript, in one call, fastest rounds", one.fastest, null, null);
    row("from JavaScript, a call each", two.median, null, null);
  }
  const [four = 1, most = 0] = [inCore.get(4), inCore.get(32)];
  rows.push({
    case: name,
    metric: "32 paths over 4 paths, fastest rounds",
    unit: "x",
    value: rounded(most / four),
    peer: "mark",
    peerValue: 2,
    ratio: rounded((2 * four) / most),
  });
  return rows;
}

interface StatisticsModule {
  recordNew(): number;
  recordMany(base: number, count: number): number;
  drawMany(count: number): number;
}

/** The cost of recording one command in the statistics of a path or unit; the target is 5 ns. */
function statisticsRow(): Row {
  const compiled = new WebAssembly.Module(readFileSync(join(root, "build", "bench", "statistics.wasm")));
  const core = instantiate<StatisticsModule>(compiled);
  const base = core.recordNew();
  const ns: number[] = [];
  for (let round = 0; round < 400; round++) {
    const from = performance.now();
    core.recordMany(base, COUNT);
    const middle = performance.now();
    core.drawMany(COUNT);
    const to = performance.now();
    if (round >= 200) ns.push(((2 * middle - from - to) * 1e6) / COUNT);
  }
  const value = median(ns);
  return {
    case: "statistics",
    metric: "record of one command",
    unit: "ns",
    value: rounded(value),
    peer: "mark",
    peerValue: 5,
    ratio: rounded(5 / value),
  };
}

/** Runs the suite. @throws if gcc is missing, or if core and C peer do not pick the same slots */
export async function selection(log: (line: string) => void = () => {}): Promise<Row[]> {
  buildPeer();
  return onOneProcessor(() => measureAll(log));
}

async function measureAll(log: (line: string) => void): Promise<Row[]> {
  // The engine first runs quickly compiled code and compiles better code meanwhile: give it cause and time.
  const engineModule = buildEnginePeer(log);
  for (const module of engineModule === null ? [loopModule] : [loopModule, engineModule]) {
    for (const [, code] of policies) for (let turn = 0; turn < 3; turn++) runModule(module, code, 32);
  }
  await setTimeout(500);
  const rows = policies.flatMap(([name, code]) => {
    log(name);
    return rowsOf(name, code, engineModule);
  });
  return [...rows, statisticsRow()];
}
