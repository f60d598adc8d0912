// The single canonical form of a logical unit's identity: host, core, state file and displays all use what is made here.
//
// Two devices are one unit when their canonical bytes are equal; `text` is a readable form of the bytes, and equal only when they
// are. The core compares the identity a path reports with these bytes by the same rule (assembly/scsi/identity.ts); a property
// test keeps the two consistent.

import { IDENTITY_BYTES_MAX, IDENTITY_TYPE_SERIAL } from "../abi.ts";
import { hex, isBlank } from "./bytes.ts";
import { nonsense, parsed, type Parsed } from "./transport.ts";
import { counted } from "../wording.ts";

export const IDENTITY_TYPES = ["naa", "eui-64", "uuid", "t10-vendor", "scsi-name", "serial"] as const;
type IdentityType = (typeof IDENTITY_TYPES)[number];

/** Identity of a logical unit. Equal `text` means the same logical unit. */
export interface UnitIdentity {
  readonly type: IdentityType;
  /**
   * Readable and unique: `naa.6001405...`, `eui.0011...`, `uuid.6ba7b810-...`, `t10.LIO-ORG ...`, `iqn...`,
   * `serial.VENDOR:PRODUCT:...`; anything that is not plain text becomes `0x` and hexadecimal digits.
   */
  readonly text: string;
  /**
   * `[designator type, code set, ...designator]`, or `[IDENTITY_TYPE_SERIAL, 0, ...serial number]`, as the core checks it on
   * every path before use. Code set 0 means any: text is the same in all of them.
   */
  readonly bytes: Uint8Array;
  /** Unique worldwide by its type, so nothing else a device reports can contradict it. */
  readonly isRegistered: boolean;
}

/** An identity derived from one of several designators; the lowest rank is the unit's. */
export interface Candidate {
  readonly identity: UnitIdentity;
  readonly rank: number;
}

/** A designator of VPD page 0x83 (SPC-5 7.7.6.1). */
export interface Designator {
  readonly type: number;
  readonly codeSet: number;
  readonly association: number;
  readonly bytes: Uint8Array;
}

export const BINARY = 1;
export const TYPE_T10 = 1;
export const TYPE_EUI64 = 2;
export const TYPE_NAA = 3;
export const TYPE_SCSI_NAME = 8;
const TYPE_UUID = 10;

const ANY_CODE_SET = 0;
const BLANK = 0x20;
const UUID_BYTES = 18;
/** Byte 0: UUID type 1, an RFC 4122 UUID (SPC-5 7.7.6.11). */
const UUID_HEAD = 0x10;
/** By uniqueness: registered names first, then those made up by a vendor or a user. */
const RANKS = { naa: 0, eui: 10, uuid: 20, t10: 30, local: 40, name: 50 } as const;

/** Null for a type that names no unit; nonsense for one that should and does not. */
export function candidateOf(designator: Designator): Parsed<Candidate> | null {
  const make = MAKERS.get(designator.type);
  if (make === undefined) return null;
  const { type, bytes } = designator;
  if (bytes.length === 0) return nonsense(`designator of type ${type} has no bytes`);
  if (isBlank(bytes)) return nonsense(`designator of type ${type} is all zeroes, spaces or ones`);
  const made = make(designator);
  if (made.ok && made.value.identity.bytes.length > IDENTITY_BYTES_MAX) {
    return nonsense(`designator of type ${type} has ${counted(bytes.length, "byte")}`);
  }
  return made;
}

const MAKERS: ReadonlyMap<number, (designator: Designator) => Parsed<Candidate>> = new Map([
  [TYPE_T10, ofT10],
  [TYPE_EUI64, ofEui64],
  [TYPE_NAA, ofNaa],
  [TYPE_SCSI_NAME, ofScsiName],
  [TYPE_UUID, ofUuid],
]);

/** NAA names (SPC-5 7.7.6.6): 2h, 5h and 6h are registered, 3h is assigned locally. */
function ofNaa({ bytes, codeSet }: Designator): Parsed<Candidate> {
  const naa = (bytes[0] ?? 0) >> 4;
  const order = [6, 5, 2, 3].indexOf(naa);
  if (codeSet !== BINARY || order === -1 || bytes.length !== (naa === 6 ? 16 : 8)) {
    return nonsense(`NAA designator ${hex(bytes)} (NAA ${naa}, ${counted(bytes.length, "byte")}, code set ${codeSet})`);
  }
  const digits = hex(bytes);
  if (naa === 3 && isFiller(digits.slice(1))) return nonsense(`NAA designator ${digits} holds nothing but its type`);
  // The company id follows the type; in NAA 2 twelve vendor-specific bits come in between.
  const own = naa === 2 ? digits.slice(1, 4) + digits.slice(10) : digits.slice(7);
  if (naa !== 3 && isFiller(own)) return nonsense(`NAA designator ${digits} names a company and no unit`);
  const rank = naa === 3 ? RANKS.local : RANKS.naa + order;
  return parsed({ rank, identity: binary("naa", TYPE_NAA, `naa.${digits}`, bytes, naa !== 3) });
}

/** EUI-64 of 8 bytes, followed by a directory (12), or preceded by an extension (16) (SPC-5 7.7.6.5). */
function ofEui64({ bytes, codeSet }: Designator): Parsed<Candidate> {
  if (codeSet !== BINARY || ![8, 12, 16].includes(bytes.length)) {
    return nonsense(`EUI-64 designator of ${counted(bytes.length, "byte")} in code set ${codeSet}`);
  }
  const digits = hex(bytes);
  const company = bytes.length === 16 ? 16 : 0;
  if (isFiller(digits.slice(0, company) + digits.slice(company + 6))) {
    return nonsense(`EUI-64 designator ${digits} names a company and no unit`);
  }
  return parsed({ rank: RANKS.eui, identity: binary("eui-64", TYPE_EUI64, `eui.${digits}`, bytes, true) });
}

function ofUuid({ bytes, codeSet }: Designator): Parsed<Candidate> {
  const isOne = bytes.length === UUID_BYTES && bytes[0] === UUID_HEAD && bytes[1] === 0 && codeSet === BINARY;
  if (!isOne) return nonsense(`UUID designator ${hex(bytes)} in code set ${codeSet}`);
  const digits = hex(bytes.subarray(2));
  if (isFiller(digits)) return nonsense(`UUID designator ${digits} is no UUID of a unit`);
  const text = `uuid.${digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
  return parsed({ rank: RANKS.uuid, identity: binary("uuid", TYPE_UUID, text, bytes, true) });
}

/** The vendor, and the vendor's name for the unit (SPC-5 7.7.6.4); trailing padding is not part of it. */
function ofT10({ bytes }: Designator): Parsed<Candidate> {
  const name = withoutPadding(bytes);
  // The vendor alone (8 bytes) is the same for all of that vendor's units, so it identifies none.
  if (bytes.length <= 8 || isBlank(bytes.subarray(8))) return nonsense("T10 vendor designator names only the vendor");
  const identity = asText("t10-vendor", TYPE_T10, `t10.${readable(name)}`, name);
  return parsed({ rank: RANKS.t10, identity });
}

/** A name ends with the first zero (SPC-5 7.7.6.9). */
function ofScsiName({ bytes }: Designator): Parsed<Candidate> {
  const end = bytes.indexOf(0);
  const name = withoutPadding(end === -1 ? bytes : bytes.subarray(0, end));
  const text = readable(name);
  if (!/^(iqn|eui|naa|uuid)\.[\x21-\x7e]+$/.test(text)) return nonsense(`SCSI name designator ${JSON.stringify(text)}`);
  // Distinguished from designators displayed the same way: another path may report only one of the two.
  const shown = text.startsWith("iqn.") ? text : `name.${text}`;
  return parsed({ rank: RANKS.name, identity: asText("scsi-name", TYPE_SCSI_NAME, shown, name) });
}

function binary(
  type: IdentityType,
  code: number,
  text: string,
  bytes: Uint8Array,
  isRegistered: boolean,
): UnitIdentity {
  return { type, text, bytes: Uint8Array.of(code, BINARY, ...bytes), isRegistered };
}

function asText(type: IdentityType, code: number, text: string, bytes: Uint8Array): UnitIdentity {
  return { type, text, bytes: Uint8Array.of(code, ANY_CODE_SET, ...bytes), isRegistered: false };
}

/** Page 0x80 as a fallback: vendor, product and serial number together; the core compares the serial number. */
export function serialIdentity(vendor: Uint8Array, product: Uint8Array, serial: Uint8Array): UnitIdentity {
  const text = `serial.${field(vendor)}:${field(product)}:${readable(serial)}`;
  return { type: "serial", text, bytes: Uint8Array.of(IDENTITY_TYPE_SERIAL, 0, ...serial), isRegistered: false };
}

/** A field followed by another one; it must not contain the separator. */
function field(bytes: Uint8Array): string {
  const text = readable(bytes);
  return text.includes(":") ? `0x${hex(withoutPadding(bytes))}` : text;
}

/** A serial number without surrounding padding; null when it carries no information: blanks, zeroes, the digit 0, or all ones. */
export function serialNumber(bytes: Uint8Array): Uint8Array | null {
  if (isBlank(bytes) || bytes.every((byte) => byte === 0 || byte === BLANK || byte === 0x30)) return null;
  const start = bytes.findIndex((byte) => !isPadding(byte));
  return withoutPadding(bytes.subarray(start));
}

/** Bytes as they are displayed: text if it is plain, else hexadecimal digits, so that different bytes look different. */
export function readable(bytes: Uint8Array): string {
  const name = withoutPadding(bytes);
  const text = Buffer.from(name).toString("latin1");
  return /^[\x20-\x7e]*$/.test(text) && !text.startsWith("0x") ? text : `0x${hex(name)}`;
}

const isPadding = (byte: number): boolean => byte === 0 || byte === BLANK;

function withoutPadding(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => !isPadding(byte)) + 1);
}

/** Digits that were never filled in. */
function isFiller(digits: string): boolean {
  return /^(0*|f*)$/.test(digits);
}
