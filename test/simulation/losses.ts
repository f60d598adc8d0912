// The device tells by a deferred error that it has lost what it had acknowledged. It tells once; a flush that is sent after
// that has to fail, or nobody ever learns of it.

import type { LogicalUnit } from "../../host/array/unit.ts";

interface UnitLosses {
  /** When the last loss was told that no flush has failed for yet; Infinity: none. */
  toldNs: number;
  /** When the flush was sent that failed last, and when any loss was told last. */
  failedNs: number;
  lastNs: number;
  /** Deferred errors that were told. */
  errors: number;
  /** Flushes sent and not answered. */
  open: number;
}

export class Losses {
  readonly #units: UnitLosses[];
  /** Only one host may have been told; with two, nobody knows which. */
  readonly #oneHost: boolean;

  constructor(units: number, oneHost = true) {
    this.#oneHost = oneHost;
    this.#units = Array.from({ length: units }, () => ({
      toldNs: Infinity,
      failedNs: 0,
      lastNs: -Infinity,
      errors: 0,
      open: 0,
    }));
  }

  #of(unit: number): UnitLosses {
    const losses = this.#units[unit];
    if (losses === undefined) throw new Error("no such unit");
    return losses;
  }

  /** The array has had a turn: whether it has told of a loss on a path of a unit. */
  look(units: readonly LogicalUnit[], nowNs: number): void {
    for (const [index, { deferredErrors }] of units.entries()) {
      const losses = this.#of(index);
      if (deferredErrors !== losses.errors) this.told(index, nowNs);
      losses.errors = deferredErrors;
    }
  }

  /** The core has been told of a loss. */
  told(unit: number, nowNs: number): void {
    const losses = this.#of(unit);
    losses.toldNs = nowNs;
    losses.lastNs = nowNs;
  }

  flushSent(unit: number): void {
    this.#of(unit).open++;
  }

  /** A client has gone, perhaps with the answer that told of it; or the core has, with what it knew. */
  forget(): void {
    for (const losses of this.#units) losses.toldNs = Infinity;
  }

  /** Whether a loss may still be told to a request that was sent at `sentNs`. */
  toldSince(unit: number, sentNs: number): boolean {
    const { toldNs, failedNs, lastNs } = this.#of(unit);
    if (!this.#oneHost) return lastNs !== -Infinity;
    return toldNs !== Infinity || lastNs >= Math.min(failedNs, sentNs);
  }

  /** A flush was answered. Answers what is wrong with that, or undefined. */
  flushed(unit: number, failed: boolean, sentNs: number, nowNs: number): string | undefined {
    const losses = this.#of(unit);
    losses.open = Math.max(0, losses.open - 1);
    if (failed) {
      losses.failedNs = sentNs;
      if (losses.toldNs <= nowNs) losses.toldNs = Infinity;
      return undefined;
    }
    // Another flush under way may have been answered first, and the answer not have come yet.
    if (!this.#oneHost || losses.toldNs >= sentNs || losses.open > 0) return undefined;
    const lateMs = (sentNs - losses.toldNs) / 1e6;
    losses.toldNs = Infinity;
    return `a flush that was sent ${lateMs} ms after a deferred error was answered without an error`;
  }
}
