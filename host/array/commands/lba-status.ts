// GET LBA STATUS, SBC-3 5.4: which blocks the medium reports as mapped and which not.

import { inRange } from "./block-commands.ts";
import type { Command } from "./command.ts";
import type { LogicalUnit } from "../array-unit.ts";

const TWO_32 = 4294967296;
const HEADER_BYTES = 8;
const DESCRIPTOR_BYTES = 16;
/** Most descriptors in one answer, and most scans of the medium for it, so that no command holds the reactor for long. */
const DESCRIPTORS_MAX = 1024;
const SCANS_MAX = 4096;
/** Bytes of one scan: whole blocks, and no more than a medium's call takes. */
const SCAN_BYTES_MAX = 1_073_741_824;
const MEDIUM_BLOCK_BYTES = 512;
/** Provisioning status. */
const MAPPED = 0;
const DEALLOCATED = 1;

export function getLbaStatus(command: Command, unit: LogicalUnit): void {
  const lba = command.cdb32(2) * TWO_32 + command.cdb32(6);
  const allocation = command.cdb32(10);
  if (!inRange(command, unit, lba, 1)) return;
  const room = Math.floor((Math.max(allocation, HEADER_BYTES + DESCRIPTOR_BYTES) - HEADER_BYTES) / DESCRIPTOR_BYTES);
  const { response: out, responseView: view } = command;
  let count = 0;
  let status = -1;
  let blocks = 0;
  let at = lba;
  for (let scans = 0; at < unit.blocks && scans < SCANS_MAX; scans++) {
    const run = runAt(unit, at);
    const found = run < 0 ? DEALLOCATED : MAPPED;
    const length = Math.abs(run);
    if (found !== status || blocks + length >= TWO_32) {
      if (count === Math.min(room, DESCRIPTORS_MAX)) break;
      count++;
      status = found;
      blocks = 0;
      const descriptor = HEADER_BYTES + (count - 1) * DESCRIPTOR_BYTES;
      view.setUint32(descriptor, Math.floor(at / TWO_32));
      view.setUint32(descriptor + 4, at >>> 0);
      view.setUint32(descriptor + 12, status << 24);
    }
    blocks += length;
    at += length;
    view.setUint32(HEADER_BYTES + (count - 1) * DESCRIPTOR_BYTES + 8, blocks >>> 0);
  }
  const end = HEADER_BYTES + count * DESCRIPTOR_BYTES;
  out.fill(0, 0, HEADER_BYTES);
  view.setUint32(0, end - 4);
  command.respond(end, allocation);
}

/** Blocks from `lba` on that are alike: negative if they are unmapped. A block counts as mapped if any part of it is. */
function runAt(unit: LogicalUnit, lba: number): number {
  const offset = lba * unit.blockBytes;
  const bytes = Math.min((unit.blocks - lba) * unit.blockBytes, SCAN_BYTES_MAX);
  const all = bytes / unit.blockBytes;
  const run = unit.medium.run?.(offset | 0, (offset / TWO_32) | 0, bytes) ?? 0;
  if (run === 0) return all;
  const blocks = (Math.abs(run) * MEDIUM_BLOCK_BYTES) / unit.blockBytes;
  if (run > 0) return Math.min(Math.ceil(blocks), all);
  return blocks < 1 ? 1 : -Math.min(Math.floor(blocks), all);
}
