// What a unit presents as a SCSI device: the array's own identity, without what is true of one path only. There is one target port, which
// is nobody's but ours, so nothing of the array's ports, groups and protection is passed on.

import { BLOCK_BYTES_MAX, UNIT_CAN_NOT_WRITE, UNIT_CAN_UNMAP } from "../abi.ts";
import type { NbdExport } from "./directory.ts";

/** What one path reports: INQUIRY data, and VPD pages by page code. */
export interface ReportedPages {
  readonly inquiry: Uint8Array;
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

/** See host/reactor/scsi-target.ts, which answers with it. */
export interface PresentedUnit {
  readonly inquiry: Uint8Array;
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly capacity: Uint8Array;
  readonly blockBytes: number;
  readonly readOnly: boolean;
  readonly unmaps: boolean;
}

const SERIAL = 0x80;
const IDENTIFICATION = 0x83;
const EXTENDED = 0x86;
const LIMITS = 0xb0;
const CHARACTERISTICS = 0xb1;
const PROVISIONING = 0xb2;

/** Most ranges of an UNMAP, as host/native/src/ring/tcmu/commands.rs takes them. */
const UNMAP_RANGES_MAX = 256;
/** What one WRITE SAME may cover: it is answered within the time of one request. */
const SAME_BYTES_MAX = 256 << 20;
const STANDARD_BYTES = 36;
const LIMITS_BYTES = 64;
/** ASSOCIATION of a designator: the logical unit. Others are those of a target port, or of a target device, of which an array may have several. */
const OF_UNIT = 0;

const at = (bytes: Uint8Array, place: number): number => bytes[place] ?? 0;

function standard(reported: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(STANDARD_BYTES, reported.length));
  bytes.set(reported);
  // No normal ACA, no hierarchy of LUNs. The length is that of what there is.
  bytes[3] = at(bytes, 3) & 0x0f;
  bytes[4] = Math.min(255, bytes.length - 5);
  // No target port groups, no third-party copy, no protection information.
  bytes[5] = at(bytes, 5) & 0x80;
  // One port; commands are queued.
  bytes[6] = 0;
  bytes[7] = 0x02;
  return bytes;
}

/** A page whose length is that of its contents. */
function page(code: number, contents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + contents.length);
  bytes.set([0, code, contents.length >> 8, contents.length & 0xff]);
  bytes.set(contents, 4);
  return bytes;
}

/** Contents of a page, at most as long as it says. */
function contentsOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined || bytes.length < 4
    ? undefined
    : bytes.subarray(4, 4 + (at(bytes, 2) << 8) + at(bytes, 3));
}

/** The designators of the unit itself. */
function identification(contents: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let place = 0; place + 4 <= contents.length;) {
    const end = place + 4 + at(contents, place + 3);
    if (end > contents.length) break;
    const association = (at(contents, place + 1) >> 4) & 3;
    if (association === OF_UNIT) kept.push(...contents.subarray(place, end));
    place = end;
  }
  return Uint8Array.from(kept);
}

/** Page 86: nothing of protection information, no microcode, no support for what the unit does not do here. */
function extended(contents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.set(contents.subarray(0, 60));
  bytes.fill(0);
  // SIMPSUP, and V_SUP: it has a volatile cache as far as an initiator can tell.
  bytes[1] = 0x01;
  bytes[2] = 0x01;
  return bytes;
}

function limits(contents: Uint8Array | undefined, blockBytes: number, unmaps: boolean): Uint8Array {
  const bytes = new Uint8Array(LIMITS_BYTES - 4);
  bytes.set((contents ?? new Uint8Array(0)).subarray(0, bytes.length));
  const view = new DataView(bytes.buffer);
  const transferMax = BLOCK_BYTES_MAX / blockBytes;
  // WRITE SAME needs a number of blocks; there is no COMPARE AND WRITE.
  bytes.set([1, 0]);
  view.setUint32(4, transferMax);
  view.setUint32(8, Math.min(view.getUint32(8), transferMax));
  view.setUint32(12, 0);
  const [unmapBlocks, unmapRanges] = [view.getUint32(16), view.getUint32(20)];
  view.setUint32(16, unmaps ? unmapBlocks || 0xffff_ffff : 0);
  view.setUint32(20, unmaps ? Math.min(unmapRanges || UNMAP_RANGES_MAX, UNMAP_RANGES_MAX) : 0);
  if (!unmaps) view.setBigUint64(24, 0n);
  view.setBigUint64(32, BigInt(SAME_BYTES_MAX / blockBytes));
  // No atomic writes.
  bytes.fill(0, 40);
  return bytes;
}

/** Page B2: how blocks are unmapped is ours to say, what they then read is the array's. */
function provisioning(contents: Uint8Array | undefined, unmaps: boolean): Uint8Array | undefined {
  if (contents === undefined || contents.length < 4) return undefined;
  const bytes = Uint8Array.from(contents.subarray(0, 4));
  bytes[1] = unmaps ? (at(bytes, 1) & 0x1c) | 0xe0 : 0;
  if (!unmaps) bytes[2] = 0;
  return bytes;
}

function capacity(blockBytes: number, physicalBytes: number, unmaps: boolean, zeroes: boolean): Uint8Array {
  const bytes = new Uint8Array(32);
  const ratio = physicalBytes > blockBytes ? physicalBytes / blockBytes : 1;
  bytes[13] = Math.min(15, Math.floor(Math.log2(ratio)));
  if (unmaps) bytes[14] = 0x80 | (zeroes ? 0x40 : 0);
  return bytes;
}

/** @param physicalBytes of a physical block; 0 where it is not known */
export function presentedOf(
  entry: Pick<NbdExport, "blockBytes" | "capabilities" | "readOnly">,
  { inquiry, pages }: ReportedPages,
  physicalBytes: number,
): PresentedUnit {
  const { blockBytes, capabilities } = entry;
  const readOnly = entry.readOnly === true || (capabilities & UNIT_CAN_NOT_WRITE) !== 0;
  const unmaps = !readOnly && (capabilities & UNIT_CAN_UNMAP) !== 0;
  const told = (code: number): Uint8Array | undefined => contentsOf(pages.get(code));
  const shown = new Map<number, Uint8Array>();
  const show = (code: number, contents: Uint8Array | undefined): void => {
    if (contents !== undefined) shown.set(code, page(code, contents));
  };
  const [names, more, thin] = [told(IDENTIFICATION), told(EXTENDED), provisioning(told(PROVISIONING), unmaps)];
  show(SERIAL, told(SERIAL));
  show(IDENTIFICATION, names === undefined ? undefined : identification(names));
  show(EXTENDED, more === undefined ? undefined : extended(more));
  show(LIMITS, limits(told(LIMITS), blockBytes, unmaps));
  show(CHARACTERISTICS, told(CHARACTERISTICS));
  show(PROVISIONING, thin);
  const zeroes = thin !== undefined && (at(thin, 1) & 0x04) !== 0;
  return {
    inquiry: standard(inquiry),
    pages: shown,
    capacity: capacity(blockBytes, physicalBytes, unmaps, zeroes),
    blockBytes,
    readOnly,
    unmaps,
  };
}
