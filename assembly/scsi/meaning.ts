// What is made of each outcome (outcome.ts): for the path, for the piece, for the client, for control. One table, a row each; nobody
// else asks which outcome it is, but for what is peculiar to one method. docs/architecture.md shows it.

import { EVENT_CAPACITY_CHANGED, EVENT_INQUIRY_CHANGED, EVENT_THIN_THRESHOLD } from "../abi";
import { EIO, ENOSPC, EPERM } from "../memory/errno";
import {
  OUTCOME_ALUA,
  OUTCOME_ALUA_CHANGED,
  OUTCOME_ANSWER,
  OUTCOME_BUSY,
  OUTCOME_CAPACITY,
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

/** Whether the path is to blame: not at all; if another one carries the piece out; if sending again does not help; at once. */
const BLAME_NONE: u32 = 0;
export const BLAME_REFUSAL: u32 = 1;
export const BLAME_RETRIES: u32 = 2;
export const BLAME_FAILED: u32 = 3;

/** Where the piece goes next: it is carried out. */
const NEXT_DONE: u32 = 0;
/** The same path a few times, then another one. */
export const NEXT_HERE: u32 = 1;
/** Likewise, once it is known where the path leads; another one may take it meanwhile. */
export const NEXT_HERE_VERIFIED: u32 = 2;
/** Another path; when all were tried a pause and all of them again, a few times. */
const NEXT_ELSEWHERE: u32 = 3;
/** Another path, or a pause: the request's deadline is all that bounds it. */
export const NEXT_PAUSE: u32 = 4;
/** To the client: it is the device's own answer. */
const NEXT_CLIENT: u32 = 5;
/** To the client, once every path has answered the same. */
export const NEXT_CLIENT_IF_ALL: u32 = 6;

/** Whether the path's identity is checked before its next I/O. */
const SAME: u32 = 0;
const CHECK: u32 = 1;

/** Port groups: as they were; they are read anew; the sense data tells the path's own state, too. */
export const GROUPS_SAME: u32 = 0;
export const GROUPS_READ: u32 = 1;
export const GROUPS_STATE: u32 = 2;

/** Whether fewer commands at a time go to the path. */
const KEEP: u32 = 0;
const LOWER: u32 = 1;

/** What it is as an answer to a health check: none; one, if the device has sent it and not the host's driver; one. */
const LIFE_NONE: u32 = 0;
const LIFE_OF_DEVICE: u32 = 1;
const LIFE_SHOWN: u32 = 2;

/** Tells control nothing. */
const SILENT: u32 = 0;
/** What the operation gets that goes beyond the end (`pastEnd`). */
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

// The errno is what the client gets when the piece comes to nothing.
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
], 4);

/** Whether each row stands at the place of its outcome. Asked once at init. */
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

/** Whether it is the device's own answer, which goes to the client. */
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

/** Whether the device has too much to do. */
export function lowersDepth(outcome: u8): bool {
  return cell(outcome, DEPTH) === LOWER;
}

/** Whether it shows that path and device answer, though not good; `fromDevice`: the host's driver had nothing to do with it. */
export function showsLife(outcome: u8, fromDevice: bool): bool {
  const life = cell(outcome, LIFE);
  return life === LIFE_SHOWN || (life === LIFE_OF_DEVICE && fromDevice);
}

/** Whether somebody, the device or the host's driver, asks for patience. */
export function asksForPatience(outcome: u8): bool {
  return cell(outcome, LIFE) === LIFE_OF_DEVICE;
}

/** EVENT_* that tells control of it; 0: none. */
export function eventOf(outcome: u8): u32 {
  return cell(outcome, EVENT);
}

/** What the client gets; BY_OPERATION where that depends on what it asked for. */
export function errnoOf(outcome: u8): u32 {
  return cell(outcome, ERRNO);
}
