// A disk with a partition table that every boot loader and kernel knows (MBR), and what is in the partitions.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";

const SECTOR = 512;
const FIRST_BYTE = 1 << 20;
const LINUX = 0x83;

export interface Partition {
  readonly bytes: number;
  /** The file that it holds. */
  readonly content?: string;
}

/** @param partitions 1 to 4, in multiples of a MiB */
export function partitioned(file: string, partitions: readonly Partition[]): void {
  const table = Buffer.alloc(SECTOR);
  table.writeUInt16LE(0xaa55, 510);
  const descriptor = openSync(file, "w");
  let at = FIRST_BYTE;
  for (const [index, { bytes, content }] of partitions.entries()) {
    const entry = 446 + 16 * index;
    table.writeUInt8(LINUX, entry + 4);
    table.writeUInt32LE(at / SECTOR, entry + 8);
    table.writeUInt32LE(bytes / SECTOR, entry + 12);
    const data = content === undefined ? Buffer.alloc(0) : readFileSync(content);
    if (data.length > bytes) throw new Error(`${content} has ${data.length} bytes; its partition has ${bytes}`);
    writeSync(descriptor, data, 0, data.length, at);
    at += bytes;
  }
  writeSync(descriptor, table, 0, SECTOR, 0);
  ftruncateSync(descriptor, at);
  closeSync(descriptor);
}
