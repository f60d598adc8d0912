// Hedged reads in the simulation: 1 % of the I/Os take 100 times as long; how much of the tail is cut, and at what cost.

import { POLICY_ADAPTIVE } from "../../host/abi.ts";
import { loadPolicies } from "../policies.ts";
import { median, rounded, type Row } from "../report.ts";
import { makeLoad, type Case, type Load } from "./model.ts";
import { Agenda, Queues } from "./queues.ts";
import { Random } from "./random.ts";
import { percentiles } from "./simulate.ts";

const STALLED_PART = 0.01;
const STALLED_FACTOR = 100;
const path = { servers: 32, baseNs: 100_000, nsPerByte: 0, troubles: [] };
/** A device that serves many commands at a time, so that a stalled one delays itself and not those behind it. */
const stalls: Case = {
  name: "1 % of the I/Os stalled 100 x",
  paths: [path, path, path, path],
  spread: { kind: "stalls", part: STALLED_PART, factor: STALLED_FACTOR },
  arrival: { kind: "poisson" },
  mix: [{ part: 1, bytes: 4096, write: false }],
  load: 0.3,
  stationary: true,
};

/** Kinds of agenda entries: the first command's answer, the second one's, the time to hedge. */
const FIRST = 0;
const SECOND = 1;
const TIMER = 2;

interface Hedged {
  readonly latencyNs: Float64Array;
  /** Second reads divided by reads. */
  readonly extra: number;
}

/** One run. @param budget hundredths of a percent */
function simulateHedging(load: Load, budget: number, seed: number): Hedged {
  const { policies, selections } = loadPolicies();
  const [s = 0] = selections;
  policies.init(s, BigInt(seed));
  stalls.paths.forEach((_, slot) => policies.setPath(s, slot, slot + 1, 1));
  policies.setUsable(s, 2 ** stalls.paths.length - 1);
  if (policies.configure(s, POLICY_ADAPTIVE, 0, 0) !== 0) throw new RangeError("policy: refused");
  if (policies.setHedgeBudget(s, budget) !== 0) throw new RangeError(`budget: ${budget} was refused`);
  const { count, atNs, bytes, luck } = load;
  const random = new Random(seed + 104_729);
  const queues = new Queues(stalls);
  const agenda = new Agenda();
  const latencyNs = new Float64Array(count).fill(-1);
  const chosen = [new Uint32Array(count), new Uint32Array(count)] as const;
  const sentNs = [new Float64Array(count), new Float64Array(count)] as const;
  let extra = 0;
  const send = (i: number, which: 0 | 1, allowed: number, nowNs: number, itsLuck: number): void => {
    const size = bytes[i] ?? 0;
    const answer = policies.dispatch(s, allowed, size, 0, 0, nowNs);
    chosen[which][i] = answer;
    sentNs[which][i] = nowNs;
    agenda.push(queues.send(answer & 31, nowNs, size, itsLuck), i * 3 + which);
  };
  const due = (): void => {
    const nowNs = agenda.nextNs;
    const entry = agenda.pop();
    const i = Math.floor(entry / 3);
    const kind = entry % 3;
    if (kind === TIMER) {
      if ((latencyNs[i] ?? 0) >= 0 || policies.takeHedge(s) === 0) return;
      extra++;
      const itsLuck = random.exponential() * (random.uniform() < STALLED_PART ? STALLED_FACTOR : 1);
      return send(i, SECOND, ~(1 << ((chosen[FIRST][i] ?? 0) & 31)), nowNs, itsLuck);
    }
    const which = kind === FIRST ? FIRST : SECOND;
    const answer = chosen[which][i] ?? 0;
    const tookNs = nowNs - (sentNs[which][i] ?? 0);
    policies.finish(s, answer & 31, bytes[i] ?? 0, 0, tookNs, 1, nowNs, answer >>> 5);
    if (which === FIRST) policies.learnHedge(s, bytes[i] ?? 0, tookNs);
    if ((latencyNs[i] ?? 0) < 0) latencyNs[i] = nowNs - (atNs[i] ?? 0);
  };
  for (let i = 0; i < count; i++) {
    const nowNs = atNs[i] ?? 0;
    while (agenda.nextNs <= nowNs) due();
    const afterNs = policies.hedgeAfter(s, bytes[i] ?? 0);
    send(i, FIRST, -1, nowNs, luck[i] ?? 1);
    if (afterNs > 0) agenda.push(nowNs + afterNs, i * 3 + TIMER);
  }
  while (agenda.nextNs < Infinity) due();
  return { latencyNs, extra: extra / count };
}

/** Tail without and with hedging, and what it costs. */
export function hedging(count = 200_000, seeds: readonly number[] = [1, 2, 3]): Row[] {
  const runs = seeds.map((seed) => {
    const load = makeLoad(stalls, count, seed);
    const off = simulateHedging(load, 0, seed);
    const on = simulateHedging(load, 200, seed);
    const of = ({ latencyNs }: Hedged): number[] => percentiles(latencyNs, count * 0.2, [0.5, 0.99, 0.999]);
    return { off: of(off), on: of(on), extra: on.extra };
  });
  const name = `hedged reads, budget 2 %, ${stalls.name}`;
  const rows = ["p50", "p99", "p99.9"].map((metric, column): Row => {
    const value = median(runs.map(({ on }) => on[column] ?? 0)) / 1000;
    const peerValue = median(runs.map(({ off }) => off[column] ?? 0)) / 1000;
    const ratio = rounded(peerValue / value);
    return {
      case: name,
      metric,
      unit: "us",
      value: rounded(value),
      peer: "not hedged",
      peerValue: rounded(peerValue),
      ratio,
    };
  });
  const extra = Math.max(...runs.map((run) => run.extra)) * 100;
  const cost = {
    metric: "extra reads, worst of the runs",
    unit: "%",
    value: rounded(extra),
    peer: "mark",
    peerValue: 2,
  };
  return [...rows, { case: name, ...cost, ratio: rounded(2 / extra) }];
}
