// The exports of the core; nothing else. docs/architecture.md describes each.

import { ABI_VERSION } from "./abi";
import { initCore, runCore } from "./core";
import { connectionTakeOver } from "./connection";
import { control, paths as pathRecords, scratchArea, units as unitRecords } from "./memory";
import { outcomeOfBytes } from "./scsi/outcome";

export { modeSet } from "./mode";
export { pathAdd, pathRemove, pathSet, pathSwap } from "./path";
export { unitAdd, unitIdentity, unitRemove, unitSet } from "./unit";
export { connectionClose, inspect } from "./core";

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
): i32 {
  return initCore(connections, requests, commands, poolBytes, units, paths, events);
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
export function connectionAdd(socket: u32, unit: u32, flags: u32, preloaded: u32): i32 {
  return connectionTakeOver(socket, unit, flags, preloaded);
}

/** The row of the outcome table for a status, with `senseBytes` of sense data in scratch (OUTCOME_* of scsi/outcome.ts). */
export function outcome(hostStatus: u32, driverStatus: u32, status: u32, senseBytes: u32): u32 {
  return outcomeOfBytes(hostStatus, driverStatus, status, scratchArea, min<u32>(senseBytes, 252));
}
