// The exports of the core; nothing else. docs/architecture.md describes each.

import { ABI_VERSION, ERROR_RANGE } from "./abi";
import { connectionClose as closeConnection, initCore, runCore } from "./core";
import { lentData } from "./frontend/block/answers";
import { clientClose, clientOpen } from "./frontend/block/client";
import { blockLayOut, region } from "./frontend/block/table";
import { connectionTakeOver } from "./frontend/nbd/connection";
import { control, paths as pathRecords, scratchArea, units as unitRecords } from "./memory/memory";
import { readClock } from "./memory/ring";
import { modeChange } from "./modeset";
import { sharerToldOfAnswer, sharersToldOfFault } from "./overdue/shared";
import * as path from "./path/path";
import { outcomeOfBytes } from "./scsi/outcome";
import * as unit from "./unit";
import { unitSet as setUnit } from "./unitset";

/** Most bytes of sense data that a device has (SPC-4 4.5.1). */
const SENSE_BYTES_MAX: u32 = 252;

export { inspect } from "./core";

/** Version of the interface this core speaks. */
export function abiVersion(): u32 {
  return ABI_VERSION;
}

/** Address of the control block. */
export function controlBlock(): u32 {
  return <u32>control;
}

/**
 * Lays out the memory; once. connections 0..4096 (NBD), requests and commands 1..65536, poolBytes 1 MiB..2 GiB, units 1..8192,
 * paths 1..65536, events 16..65536 (rounded up to a power of two), payloadBytes 4 KiB..32 MiB and no more than the pool. ERROR_RANGE: a limit
 * does not fit, or there is not enough memory. ERROR_BUSY: it was laid out before.
 */
export function init(
  connections: u32,
  requests: u32,
  commands: u32,
  poolBytes: u32,
  units: u32,
  paths: u32,
  events: u32,
  payloadBytes: u32,
): i32 {
  return initCore(connections, requests, commands, poolBytes, units, paths, events, payloadBytes);
}

/** One turn: takes completions and entries, lets timers fire, submits what can go. Time and rings are in the control block. */
export function run(): void {
  runCore();
}

/** Address of the scratch area (SCRATCH_BYTES); valid after `init`. */
export function scratch(): u32 {
  return <u32>scratchArea;
}

/** Address of the path records: PATH_* at handle * PATH_BYTES. */
export function pathTable(): u32 {
  return <u32>pathRecords;
}

/** Address of the unit records: UNIT_* at handle * UNIT_BYTES. */
export function unitTable(): u32 {
  return <u32>unitRecords;
}

/**
 * Takes over an NBD connection that has negotiated; returns its handle. flags: CONNECTION_* bits. preloaded: number of bytes already
 * received, in scratch. ERROR_HANDLE: no such unit. ERROR_RANGE: unknown flags, or more bytes than scratch has. ERROR_LIMIT: no connection is free.
 */
export function connectionAdd(socket: u32, handle: u32, flags: u32, preloaded: u32): i32 {
  readClock();
  return connectionTakeOver(socket, handle, flags, preloaded);
}

/** The row of the outcome table for a status, with `senseBytes` of sense data in scratch (OUTCOME_* of scsi/outcome.ts). */
export function outcome(hostStatus: u32, driverStatus: u32, status: u32, senseBytes: u32): u32 {
  return outcomeOfBytes(hostStatus, driverStatus, status, scratchArea, min<u32>(senseBytes, SENSE_BYTES_MAX));
}

// Control calls come between turns, perhaps long after the last one: each reads the clock first.

/** Adds a unit, without paths; returns its handle. ERROR_LIMIT: none is free. */
export function unitAdd(): i32 {
  readClock();
  return unit.unitAdd();
}

/** Sets a property of a unit (UNIT_SET_*, with units and ranges). ERROR_HANDLE, ERROR_PROPERTY, ERROR_RANGE, ERROR_CLUSTER_MODE, ERROR_BUSY. */
export function unitSet(handle: u32, property: u32, value: i64): i32 {
  readClock();
  return setUnit(handle, property, value);
}

/** Removes a unit. ERROR_HANDLE. ERROR_BUSY: it has paths, connections, clients or requests. */
export function unitRemove(handle: u32): i32 {
  readClock();
  return unit.unitRemove(handle);
}

/** Sets the identity of a unit: `bytes` of scratch, 3..IDENTITY_BYTES_MAX; 0: none, so paths are not asked. ERROR_HANDLE, ERROR_RANGE. */
export function unitIdentity(handle: u32, bytes: u32): i32 {
  readClock();
  return unit.unitIdentity(handle, bytes);
}

/**
 * Adds a path; returns its handle. arrayPort: 0 for the native queue, 1 for the array's. port: what its submissions name. priority 1..254, unique in the
 * unit. enabled 0 or 1. depth: most commands in flight, 1 or more. ERROR_HANDLE, ERROR_RANGE, ERROR_LIMIT, ERROR_PRIORITY_IN_USE.
 */
export function pathAdd(handle: u32, arrayPort: u32, port: u32, priority: u32, enabled: u32, depth: u32): i32 {
  readClock();
  return path.pathAdd(handle, arrayPort, port, priority, enabled, depth);
}

/** Sets a property of a path (PATH_SET_*). ERROR_HANDLE, ERROR_PROPERTY, ERROR_RANGE, ERROR_PRIORITY_IN_USE, ERROR_NOT_FAILED. */
export function pathSet(handle: u32, property: u32, value: i64): i32 {
  readClock();
  return path.pathSet(handle, property, value);
}

/** Removes a path: its I/O goes elsewhere; its record is free (no PATH_FLAG_PRESENT) when its last command has ended. ERROR_HANDLE. */
export function pathRemove(handle: u32): i32 {
  readClock();
  return path.pathRemove(handle);
}

/** Exchanges the priorities of two paths of one unit. ERROR_HANDLE, ERROR_RANGE. */
export function pathSwap(a: u32, b: u32): i32 {
  readClock();
  return path.pathSwap(a, b);
}

/** Sets a system-wide mode (MODE_*, with units and ranges). ERROR_PROPERTY, ERROR_RANGE. */
export function modeSet(which: u32, value: i64): i32 {
  readClock();
  return modeChange(which, value);
}

/**
 * Another core of this machine has told of a fault (EVENT_SHARED_FAULT): paths over one of these components (0xffffffff: unknown) become
 * suspects. silent: 1 when the path did not answer at all. probesMax: how many of them may be probed. ERROR_RANGE.
 */
export function sharedFault(initiatorPort: u32, targetPort: u32, controller: u32, silent: u32, probesMax: u32): i32 {
  readClock();
  if (silent > 1) return -(<i32>ERROR_RANGE);
  sharersToldOfFault(initiatorPort, targetPort, controller, silent === 1, probesMax);
  return 0;
}

/** Another core has told that a suspect of this nexus has answered (EVENT_SHARED_ANSWER): ours are cleared. */
export function sharedAnswer(initiatorPort: u32, targetPort: u32): i32 {
  readClock();
  sharerToldOfAnswer(initiatorPort, targetPort);
  return 0;
}

// The block door (docs/block-door.md).

/** Lays the block door out; once, after `init`. clients 1..4096, tags 1..65536, regionBytes 0..2 GiB. ERROR_RANGE, ERROR_BUSY. */
export function blockInit(clients: u32, tags: u32, regionBytes: u32): i32 {
  return blockLayOut(clients, tags, regionBytes);
}

/** Address of the embedder's region, on a page; 0 when it has none. */
export function blockRegion(): u32 {
  return <u32>region;
}

/** Adds a client to a unit; returns its handle. flags: BLOCK_READ_ONLY. ERROR_HANDLE, ERROR_RANGE (or a unit without a block size), ERROR_LIMIT. */
export function blockOpen(handle: u32, flags: u32): i32 {
  readClock();
  return clientOpen(handle, flags);
}

/** Ends a client: its requests are answered ECANCELED. ERROR_HANDLE: it is not open. */
export function blockClose(client: u32): i32 {
  readClock();
  return clientClose(client);
}

/** Address of byte `at` of a lent READ, and in the high half how many bytes are contiguous there; 0: that tag lends nothing. */
export function blockData(tag: u32, at: u32): u64 {
  return lentData(tag, at);
}

/** Closes a connection: its requests are given up. ERROR_HANDLE. */
export function connectionClose(connection: u32): i32 {
  readClock();
  return closeConnection(connection);
}
