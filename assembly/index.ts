// The exports of the core; nothing else. docs/architecture.md describes each.

import { ABI_VERSION } from "./abi";
import { connectionClose as closeConnection, initCore, runCore } from "./core";
import { lentData } from "./frontend/block/answers";
import { clientClose, clientOpen } from "./frontend/block/client";
import { blockLayOut, region } from "./frontend/block/table";
import { connectionTakeOver } from "./frontend/nbd/connection";
import { control, paths as pathRecords, scratchArea, units as unitRecords } from "./memory/memory";
import { readClock } from "./memory/ring";
import { modeChange } from "./modeset";
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

/** Lays out the memory; once. */
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

/** One turn. */
export function run(): void {
  runCore();
}

/** Address of the scratch area. */
export function scratch(): u32 {
  return <u32>scratchArea;
}

/** Address of the path records. */
export function pathTable(): u32 {
  return <u32>pathRecords;
}

/** Address of the unit records. */
export function unitTable(): u32 {
  return <u32>unitRecords;
}

/** Takes an NBD connection over. */
export function connectionAdd(socket: u32, handle: u32, flags: u32, preloaded: u32): i32 {
  readClock();
  return connectionTakeOver(socket, handle, flags, preloaded);
}

/** The row of the outcome table for a status, with `senseBytes` of sense data in scratch (OUTCOME_* of scsi/outcome.ts). */
export function outcome(hostStatus: u32, driverStatus: u32, status: u32, senseBytes: u32): u32 {
  return outcomeOfBytes(hostStatus, driverStatus, status, scratchArea, min<u32>(senseBytes, SENSE_BYTES_MAX));
}

// Control calls come between turns, perhaps long after the last one: each reads the clock first.

/** A new unit. */
export function unitAdd(): i32 {
  readClock();
  return unit.unitAdd();
}

/** Sets a property of a unit. */
export function unitSet(handle: u32, property: u32, value: i64): i32 {
  readClock();
  return setUnit(handle, property, value);
}

/** Removes a unit. */
export function unitRemove(handle: u32): i32 {
  readClock();
  return unit.unitRemove(handle);
}

/** Sets the identity of a unit. */
export function unitIdentity(handle: u32, bytes: u32): i32 {
  readClock();
  return unit.unitIdentity(handle, bytes);
}

/** A new path. */
export function pathAdd(handle: u32, arrayPort: u32, port: u32, priority: u32, enabled: u32, depth: u32): i32 {
  readClock();
  return path.pathAdd(handle, arrayPort, port, priority, enabled, depth);
}

/** Sets a property of a path. */
export function pathSet(handle: u32, property: u32, value: i64): i32 {
  readClock();
  return path.pathSet(handle, property, value);
}

/** Removes a path. */
export function pathRemove(handle: u32): i32 {
  readClock();
  return path.pathRemove(handle);
}

/** Exchanges two priorities. */
export function pathSwap(a: u32, b: u32): i32 {
  readClock();
  return path.pathSwap(a, b);
}

/** Sets a system-wide mode. */
export function modeSet(which: u32, value: i64): i32 {
  readClock();
  return modeChange(which, value);
}

// The block door (docs/block-door.md).

/** Lays the block door out; once, after `init`. */
export function blockInit(clients: u32, tags: u32, regionBytes: u32): i32 {
  return blockLayOut(clients, tags, regionBytes);
}

/** Address of the embedder's region. */
export function blockRegion(): u32 {
  return <u32>region;
}

/** A new client of a unit. */
export function blockOpen(handle: u32, flags: u32): i32 {
  readClock();
  return clientOpen(handle, flags);
}

/** Ends a client. */
export function blockClose(client: u32): i32 {
  readClock();
  return clientClose(client);
}

/** Where a byte of a lent READ lies, and in the high half how many bytes lie there in one piece. */
export function blockData(tag: u32, at: u32): u64 {
  return lentData(tag, at);
}

/** Closes a connection. */
export function connectionClose(connection: u32): i32 {
  readClock();
  return closeConnection(connection);
}
