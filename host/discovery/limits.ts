// Capabilities of a logical unit: capacity, block limits, provisioning, caching, target port groups.

import { big } from "./bytes.ts";
import { vpdPayload } from "./inquiry-data.ts";
import { nonsense, parsed, type Parsed } from "./transport.ts";
import { counted } from "../wording.ts";

/** What READ CAPACITY(10) reports for a unit whose last block it cannot express. */
const BEYOND_SHORT = 0xffffffff;

/** READ CAPACITY(16) (SBC-4 5.20), or as much as (10) reports. */
export interface Capacity {
  readonly blocks: bigint;
  readonly blockBytes: number;
  /** Logical block provisioning: LBPME and LBPRZ. */
  readonly provisioned: boolean;
  readonly unmappedReadsZero: boolean;
}

export function parseCapacity(data: Uint8Array): Parsed<Capacity> {
  if (data.length < 12)
    return nonsense(`READ CAPACITY(16) data has ${counted(data.length, "byte")}, at least 12 are needed`);
  const last = (BigInt(big(data, 0, 4)) << 32n) | BigInt(big(data, 4, 4));
  return sizeOf(last, big(data, 8, 4), big(data, 14, 1));
}

/** READ CAPACITY(10) (SBC-4 5.19) reports the size alone, and only if a block address fits 32 bits. */
export function parseShortCapacity(data: Uint8Array): Parsed<Capacity> {
  if (data.length < 8) return nonsense(`READ CAPACITY(10) data has ${counted(data.length, "byte")}, 8 are needed`);
  const last = big(data, 0, 4);
  if (last === BEYOND_SHORT) {
    return nonsense(
      "READ CAPACITY(10) says that the unit is too large for it; the device has to know READ CAPACITY(16)",
    );
  }
  return sizeOf(BigInt(last), big(data, 4, 4), 0);
}

/** @param flags byte 14 of READ CAPACITY(16) */
function sizeOf(last: bigint, blockBytes: number, flags: number): Parsed<Capacity> {
  if (blockBytes !== 512 && blockBytes !== 4096) {
    return nonsense(`blocks of ${counted(blockBytes, "byte")}; 512 and 4096 are supported`);
  }
  const blocks = last + 1n;
  if (blocks * BigInt(blockBytes) > BigInt(Number.MAX_SAFE_INTEGER))
    return nonsense(`capacity of ${counted(blocks, "block")}`);
  return parsed({
    blocks,
    blockBytes,
    provisioned: (flags & 0x80) !== 0,
    unmappedReadsZero: (flags & 0x40) !== 0,
  });
}

/** VPD page 0xB0, block limits (SBC-4 6.6.4); 0 where no limit is stated. */
export interface BlockLimits {
  readonly transferBlocksMax: number;
  readonly unmapBlocksMax: number;
  readonly writeSameBlocksMax: number;
}

export function parseBlockLimits(data: Uint8Array): Parsed<BlockLimits> {
  const payload = vpdPayload(data, 0xb0);
  if (!payload.ok) return payload;
  const page = data.subarray(0, 4 + payload.value.length);
  if (page.length < 16) return nonsense(`VPD page 0xb0 has ${counted(page.length, "byte")}, at least 16 are needed`);
  const writeSame = (BigInt(big(page, 36, 4)) << 32n) | BigInt(big(page, 40, 4));
  return parsed({
    transferBlocksMax: big(page, 8, 4),
    unmapBlocksMax: big(page, 20, 4),
    writeSameBlocksMax: Number(writeSame > 0xffffffffn ? 0xffffffffn : writeSame),
  });
}

/** VPD page 0xB1, block device characteristics (SBC-4 6.6.2): 1 means not rotating; 0 not reported. */
export function parseRotation(data: Uint8Array): Parsed<number> {
  const payload = vpdPayload(data, 0xb1);
  if (!payload.ok) return payload;
  return payload.value.length < 2
    ? nonsense("VPD page 0xb1 ends before the rotation rate")
    : parsed(big(payload.value, 0, 2));
}

/** VPD page 0xB2, logical block provisioning (SBC-4 6.6.7). */
export interface Provisioning {
  readonly unmap: boolean;
  readonly writeSameUnmap: boolean;
  readonly unmappedReadsZero: boolean;
}

export function parseProvisioning(data: Uint8Array): Parsed<Provisioning> {
  const payload = vpdPayload(data, 0xb2);
  if (!payload.ok) return payload;
  if (payload.value.length < 4)
    return nonsense(`VPD page 0xb2 has ${counted(payload.value.length, "byte")} behind its header`);
  const flags = big(payload.value, 1, 1);
  return parsed({
    unmap: (flags & 0x80) !== 0,
    writeSameUnmap: (flags & 0x40) !== 0,
    // LBPRZ has three bits: xx1b means zeroes, 010b the vendor's own pattern, 000b not reported.
    unmappedReadsZero: (flags & 0x04) !== 0,
  });
}

/** MODE SENSE(6) with the caching page (SBC-4 6.4.5) and the device-specific parameter (SBC-4 6.4.1). */
export interface Caching {
  readonly writeProtected: boolean;
  readonly fua: boolean;
  /** Null when the device sent no caching page. */
  readonly writeCache: boolean | null;
}

export function parseCaching(data: Uint8Array): Parsed<Caching> {
  if (data.length < 4)
    return nonsense(`MODE SENSE(6) data has ${counted(data.length, "byte")}, its header alone has 4`);
  const specific = big(data, 2, 1);
  const at = 4 + big(data, 3, 1);
  const hasPage = data.length >= at + 3 && (big(data, at, 1) & 0x3f) === 0x08;
  return parsed({
    writeProtected: (specific & 0x80) !== 0,
    fua: (specific & 0x10) !== 0,
    writeCache: hasPage ? (big(data, at + 2, 1) & 0x04) !== 0 : null,
  });
}

/** One target port group (SPC-4 6.37). */
export interface TargetPortGroup {
  readonly group: number;
  /** Asymmetric access state as in the ABI's ALUA_*. */
  readonly state: number;
  readonly preferred: boolean;
  /** Relative target port identifiers. */
  readonly ports: readonly number[];
}

/** REPORT TARGET PORT GROUPS, length-only header format. */
export function parseTargetPortGroups(data: Uint8Array): Parsed<TargetPortGroup[]> {
  if (data.length < 4) return nonsense(`REPORT TARGET PORT GROUPS data has ${counted(data.length, "byte")}`);
  const end = 4 + big(data, 0, 4);
  if (end > data.length) return nonsense(`REPORT TARGET PORT GROUPS says ${counted(end, "byte")}, ${data.length} came`);
  const groups: TargetPortGroup[] = [];
  for (let at = 4; at < end;) {
    const count = big(data, at + 7, 1);
    if (at + 8 + 4 * count > end) return nonsense("REPORT TARGET PORT GROUPS ends within a group");
    groups.push({
      preferred: (big(data, at, 1) & 0x80) !== 0,
      state: big(data, at, 1) & 0x0f,
      group: big(data, at + 2, 2),
      ports: Array.from({ length: count }, (_, i) => big(data, at + 8 + 4 * i + 2, 2)),
    });
    at += 8 + 4 * count;
  }
  return parsed(groups);
}
