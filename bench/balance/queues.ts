// The paths of a run as queues. A command's course is known when it is dispatched: it waits for the first free server and
// then takes its service time; so the only events are arrivals and completions.

import { courseFactor, meanNs, type Case, type PathModel } from "./model.ts";

export class Queues {
  readonly paths: readonly PathModel[];
  readonly #free: readonly Float64Array[];

  constructor(what: Case) {
    this.paths = what.paths;
    this.#free = what.paths.map(({ servers }) => new Float64Array(servers));
  }

  /** When a command sent now would be done, ns. */
  doneNs(slot: number, nowNs: number, bytes: number, luck: number): number {
    const free = this.#free[slot];
    const path = this.paths[slot];
    if (free === undefined || path === undefined) throw new RangeError(`no path in slot ${slot}`);
    return this.#end(path, Math.max(nowNs, free[earliest(free)] ?? 0), meanNs(path, bytes) * luck);
  }

  /** Sends it; returns when it will be done, ns. */
  send(slot: number, nowNs: number, bytes: number, luck: number): number {
    const end = this.doneNs(slot, nowNs, bytes, luck);
    const free = this.#free[slot];
    if (free !== undefined) free[earliest(free)] = end;
    return end;
  }

  #end(path: PathModel, start: number, serviceNs: number): number {
    let from = start;
    let took = serviceNs * courseFactor(path, start);
    for (const { fromNs, toNs, factor } of path.troubles) {
      if (from >= toNs || from + took <= fromNs) continue;
      if (factor === Infinity) {
        if (from < fromNs) took += toNs - fromNs;
        else from = toNs;
      } else if (from >= fromNs) took *= factor;
    }
    return from + took;
  }
}

/** Index of the smallest. */
function earliest(times: Float64Array): number {
  let best = 0;
  for (let i = 1; i < times.length; i++) if ((times[i] ?? 0) < (times[best] ?? 0)) best = i;
  return best;
}

/** Completions in order of time: a binary heap without objects. */
export class Agenda {
  #times = new Float64Array(1024);
  #what = new Int32Array(1024);
  #size = 0;

  get nextNs(): number {
    return this.#size === 0 ? Infinity : (this.#times[0] ?? Infinity);
  }

  push(timeNs: number, what: number): void {
    if (this.#size === this.#times.length) this.#grow();
    const times = this.#times;
    const whats = this.#what;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentNs = times[parent] ?? 0;
      if (parentNs <= timeNs) break;
      times[at] = parentNs;
      whats[at] = whats[parent] ?? 0;
      at = parent;
    }
    times[at] = timeNs;
    whats[at] = what;
  }

  pop(): number {
    const times = this.#times;
    const whats = this.#what;
    const first = whats[0] ?? -1;
    const size = --this.#size;
    const timeNs = times[size] ?? 0;
    const what = whats[size] ?? 0;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (times[child + 1] ?? 0) < (times[child] ?? 0)) child++;
      if ((times[child] ?? 0) >= timeNs) break;
      times[at] = times[child] ?? 0;
      whats[at] = whats[child] ?? 0;
      at = child;
    }
    times[at] = timeNs;
    whats[at] = what;
    return first;
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2);
    times.set(this.#times);
    this.#times = times;
    const what = new Int32Array(this.#what.length * 2);
    what.set(this.#what);
    this.#what = what;
  }
}
