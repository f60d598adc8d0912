// Every command the array carries out, in one table: what executes it, and what REPORT SUPPORTED OPERATION CODES reports for it.

import { read, synchronizeCache, unmap, write, writeSame } from "./block-commands.ts";
import { compareAndWrite, orWrite, verify, writeAndVerify } from "./compare-commands.ts";
import { blocksOf, bytesOfHex, lbaOf } from "../fields.ts";
import { reportTargetPortGroups, setTargetPortGroups } from "../array-groups.ts";
import { readCapacity10, readCapacity16 } from "./inquiry.ts";
import { getLbaStatus } from "./lba-status.ts";
import { modeSense } from "./mode-sense.ts";
import { reportOperationCodes, type CommandKind, type Handler } from "./operation-codes.ts";
import { persistentReserveIn, persistentReserveOut, release, reserve } from "./reservation-commands.ts";
import * as scsi from "../scsi.ts";

/** @param usage the bits of the bytes after the opcode, in hexadecimal */
function kind(opcode: number, usage: string, run: Handler | null, action = -1): CommandKind {
  return { opcode, action, usage: Uint8Array.from([opcode, ...bytesOfHex(usage.replaceAll(" ", ""))]), run };
}

const reading: Handler = (command, unit) => read(command, unit, lbaOf(command), blocksOf(command));
const writing: Handler = (command, unit) => write(command, unit, lbaOf(command), blocksOf(command));
const flushing: Handler = (command, unit) => synchronizeCache(command, unit, lbaOf(command), blocksOf(command));
const repeating: Handler = (command, unit) => writeSame(command, unit, lbaOf(command), blocksOf(command));

function reserveIn(action: number): CommandKind {
  return kind(scsi.PERSISTENT_RESERVE_IN, `0${action} 0000000000 ffff 00`, persistentReserveIn, action);
}

function reserveOut(action: number): CommandKind {
  return kind(scsi.PERSISTENT_RESERVE_OUT, `0${action} ff 0000 ffffffff 00`, persistentReserveOut, action);
}

/** 16 bytes with a long LBA and a long number of blocks. */
const LONG = "ffffffffffffffff ffffffff 0000";
/** 10 and 12 bytes with an LBA of 32 bits. */
const SHORT = "ffffffff 00 ffff 00";
const MIDDLE = "ffffffff ffffffff 0000";

const COMMANDS: readonly CommandKind[] = [
  kind(scsi.TEST_UNIT_READY, "00 0000 00 00", () => {}),
  kind(scsi.REQUEST_SENSE, "01 0000 ff 00", null),
  kind(scsi.READ_6, "1f ffff ff 00", reading),
  kind(scsi.WRITE_6, "1f ffff ff 00", writing),
  kind(scsi.INQUIRY, "01 ff ffff 00", null),
  kind(scsi.RESERVE_6, "00 0000 00 00", reserve),
  kind(scsi.RELEASE_6, "00 0000 00 00", release),
  kind(scsi.MODE_SENSE_6, "08 ff ff ff 00", (command, unit) => modeSense(command, unit, false)),
  kind(scsi.READ_CAPACITY_10, "00 00000000 0000 00 00", readCapacity10),
  kind(scsi.READ_10, `18 ${SHORT}`, reading),
  kind(scsi.WRITE_10, `18 ${SHORT}`, writing),
  kind(scsi.WRITE_AND_VERIFY_10, `12 ${SHORT}`, writeAndVerify),
  kind(scsi.VERIFY_10, `16 ${SHORT}`, verify),
  kind(scsi.SYNCHRONIZE_CACHE_10, `00 ${SHORT}`, flushing),
  kind(scsi.WRITE_SAME_10, `08 ${SHORT}`, repeating),
  kind(scsi.UNMAP, "00 00000000 00 ffff 00", unmap),
  kind(scsi.RESERVE_10, "00 0000000000 0000 00", reserve),
  kind(scsi.RELEASE_10, "00 0000000000 0000 00", release),
  kind(scsi.MODE_SENSE_10, "08 ff ff 000000 ffff 00", (command, unit) => modeSense(command, unit, true)),
  ...[0, 1, 2, 3].map(reserveIn),
  ...[0, 1, 2, 3, 4, 5, 6].map(reserveOut),
  kind(scsi.READ_16, `18 ${LONG}`, reading),
  kind(scsi.COMPARE_AND_WRITE, "18 ffffffffffffffff 000000 ff 0000", compareAndWrite),
  kind(scsi.WRITE_16, `18 ${LONG}`, writing),
  kind(scsi.ORWRITE_16, `18 ${LONG}`, orWrite),
  kind(scsi.WRITE_AND_VERIFY_16, `12 ${LONG}`, writeAndVerify),
  kind(scsi.VERIFY_16, `16 ${LONG}`, verify),
  kind(scsi.SYNCHRONIZE_CACHE_16, `00 ${LONG}`, flushing),
  kind(scsi.WRITE_SAME_16, `09 ${LONG}`, repeating),
  kind(scsi.SERVICE_ACTION_IN_16, "10 0000000000000000 ffffffff 0000", readCapacity16, scsi.READ_CAPACITY_16),
  kind(scsi.SERVICE_ACTION_IN_16, "12 ffffffffffffffff ffffffff 0000", getLbaStatus, scsi.GET_LBA_STATUS),
  kind(scsi.REPORT_LUNS, "00 ff 000000 ffffffff 0000", null),
  kind(scsi.MAINTENANCE_IN, "ea 00000000 ffffffff 0000", reportTargetPortGroups, scsi.TARGET_PORT_GROUPS),
  kind(
    scsi.MAINTENANCE_IN,
    "0c 87 ff ffff ffffffff 0000",
    (command) => reportOperationCodes(command, COMMANDS),
    scsi.REPORT_OPERATION_CODES,
  ),
  kind(scsi.MAINTENANCE_OUT, "0a 00000000 ffffffff 0000", setTargetPortGroups, scsi.TARGET_PORT_GROUPS),
  kind(scsi.READ_12, `18 ${MIDDLE}`, reading),
  kind(scsi.WRITE_12, `18 ${MIDDLE}`, writing),
  kind(scsi.WRITE_AND_VERIFY_12, `12 ${MIDDLE}`, writeAndVerify),
  kind(scsi.VERIFY_12, `16 ${MIDDLE}`, verify),
];

const ACTIONS = 32;

/** The handler of each opcode with each service action; opcodes without service actions have the same one for all. */
const handlers: (Handler | null)[] = Array.from({ length: 256 * ACTIONS }, () => null);
const known = new Uint8Array(256);
for (const { opcode, action, run } of COMMANDS) {
  known[opcode] = 1;
  if (action >= 0) handlers[opcode * ACTIONS + action] = run;
  else handlers.fill(run, opcode * ACTIONS, (opcode + 1) * ACTIONS);
}

/** Whether an opcode is supported at all, with any service action. */
export function isKnown(opcode: number): boolean {
  return known[opcode] === 1;
}

/** The handler of an opcode with a service action, or null. */
export function handlerOf(opcode: number, action: number): Handler | null {
  return handlers[opcode * ACTIONS + action] ?? null;
}
