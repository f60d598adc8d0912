// A unit as a SCSI target: its answers to the commands that are no I/O (SPC-5, SBC-4). Pure; what it presents is prepared once, when
// the unit is attached (host/export/presented.ts). A CDB comes from whoever may open the device: every one of them gets an answer.

/** What a unit presents to its initiators. */
export interface Presented {
  /** Standard INQUIRY data. */
  readonly inquiry: Uint8Array;
  /** VPD pages but page 00, whole, by page code. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
  /** READ CAPACITY (16) data. The number of blocks is filled in. */
  readonly capacity: Uint8Array;
  readonly blockBytes: number;
  readonly readOnly: boolean;
  readonly unmaps: boolean;
}

/** What changes. */
export interface Present {
  readonly blocks: bigint;
  /** Whether a path is there that I/O may go to. */
  readonly isReady: boolean;
  /** Whether RESERVE and RELEASE of SPC-2 are carried out: in cluster mode. */
  readonly reserves: boolean;
}

/** How a command ends. */
export interface TargetReply {
  readonly status: number;
  readonly sense: Uint8Array;
  /** What an initiator reads; null for a command without data. */
  readonly data: Uint8Array | null;
}

const CHECK_CONDITION = 0x02;
const NO_SENSE = new Uint8Array(0);
const GOOD: TargetReply = { status: 0, sense: NO_SENSE, data: null };

const ILLEGAL_REQUEST = 0x05;
const INVALID_OPERATION_CODE = 0x2000;
const INVALID_FIELD_IN_CDB = 0x2400;
const SAVING_NOT_SUPPORTED = 0x3900;

/** Sense data in fixed format. @param code ASC << 8 | ASCQ */
function fixedSense(key: number, code: number): Uint8Array {
  const sense = new Uint8Array(18);
  sense[0] = 0x70;
  sense[2] = key;
  sense[7] = 10;
  sense[12] = code >> 8;
  sense[13] = code & 0xff;
  return sense;
}

const check = (key: number, code: number): TargetReply => ({
  status: CHECK_CONDITION,
  sense: fixedSense(key, code),
  data: null,
});
const illegal = (code: number): TargetReply => check(ILLEGAL_REQUEST, code);
const NOT_READY = check(0x02, 0x0400);

const read = (data: Uint8Array, allocation: number): TargetReply => ({
  status: 0,
  sense: NO_SENSE,
  data: data.subarray(0, allocation),
});

const PERSISTENT_RESERVE_IN = 0x5e;
export const PERSISTENT_RESERVE_OUT = 0x5f;
/** Of SPC-2. */
const [RESERVE_6, RELEASE_6, RESERVE_10, RELEASE_10] = [0x16, 0x17, 0x56, 0x57];

/** Commands, each with the bits of its CDB that count; those with a service action have it as the second part of the name. */
const usage = (text: string): readonly number[] => text.split(" ").map((byte) => Number.parseInt(byte, 16));
const TEN = "f8 ff ff ff ff 00 ff ff 00";
const SIXTEEN = "f8 ff ff ff ff ff ff ff ff ff ff ff ff 00 00";
const TWELVE = "f8 ff ff ff ff ff ff ff ff 00 00";

/** Operation code, service action (-1: none), usage of the other bytes, and whether it needs UNMAP or cluster mode. */
type Known = readonly [opcode: number, action: number, usage: string, needs?: "unmap" | "reserve"];
const KNOWN: readonly Known[] = [
  [0x00, -1, "00 00 00 00 00"],
  [0x03, -1, "01 00 00 ff 00"],
  [0x08, -1, "1f ff ff ff 00"],
  [0x0a, -1, "1f ff ff ff 00"],
  [0x12, -1, "01 ff ff ff 00"],
  [RESERVE_6, -1, "00 00 00 00 00", "reserve"],
  [RELEASE_6, -1, "00 00 00 00 00", "reserve"],
  [0x1a, -1, "08 ff ff ff 00"],
  [0x1b, -1, "01 00 00 01 00"],
  [0x25, -1, "00 00 00 00 00 00 00 00 00"],
  [0x28, -1, TEN],
  [0x2a, -1, TEN],
  [0x2e, -1, TEN],
  [0x2f, -1, TEN],
  [0x35, -1, "02 ff ff ff ff 00 ff ff 00"],
  [0x41, -1, "08 ff ff ff ff 00 ff ff 00"],
  [0x42, -1, "00 00 00 00 00 00 ff ff 00", "unmap"],
  [RESERVE_10, -1, "00 00 00 00 00 00 00 00 00", "reserve"],
  [RELEASE_10, -1, "00 00 00 00 00 00 00 00 00", "reserve"],
  [0x5a, -1, "18 ff ff 00 00 00 ff ff 00"],
  [0x5e, 0x00, "00 00 00 00 00 00 ff ff 00"],
  [0x5e, 0x01, "00 00 00 00 00 00 ff ff 00"],
  [0x5e, 0x02, "00 00 00 00 00 00 ff ff 00"],
  [0x5e, 0x03, "00 00 00 00 00 00 ff ff 00"],
  ...[0, 1, 2, 3, 4, 5, 6].map((action): Known => [0x5f, action, "00 ff 00 00 ff ff ff ff 00"]),
  [0x88, -1, SIXTEEN],
  [0x8a, -1, SIXTEEN],
  [0x8e, -1, SIXTEEN],
  [0x8f, -1, SIXTEEN],
  [0x91, -1, "02 ff ff ff ff ff ff ff ff ff ff ff ff 00 00"],
  [0x93, -1, "09 ff ff ff ff ff ff ff ff ff ff ff ff 00 00"],
  [0x9e, 0x10, "00 00 00 00 00 00 00 00 00 ff ff ff ff 00 00"],
  [0xa0, -1, "00 ff 00 00 00 ff ff ff ff 00 00"],
  [0xa3, 0x0c, "00 87 ff ff ff ff ff ff ff 00 00"],
  [0xa8, -1, TWELVE],
  [0xaa, -1, TWELVE],
  [0xae, -1, TWELVE],
  [0xaf, -1, TWELVE],
];

/** A command's CDB as REPORT SUPPORTED OPERATION CODES shows it. */
function usageOf([opcode, action, text]: Known): Uint8Array {
  const bytes = Uint8Array.of(opcode, ...usage(text));
  if (action >= 0) bytes[1] = (bytes[1] ?? 0) | action;
  return bytes;
}

const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) * 65_536 + u16(bytes, at + 2);

function inquiry(cdb: Uint8Array, { inquiry: standard, pages }: Presented): TargetReply {
  const allocation = u16(cdb, 3);
  const page = cdb[2] ?? 0;
  if (((cdb[1] ?? 0) & 0xfe) !== 0) return illegal(INVALID_FIELD_IN_CDB);
  if (((cdb[1] ?? 0) & 1) === 0) return page === 0 ? read(standard, allocation) : illegal(INVALID_FIELD_IN_CDB);
  if (page === 0) {
    const list = [0, ...pages.keys()].toSorted((a, b) => a - b);
    return read(Uint8Array.of((standard[0] ?? 0) & 0x1f, 0, 0, list.length, ...list), allocation);
  }
  const data = pages.get(page);
  return data === undefined ? illegal(INVALID_FIELD_IN_CDB) : read(data, allocation);
}

const CACHING = 0x08;
const CONTROL = 0x0a;
const EXCEPTIONS = 0x1c;
const ALL_PAGES = 0x3f;

/** Mode pages. Writes are cached as far as an initiator can tell: it has to flush, and the core passes that on. */
function modePage(page: number, isCurrent: boolean): Uint8Array {
  if (page === CACHING) {
    const bytes = new Uint8Array(20);
    bytes.set([CACHING, 0x12, isCurrent ? 0x04 : 0]);
    return bytes;
  }
  const bytes = new Uint8Array(12);
  bytes.set([page, 0x0a]);
  if (page === CONTROL && isCurrent) {
    // Reordering is not restricted; a command that is given up for another initiator ends with TASK ABORTED.
    bytes[3] = 0x10;
    bytes[5] = 0x40;
  }
  return bytes;
}

function modeSense(cdb: Uint8Array, isLong: boolean, { blockBytes, readOnly }: Presented, blocks: bigint): TargetReply {
  const [, first = 0, second = 0, subpage = 0] = cdb;
  const [control, page] = [second >> 6, second & 0x3f];
  if (control === 3) return illegal(SAVING_NOT_SUPPORTED);
  const wanted = [CACHING, CONTROL, EXCEPTIONS].filter((known) => page === known || page === ALL_PAGES);
  if (wanted.length === 0 || (subpage !== 0 && !(page === ALL_PAGES && subpage === 0xff))) {
    return illegal(INVALID_FIELD_IN_CDB);
  }
  const hasLongBlocks = isLong && (first & 0x10) !== 0;
  const descriptorBytes = (first & 0x08) !== 0 ? 0 : hasLongBlocks ? 16 : 8;
  const head = isLong ? 8 : 4;
  const parts = wanted.map((one) => modePage(one, control !== 1));
  const total = head + descriptorBytes + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  if (descriptorBytes === 16) {
    view.setBigUint64(head, blocks);
    view.setUint32(head + 12, blockBytes);
  } else if (descriptorBytes === 8) {
    view.setUint32(head, blocks > 0xffff_ffffn ? 0xffff_ffff : Number(blocks));
    view.setUint32(head + 4, blockBytes);
  }
  let at = head + descriptorBytes;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  // DPO and FUA are understood.
  const specific = (readOnly ? 0x80 : 0) | 0x10;
  if (isLong) {
    view.setUint16(0, total - 2);
    bytes[3] = specific;
    bytes[4] = hasLongBlocks ? 1 : 0;
    view.setUint16(6, descriptorBytes);
  } else bytes.set([total - 1, 0, specific, descriptorBytes]);
  return read(bytes, isLong ? u16(cdb, 7) : (cdb[4] ?? 0));
}

function shortCapacity({ blockBytes }: Presented, blocks: bigint): TargetReply {
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  view.setUint32(0, blocks > 0xffff_ffffn ? 0xffff_ffff : Number(blocks - 1n));
  view.setUint32(4, blockBytes);
  return read(data, 8);
}

function longCapacity(cdb: Uint8Array, { capacity, blockBytes }: Presented, blocks: bigint): TargetReply {
  const data = new Uint8Array(32);
  data.set(capacity.subarray(0, 32));
  const view = new DataView(data.buffer);
  view.setBigUint64(0, blocks - 1n);
  view.setUint32(8, blockBytes);
  return read(data, u32(cdb, 10));
}

/** The descriptor that says nothing about times. */
const NO_TIMES = Uint8Array.of(0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

function operationCodes(cdb: Uint8Array, { unmaps }: Presented, reserves: boolean): TargetReply {
  const known = KNOWN.filter(([, , , needs]) => needs === undefined || (needs === "unmap" ? unmaps : reserves));
  const times = ((cdb[2] ?? 0) & 0x80) !== 0 ? NO_TIMES : NO_SENSE;
  const [options, opcode, action] = [(cdb[2] ?? 0) & 7, cdb[3] ?? 0, u16(cdb, 4)];
  if (options === 0) {
    const list = known.flatMap(([code, service, text]) => {
      const flags = (times.length > 0 ? 2 : 0) | (service >= 0 ? 1 : 0);
      return [code, 0, 0, Math.max(service, 0), 0, flags, 0, usage(text).length + 1, ...times];
    });
    const data = new Uint8Array(4 + list.length);
    new DataView(data.buffer).setUint32(0, list.length);
    data.set(list, 4);
    return read(data, u32(cdb, 6));
  }
  const ofCode = known.filter(([code]) => code === opcode);
  const hasActions = ofCode.some(([, service]) => service >= 0);
  const isWrong = options > 3 || (options === 1 && hasActions) || (options === 2 && ofCode.length > 0 && !hasActions);
  if (isWrong) return illegal(INVALID_FIELD_IN_CDB);
  const found = options === 1 ? ofCode[0] : ofCode.find(([, service]) => Math.max(service, 0) === action);
  if (found === undefined) return read(Uint8Array.of(0, 1, 0, 0), u32(cdb, 6));
  const shown = usageOf(found);
  const data = Uint8Array.of(0, times.length > 0 ? 0x83 : 3, 0, shown.length, ...shown, ...times);
  return read(data, u32(cdb, 6));
}

function requestSense(cdb: Uint8Array): TargetReply {
  const isDescriptor = ((cdb[1] ?? 0) & 1) !== 0;
  return read(isDescriptor ? Uint8Array.of(0x72, 0, 0, 0, 0, 0, 0, 0) : fixedSense(0, 0), cdb[4] ?? 0);
}

/** START STOP UNIT: a unit that others use as well is neither stopped nor ejected. */
function startStop(cdb: Uint8Array): TargetReply {
  const [, , , , how = 0] = cdb;
  return (how & 0xf3) === 0x01 ? GOOD : illegal(INVALID_FIELD_IN_CDB);
}

/** @returns "reservations" for a command about them: who keeps them answers it */
export function targetReply(
  cdb: Uint8Array,
  unit: Presented,
  { blocks, isReady, reserves }: Present,
): TargetReply | "reservations" {
  const [opcode = 0, second = 0] = cdb;
  const action = second & 0x1f;
  switch (opcode) {
    case 0x00:
      return isReady ? GOOD : NOT_READY;
    case 0x03:
      return requestSense(cdb);
    case 0x12:
      return inquiry(cdb, unit);
    case 0x1a:
      return modeSense(cdb, false, unit, blocks);
    case 0x1b:
      return startStop(cdb);
    case 0x25:
      return shortCapacity(unit, blocks);
    case 0x5a:
      return modeSense(cdb, true, unit, blocks);
    case PERSISTENT_RESERVE_IN:
    case PERSISTENT_RESERVE_OUT:
    case RESERVE_6:
    case RELEASE_6:
    case RESERVE_10:
    case RELEASE_10:
      return "reservations";
    case 0x9e:
      return action === 0x10 ? longCapacity(cdb, unit, blocks) : illegal(INVALID_FIELD_IN_CDB);
    case 0xa3:
      return action === 0x0c ? operationCodes(cdb, unit, reserves) : illegal(INVALID_FIELD_IN_CDB);
    default:
      return illegal(INVALID_OPERATION_CODE);
  }
}
