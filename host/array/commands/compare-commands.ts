// The commands of SBC-3 that read the medium before they answer: VERIFY, WRITE AND VERIFY, COMPARE AND WRITE, ORWRITE.

import { DIRECTION_OUT } from "../../abi.ts";
import {
  dataOutBytes,
  done,
  forced,
  inRange,
  TRANSFER_BYTES_MAX,
  unprotected,
  writable,
  write,
} from "./block-commands.ts";
import type { Command } from "./command.ts";
import { blocksField, blocksOf, lbaOf } from "../fields.ts";
import { ASC_MISCOMPARE, ASC_UNRECOVERED_READ, KEY_MEDIUM_ERROR, KEY_MISCOMPARE } from "../scsi.ts";
import type { LogicalUnit } from "../array-unit.ts";

const TWO_32 = 4294967296;

/** Bytes of the medium handled in one step; a multiple of every block size. */
const held = new Uint8Array(65_536);

/** Reads one step of the medium into `held`. Returns false if that fails, and the sense data says so. */
function readHeld(command: Command, unit: LogicalUnit, offset: number, bytes: number): boolean {
  if (unit.medium.read(held, 0, offset | 0, (offset / TWO_32) | 0, bytes) === 0) return true;
  command.fail(KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ);
  return false;
}

/** Where the bytes in memory differ from those just read; `bytes` if nowhere. */
function firstDifference(memory: Uint8Array, address: number, bytes: number): number {
  let at = 0;
  while (at < bytes && held[at] === memory[address + at]) at++;
  return at;
}

/**
 * Compares the medium from `offset` with data of the command, whose first `period` bytes are repeated; without a period it
 * is only read. Returns false if the command has failed: the sense data then says at which byte the two differ.
 */
function compare(command: Command, unit: LogicalUnit, offset: number, bytes: number, period: number): boolean {
  const { bytes: memory, buffer } = command;
  const stepMax = period < bytes && period > 0 ? period : held.length;
  for (let at = 0; at < bytes;) {
    const step = Math.min(stepMax, held.length, bytes - at);
    if (!readHeld(command, unit, offset + at, step)) return false;
    const from = period === 0 ? 0 : at % period;
    const differing = period > 0 ? firstDifference(memory, buffer + from, step) : step;
    if (differing < step) {
      command.fail(KEY_MISCOMPARE, ASC_MISCOMPARE);
      command.information(0, at + differing);
      return false;
    }
    at += step;
  }
  return true;
}

/** VERIFY, SBC-3 5.24 to 5.26. BYTCHK: 00b only reads the medium, 01b compares all of it, 11b each block with one. */
export function verify(command: Command, unit: LogicalUnit): void {
  const check = (command.cdb(1) >>> 1) & 3;
  const lba = lbaOf(command);
  const blocks = blocksOf(command);
  if (!unprotected(command)) return;
  if (check === 2) return command.invalidField(1, 2);
  if (!inRange(command, unit, lba, blocks)) return;
  if (blocks * unit.blockBytes > TRANSFER_BYTES_MAX) return command.invalidField(blocksField(command), -1);
  const sent = check === 0 || blocks === 0 ? 0 : dataOutBytes(command, unit, check === 3 ? 1 : blocks);
  if (sent < 0) return;
  const bytes = check === 1 ? sent : blocks * unit.blockBytes;
  // If the block was not sent, there is nothing to compare with.
  if (check === 3 && sent === 0 && blocks > 0) return command.invalidField(1, 2);
  if (!compare(command, unit, lba * unit.blockBytes, bytes, sent)) return;
  command.moved = sent;
}

/** WRITE AND VERIFY, SBC-3 5.36 to 5.38: written to the medium, not to the cache. BYTCHK 01b compares. */
export function writeAndVerify(command: Command, unit: LogicalUnit): void {
  const check = (command.cdb(1) >>> 1) & 3;
  if (check > 1) return command.invalidField(1, 2);
  const lba = lbaOf(command);
  const blocks = blocksOf(command);
  write(command, unit, lba, blocks);
  if (command.status !== 0) return;
  const { moved } = command;
  command.moved = 0;
  if (unit.cachesWrites && !done(command, unit.flush(lba, blocks))) return;
  if (!compare(command, unit, lba * unit.blockBytes, moved, check === 1 ? moved : 0)) return;
  command.moved = moved;
}

/** ORWRITE (16), SBC-3 5.5: sets the bits of the medium that are set in the data. */
export function orWrite(command: Command, unit: LogicalUnit): void {
  const lba = lbaOf(command);
  const blocks = blocksOf(command);
  if (!unprotected(command) || !inRange(command, unit, lba, blocks) || !writable(command, unit)) return;
  const count = dataOutBytes(command, unit, blocks);
  if (count < 0) return;
  for (let at = 0; at < count; at += held.length) {
    const offset = lba * unit.blockBytes + at;
    const step = Math.min(held.length, count - at);
    if (!readHeld(command, unit, offset, step)) return;
    for (let i = 0; i < step; i++) held[i] = (held[i] ?? 0) | (command.bytes[command.buffer + at + i] ?? 0);
    if (!done(command, unit.medium.write(held, 0, offset | 0, (offset / TWO_32) | 0, step))) return;
  }
  if (!forced(command, unit, lba, blocks)) return;
  command.moved = count;
}

/** COMPARE AND WRITE, SBC-3 5.2: writes the second half of the data if the first half equals the medium. */
export function compareAndWrite(command: Command, unit: LogicalUnit): void {
  const lba = lbaOf(command);
  const blocks = command.cdb(13);
  const count = blocks * unit.blockBytes;
  if (!unprotected(command) || !inRange(command, unit, lba, blocks) || !writable(command, unit)) return;
  if (command.bufferBytes !== 2 * count || (count > 0 && command.direction !== DIRECTION_OUT)) {
    return command.invalidField(13, -1);
  }
  const offset = lba * unit.blockBytes;
  if (!compare(command, unit, offset, count, count)) return;
  if (count > 0) {
    const high = (offset / TWO_32) | 0;
    if (!done(command, unit.medium.write(command.bytes, command.buffer + count, offset | 0, high, count))) return;
    if (!forced(command, unit, lba, blocks)) return;
  }
  command.wanted = 2 * count;
  command.moved = 2 * count;
}
