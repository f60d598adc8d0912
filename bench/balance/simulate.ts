// One run: a load meets the queues through a chooser.

import type { Chooser } from "./choosers.ts";
import type { Load } from "./model.ts";
import { Agenda, type Queues } from "./queues.ts";

export interface Outcome {
  /** Latency of each command, ns, in order of arrival. */
  readonly latencyNs: Float64Array;
  /** The path of each command. */
  readonly slot: Uint8Array;
  /** Commands done before the last arrival, divided by the time from first to last arrival, per second. */
  readonly throughput: number;
}

/** @param choosers of each host; one alone has them all */
export function simulate(load: Load, queues: Queues, ...choosers: readonly [Chooser, ...Chooser[]]): Outcome {
  const { count, atNs, bytes, write, luck, host } = load;
  const chooserOf = (i: number): Chooser => choosers[host[i] ?? 0] ?? choosers[0];
  const latencyNs = new Float64Array(count);
  const slots = new Uint8Array(count);
  const notes = new Uint32Array(count);
  const agenda = new Agenda();
  const complete = (): void => {
    const nowNs = agenda.nextNs;
    const i = agenda.pop();
    const sentNs = atNs[i] ?? 0;
    latencyNs[i] = nowNs - sentNs;
    chooserOf(i).finish(slots[i] ?? 0, bytes[i] ?? 0, write[i] ?? 0, nowNs - sentNs, nowNs, notes[i] ?? 0);
  };
  let done = 0;
  for (let i = 0; i < count; i++) {
    const nowNs = atNs[i] ?? 0;
    for (; agenda.nextNs <= nowNs; done++) complete();
    const chosen = chooserOf(i).send(0xffffffff, bytes[i] ?? 0, write[i] ?? 0, nowNs, luck[i] ?? 1);
    const slot = chosen & 31;
    notes[i] = chosen >>> 5;
    slots[i] = slot;
    agenda.push(queues.send(slot, nowNs, bytes[i] ?? 0, luck[i] ?? 1), i);
  }
  while (agenda.nextNs < Infinity) complete();
  const secondsNs = (atNs[count - 1] ?? 0) - (atNs[0] ?? 0);
  return { latencyNs, slot: slots, throughput: (done / secondsNs) * 1e9 };
}

/** Percentiles (fractions of 1) of the latencies from index `from` on, ns. */
export function percentiles(latencyNs: Float64Array, from: number, parts: readonly number[]): number[] {
  const sorted = latencyNs.subarray(from).toSorted();
  return parts.map((part) => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0);
}
