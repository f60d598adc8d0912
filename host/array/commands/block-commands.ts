// The block commands of SBC-3: reading, writing, flushing, unmapping.

import { DIRECTION_IN, DIRECTION_OUT } from "../../abi.ts";
import type { Command } from "./command.ts";
import { blocksField } from "../fields.ts";
import {
  ASC_INVALID_FIELD_IN_LIST,
  ASC_INVALID_FIELD_IN_UNIT,
  ASC_LBA_OUT_OF_RANGE,
  ASC_PARAMETER_LIST_LENGTH,
  ASC_UNRECOVERED_READ,
  ASC_WRITE_ERROR,
  ASC_WRITE_PROTECTED,
  KEY_DATA_PROTECT,
  KEY_ILLEGAL_REQUEST,
  KEY_MEDIUM_ERROR,
} from "../scsi.ts";
import type { LogicalUnit } from "../array-unit.ts";

const TWO_32 = 4294967296;
/** Byte 1 of a write CDB: force unit access. */
const FUA = 0x08;
/** Most bytes one WRITE SAME may cover (VPD page B0), so that no command holds the reactor for long. */
export const WRITE_SAME_BYTES_MAX = 33_554_432;
/** Most blocks one UNMAP may cover, and most block descriptors it may have (VPD page B0). */
export const UNMAP_BLOCKS_MAX = 1_048_576;
export const UNMAP_DESCRIPTORS_MAX = 256;
/** Largest transfer in bytes (VPD page B0). */
export const TRANSFER_BYTES_MAX = 33_554_432;
const ZERO_BYTES_STEP = 1_073_741_824;

/** True if blocks `lba`.. are on the unit; else the sense data says which LBA is not. */
export function inRange(command: Command, unit: LogicalUnit, lba: number, blocks: number): boolean {
  if (lba + blocks <= unit.blocks) return true;
  command.fail(KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
  if (lba >= unit.blocks && command.cdbBytes === 16) command.information(command.cdb32(2), command.cdb32(6));
  else {
    const bad = lba >= unit.blocks ? lba : unit.blocks;
    command.information((bad / TWO_32) | 0, bad | 0);
  }
  return false;
}

/** True if the medium succeeded; else the sense data says that it failed. */
export function done(command: Command, error: number): boolean {
  if (error === 0) return true;
  command.fail(KEY_MEDIUM_ERROR, ASC_WRITE_ERROR);
  return false;
}

/** True if FUA is satisfied: the bit is not set, or the data is on the medium now. */
export function forced(command: Command, unit: LogicalUnit, lba: number, blocks: number): boolean {
  return !unit.cachesWrites || (command.cdb(1) & FUA) === 0 || done(command, unit.flush(lba, blocks));
}

export function writable(command: Command, unit: LogicalUnit): boolean {
  if (!unit.writeProtected) return true;
  command.fail(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
  return false;
}

/** RDPROTECT / WRPROTECT: the unit is formatted without protection information (SBC-3 4.22.2). */
export function unprotected(command: Command): boolean {
  if (command.cdb(1) >>> 5 === 0) return true;
  command.invalidField(1, 7);
  return false;
}

/** READ, SBC-3 5.7 to 5.10. With FUA blocks are read from the medium, so the cache is flushed first. */
export function read(command: Command, unit: LogicalUnit, lba: number, blocks: number): void {
  if (!unprotected(command) || !inRange(command, unit, lba, blocks)) return;
  const wanted = blocks * unit.blockBytes;
  if (wanted > TRANSFER_BYTES_MAX) return command.invalidField(blocksField(command), -1);
  if (!forced(command, unit, lba, blocks)) return;
  const whole = command.bufferBytes - (command.bufferBytes % unit.blockBytes);
  const count = command.direction === DIRECTION_OUT ? 0 : Math.min(wanted, whole);
  const offset = lba * unit.blockBytes;
  if (count > 0) {
    const error = unit.medium.read(command.bytes, command.buffer, offset | 0, (offset / TWO_32) | 0, count);
    if (error !== 0) return command.fail(KEY_MEDIUM_ERROR, ASC_UNRECOVERED_READ);
  }
  command.wanted = wanted;
  command.moved = count;
}

/**
 * How much of the data for `blocks` blocks the host has sent, in bytes of whole blocks; -1 if the command is refused.
 * Excess data is ignored; too little is an overrun: the residual then says what is missing (RFC 7143 11.4.5).
 */
export function dataOutBytes(command: Command, unit: LogicalUnit, blocks: number): number {
  const wanted = blocks * unit.blockBytes;
  if (wanted > TRANSFER_BYTES_MAX || (wanted > 0 && command.direction === DIRECTION_IN)) {
    command.invalidField(blocksField(command), -1);
    return -1;
  }
  command.wanted = wanted;
  if (command.bufferBytes >= wanted) return wanted;
  if (command.bufferBytes % unit.blockBytes === 0) return command.bufferBytes;
  command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_UNIT);
  return -1;
}

/** WRITE, SBC-3 5.32 to 5.35. */
export function write(command: Command, unit: LogicalUnit, lba: number, blocks: number): void {
  if (!unprotected(command) || !inRange(command, unit, lba, blocks) || !writable(command, unit)) return;
  const count = dataOutBytes(command, unit, blocks);
  if (count < 0) return;
  const offset = lba * unit.blockBytes;
  if (count > 0) {
    const error = unit.medium.write(command.bytes, command.buffer, offset | 0, (offset / TWO_32) | 0, count);
    if (!done(command, error)) return;
  }
  if (!forced(command, unit, lba, blocks)) return;
  command.moved = count;
}

/** SYNCHRONIZE CACHE (10) and (16), SBC-3 5.22. Zero blocks: to the end of the unit. */
export function synchronizeCache(command: Command, unit: LogicalUnit, lba: number, blocks: number): void {
  if (!inRange(command, unit, lba, blocks)) return;
  if (unit.cachesWrites) done(command, unit.flush(lba, blocks === 0 ? unit.blocks - lba : blocks));
}

function zeroBlocks(command: Command, unit: LogicalUnit, lba: number, blocks: number): void {
  let offset = lba * unit.blockBytes;
  const end = offset + blocks * unit.blockBytes;
  command.zeroedBytes += end - offset;
  while (offset < end) {
    const step = Math.min(end - offset, ZERO_BYTES_STEP);
    if (!done(command, unit.medium.zero(offset | 0, (offset / TWO_32) | 0, step))) return;
    offset += step;
  }
}

/** UNMAP, SBC-3 5.28. Unmapped blocks read as zeroes (LBPRZ). Nothing is unmapped if one descriptor is wrong. */
export function unmap(command: Command, unit: LogicalUnit): void {
  if ((command.cdb(1) & 1) !== 0) return command.invalidField(1, 0);
  const length = command.cdb16(7);
  if (length === 0) return;
  if (!writable(command, unit)) return;
  if (length < 8 || length > command.bufferBytes || command.direction !== DIRECTION_OUT) {
    return command.fail(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
  }
  const { bytes, buffer } = command;
  const descriptors = Math.min((get16(bytes, buffer + 2) / 16) | 0, ((length - 8) / 16) | 0);
  if (descriptors > UNMAP_DESCRIPTORS_MAX) return command.invalidListField(2);
  let total = 0;
  for (let i = 0; i < descriptors; i++) {
    const at = buffer + 8 + i * 16;
    const lba = get32(bytes, at) * TWO_32 + get32(bytes, at + 4);
    const blocks = get32(bytes, at + 8);
    if (!inRange(command, unit, lba, blocks)) return;
    total += blocks;
  }
  if (total > UNMAP_BLOCKS_MAX) return command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
  for (let i = 0; i < descriptors; i++) {
    const at = buffer + 8 + i * 16;
    zeroBlocks(command, unit, get32(bytes, at) * TWO_32 + get32(bytes, at + 4), get32(bytes, at + 8));
  }
  command.wanted = length;
  command.moved = length;
}

/** WRITE SAME (10) and (16), SBC-3 5.42 and 5.43: UNMAP and NDOB bits; zero blocks are refused (WSNZ). */
export function writeSame(command: Command, unit: LogicalUnit, lba: number, blocks: number): void {
  const flags = command.cdb(1);
  const sixteen = command.cdbBytes === 16;
  const withoutData = sixteen && (flags & 0x01) !== 0;
  if (!unprotected(command)) return;
  if ((flags & 0x10) !== 0) return command.invalidField(1, 4);
  if ((flags & 0x06) !== 0) return command.invalidField(1, 2);
  if (!inRange(command, unit, lba, blocks) || !writable(command, unit)) return;
  if (blocks === 0 || blocks * unit.blockBytes > WRITE_SAME_BYTES_MAX) {
    return command.invalidField(blocksField(command), -1);
  }
  if (withoutData) return zeroBlocks(command, unit, lba, blocks);
  // Exactly one block: with another amount the host means something else.
  if (command.bufferBytes !== unit.blockBytes || command.direction !== DIRECTION_OUT) {
    return command.invalidField(blocksField(command), -1);
  }
  command.wanted = unit.blockBytes;
  command.moved = unit.blockBytes;
  const end = command.buffer + unit.blockBytes;
  let zero = true;
  for (let at = command.buffer; at < end && zero; at++) zero = command.bytes[at] === 0;
  if (zero) return zeroBlocks(command, unit, lba, blocks);
  for (let i = 0; i < blocks; i++) {
    const offset = (lba + i) * unit.blockBytes;
    const high = (offset / TWO_32) | 0;
    if (!done(command, unit.medium.write(command.bytes, command.buffer, offset | 0, high, unit.blockBytes))) return;
  }
}

function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function get32(bytes: Uint8Array, at: number): number {
  return ((get16(bytes, at) << 16) | get16(bytes, at + 2)) >>> 0;
}
