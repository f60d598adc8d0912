// Command descriptor blocks (SBC-3 clause 5, SPC-4 clause 6), written into a command slot. Integers are big-endian.

import { DIRECTION_IN, DIRECTION_NONE, DIRECTION_OUT } from "../abi";
import { Command } from "../memory/records";

const TEST_UNIT_READY: u8 = 0x00;
const INQUIRY: u8 = 0x12;
const READ_10: u8 = 0x28;
const WRITE_10: u8 = 0x2a;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const UNMAP: u8 = 0x42;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8a;
const SYNCHRONIZE_CACHE_16: u8 = 0x91;
const WRITE_SAME_16: u8 = 0x93;
const SERVICE_ACTION_IN_16: u8 = 0x9e;
const MAINTENANCE_IN: u8 = 0xa3;
const MAINTENANCE_OUT: u8 = 0xa4;
/** Service action of REPORT and SET TARGET PORT GROUPS (SPC-4 6.37, 6.45). */
const TARGET_PORT_GROUPS: u8 = 0x0a;

/** Service action of GET LBA STATUS (SBC-4 5.9). */
const GET_LBA_STATUS: u8 = 0x12;
/** Allocation length of its parameter data: a header of 8 bytes and 255 descriptors of 16. */
export const LBA_STATUS_BYTES: u32 = 4096;
/** Byte 1 of REPORT TARGET PORT GROUPS: parameter data format. */
const EXTENDED_HEADER: u8 = 0x20;

/** Largest address and block count of READ(10) and WRITE(10). */
const SHORT_LBA_MAX: u64 = 0xffffffff;
const SHORT_BLOCKS_MAX: u32 = 0xffff;

/** Byte 1 of WRITE(16) and (10): force unit access. */
export const FUA: u8 = 0x08;
/** Byte 1 of WRITE SAME(16): unmap. */
export const SAME_UNMAP: u8 = 0x08;
/** Bytes of an UNMAP parameter list with one descriptor (SBC-3 5.28). */
export const UNMAP_LIST_BYTES: u32 = 24;

function cdb16(command: Command, operation: u8, flags: u8, lba: u64, blocks: u32, direction: u32): void {
  const cdb = changetype<usize>(command);
  store<u16>(cdb, (<u16>operation) | ((<u16>flags) << 8));
  store<u64>(cdb, bswap<u64>(lba), 2);
  store<u32>(cdb, bswap<u32>(blocks), 10);
  store<u16>(cdb, 0, 14);
  command.cdbBytes = 16;
  command.direction = <u8>direction;
}

function cdb10(command: Command, operation: u8, flags: u8, lba: u64, blocks: u32, direction: u32): void {
  const head = (<u64>operation) | ((<u64>flags) << 8) | ((<u64>bswap<u32>(<u32>lba)) << 16);
  command.cdb0 = head | ((<u64>(blocks >> 8)) << 56);
  command.cdb1 = <u64>(blocks & 0xff);
  command.cdbBytes = 10;
  command.direction = <u8>direction;
}

/** Whether READ(10) and WRITE(10) can address these blocks: they have 32 bits for the address, 16 for the count. */
export function fitsShort(lba: u64, blocks: u32): bool {
  return lba <= SHORT_LBA_MAX && blocks <= SHORT_BLOCKS_MAX;
}

/** READ(16), or READ(10) if `short` is set and it can address the blocks. */
export function cdbRead(command: Command, lba: u64, blocks: u32, short: bool): void {
  if (short && fitsShort(lba, blocks)) cdb10(command, READ_10, 0, lba, blocks, DIRECTION_IN);
  else cdb16(command, READ_16, 0, lba, blocks, DIRECTION_IN);
}

/** WRITE(16), or WRITE(10) as above; `flags` 0 or FUA. */
export function cdbWrite(command: Command, lba: u64, blocks: u32, flags: u8, short: bool): void {
  if (short && fitsShort(lba, blocks)) cdb10(command, WRITE_10, flags, lba, blocks, DIRECTION_OUT);
  else cdb16(command, WRITE_16, flags, lba, blocks, DIRECTION_OUT);
}

/** WRITE SAME(16) with one block of data; `flags` 0 or SAME_UNMAP. */
export function cdbWriteSame(command: Command, lba: u64, blocks: u32, flags: u8): void {
  cdb16(command, WRITE_SAME_16, flags, lba, blocks, DIRECTION_OUT);
}

/** GET LBA STATUS from `lba` on, up to `bytes` of parameter data. */
export function cdbGetLbaStatus(command: Command, lba: u64, bytes: u32): void {
  cdb16(command, SERVICE_ACTION_IN_16, GET_LBA_STATUS, lba, bytes, DIRECTION_IN);
}

/** SYNCHRONIZE CACHE(16), or (10), of the whole medium; its status is returned after completion (IMMED 0). */
export function cdbSynchronizeCache(command: Command, short: bool): void {
  if (short) {
    command.cdb0 = <u64>SYNCHRONIZE_CACHE_10;
    command.cdb1 = 0;
    command.cdbBytes = 10;
    command.direction = <u8>DIRECTION_NONE;
  } else cdb16(command, SYNCHRONIZE_CACHE_16, 0, 0, 0, DIRECTION_NONE);
}

/** UNMAP of one range; its parameter list is written to `list`. */
export function cdbUnmap(command: Command, lba: u64, blocks: u32, list: usize): void {
  command.cdb0 = <u64>UNMAP;
  command.cdb1 = <u64>UNMAP_LIST_BYTES;
  command.cdbBytes = 10;
  command.direction = <u8>DIRECTION_OUT;
  store<u64>(list, 0);
  store<u16>(list, bswap<u16>(22));
  store<u16>(list, bswap<u16>(16), 2);
  store<u64>(list, bswap<u64>(lba), 8);
  store<u32>(list, bswap<u32>(blocks), 16);
  store<u32>(list, 0, 20);
}

/** TEST UNIT READY. */
export function cdbTestUnitReady(command: Command): void {
  command.cdb0 = <u64>TEST_UNIT_READY;
  command.cdb1 = 0;
  command.cdbBytes = 6;
  command.direction = <u8>DIRECTION_NONE;
}

/** INQUIRY of a vital product data page, up to `bytes` bytes (at most 65535). */
export function cdbInquiryPage(command: Command, page: u8, bytes: u32): void {
  command.cdb0 = (<u64>INQUIRY) | (1 << 8) | ((<u64>page) << 16);
  command.cdb1 = 0;
  store<u16>(changetype<usize>(command), bswap<u16>(<u16>bytes), 3);
  command.cdbBytes = 6;
  command.direction = <u8>DIRECTION_IN;
}

function cdbTargetPortGroups(command: Command, operation: u8, bytes: u32, direction: u32): void {
  command.cdb0 = (<u64>operation) | ((<u64>TARGET_PORT_GROUPS) << 8);
  command.cdb1 = 0;
  store<u32>(changetype<usize>(command), bswap<u32>(bytes), 6);
  command.cdbBytes = 12;
  command.direction = <u8>direction;
}

/** REPORT TARGET PORT GROUPS in the extended header or the length-only format, up to `bytes` bytes. */
export function cdbReportTargetPortGroups(command: Command, bytes: u32, extended: bool): void {
  cdbTargetPortGroups(command, MAINTENANCE_IN, bytes, DIRECTION_IN);
  if (extended) command.cdb0 |= (<u64>EXTENDED_HEADER) << 8;
}

/** SET TARGET PORT GROUPS with a parameter list of `bytes` bytes. */
export function cdbSetTargetPortGroups(command: Command, bytes: u32): void {
  cdbTargetPortGroups(command, MAINTENANCE_OUT, bytes, DIRECTION_OUT);
}
