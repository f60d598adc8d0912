// Decodes the core's records for displays: paths, units, events. Works on copies, in control's thread.

import * as abi from "../abi.ts";
import { handleIn, reactorOf } from "./handles.ts";

/** Bytes of a record that displays read; the rest is private to the core. */
export const PATH_RECORD_BYTES = 112;
export const UNIT_RECORD_BYTES = abi.UNIT_SLOTS;

/** A handle that names nothing. */
const NONE = 0xffffffff;

/** Outcome that counted against a path. */
export interface Outcome {
  readonly status: number;
  readonly senseKey: number;
  readonly asc: number;
  readonly ascq: number;
  readonly hostStatus: number;
}

export interface PathRecord {
  readonly path: number;
  /** PATH_FLAG_* bits. */
  readonly flags: number;
  readonly unit: number;
  readonly priority: number;
  /** ALUA_*. */
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
  readonly orphans: number;
  readonly last: Outcome;
  readonly marginalSeconds: number;
}

export interface UnitRecord {
  readonly unit: number;
  /** UNIT_FLAG_* bits. */
  readonly flags: number;
  /** Mask of the slots that may get I/O now. */
  readonly usable: number;
  /** POLICY_*. */
  readonly policy: number;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly requests: number;
  readonly waiting: number;
  readonly orphans: number;
  readonly answered: number;
  readonly failed: number;
  readonly latencyNsMax: number;
  readonly stallNs: number;
  readonly connections: number;
}

/** Copies of the path and unit tables at one moment. */
export interface Snapshot {
  /** CLOCK_MONOTONIC, ns. */
  readonly nowNs: number;
  readonly eventsLost: number;
  readonly paths: readonly PathRecord[];
  readonly units: readonly UnitRecord[];
}

/** An event of the core. */
export interface CoreEvent {
  /** EVENT_*. */
  readonly kind: number;
  /** REASON_*, 0 when none. */
  readonly reason: number;
  readonly unit: number | null;
  readonly path: number | null;
  readonly arg0: number;
  readonly arg1: number;
  readonly timeNs: number;
  readonly outcome: Outcome;
}

/** A table as the reactor sends it: the handles in use, and the front part of each record, one after the other. */
export interface TableCopy {
  readonly handles: Uint32Array | Float64Array;
  readonly records: Uint8Array;
}

export interface SnapshotCopy {
  readonly nowNs: number;
  readonly eventsLost: number;
  readonly paths: TableCopy;
  readonly units: TableCopy;
}

/** A 64-bit counter. */
export function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 4_294_967_296;
}

function outcome(view: DataView, sense: number, hostStatus: number): Outcome {
  return {
    status: view.getUint8(sense),
    senseKey: view.getUint8(sense + 1),
    asc: view.getUint8(sense + 2),
    ascq: view.getUint8(sense + 3),
    hostStatus: view.getUint16(hostStatus, true),
  };
}

/** One path record of a copy. @param at where it begins */
export function decodePath(view: DataView, at: number, path: number): PathRecord {
  return {
    path,
    flags: view.getUint32(at + abi.PATH_FLAGS, true),
    unit: handleIn(reactorOf(path), view.getUint32(at + abi.PATH_UNIT, true)),
    priority: view.getUint16(at + abi.PATH_PRIORITY, true),
    alua: view.getUint8(at + abi.PATH_ALUA),
    slot: view.getUint8(at + abi.PATH_SLOT),
    inFlight: view.getUint32(at + abi.PATH_IN_FLIGHT, true),
    depth: view.getUint32(at + abi.PATH_DEPTH, true),
    weight: view.getUint32(at + abi.PATH_WEIGHT, true),
    ios: u64(view, at + abi.PATH_IOS),
    bytesRead: u64(view, at + abi.PATH_BYTES_READ),
    bytesWritten: u64(view, at + abi.PATH_BYTES_WRITTEN),
    errors: u64(view, at + abi.PATH_ERRORS),
    retries: u64(view, at + abi.PATH_RETRIES),
    checks: u64(view, at + abi.PATH_CHECKS),
    lastAnswerNs: u64(view, at + abi.PATH_LAST_ANSWER_NS),
    sinceNs: u64(view, at + abi.PATH_SINCE_NS),
    serviceNs: view.getUint32(at + abi.PATH_SERVICE_NS, true),
    orphans: view.getUint32(at + abi.PATH_ORPHANS, true),
    last: outcome(view, at + abi.PATH_LAST_SENSE, at + abi.PATH_LAST_HOST_STATUS),
    marginalSeconds: view.getUint32(at + abi.PATH_MARGINAL_SECONDS, true),
  };
}

/** One unit record of a copy. @param at where it begins */
export function decodeUnit(view: DataView, at: number, unit: number): UnitRecord {
  return {
    unit,
    flags: view.getUint32(at + abi.UNIT_FLAGS, true),
    usable: view.getUint32(at + abi.UNIT_USABLE, true),
    policy: view.getUint32(at + abi.UNIT_POLICY, true),
    blocks: u64(view, at + abi.UNIT_BLOCKS),
    blockBytes: view.getUint32(at + abi.UNIT_BLOCK_BYTES, true),
    requests: view.getUint32(at + abi.UNIT_REQUESTS, true),
    waiting: view.getUint32(at + abi.UNIT_WAITING, true),
    orphans: view.getUint32(at + abi.UNIT_ORPHANS, true),
    answered: u64(view, at + abi.UNIT_ANSWERED),
    failed: u64(view, at + abi.UNIT_FAILED),
    latencyNsMax: u64(view, at + abi.UNIT_LATENCY_NS_MAX),
    stallNs: u64(view, at + abi.UNIT_STALL_NS),
    connections: view.getUint32(at + abi.UNIT_CONNECTIONS, true),
  };
}

function handleOf(reactor: number, value: number): number | null {
  return value === NONE ? null : handleIn(reactor, value);
}

/** Events whose first argument is a handle. */
const TELL_HANDLE: ReadonlySet<number> = new Set([
  abi.EVENT_CONNECTION_CLOSED,
  abi.EVENT_FAILOVER_DONE,
  abi.EVENT_BLOCK_CLOSED,
]);

function decodeTable<T>(
  copy: TableCopy,
  bytes: number,
  decode: (view: DataView, at: number, handle: number) => T,
): T[] {
  const { records } = copy;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  return Array.from(copy.handles, (handle, i) => decode(view, i * bytes, handle));
}

export function decodeSnapshot(copy: SnapshotCopy): Snapshot {
  return {
    nowNs: copy.nowNs,
    eventsLost: copy.eventsLost,
    paths: decodeTable(copy.paths, PATH_RECORD_BYTES, decodePath),
    units: decodeTable(copy.units, UNIT_RECORD_BYTES, decodeUnit),
  };
}

/** Decodes event entries of a reactor that lie one after the other. */
export function decodeEvents(entries: Uint8Array, reactor = 0): CoreEvent[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  return Array.from({ length: entries.length / abi.EVENT_BYTES }, (_, i) => {
    const at = i * abi.EVENT_BYTES;
    const kind = view.getUint16(at + abi.EVENT_KIND, true);
    const arg0 = view.getUint32(at + abi.EVENT_ARG0, true);
    return {
      kind,
      reason: view.getUint16(at + abi.EVENT_REASON, true),
      unit: handleOf(reactor, view.getUint32(at + abi.EVENT_UNIT, true)),
      path: handleOf(reactor, view.getUint32(at + abi.EVENT_PATH, true)),
      arg0: TELL_HANDLE.has(kind) && arg0 !== NONE ? handleIn(reactor, arg0) : arg0,
      arg1: view.getUint32(at + abi.EVENT_ARG1, true),
      timeNs: u64(view, at + abi.EVENT_TIME_NS),
      outcome: outcome(view, at + abi.EVENT_SENSE, at + abi.EVENT_HOST_STATUS),
    };
  });
}
