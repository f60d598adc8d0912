// The consequences of each outcome (outcome.ts): for the path, the piece, the client and control. One table, with a row for
// each outcome; no other code asks for a particular outcome, except where a single method requires it. docs/architecture.md
// shows the table.

import {
  EVENT_CAPACITY_CHANGED,
  EVENT_INQUIRY_CHANGED,
  EVENT_RESERVATION_CONFLICT,
  EVENT_THIN_THRESHOLD,
} from "../abi";
import { EIO, ENOSPC, EPERM } from "../memory/errno";
import {
  OUTCOME_ALUA,
  OUTCOME_ALUA_CHANGED,
  OUTCOME_ANSWER,
  OUTCOME_BUSY,
  OUTCOME_CAPACITY,
  OUTCOME_CONFLICT,
  OUTCOME_COUNT,
  OUTCOME_ELSEWHERE,
  OUTCOME_FAILED,
  OUTCOME_GONE,
  OUTCOME_GOOD,
  OUTCOME_INVENTORY,
  OUTCOME_NEXUS,
  OUTCOME_PARAMETERS,
  OUTCOME_PAST_END,
  OUTCOME_PROTECTED,
  OUTCOME_RETRY,
  OUTCOME_RETRY_SOFT,
  OUTCOME_SPACE,
  OUTCOME_THRESHOLD,
  OUTCOME_UNSUPPORTED,
  OUTCOME_WAIT,
} from "./outcome";

/** Whether the path is blamed: never; if another path completes the piece; if a retry does not help; at once. */
const BLAME_NONE: u32 = 0;
export const BLAME_REFUSAL: u32 = 1;
export const BLAME_RETRIES: u32 = 2;
export const BLAME_FAILED: u32 = 3;

/** What happens to the piece next: it is done. */
const NEXT_DONE: u32 = 0;
/** The same path a few times, then another one. */
export const NEXT_HERE: u32 = 1;
/** As above, but only after the path's identity was checked; another path may take the piece meanwhile. */
export const NEXT_HERE_VERIFIED: u32 = 2;
/** Another path; after all were tried, a pause and all of them again, a few times. */
const NEXT_ELSEWHERE: u32 = 3;
/** Another path, or a pause, limited only by the request's deadline. */
export const NEXT_PAUSE: u32 = 4;
/** To the client: this is the device's own answer. */
const NEXT_CLIENT: u32 = 5;
/** To the client, once every path has given the same answer. */
export const NEXT_CLIENT_IF_ALL: u32 = 6;

/** Whether the path's identity is checked before its next I/O. */
const SAME: u32 = 0;
const CHECK: u32 = 1;

/** Port groups: unchanged; read again; read again, and the sense data also gives the path's own state. */
export const GROUPS_SAME: u32 = 0;
export const GROUPS_READ: u32 = 1;
export const GROUPS_STATE: u32 = 2;

/** Whether the number of commands in flight on the path is lowered. */
const KEEP: u32 = 0;
const LOWER: u32 = 1;

/**
 * What it counts as for a health check: no answer; an answer if it came from the device and not from the host's driver; an
 * answer.
 */
const LIFE_NONE: u32 = 0;
const LIFE_OF_DEVICE: u32 = 1;
const LIFE_SHOWN: u32 = 2;

/** Control is not informed. */
const SILENT: u32 = 0;
/** For an operation that goes beyond the end, the errno depends on the operation (`pastEnd`). */
export const BY_OPERATION: u32 = 0;

const COLUMNS: usize = 8;
const BLAME: usize = 1;
const NEXT: usize = 2;
const IDENTITY: usize = 3;
const GROUPS: usize = 4;
const DEPTH: usize = 5;
const LIFE: usize = 6;
const EVENT: usize = 7;
const ERRNO: usize = 8;
const ROW_BYTES: usize = 4 * (COLUMNS + 1);

// The errno is returned to the client when the piece fails for good.
// prettier-ignore
const rows: usize = memory.data<u32>([
  // outcome            blame          next                identity  groups       depth  health check    event                   errno
  OUTCOME_GOOD,         BLAME_NONE,    NEXT_DONE,          SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     SILENT,                 EIO,
  OUTCOME_RETRY,        BLAME_RETRIES, NEXT_HERE,          SAME,    GROUPS_SAME,  KEEP,  LIFE_NONE,      SILENT,                 EIO,
  OUTCOME_RETRY_SOFT,   BLAME_NONE,    NEXT_HERE,          SAME,    GROUPS_SAME,  KEEP,  LIFE_NONE,      SILENT,                 EIO,
  OUTCOME_BUSY,         BLAME_NONE,    NEXT_PAUSE,         SAME,    GROUPS_SAME,  LOWER, LIFE_OF_DEVICE, SILENT,                 EIO,
  OUTCOME_WAIT,         BLAME_NONE,    NEXT_PAUSE,         SAME,    GROUPS_SAME,  KEEP,  LIFE_OF_DEVICE, SILENT,                 EIO,
  OUTCOME_FAILED,       BLAME_FAILED,  NEXT_ELSEWHERE,     SAME,    GROUPS_SAME,  KEEP,  LIFE_NONE,      SILENT,                 EIO,
  OUTCOME_ELSEWHERE,    BLAME_REFUSAL, NEXT_ELSEWHERE,     SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     SILENT,                 EIO,
  OUTCOME_ALUA,         BLAME_NONE,    NEXT_PAUSE,         SAME,    GROUPS_STATE, KEEP,  LIFE_SHOWN,     SILENT,                 EIO,
  OUTCOME_ALUA_CHANGED, BLAME_NONE,    NEXT_HERE,          SAME,    GROUPS_READ,  KEEP,  LIFE_NONE,      SILENT,                 EIO,
  OUTCOME_INVENTORY,    BLAME_NONE,    NEXT_HERE,          CHECK,   GROUPS_SAME,  KEEP,  LIFE_NONE,      EVENT_INQUIRY_CHANGED,  EIO,
  OUTCOME_GONE,         BLAME_FAILED,  NEXT_ELSEWHERE,     CHECK,   GROUPS_SAME,  KEEP,  LIFE_NONE,      SILENT,                 EIO,
  OUTCOME_CAPACITY,     BLAME_NONE,    NEXT_HERE,          SAME,    GROUPS_SAME,  KEEP,  LIFE_NONE,      EVENT_CAPACITY_CHANGED, EIO,
  OUTCOME_PARAMETERS,   BLAME_NONE,    NEXT_HERE,          SAME,    GROUPS_SAME,  KEEP,  LIFE_NONE,      EVENT_INQUIRY_CHANGED,  EIO,
  OUTCOME_ANSWER,       BLAME_NONE,    NEXT_CLIENT,        SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     SILENT,                 EIO,
  OUTCOME_UNSUPPORTED,  BLAME_NONE,    NEXT_CLIENT,        SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     SILENT,                 EIO,
  OUTCOME_PROTECTED,    BLAME_NONE,    NEXT_CLIENT,        SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     SILENT,                 EPERM,
  OUTCOME_SPACE,        BLAME_NONE,    NEXT_CLIENT,        SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     SILENT,                 ENOSPC,
  OUTCOME_PAST_END,     BLAME_NONE,    NEXT_CLIENT_IF_ALL, SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     EVENT_CAPACITY_CHANGED, BY_OPERATION,
  OUTCOME_NEXUS,        BLAME_NONE,    NEXT_HERE_VERIFIED, CHECK,   GROUPS_SAME,  KEEP,  LIFE_NONE,      SILENT,                 EIO,
  OUTCOME_THRESHOLD,    BLAME_NONE,    NEXT_HERE,          SAME,    GROUPS_SAME,  KEEP,  LIFE_NONE,      EVENT_THIN_THRESHOLD,   EIO,
  OUTCOME_CONFLICT,     BLAME_NONE,    NEXT_CLIENT,        SAME,    GROUPS_SAME,  KEEP,  LIFE_SHOWN,     EVENT_RESERVATION_CONFLICT, EPERM,
], 4);

/** Checks that each row is at the index of its outcome. Called once at init. */
export function checkMeanings(): void {
  for (let outcome: u32 = 0; outcome < OUTCOME_COUNT; outcome++) assert(cell(<u8>outcome, 0) === outcome);
}

function cell(outcome: u8, column: usize): u32 {
  return load<u32>(rows + <usize>outcome * ROW_BYTES + 4 * column);
}

/** BLAME_*. */
export function blameOf(outcome: u8): u32 {
  return cell(outcome, BLAME);
}

/** NEXT_*. */
export function nextOf(outcome: u8): u32 {
  return cell(outcome, NEXT);
}

/** Whether this is the device's own answer, which goes to the client. */
export function isAnswer(outcome: u8): bool {
  return nextOf(outcome) >= NEXT_CLIENT;
}

/** Whether the path may lead to another unit now. */
export function doubtsIdentity(outcome: u8): bool {
  return cell(outcome, IDENTITY) === CHECK;
}

/** GROUPS_*. */
export function groupsAfter(outcome: u8): u32 {
  return cell(outcome, GROUPS);
}

/** Whether the device is overloaded. */
export function lowersDepth(outcome: u8): bool {
  return cell(outcome, DEPTH) === LOWER;
}

/**
 * Whether it shows that path and device respond, if not with success; `fromDevice`: it came from the device, not from the
 * host's driver.
 */
export function showsLife(outcome: u8, fromDevice: bool): bool {
  const life = cell(outcome, LIFE);
  return life === LIFE_SHOWN || (life === LIFE_OF_DEVICE && fromDevice);
}

/** Whether the device or the host's driver asks to wait. */
export function asksForPatience(outcome: u8): bool {
  return cell(outcome, LIFE) === LIFE_OF_DEVICE;
}

/** The event (EVENT_*) that informs control; 0: none. */
export function eventOf(outcome: u8): u32 {
  return cell(outcome, EVENT);
}

/** The client's errno; BY_OPERATION where it depends on the operation. */
export function errnoOf(outcome: u8): u32 {
  return cell(outcome, ERRNO);
}
