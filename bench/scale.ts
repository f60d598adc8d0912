// `npm run bench -- scale`: how throughput grows with the number of reactors, and the cost of an I/O with the units and paths that a core
// has. Load within each thread, so that no client takes a processor: a core and a host of a few lines (ring-host.ts), 4 KiB reads at depth
// 16. The prediction for more processors than there are is on paper: the universal scalability law, fitted to what was measured.
//
// BENCH_REACTORS=N measures 1 to N threads. Default: as many as there are processors. Takes about half a minute with two.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { median, rounded, type Row } from "./report.ts";
import { fitted, predicted } from "./scaling-law.ts";
import { ANSWERED, DONE, GENERATION, RUNNING, WORDS, type ScaleTask } from "./scale-worker.ts";

const REACTORS = Number(process.env["BENCH_REACTORS"] ?? availableParallelism());
const ROUNDS = 9;
const ROUND_MS = 400;
const UNITS = [1, 16, 256, 1024];
const PATHS = [1, 4, 8, 32];
/** What an appliance may have. */
const PREDICTED = [16, 64];
/** At which a second reactor counts as worth its memory. */
const MARK = 1.7;

interface Thread {
  readonly worker: Worker;
  readonly shared: Int32Array;
}

async function begin(task: Omit<ScaleTask, "shared">): Promise<Thread> {
  const shared = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  const worker = new Worker(new URL("scale-worker.ts", import.meta.url), { workerData: { ...task, shared } });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  return { worker, shared };
}

/** Lets these threads run at the same time; returns I/Os per second of all together. */
async function together(threads: readonly Thread[]): Promise<number> {
  for (const { shared } of threads) {
    Atomics.store(shared, DONE, 0);
    Atomics.store(shared, RUNNING, ROUND_MS);
    Atomics.add(shared, GENERATION, 1);
    Atomics.notify(shared, GENERATION);
  }
  for (const { shared } of threads) {
    const wait = Atomics.waitAsync(shared, DONE, 0);
    if (wait.async) await wait.value;
  }
  return threads.reduce((sum, { shared }) => sum + Atomics.load(shared, ANSWERED), 0) / (ROUND_MS / 1000);
}

const end = (threads: readonly Thread[]): Promise<unknown> =>
  Promise.all(threads.map(({ worker }) => worker.terminate()));

/** ns per I/O of one thread, the fastest round: others' work on the machine only adds to it. */
async function costOf(units: number, paths: number): Promise<number> {
  const thread = await begin({ units, paths });
  const rounds: number[] = [];
  for (let round = 0; round < 3; round++) rounds.push(1e9 / (await together([thread])));
  await end([thread]);
  return Math.min(...rounds);
}

async function reactorRows(log: (line: string) => void): Promise<Row[]> {
  const threads = await Promise.all(Array.from({ length: REACTORS }, () => begin({ units: 1, paths: 4 })));
  const rates = threads.map((): number[] => []);
  await together(threads);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, its] of rates.entries()) its.push(await together(threads.slice(0, at + 1)));
    log(`round ${round + 1} of ${ROUNDS}`);
  }
  await end(threads);
  const one = rates[0] ?? [];
  // Within a round both were measured within a second.
  const gains = rates.map((its) => its.map((rate, round) => rate / (one[round] ?? rate)));
  const rows = rates.flatMap((its, at): Row[] => {
    const gain = gains[at] ?? [];
    const common = {
      case: `${at + 1} reactors`,
      unit: "I/Os per s",
      peer: "1 reactor",
      peerValue: rounded(median(one)),
    };
    if (at === 0)
      return [
        { ...common, metric: "throughput", value: rounded(median(its)), peer: null, peerValue: null, ratio: null },
      ];
    return [
      { ...common, metric: "throughput", value: rounded(median(its)), ratio: rounded(median(gain)) },
      { ...common, metric: "worst round", value: rounded(Math.min(...its)), ratio: rounded(Math.min(...gain)) },
    ];
  });
  const second = gains[1];
  const marked: Row[] =
    second === undefined
      ? []
      : [
          {
            case: "2 reactors",
            metric: `mark ${MARK}`,
            unit: "x",
            value: rounded(median(second)),
            peer: "mark",
            peerValue: MARK,
            ratio: rounded(median(second) / MARK),
          },
        ];
  const law = fitted(gains.map((its) => median(its)));
  const lawRows = Object.entries(law).map(([metric, value]) => ({
    case: "universal scalability law",
    metric,
    unit: "",
    value: rounded(value),
    peer: null,
    peerValue: null,
    ratio: null,
  }));
  const paper = PREDICTED.map((n) => ({
    case: `${n} reactors, on paper`,
    metric: "gain",
    unit: "x",
    value: rounded(predicted(n, law)),
    peer: "1 reactor",
    peerValue: 1,
    ratio: rounded(predicted(n, law)),
  }));
  return [...rows, ...marked, ...lawRows, ...paper];
}

/** Runs the suite. @param log called with a line of progress now and then */
export async function scale(log: (line: string) => void = () => {}): Promise<Row[]> {
  const rows = await reactorRows(log);
  const shapes = [...UNITS.map((units) => ({ units, paths: 4 })), ...PATHS.map((paths) => ({ units: 1, paths }))];
  const least = await costOf(1, 1);
  for (const { units, paths } of shapes) {
    const cost = await costOf(units, paths);
    rows.push({
      case: `${units} units x ${paths} paths`,
      metric: "core and host, fastest round",
      unit: "ns/IO",
      value: rounded(cost),
      peer: "1 unit x 1 path",
      peerValue: rounded(least),
      ratio: rounded(least / cost),
    });
    log(`${units} units x ${paths} paths`);
  }
  return rows;
}
