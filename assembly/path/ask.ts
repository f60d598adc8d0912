// The requesting half of checks: the checks wanted of a path are a mask; its bits are sent one by one, in the order health,
// identity, port groups, SET, proof of a registration, in the path's own check slot. answer/check.ts reads the answers.

import {
  OP_SCSI,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_UNVERIFIED,
  REASON_OPERATOR,
} from "../abi";
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
import { PROOF_NEEDED, PROOF_SENT, WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, WANT_PROOF, WANT_SET } from "./facts";
import { patrolTimeoutNs } from "./mode";
import {
  BY_ASKING,
  BY_CONTROL,
  BY_PATROL,
  NOTED_BACK,
  NOTED_BACK_TOLD,
  NOTED_CHECKING,
  NOTED_WANTED,
  pathEnters,
  pathNotes,
} from "./states";

export const PAGE_BYTES: u32 = 4096;

/** Notes that a check of the path is wanted; `checkNext` sends it. */
export function checkNote(path: Path, what: u8): void {
  pathNotes(path, NOTED_WANTED, path.wanted | what, BY_ASKING);
}

/** Requests a check of a path. */
export function checkWant(path: Path, what: u8): void {
  checkNote(path, what);
  checkNext(path);
}

/** Its identity has to be checked before its next I/O, when the unit has one to compare with; `by`: BY_* (states.ts). */
export function checkIdentity(path: Path, by: u32): void {
  if (path.unit.identityBytes === 0) return;
  pathEnters(path, PATH_FLAG_UNVERIFIED, by);
  checkWant(path, WANT_IDENTITY);
}

/** Starts to reinstate a failed path; `reason` REASON_PATROL or REASON_OPERATOR. */
export function checkBack(path: Path, reason: u32): void {
  const by = reason === REASON_OPERATOR ? BY_CONTROL : BY_PATROL;
  pathNotes(path, NOTED_BACK, <u8>reason, by);
  pathNotes(path, NOTED_BACK_TOLD, 0, by);
  path.checkRetries = 0;
  checkWant(path, WANT_HEALTH);
}

export function checkNext(path: Path): void {
  if (path.checking !== 0 || path.wanted === 0) return;
  if ((path.flags & (PATH_FLAG_PRESENT | PATH_FLAG_REMOVING)) !== PATH_FLAG_PRESENT) return;
  const what = path.wanted & -path.wanted;
  const unit = path.unit;
  const command = commandAt(commandCount + path.index);
  assert(command.state !== COMMAND_FLIGHT);
  pathNotes(path, NOTED_WANTED, path.wanted & ~what, BY_ASKING);
  pathNotes(path, NOTED_CHECKING, what, BY_ASKING);
  path.checks++;
  command.index = commandCount + path.index;
  command.unit = unit;
  command.path = path;
  if (what === WANT_PROOF && path.registrationProof === PROOF_NEEDED) path.registrationProof = PROOF_SENT;
  buildCheck(path, command, what);
  command.timeoutMs = <u32>(patrolTimeoutNs / MILLISECOND);
  command.timeNs = now;
  command.state = COMMAND_FLIGHT;
  command.generation++;
  path.checkDueNs = now + patrolTimeoutNs;
  command.busyNs = busyNs;
  wakePath(path, path.checkDueNs);
  submit(
    path.arrayPort !== 0,
    OP_SCSI,
    0,
    makeTag(TAG_COMMAND, command.generation, command.index),
    path.port,
    changetype<usize>(command),
    0,
  );
}

function buildCheck(path: Path, command: Command, what: u8): void {
  const unit = path.unit;
  if (what === WANT_PROOF || (what === WANT_HEALTH && !readsFirst(path))) {
    command.buffer = 0;
    command.bufferBytes = 0;
    cdbTestUnitReady(command);
    return;
  }
  const page = checkPageTake();
  // The page may hold another path's answer, which must not pass for that of a device that sends less than it claims.
  store<u64>(page, 0);
  command.buffer = <u32>page;
  command.bufferBytes = PAGE_BYTES;
  if (what === WANT_IDENTITY) cdbInquiryPage(command, identityPage(unit), PAGE_BYTES);
  else if (what === WANT_GROUPS) cdbReportTargetPortGroups(command, PAGE_BYTES, unit.groupsPlain === 0);
  else if (what === WANT_SET) {
    command.bufferBytes = groupsBuildSet(path, page);
    cdbSetTargetPortGroups(command, command.bufferBytes);
  } else {
    command.bufferBytes = unit.blockBytes;
    cdbRead(command, 0, 1, unit.shortIo !== 0);
  }
}

/** Whether a health check is a READ: if configured, and if I/O went unanswered, which TEST UNIT READY may not reveal. */
function readsFirst(path: Path): bool {
  const unit = path.unit;
  if (unit.blockBytes === 0) return false;
  return path.silent !== 0 || path.refuses !== 0 || (unit.patrolRead !== 0 && (path.flags & PATH_FLAG_FAILED) === 0);
}
