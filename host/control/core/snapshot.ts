// The newest copy of the core's path and unit tables, by handle. Everything displayed comes from here. Records are decoded on
// demand: of thousands, a display needs only a few.

import * as abi from "../../abi.ts";
import {
  decodePath,
  decodeUnit,
  PATH_RECORD_BYTES,
  UNIT_RECORD_BYTES,
  type PathRecord,
  type SnapshotCopy,
  type TableCopy,
  type UnitRecord,
} from "../../reactor/decode-records.ts";

const SERVICEABLE = abi.PATH_FLAG_PRESENT | abi.PATH_FLAG_ENABLED;
const BARRED = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_REMOVING;
/** Its identity is being checked, or it is being registered. */
const PASSING = abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_UNREGISTERED;
const SERVICEABLE_MASK = SERVICEABLE | BARRED | PASSING;
const NOT_SERVING: ReadonlySet<number> = new Set([abi.ALUA_STANDBY, abi.ALUA_UNAVAILABLE, abi.ALUA_OFFLINE]);

const SOUND_MASK =
  abi.PATH_FLAG_PRESENT |
  abi.PATH_FLAG_FAILED |
  abi.PATH_FLAG_WRONG_UNIT |
  abi.PATH_FLAG_REMOVING |
  abi.PATH_FLAG_UNVERIFIED;

export class Table<T> {
  /** Records one after the other. */
  readonly view: DataView;
  readonly #handles: TableCopy["handles"];
  readonly #bytes: number;
  readonly #decode: (view: DataView, at: number, handle: number) => T;

  constructor(copy: TableCopy, bytes: number, decode: (view: DataView, at: number, handle: number) => T) {
    const { records } = copy;
    this.view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    this.#handles = copy.handles;
    this.#bytes = bytes;
    this.#decode = decode;
  }

  get(handle: number): T | null {
    const at = this.find(handle);
    return at === null ? null : this.#decode(this.view, at, handle);
  }

  /** One 32-bit field of a record; null when there is no such record. */
  word(handle: number, offset: number): number | null {
    const at = this.find(handle);
    return at === null ? null : this.view.getUint32(at + offset, true);
  }

  /** Where the record begins in the view; null when there is no such record. Handles are in ascending order. */
  find(handle: number): number | null {
    // As long as nothing was removed, a record stands in its handle's place.
    if (this.#handles[handle] === handle) return handle * this.#bytes;
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

const FAULTY = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_MARGINAL;

export class Snapshot {
  readonly paths: Table<PathRecord>;
  readonly units: Table<UnitRecord>;
  /** CLOCK_MONOTONIC when the copy was made, ns. */
  readonly nowNs: number;
  readonly eventsLost: number;

  constructor(copy: SnapshotCopy) {
    this.paths = new Table(copy.paths, PATH_RECORD_BYTES, decodePath);
    this.units = new Table(copy.units, UNIT_RECORD_BYTES, decodeUnit);
    this.nowNs = copy.nowNs;
    this.eventsLost = copy.eventsLost;
  }

  /** Null when the copy has no such path. */
  path(handle: number): PathRecord | null {
    return this.paths.get(handle);
  }

  /** PATH_FLAG_* bits; 0 when the copy has no such path. */
  flags(path: number): number {
    return this.paths.word(path, abi.PATH_FLAGS) ?? 0;
  }

  /** Whether it waits for its registration. */
  isUnregistered(handle: number): boolean {
    return (this.flags(handle) & abi.PATH_FLAG_UNREGISTERED) !== 0;
  }

  /** Whether the path leads to its unit and answers, as far as known. */
  isSound(handle: number): boolean {
    return (this.flags(handle) & SOUND_MASK) === abi.PATH_FLAG_PRESENT;
  }

  isFailed(handle: number): boolean {
    return (this.flags(handle) & abi.PATH_FLAG_FAILED) !== 0;
  }

  /** Whether the path has failed, leads to another unit, or is a last resort. */
  isFaulty(handle: number): boolean {
    return (this.flags(handle) & FAULTY) !== 0;
  }

  /** Whether intermittent-failure monitoring holds the path back. */
  isMarginal(handle: number): boolean {
    return (this.flags(handle) & abi.PATH_FLAG_MARGINAL) !== 0;
  }

  isInUse(handle: number): boolean {
    return (this.flags(handle) & abi.PATH_FLAG_IN_USE) !== 0;
  }

  /** Null when the copy has no such unit. */
  unit(handle: number): UnitRecord | null {
    return this.units.get(handle);
  }

  /**
   * Whether the path can carry I/O, now or as an alternative: enabled, healthy, verified, in an access state that serves I/O. The
   * core uses only the best of these at any moment.
   */
  isServiceable(path: number): boolean {
    const flags = this.flags(path);
    if ((flags & SERVICEABLE_MASK) !== SERVICEABLE) return false;
    return !NOT_SERVING.has(((this.paths.word(path, abi.PATH_PRIORITY) ?? 0) >>> 16) & 0xff);
  }

  /** Whether the path may soon carry I/O that it does not get now, because its identity is still being checked, or it is being registered. */
  isVerifying(path: number): boolean {
    const flags = this.flags(path);
    return (flags & PASSING) !== 0 && (flags & (SERVICEABLE | BARRED)) === SERVICEABLE;
  }

  /** Whether the path is in the copy and disabled. */
  isDisabled(path: number): boolean {
    return (this.flags(path) & SERVICEABLE) === abi.PATH_FLAG_PRESENT;
  }

  /** Whether another host has removed this one's registration. */
  isPreempted(unit: number): boolean {
    return ((this.units.word(unit, abi.UNIT_FLAGS) ?? 0) & abi.UNIT_FLAG_PREEMPTED) !== 0;
  }

  isReleased(unit: number): boolean {
    return ((this.units.word(unit, abi.UNIT_FLAGS) ?? 0) & abi.UNIT_FLAG_RELEASED) !== 0;
  }
}

const EMPTY: TableCopy = { handles: new Uint32Array(0), records: new Uint8Array(0) };

/** Tables of an empty core. */
export const NO_SNAPSHOT = new Snapshot({ nowNs: 0, eventsLost: 0, paths: EMPTY, units: EMPTY });
