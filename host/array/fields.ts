// The positions of the fields in read and write CDBs, by length (SPC-4 4.2.2).

import type { Command } from "./commands/command.ts";

const TWO_32 = 4294967296;

/** LOGICAL BLOCK ADDRESS. */
export function lbaOf(command: Command): number {
  switch (command.cdbBytes) {
    case 6:
      return ((command.cdb(1) & 0x1f) << 16) | command.cdb16(2);
    case 16:
      return command.cdb32(2) * TWO_32 + command.cdb32(6);
    default:
      return command.cdb32(2);
  }
}

/** TRANSFER LENGTH, NUMBER OF LOGICAL BLOCKS or VERIFICATION LENGTH; 0 means 256 in 6 bytes (SBC-3 5.7). */
export function blocksOf(command: Command): number {
  switch (command.cdbBytes) {
    case 6:
      return command.cdb(4) === 0 ? 256 : command.cdb(4);
    case 10:
      return command.cdb16(7);
    case 12:
      return command.cdb32(6);
    default:
      return command.cdb32(10);
  }
}

/** The byte where the number of blocks begins, for sense data that points to it. */
export function blocksField(command: Command): number {
  switch (command.cdbBytes) {
    case 6:
      return 4;
    case 10:
      return 7;
    case 12:
      return 6;
    default:
      return 10;
  }
}

/** The bytes that hexadecimal digits stand for. */
export function bytesOfHex(digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length >>> 1 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
}
