// Whether a path leads to its unit: VPD page 0x83 (SPC-4 7.8.6) compared with the unit's identity; for a unit without such a
// page, the serial number in page 0x80 (SPC-4 7.8.15). The page may come from any device, so its lengths are trusted only as far
// as bytes were received.

import { IDENTITY_TYPE_SERIAL } from "../abi";
import { Path, UNIT_IDENTITY, Unit } from "../memory/topology";

const PAGE_IDENTIFICATION: u8 = 0x83;
const PAGE_SERIAL: u8 = 0x80;
const BLANK: u8 = 0x20;

const HEADER_BYTES: u32 = 4;
/** In a unit's identity: whatever code set the designator has. */
const ANY_CODE_SET: u8 = 0;
const ASSOCIATION_UNIT: u8 = 0;
const ASSOCIATION_PORT: u8 = 1;
const TYPE_RELATIVE_TARGET_PORT: u8 = 4;
const TYPE_TARGET_PORT_GROUP: u8 = 5;
const TYPE_SCSI_NAME: u8 = 8;

/** Bits of byte 0 of the page: peripheral qualifier; of a designator: code set, association, type. */
const QUALIFIER_SHIFT: u8 = 5;
const CODE_SET_MASK: u8 = 0x0f;
const ASSOCIATION_SHIFT: u8 = 4;
const ASSOCIATION_MASK: u8 = 3;
const TYPE_MASK: u8 = 0x0f;
/** A path's target port group and relative target port share 32 bits. */
const GROUP_MASK: u32 = 0x0000ffff;
const RELATIVE_PORT_MASK: u32 = 0xffff0000;
const RELATIVE_PORT_SHIFT: u32 = 16;

function associationOf(kind: u8): u8 {
  return (kind >> ASSOCIATION_SHIFT) & ASSOCIATION_MASK;
}

function typeOf(kind: u8): u8 {
  return kind & TYPE_MASK;
}

/** Whether the unit is identified by its serial number. */
function hasSerial(unit: Unit): bool {
  return <u32>load<u8>(changetype<usize>(unit) + UNIT_IDENTITY) === IDENTITY_TYPE_SERIAL;
}

/** The VPD page that identifies the unit behind a path. */
export function identityPage(unit: Unit): u8 {
  return hasSerial(unit) ? PAGE_SERIAL : PAGE_IDENTIFICATION;
}

/** The number of received bytes of the page; 0 when it is not this page, or of no connected unit. */
function pageEnd(page: usize, bytes: u32, code: u8 = PAGE_IDENTIFICATION): u32 {
  // A peripheral qualifier other than 0: no unit at this LUN (SPC-4 6.6.2).
  if (bytes < HEADER_BYTES || load<u8>(page) >> QUALIFIER_SHIFT !== 0 || load<u8>(page, 1) !== code) return 0;
  return min(bytes, HEADER_BYTES + <u32>bswap<u16>(load<u16>(page, 2)));
}

/**
 * Whether the page was read, so that its content counts: it is the requested page, as long as it says, or as `asked` bytes hold;
 * or there is no unit at this LUN.
 */
export function identityRead(unit: Unit, page: usize, bytes: u32, asked: u32): bool {
  if (bytes < HEADER_BYTES) return false;
  if (load<u8>(page) >> QUALIFIER_SHIFT !== 0) return true;
  if (load<u8>(page, 1) !== identityPage(unit)) return false;
  const length = HEADER_BYTES + <u32>bswap<u16>(load<u16>(page, 2));
  if (min(length, asked) > bytes) return false;
  if (hasSerial(unit)) return true;
  let at = HEADER_BYTES;
  while (at + 4 <= length && at < asked) at += 4 + <u32>load<u8>(page + at, 3);
  return at === length || at >= asked;
}

/**
 * Whether the page shows the unit's identity: a designator of the unit with the same type, code set and bytes. The unit's is
 * in the canonical form of host/discovery/canonical-identity.ts: text has no padding, and is text in any code set.
 */
export function identityMatches(unit: Unit, page: usize, bytes: u32): bool {
  if (hasSerial(unit)) return serialMatches(unit, page, bytes);
  const end = pageEnd(page, bytes);
  const identity = changetype<usize>(unit) + UNIT_IDENTITY;
  const type = load<u8>(identity);
  const codeSet = load<u8>(identity, 1);
  for (let at = HEADER_BYTES; at + 4 <= end; at += 4 + <u32>load<u8>(page + at, 3)) {
    const length = <u32>load<u8>(page + at, 3);
    if (at + 4 + length > end) return false;
    const kind = load<u8>(page + at, 1);
    if (associationOf(kind) !== ASSOCIATION_UNIT || typeOf(kind) !== type) continue;
    if (codeSet !== ANY_CODE_SET && (load<u8>(page + at) & CODE_SET_MASK) !== codeSet) continue;
    const name = page + at + 4;
    const named = codeSet === ANY_CODE_SET ? nameBytes(name, length, type === TYPE_SCSI_NAME) : length;
    if (named + 2 === unit.identityBytes && memory.compare(name, identity + 2, named) === 0) return true;
  }
  return false;
}

function isPadding(byte: u8): bool {
  return byte === 0 || byte === BLANK;
}

/** Length of a text without trailing padding; one that is `terminated` ends with its first zero. */
function nameBytes(text: usize, bytes: u32, terminated: bool): u32 {
  let length = bytes;
  if (terminated) {
    length = 0;
    while (length < bytes && load<u8>(text + length) !== 0) length++;
  }
  while (length > 0 && isPadding(load<u8>(text + length - 1))) length--;
  return length;
}

/** Whether the page shows the unit's serial number, without its padding. */
function serialMatches(unit: Unit, page: usize, bytes: u32): bool {
  const end = pageEnd(page, bytes, PAGE_SERIAL);
  let at = HEADER_BYTES;
  while (at < end && isPadding(load<u8>(page + at))) at++;
  if (at >= end) return false;
  const length = nameBytes(page + at, end - at, false);
  const serial = changetype<usize>(unit) + UNIT_IDENTITY + 2;
  return length + 2 === unit.identityBytes && memory.compare(page + at, serial, length) === 0;
}

/** Learns the path's relative target port and target port group from the page; returns whether it shows the group. */
export function identityLearn(path: Path, page: usize, bytes: u32): bool {
  let groupShown = false;
  const end = pageEnd(page, bytes);
  for (let at = HEADER_BYTES; at + 8 <= end; at += 4 + <u32>load<u8>(page + at, 3)) {
    const kind = load<u8>(page + at, 1);
    if (load<u8>(page + at, 3) !== 4 || associationOf(kind) !== ASSOCIATION_PORT) continue;
    const value = <u32>bswap<u16>(load<u16>(page + at, 6));
    if (typeOf(kind) === TYPE_TARGET_PORT_GROUP) {
      path.targetPortGroup = (path.targetPortGroup & RELATIVE_PORT_MASK) | value;
      groupShown = true;
    } else if (typeOf(kind) === TYPE_RELATIVE_TARGET_PORT) {
      path.targetPortGroup = (path.targetPortGroup & GROUP_MASK) | (value << RELATIVE_PORT_SHIFT);
    }
  }
  return groupShown;
}
