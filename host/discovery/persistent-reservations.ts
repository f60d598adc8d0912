// PERSISTENT RESERVE IN and OUT (SPC-4 6.15 and 6.16): commands, parameter lists, and what devices answer.
//
// A key is 8 bytes; in text it is `0x` and its hexadecimal digits without leading zeroes, as the tools of Linux write it.

import { hex } from "./bytes.ts";
import { nonsense, parsed, type Parsed } from "./transport.ts";
import { counted } from "../wording.ts";

const PERSISTENT_RESERVE_IN = 0x5e;
export const PERSISTENT_RESERVE_OUT = 0x5f;

/** Service actions of PERSISTENT RESERVE IN, in the order of their codes. */
export const IN_ACTIONS = ["keys", "reservation", "capabilities", "full-status"] as const;
export type InAction = (typeof IN_ACTIONS)[number];

/** Service actions of PERSISTENT RESERVE OUT, in the order of their codes. */
export const OUT_ACTIONS = [
  "register",
  "reserve",
  "release",
  "clear",
  "preempt",
  "preempt-abort",
  "register-ignore",
  "register-move",
] as const;
export type OutAction = (typeof OUT_ACTIONS)[number];

/** Types of reservations (SPC-4 6.15.3.4) and what they are called. */
export const RESERVATION_TYPES: ReadonlyMap<number, string> = new Map([
  [1, "Write Exclusive"],
  [3, "Exclusive Access"],
  [5, "Write Exclusive, registrants only"],
  [6, "Exclusive Access, registrants only"],
  [7, "Write Exclusive, all registrants"],
  [8, "Exclusive Access, all registrants"],
]);

/** Only the I_T nexus that holds it may use the unit; of the other types every registered one may. */
export const isForHolderAlone = (type: number): boolean => type === 1 || type === 3;

export const NO_KEY = "0x0";
const KEY_BYTES = 8;
const LIST_BYTES = 24;
export const IN_BYTES_MAX = 8192;

/** A key as typed, with or without `0x`; null when it is none. */
export function keyOf(text: string): string | null {
  const digits = /^(?:0[xX])?([0-9a-fA-F]{1,16})$/.exec(text)?.[1];
  return digits === undefined ? null : `0x${BigInt(`0x${digits}`).toString(16)}`;
}

function keyAt(bytes: Uint8Array, at: number): string {
  return `0x${BigInt(`0x${hex(bytes.subarray(at, at + KEY_BYTES))}`).toString(16)}`;
}

export function reserveInCdb(action: InAction, bytes: number): Uint8Array {
  const cdb = new Uint8Array(10);
  cdb[0] = PERSISTENT_RESERVE_IN;
  cdb[1] = IN_ACTIONS.indexOf(action);
  new DataView(cdb.buffer).setUint16(7, bytes);
  return cdb;
}

/** The parameters of a service action. */
export interface ReserveOut {
  readonly action: OutAction;
  readonly key: string;
  readonly serviceActionKey?: string;
  readonly type?: number;
  /** Keep the registrations through a loss of power. */
  readonly aptpl?: boolean;
  /** For all target ports of the device. */
  readonly allTargetPorts?: boolean;
}

const APTPL = 0x01;
const ALL_TG_PT = 0x04;
const SPEC_I_PT = 0x08;

export function reserveOutCommand(out: ReserveOut): { readonly cdb: Uint8Array; readonly list: Uint8Array } {
  const cdb = new Uint8Array(10);
  cdb[0] = PERSISTENT_RESERVE_OUT;
  cdb[1] = OUT_ACTIONS.indexOf(out.action);
  cdb[2] = out.type ?? 0;
  new DataView(cdb.buffer).setUint32(5, LIST_BYTES);
  const list = new Uint8Array(LIST_BYTES);
  const view = new DataView(list.buffer);
  view.setBigUint64(0, BigInt(out.key));
  view.setBigUint64(8, BigInt(out.serviceActionKey ?? NO_KEY));
  list[20] = (out.aptpl === true ? APTPL : 0) | (out.allTargetPorts === true ? ALL_TG_PT : 0);
  return { cdb, list };
}

/** What somebody else's PERSISTENT RESERVE OUT asks for. */
export function parseReserveOut(cdb: Uint8Array, list: Uint8Array): Parsed<ReserveOut> {
  const action = OUT_ACTIONS[(cdb[1] ?? 0) & 0x1f];
  if (cdb[0] !== PERSISTENT_RESERVE_OUT || action === undefined) return nonsense("there is no such service action");
  if (list.length !== LIST_BYTES)
    return nonsense(`the parameter list has ${counted(list.length, "byte")}, not ${LIST_BYTES}`);
  const flags = list[20] ?? 0;
  if ((flags & SPEC_I_PT) !== 0) return nonsense("SPEC_I_PT is not supported");
  const scopeAndType = cdb[2] ?? 0;
  if (scopeAndType >>> 4 !== 0) return nonsense("a reservation is for the whole logical unit");
  return parsed({
    action,
    key: keyAt(list, 0),
    serviceActionKey: keyAt(list, 8),
    type: scopeAndType & 0x0f,
    aptpl: (flags & APTPL) !== 0,
    allTargetPorts: (flags & ALL_TG_PT) !== 0,
  });
}

/** What somebody else's PERSISTENT RESERVE IN asks for. */
export function parseReserveIn(cdb: Uint8Array): Parsed<{ readonly action: InAction; readonly bytes: number }> {
  const action = IN_ACTIONS[(cdb[1] ?? 0) & 0x1f];
  if (cdb[0] !== PERSISTENT_RESERVE_IN || action === undefined) return nonsense("there is no such service action");
  return parsed({ action, bytes: ((cdb[7] ?? 0) << 8) | (cdb[8] ?? 0) });
}

const HEAD_BYTES = 8;
const tooShort = (bytes: Uint8Array): Parsed<never> => nonsense(`the answer has only ${counted(bytes.length, "byte")}`);
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export interface Keys {
  /** Counts changes of registrations; 0 after a loss of power. */
  readonly generation: number;
  /** One for each registered I_T nexus. */
  readonly keys: readonly string[];
}

export function parseKeys(bytes: Uint8Array): Parsed<Keys> {
  if (bytes.length < HEAD_BYTES) return tooShort(bytes);
  const view = viewOf(bytes);
  const count = Math.floor(Math.min(view.getUint32(4), bytes.length - HEAD_BYTES) / KEY_BYTES);
  const keys = Array.from({ length: count }, (_, index) => keyAt(bytes, HEAD_BYTES + index * KEY_BYTES));
  return parsed({ generation: view.getUint32(0), keys });
}

/** A reservation as the device tells it. */
export interface Held {
  readonly key: string;
  readonly scope: number;
  readonly type: number;
}

const RESERVATION_BYTES = 16;

export function parseReservation(
  bytes: Uint8Array,
): Parsed<{ readonly generation: number; readonly held: Held | null }> {
  if (bytes.length < HEAD_BYTES) return tooShort(bytes);
  const view = viewOf(bytes);
  const generation = view.getUint32(0);
  if (view.getUint32(4) < RESERVATION_BYTES) return parsed({ generation, held: null });
  if (bytes.length < HEAD_BYTES + RESERVATION_BYTES) return tooShort(bytes);
  const scopeAndType = bytes[21] ?? 0;
  return parsed({ generation, held: { key: keyAt(bytes, 8), scope: scopeAndType >>> 4, type: scopeAndType & 0x0f } });
}

export interface Capabilities {
  readonly compatibleReservations: boolean;
  readonly specifyInitiatorPorts: boolean;
  readonly allTargetPorts: boolean;
  readonly persistsThroughPowerLoss: boolean;
  readonly isPersistent: boolean;
  readonly allowedCommands: number;
  /** Bit 7 to 0 for types 7 to 0, bit 8 for type 8; null when the device does not tell. */
  readonly typeMask: number | null;
}

export function parseCapabilities(bytes: Uint8Array): Parsed<Capabilities> {
  if (bytes.length < HEAD_BYTES) return tooShort(bytes);
  const [, , flags = 0, more = 0, types = 0, last = 0] = bytes;
  return parsed({
    compatibleReservations: (flags & 0x10) !== 0,
    specifyInitiatorPorts: (flags & 0x08) !== 0,
    allTargetPorts: (flags & 0x04) !== 0,
    persistsThroughPowerLoss: (flags & 0x01) !== 0,
    isPersistent: (more & 0x01) !== 0,
    allowedCommands: (more >>> 4) & 0x07,
    typeMask: (more & 0x80) === 0 ? null : types | ((last & 0x01) << 8),
  });
}

/** One registered I_T nexus. */
export interface Registrant {
  readonly key: string;
  readonly allTargetPorts: boolean;
  readonly isHolder: boolean;
  readonly scope: number;
  readonly type: number;
  readonly relativeTargetPort: number;
  /** TransportID of the initiator port (SPC-4 7.6.4). */
  readonly transportId: Uint8Array;
}

const DESCRIPTOR_BYTES = 24;

export function parseFullStatus(
  bytes: Uint8Array,
): Parsed<{ readonly generation: number; readonly registrants: readonly Registrant[] }> {
  if (bytes.length < HEAD_BYTES) return tooShort(bytes);
  const view = viewOf(bytes);
  const end = Math.min(bytes.length, HEAD_BYTES + view.getUint32(4));
  const registrants: Registrant[] = [];
  for (let at = HEAD_BYTES; at + DESCRIPTOR_BYTES <= end;) {
    const flags = bytes[at + 12] ?? 0;
    const scopeAndType = bytes[at + 13] ?? 0;
    const more = view.getUint32(at + 20);
    if (at + DESCRIPTOR_BYTES + more > end) break;
    registrants.push({
      key: keyAt(bytes, at),
      allTargetPorts: (flags & 0x02) !== 0,
      isHolder: (flags & 0x01) !== 0,
      scope: scopeAndType >>> 4,
      type: scopeAndType & 0x0f,
      relativeTargetPort: view.getUint16(at + 18),
      transportId: bytes.slice(at + DESCRIPTOR_BYTES, at + DESCRIPTOR_BYTES + more),
    });
    at += DESCRIPTOR_BYTES + more;
  }
  return parsed({ generation: view.getUint32(0), registrants });
}
