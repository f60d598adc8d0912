// The requesting half of checks: the checks wanted of a path are a mask; its bits are sent one by one, in the order health,
// identity, port groups, SET, in the path's own check slot. answer/check.ts reads the answers.

import { OP_SCSI, PATH_FLAG_FAILED, PATH_FLAG_PRESENT, PATH_FLAG_REMOVING, PATH_FLAG_UNVERIFIED } from "../abi";
import { checkPageTake, commandAt, commandCount } from "../memory/memory";
import { COMMAND_FLIGHT, Command } from "../memory/records";
import { TAG_COMMAND, busyNs, makeTag, now, submit } from "../memory/ring";
import { MILLISECOND } from "../memory/time";
import { Path } from "../memory/topology";
import { wakePath } from "../memory/wake";
import {
  cdbInquiryPage,
  cdbRead,
  cdbReportTargetPortGroups,
  cdbSetTargetPortGroups,
  cdbTestUnitReady,
} from "../scsi/cdb";
import { identityPage } from "../scsi/identity";
import { groupsBuildSet } from "./alua";
import { WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, WANT_SET } from "./facts";
import { patrolTimeoutNs } from "./mode";
import { pathEnters } from "./states";

export const PAGE_BYTES: u32 = 4096;

/** Requests a check of a path. */
export function checkWant(p: Path, what: u8): void {
  p.wanted |= what;
  checkNext(p);
}

/** Its identity has to be checked before its next I/O, when the unit has one to compare with; `by`: BY_* (states.ts). */
export function checkIdentity(p: Path, by: u32): void {
  if (p.unit.identityBytes === 0) return;
  pathEnters(p, PATH_FLAG_UNVERIFIED, by);
  checkWant(p, WANT_IDENTITY);
}

/** Starts to reinstate a failed path; `reason` REASON_PATROL or REASON_OPERATOR. */
export function checkBack(p: Path, reason: u32): void {
  p.back = <u8>reason;
  p.backTold = 0;
  p.checkRetries = 0;
  checkWant(p, WANT_HEALTH);
}

export function checkNext(p: Path): void {
  if (p.checking !== 0 || p.wanted === 0) return;
  if ((p.flags & (PATH_FLAG_PRESENT | PATH_FLAG_REMOVING)) !== PATH_FLAG_PRESENT) return;
  const what = p.wanted & -p.wanted;
  const u = p.unit;
  const c = commandAt(commandCount + p.index);
  assert(c.state !== COMMAND_FLIGHT);
  p.wanted &= ~what;
  p.checking = what;
  p.checkLost = 0;
  p.checks++;
  c.index = commandCount + p.index;
  c.unit = u;
  c.path = p;
  buildCheck(p, c, what);
  c.timeoutMs = <u32>(patrolTimeoutNs / MILLISECOND);
  c.timeNs = now;
  c.state = COMMAND_FLIGHT;
  c.generation++;
  p.checkDueNs = now + patrolTimeoutNs;
  c.busyNs = busyNs;
  wakePath(p, p.checkDueNs);
  submit(p.arrayPort !== 0, OP_SCSI, 0, makeTag(TAG_COMMAND, c.generation, c.index), p.port, changetype<usize>(c), 0);
}

function buildCheck(p: Path, c: Command, what: u8): void {
  const u = p.unit;
  if (what === WANT_HEALTH && !readsFirst(p)) {
    c.buffer = 0;
    c.bufferBytes = 0;
    cdbTestUnitReady(c);
    return;
  }
  const page = checkPageTake();
  // The page may hold another path's answer, which must not pass for that of a device that sends less than it claims.
  store<u64>(page, 0);
  c.buffer = <u32>page;
  c.bufferBytes = PAGE_BYTES;
  if (what === WANT_IDENTITY) cdbInquiryPage(c, identityPage(u), PAGE_BYTES);
  else if (what === WANT_GROUPS) cdbReportTargetPortGroups(c, PAGE_BYTES, u.groupsPlain === 0);
  else if (what === WANT_SET) {
    c.bufferBytes = groupsBuildSet(p, page);
    cdbSetTargetPortGroups(c, c.bufferBytes);
  } else {
    c.bufferBytes = u.blockBytes;
    cdbRead(c, 0, 1, u.shortIo !== 0);
  }
}

/** Whether a health check is a READ: if configured, and if I/O went unanswered, which TEST UNIT READY may not reveal. */
function readsFirst(p: Path): bool {
  const u = p.unit;
  if (u.blockBytes === 0) return false;
  return p.silent !== 0 || p.refuses !== 0 || (u.patrolRead !== 0 && (p.flags & PATH_FLAG_FAILED) === 0);
}
