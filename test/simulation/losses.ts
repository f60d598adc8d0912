// The device reports by a deferred error that it lost data that it had acknowledged. It does so once; a flush sent after
// that has to fail, or no client ever learns of the loss.

import type { LogicalUnit } from "../../host/array/array-unit.ts";
import { NBD } from "./wire.ts";

interface UnitLosses {
  /** When the last loss was reported for which no flush has failed yet; Infinity: none. */
  toldNs: number;
  /** When the last failed flush was sent, and when any loss was last reported. */
  failedNs: number;
  lastNs: number;
  /** Number of deferred errors reported. */
  errors: number;
  /** Number of flushes sent and not answered. */
  open: number;
}

export class Losses {
  readonly #units: UnitLosses[];
  /** Only one host can have got the report; with two, it is not known which. */
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

  /** Called after a turn of the array: checks whether it has reported a loss on a path of a unit. */
  look(units: readonly LogicalUnit[], nowNs: number): void {
    for (const [index, { deferredErrors }] of units.entries()) {
      const losses = this.#of(index);
      if (deferredErrors !== losses.errors) this.told(index, nowNs);
      losses.errors = deferredErrors;
    }
  }

  /** The core got the report of a loss. */
  told(unit: number, nowNs: number): void {
    const losses = this.#of(unit);
    losses.toldNs = nowNs;
    losses.lastNs = nowNs;
  }

  flushSent(unit: number): void {
    this.#of(unit).open++;
  }

  /**
   * A client has disconnected, perhaps before it got the answer that reported a loss; or the core was killed, with what it
   * knew.
   */
  forget(): void {
    for (const losses of this.#units) losses.toldNs = Infinity;
  }

  /** Whether a loss may still be reported to a request that was sent at `sentNs`. */
  toldSince(unit: number, sentNs: number): boolean {
    const { toldNs, failedNs, lastNs } = this.#of(unit);
    if (!this.#oneHost) return lastNs !== -Infinity;
    return toldNs !== Infinity || lastNs >= Math.min(failedNs, sentNs);
  }

  /** A flush was answered. Returns what is wrong with that, or undefined. */
  flushed(unit: number, error: number, sentNs: number, nowNs: number): string | undefined {
    const losses = this.#of(unit);
    losses.open = Math.max(0, losses.open - 1);
    // A refusal, for instance for a reservation, is not about data: the loss is still to be reported.
    if (error !== 0 && error !== NBD.eio) return undefined;
    if (error !== 0) {
      losses.failedNs = sentNs;
      if (losses.toldNs <= nowNs) losses.toldNs = Infinity;
      return undefined;
    }
    // Another flush in progress may have been answered first, and its answer may not have arrived yet.
    if (!this.#oneHost || losses.toldNs >= sentNs || losses.open > 0) return undefined;
    const lateMs = (sentNs - losses.toldNs) / 1e6;
    losses.toldNs = Infinity;
    return `a flush that was sent ${lateMs} ms after a deferred error was answered without an error`;
  }
}
