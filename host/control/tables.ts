// The newest copy of the core's path and unit tables, by handle. What is displayed comes from here.

import type { PathRecord, Snapshot, UnitRecord } from "../reactor/records.ts";

export class Tables {
  readonly #paths: ReadonlyMap<number, PathRecord>;
  readonly #units: ReadonlyMap<number, UnitRecord>;
  /** CLOCK_MONOTONIC when the copy was made, ns. */
  readonly nowNs: number;
  readonly eventsLost: number;

  constructor(snapshot: Snapshot) {
    this.#paths = new Map(snapshot.paths.map((record) => [record.path, record]));
    this.#units = new Map(snapshot.units.map((record) => [record.unit, record]));
    this.nowNs = snapshot.nowNs;
    this.eventsLost = snapshot.eventsLost;
  }

  /** Null when there is no such path in the copy. */
  path(handle: number): PathRecord | null {
    return this.#paths.get(handle) ?? null;
  }

  /** Null when there is no such unit in the copy. */
  unit(handle: number): UnitRecord | null {
    return this.#units.get(handle) ?? null;
  }
}

/** Tables of a core that has nothing. */
export const NO_TABLES = new Tables({ nowNs: 0, eventsLost: 0, paths: [], units: [] });
