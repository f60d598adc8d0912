// Whether a path leads to its unit: VPD page 0x83 (SPC-4 7.8.6) against the unit's identity. The page comes from a
// device that may be any device, so its lengths are believed only as far as bytes were received.

import { Path, UNIT_IDENTITY, Unit } from "./records";

const HEADER_BYTES: u32 = 4;
const ASSOCIATION_UNIT: u8 = 0;
const ASSOCIATION_PORT: u8 = 1;
const TYPE_RELATIVE_TARGET_PORT: u8 = 4;
const TYPE_TARGET_PORT_GROUP: u8 = 5;

/** The bytes of the page that are there; 0 when it is no device identification page of a unit that is there. */
function pageEnd(page: usize, bytes: u32): u32 {
  // A peripheral qualifier other than 0: no unit at this LUN (SPC-4 6.6.2).
  if (bytes < HEADER_BYTES || load<u8>(page) >> 5 !== 0 || load<u8>(page, 1) !== 0x83) return 0;
  return min(bytes, HEADER_BYTES + <u32>bswap<u16>(load<u16>(page, 2)));
}

/** Whether the page shows the unit's identity: a designator of the unit with the same type, code set and bytes. */
export function identityMatches(u: Unit, page: usize, bytes: u32): bool {
  const end = pageEnd(page, bytes);
  const identity = changetype<usize>(u) + UNIT_IDENTITY;
  for (let at = HEADER_BYTES; at + 4 <= end; at += 4 + <u32>load<u8>(page + at, 3)) {
    const length = <u32>load<u8>(page + at, 3);
    if (at + 4 + length > end) return false;
    const kind = load<u8>(page + at, 1);
    if (((kind >> 4) & 3) !== ASSOCIATION_UNIT || (kind & 15) !== load<u8>(identity)) continue;
    if ((load<u8>(page + at) & 15) !== load<u8>(identity, 1) || length + 2 !== u.identityBytes) continue;
    if (memory.compare(page + at + 4, identity + 2, length) === 0) return true;
  }
  return false;
}

/** Learns the path's target port group and relative target port from the page. */
export function identityLearn(p: Path, page: usize, bytes: u32): void {
  const end = pageEnd(page, bytes);
  for (let at = HEADER_BYTES; at + 8 <= end; at += 4 + <u32>load<u8>(page + at, 3)) {
    const kind = load<u8>(page + at, 1);
    if (load<u8>(page + at, 3) !== 4 || ((kind >> 4) & 3) !== ASSOCIATION_PORT) continue;
    const value = <u32>bswap<u16>(load<u16>(page + at, 6));
    if ((kind & 15) === TYPE_TARGET_PORT_GROUP) {
      p.targetPortGroup = (p.targetPortGroup & 0xffff0000) | value;
      p.groupKnown = 1;
    } else if ((kind & 15) === TYPE_RELATIVE_TARGET_PORT) {
      p.targetPortGroup = (p.targetPortGroup & 0xffff) | (value << 16);
    }
  }
}
