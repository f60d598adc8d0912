// Reads the core's path and unit records out of a copy of its tables.

import * as abi from "../reactor/abi.ts";

/** One path as the core has it. Times are CLOCK_MONOTONIC in ns. */
export interface PathRecord {
  readonly flags: number;
  readonly unit: number;
  readonly priority: number;
  readonly alua: number;
  readonly slot: number;
  readonly inFlight: number;
  readonly depth: number;
  readonly weight: number;
  readonly ios: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly errors: number;
  readonly retries: number;
  readonly checks: number;
  readonly lastAnswerNs: number;
  readonly sinceNs: number;
  readonly serviceNs: number;
  readonly ghosts: number;
  /** SCSI status, sense key, ASC, ASCQ. */
  readonly lastSense: readonly [number, number, number, number];
  readonly lastHostStatus: number;
  readonly shakySeconds: number;
}

export interface UnitRecord {
  readonly flags: number;
  readonly usable: number;
  readonly policy: number;
  readonly requests: number;
  readonly waiting: number;
  readonly ghosts: number;
  readonly answered: number;
  readonly failed: number;
  readonly latencyMaxNs: number;
  readonly stallNs: number;
  readonly connections: number;
}

/** A copy of both tables at one moment. */
export class Tables {
  readonly #paths: DataView;
  readonly #units: DataView;
  /** CLOCK_MONOTONIC when the copy was made, ns. */
  readonly nowNs: number;

  constructor(paths: Uint8Array, units: Uint8Array, nowNs: number) {
    this.#paths = new DataView(paths.buffer, paths.byteOffset, paths.byteLength);
    this.#units = new DataView(units.buffer, units.byteOffset, units.byteLength);
    this.nowNs = nowNs;
  }

  /** Null when there is no such path in the copy. */
  path(handle: number): PathRecord | null {
    const at = handle * abi.PATH_BYTES;
    if (at + abi.PATH_BYTES > this.#paths.byteLength) return null;
    const view = this.#paths;
    const flags = view.getUint32(at + abi.PATH_FLAGS, true);
    if ((flags & abi.PATH_FLAG_PRESENT) === 0) return null;
    const byte = (offset: number): number => view.getUint8(at + offset);
    const word = (offset: number): number => view.getUint32(at + offset, true);
    const long = (offset: number): number => Number(view.getBigUint64(at + offset, true));
    const sense = abi.PATH_LAST_SENSE;
    return {
      flags,
      unit: word(abi.PATH_UNIT),
      priority: view.getUint16(at + abi.PATH_PRIORITY, true),
      alua: byte(abi.PATH_ALUA),
      slot: byte(abi.PATH_SLOT),
      inFlight: word(abi.PATH_IN_FLIGHT),
      depth: word(abi.PATH_DEPTH),
      weight: word(abi.PATH_WEIGHT),
      ios: long(abi.PATH_IOS),
      bytesRead: long(abi.PATH_BYTES_READ),
      bytesWritten: long(abi.PATH_BYTES_WRITTEN),
      errors: long(abi.PATH_ERRORS),
      retries: long(abi.PATH_RETRIES),
      checks: long(abi.PATH_CHECKS),
      lastAnswerNs: long(abi.PATH_LAST_ANSWER_NS),
      sinceNs: long(abi.PATH_SINCE_NS),
      serviceNs: word(abi.PATH_SERVICE_NS),
      ghosts: word(abi.PATH_GHOSTS),
      lastSense: [byte(sense), byte(sense + 1), byte(sense + 2), byte(sense + 3)],
      lastHostStatus: view.getUint16(at + abi.PATH_LAST_HOST_STATUS, true),
      shakySeconds: word(abi.PATH_SHAKY_SECONDS),
    };
  }

  /** Null when there is no such unit in the copy. */
  unit(handle: number): UnitRecord | null {
    const at = handle * abi.UNIT_BYTES;
    if (at + abi.UNIT_BYTES > this.#units.byteLength) return null;
    const view = this.#units;
    const word = (offset: number): number => view.getUint32(at + offset, true);
    const long = (offset: number): number => Number(view.getBigUint64(at + offset, true));
    const flags = word(abi.UNIT_FLAGS);
    if ((flags & abi.UNIT_FLAG_PRESENT) === 0) return null;
    return {
      flags,
      usable: word(abi.UNIT_USABLE),
      policy: word(abi.UNIT_POLICY),
      requests: word(abi.UNIT_REQUESTS),
      waiting: word(abi.UNIT_WAITING),
      ghosts: word(abi.UNIT_GHOSTS),
      answered: long(abi.UNIT_ANSWERED),
      failed: long(abi.UNIT_FAILED),
      latencyMaxNs: long(abi.UNIT_LATENCY_NS_MAX),
      stallNs: long(abi.UNIT_STALL_NS),
      connections: word(abi.UNIT_CONNECTIONS),
    };
  }
}

/** Tables of a core that has nothing. */
export const NO_TABLES = new Tables(new Uint8Array(0), new Uint8Array(0), 0);
