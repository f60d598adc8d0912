// VPD page 0x83, device identification (SPC-4 7.8.6): who the logical unit is, and which target port this path uses.

import { IDENTITY_BYTES_MAX, IDENTITY_TYPE_SERIAL } from "../reactor/abi.ts";
import { ascii, big, hex, isBlank } from "./bytes.ts";
import { vpdPayload } from "./inquiry.ts";
import { nonsense, parsed, type Parsed } from "./transport.ts";

export type IdentityType = "naa" | "eui-64" | "scsi-name" | "t10-vendor" | "serial";

/** Who a logical unit is. Equal `text` means the same logical unit. */
export interface UnitIdentity {
  readonly type: IdentityType;
  /** Readable and unique: `naa.6001405...`, `eui.0011...`, `iqn...`, `t10.LIO-ORG ...`, `serial.VENDOR:PRODUCT:...`. */
  readonly text: string;
  /**
   * `[designator type, code set, ...designator]`, or `[IDENTITY_TYPE_SERIAL, 0, ...serial number]`, as the core checks it
   * on every path before use.
   */
  readonly bytes: Uint8Array;
}

/** What page 0x83 says. */
export interface Identification {
  /** Null when no designator of the logical unit can be trusted. */
  readonly identity: UnitIdentity | null;
  /** Why designators were left out, one sentence each. */
  readonly doubts: readonly string[];
  /** Name of the target port (association 1), or null. */
  readonly targetPort: string | null;
  readonly relativeTargetPort: number | null;
  readonly targetPortGroup: number | null;
}

interface Designator {
  readonly type: number;
  readonly codeSet: number;
  readonly association: number;
  readonly bytes: Uint8Array;
}

const BINARY = 1;
const ASSOCIATION_UNIT = 0;
const ASSOCIATION_TARGET_PORT = 1;
const TYPE_T10 = 1;
const TYPE_EUI64 = 2;
const TYPE_NAA = 3;
const TYPE_RELATIVE_PORT = 4;
const TYPE_PORT_GROUP = 5;
const TYPE_SCSI_NAME = 8;

/** Parses page 0x83. A page that is not one is nonsense; a designator that is not one is a doubt, the others count. */
export function parseIdentification(data: Uint8Array): Parsed<Identification> {
  const payload = vpdPayload(data, 0x83);
  if (!payload.ok) return payload;
  const doubts: string[] = [];
  const designators: Designator[] = [];
  for (let at = 0; at < payload.value.length;) {
    const left = payload.value.length - at;
    if (left < 4) return nonsense(`VPD page 0x83 ends within the header of a designator (${left} bytes left)`);
    const length = big(payload.value, at + 3, 1);
    if (length > left - 4) {
      return nonsense(`VPD page 0x83 has a designator of ${length} bytes where ${left - 4} are left`);
    }
    designators.push({
      codeSet: big(payload.value, at, 1) & 0x0f,
      association: (big(payload.value, at + 1, 1) >> 4) & 3,
      type: big(payload.value, at + 1, 1) & 0x0f,
      bytes: payload.value.subarray(at + 4, at + 4 + length),
    });
    at += 4 + length;
  }
  const ports = designators.filter((designator) => designator.association === ASSOCIATION_TARGET_PORT);
  return parsed({
    identity: chooseIdentity(designators, doubts),
    doubts,
    targetPort: portName(ports),
    relativeTargetPort: portNumber(ports, TYPE_RELATIVE_PORT),
    targetPortGroup: portNumber(ports, TYPE_PORT_GROUP),
  });
}

/** NAA before EUI-64 before SCSI name before T10 vendor; among equals the one that is largest, so that order is no matter. */
function chooseIdentity(designators: readonly Designator[], doubts: string[]): UnitIdentity | null {
  const candidates: { rank: number; identity: UnitIdentity }[] = [];
  for (const designator of designators) {
    if (designator.association !== ASSOCIATION_UNIT) continue;
    const name = nameOf(designator);
    if (name === null) continue;
    if (!name.ok) {
      doubts.push(name.reason);
      continue;
    }
    const { type, text, rank } = name.value;
    if (designator.bytes.length > IDENTITY_BYTES_MAX - 2) continue;
    const bytes = Uint8Array.of(designator.type, designator.codeSet, ...designator.bytes);
    candidates.push({ rank, identity: { type, text, bytes } });
  }
  candidates.sort((a, b) => a.rank - b.rank || (a.identity.text < b.identity.text ? 1 : -1));
  return candidates[0]?.identity ?? null;
}

interface Name {
  readonly type: IdentityType;
  readonly text: string;
  readonly rank: number;
}

/** Null for a type that names no unit; nonsense for one that should and does not. */
function nameOf(designator: Designator): Parsed<Name> | null {
  const { type, bytes, codeSet } = designator;
  if (![TYPE_T10, TYPE_EUI64, TYPE_NAA, TYPE_SCSI_NAME].includes(type)) return null;
  if (bytes.length === 0) return nonsense(`designator of type ${type} has no bytes`);
  if (isBlank(bytes)) return nonsense(`designator of type ${type} is all zeroes, spaces or ones`);
  switch (type) {
    case TYPE_NAA:
      return nameOfNaa(bytes, codeSet);
    case TYPE_EUI64:
      if (codeSet !== BINARY || ![8, 12, 16].includes(bytes.length)) {
        return nonsense(`EUI-64 designator of ${bytes.length} bytes in code set ${codeSet}`);
      }
      return parsed({ type: "eui-64", text: `eui.${hex(bytes)}`, rank: 10 });
    case TYPE_SCSI_NAME: {
      const text = ascii(bytes, 0, bytes.length);
      if (!/^(iqn|eui|naa|uuid)\.[\x21-\x7e]+$/.test(text))
        return nonsense(`SCSI name designator ${JSON.stringify(text)}`);
      return parsed({ type: "scsi-name", text, rank: 20 });
    }
    default: {
      // The vendor alone (8 bytes) is the same for every unit of that vendor, so it names none.
      if (bytes.length <= 8 || isBlank(bytes.subarray(8)))
        return nonsense("T10 vendor designator names only the vendor");
      return parsed({ type: "t10-vendor", text: `t10.${printable(bytes)}`, rank: 30 });
    }
  }
}

/** Registered names first; 3h, locally assigned, only when there is nothing better (SPC-4 7.8.6.6). */
function nameOfNaa(bytes: Uint8Array, codeSet: number): Parsed<Name> {
  const naa = big(bytes, 0, 1) >> 4;
  const length = naa === 6 ? 16 : 8;
  const rank = [6, 5, 2, 3].indexOf(naa);
  if (codeSet !== BINARY || rank === -1 || bytes.length !== length) {
    return nonsense(`NAA designator ${hex(bytes)} (NAA ${naa}, ${bytes.length} bytes, code set ${codeSet})`);
  }
  if (isBlank(bytes.subarray(1)) && (big(bytes, 0, 1) & 0x0f) === 0) {
    return nonsense(`NAA designator ${hex(bytes)} holds nothing but its type`);
  }
  return parsed({ type: "naa", text: `naa.${hex(bytes)}`, rank });
}

/** Text when it is, hexadecimal when it is not: two different designators never look the same. */
function printable(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  return /^[\x20-\x7e]*$/.test(text) ? text.trimEnd() : `0x${hex(bytes)}`;
}

function portNumber(ports: readonly Designator[], type: number): number | null {
  const found = ports.find((port) => port.type === type && port.codeSet === BINARY && port.bytes.length === 4);
  return found === undefined ? null : big(found.bytes, 2, 2);
}

function portName(ports: readonly Designator[]): string | null {
  const naa = ports.find((port) => port.type === TYPE_NAA && port.bytes.length > 0);
  if (naa !== undefined) return `naa.${hex(naa.bytes)}`;
  const name = ports.find((port) => port.type === TYPE_SCSI_NAME && port.bytes.length > 0);
  if (name !== undefined) return ascii(name.bytes, 0, name.bytes.length);
  const relative = portNumber(ports, TYPE_RELATIVE_PORT);
  return relative === null ? null : `port ${relative}`;
}

/** Page 0x80 as a fallback: vendor, product and serial number together; the core compares the serial number. */
export function serialIdentity(vendor: string, product: string, serial: string): UnitIdentity {
  const bytes = Uint8Array.of(IDENTITY_TYPE_SERIAL, 0, ...Buffer.from(serial, "latin1"));
  return { type: "serial", text: `serial.${vendor}:${product}:${serial}`, bytes };
}
