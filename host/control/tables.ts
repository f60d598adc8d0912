// The newest copy of the core's path and unit tables, by handle. What is displayed comes from here. Records are decoded
// when somebody asks for them: of thousands, a display needs few.

import { UNIT_FLAG_RELEASED, UNIT_FLAGS, UNIT_USABLE } from "../reactor/abi.ts";
import {
  decodePath,
  decodeUnit,
  PATH_RECORD_BYTES,
  UNIT_RECORD_BYTES,
  type PathRecord,
  type SnapshotCopy,
  type TableCopy,
  type UnitRecord,
} from "../reactor/records.ts";

class Table<T> {
  readonly #view: DataView;
  readonly #handles: Uint32Array;
  readonly #bytes: number;
  readonly #decode: (view: DataView, at: number, handle: number) => T;

  constructor(copy: TableCopy, bytes: number, decode: (view: DataView, at: number, handle: number) => T) {
    const { records } = copy;
    this.#view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    this.#handles = copy.handles;
    this.#bytes = bytes;
    this.#decode = decode;
  }

  get(handle: number): T | null {
    const at = this.#find(handle);
    return at === null ? null : this.#decode(this.#view, at, handle);
  }

  /** One field of 32 bits of a record; null when there is no such record. */
  word(handle: number, offset: number): number | null {
    const at = this.#find(handle);
    return at === null ? null : this.#view.getUint32(at + offset, true);
  }

  /** Where the record begins. The handles are in rising order. */
  #find(handle: number): number | null {
    let low = 0;
    let high = this.#handles.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#handles[middle] ?? 0;
      if (found === handle) return middle * this.#bytes;
      if (found < handle) low = middle + 1;
      else high = middle - 1;
    }
    return null;
  }
}

export class Tables {
  readonly #paths: Table<PathRecord>;
  readonly #units: Table<UnitRecord>;
  /** CLOCK_MONOTONIC when the copy was made, ns. */
  readonly nowNs: number;
  readonly eventsLost: number;

  constructor(copy: SnapshotCopy) {
    this.#paths = new Table(copy.paths, PATH_RECORD_BYTES, decodePath);
    this.#units = new Table(copy.units, UNIT_RECORD_BYTES, decodeUnit);
    this.nowNs = copy.nowNs;
    this.eventsLost = copy.eventsLost;
  }

  /** Null when there is no such path in the copy. */
  path(handle: number): PathRecord | null {
    return this.#paths.get(handle);
  }

  /** Null when there is no such unit in the copy. */
  unit(handle: number): UnitRecord | null {
    return this.#units.get(handle);
  }

  /** How many paths of the unit may get I/O now; 0 when there is no such unit. */
  usablePaths(unit: number): number {
    let count = 0;
    for (let mask = this.#units.word(unit, UNIT_USABLE) ?? 0; mask !== 0; mask = (mask & (mask - 1)) >>> 0) count++;
    return count;
  }

  isReleased(unit: number): boolean {
    return ((this.#units.word(unit, UNIT_FLAGS) ?? 0) & UNIT_FLAG_RELEASED) !== 0;
  }
}

const EMPTY: TableCopy = { handles: new Uint32Array(0), records: new Uint8Array(0) };

/** Tables of a core that has nothing. */
export const NO_TABLES = new Tables({ nowNs: 0, eventsLost: 0, paths: EMPTY, units: EMPTY });
