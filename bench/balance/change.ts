// How fast adaptive follows: a path that becomes ten times slower loses its share within so many of its completions, one that
// has recovered has it back within so long.

import * as abi from "../../host/abi.ts";
import { cases } from "./cases.ts";
import { policyChooser, type Chooser } from "./choosers.ts";
import { capacity, makeLoad } from "./model.ts";
import { Queues } from "./queues.ts";
import { simulate } from "./simulate.ts";
import { median, type Row } from "../report.ts";

const S = 1e9;
/** A path's share counts as lost below this fraction of its fair share ... */
const LOST = 0.3;
/** ... and as back above this. */
const BACK = 0.8;
/** The share is measured over this many I/Os of the unit. */
const WINDOW = 200;

export interface Change {
  /** Completions of the slow path until its share was lost. */
  readonly completions: number;
  /** Seconds from recovery until its share was back. */
  readonly backS: number;
}

/** One run of "one of 4 slows ten times, heals". */
export function followChange(seed: number): Change {
  const what = cases.find(({ name }) => name.startsWith("one of 4 slows"));
  const trouble = what?.paths[0]?.troubles[0];
  if (what === undefined || trouble === undefined) throw new Error("no case with a trouble");
  const load = makeLoad(what, Math.ceil(9 * S * what.load * capacity(what)), seed);
  const queues = new Queues(what);
  const inner = policyChooser(what, abi.POLICY_ADAPTIVE);
  const finishedNs: number[] = [];
  const chooser: Chooser = {
    send: inner.send,
    finish: (slot, bytes, write, latencyNs, nowNs, note) => {
      if (slot === 0 && nowNs >= trouble.fromNs) finishedNs.push(nowNs);
      inner.finish(slot, bytes, write, latencyNs, nowNs, note);
    },
  };
  const { slot } = simulate(load, queues, chooser);
  const fair = WINDOW / what.paths.length;
  let lostNs = Infinity;
  let backNs = Infinity;
  let inWindow = 0;
  for (let i = 0; i < load.count; i++) {
    if (slot[i] === 0) inWindow++;
    if (i >= WINDOW && slot[i - WINDOW] === 0) inWindow--;
    const nowNs = load.atNs[i] ?? 0;
    // The share is lost where the first window below the threshold begins.
    const beginNs = load.atNs[Math.max(0, i - WINDOW + 1)] ?? 0;
    if (beginNs >= trouble.fromNs && lostNs === Infinity && inWindow < LOST * fair) lostNs = beginNs;
    if (nowNs >= trouble.toNs && backNs === Infinity && inWindow >= BACK * fair) backNs = nowNs;
  }
  return {
    completions: finishedNs.filter((ns) => ns <= lostNs).length,
    backS: (backNs - trouble.toNs) / S,
  };
}

/** Medians over seeds, and the worst. */
export function change(seeds: readonly number[] = [1, 2, 3, 4, 5]): Row[] {
  const changes = seeds.map(followChange);
  const name = "a path slows ten times and heals, adaptive";
  const row = (metric: string, unit: string, values: readonly number[], mark: number): Row[] =>
    [["median", median(values)] as const, ["worst", Math.max(...values)] as const].map(([which, value]) => ({
      case: name,
      metric: `${metric}, ${which} of ${seeds.length}`,
      unit,
      value: Number(value.toPrecision(3)),
      peer: "mark",
      peerValue: mark,
      // With none at all there is no ratio.
      ratio: value === 0 ? null : Number((mark / value).toPrecision(3)),
    }));
  return [
    ...row(
      "its completions until its share is lost",
      "I/Os",
      changes.map(({ completions }) => completions),
      32,
    ),
    ...row(
      "time until its share is back",
      "s",
      changes.map(({ backS }) => backS),
      1,
    ),
  ];
}
