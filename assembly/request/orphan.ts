// Orphans: commands that the host still has although their request went on without them - because they did not answer and were
// sent again elsewhere, or because their request reached its deadline, or because its client has disconnected and may have been
// replaced by one that sends the same again. These rules hold for them:
//
// - Their slot and buffer stay theirs until the host completes them. A request's buffers are freed only when no command slot
//   refers to it, so this needs no bookkeeping of its own; a read that is sent again gets another buffer.
// - An orphan that changes the medium may still do so, at any time until it is settled: until the host has completed it, or a
//   reset has ended it. Until then:
//   - if its request was answered "good" by another path (or may yet be): landing late, it writes what is there already, unless
//     someone has written there since. So every later overlapping write, trim and zeroing waits. Reads see the same bytes whether
//     it has landed or not, and go on.
//   - if its request was answered with an error, or nobody got the answer (OPEN): the bytes may be old or new, and may change
//     while someone reads them. So overlapping reads wait as well.
//   The same holds for pieces of requests that were begun before, if they are cut or sent again after it.
// - A flush waits for no orphan: what it has to cover was acknowledged, so another path had completed it before. An orphan that
//   lands in the cache after the flush brings the same bytes again; an open one was never acknowledged.
// - A request that waits for an orphan keeps its own deadline. When that passes, the request is answered with EIO without having
//   been sent: nothing of it can land later, so it leaves no orphan.
// - A killed daemon leaves its commands in the kernel: orphans that only control can detect. While there are any
//   (UNIT_SET_LEFTOVERS) everything that changes the medium waits, wherever it writes.
// - Overlapping writes in flight at the same time may land in either order, but nothing may change after both are acknowledged.
//   So a write is not sent again in parallel while another one that overlaps has begun; it keeps waiting for its path.

import { EVENT_ORPHAN_SETTLED, PATH_FLAG_STALLED, REASON_RESERVATION, SETTLED_COMPLETED } from "../abi";
import { unitDirty } from "../memory/due";
import {
  COMMAND_DEAD,
  COMMAND_ORPHAN,
  COMMAND_HARMLESS,
  COMMAND_LOST,
  COMMAND_OPEN,
  COMMAND_WANTED,
  Command,
  METHOD_READ,
  METHOD_SYNC,
  METHOD_WRITE,
  Request,
} from "../memory/records";
import { event, now } from "../memory/ring";
import { MILLISECOND, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { wakeUnit } from "../memory/wake";
import { unitRefresh } from "../path/tiers";
import { writeOff } from "./account";
import { changesMedium } from "./pieces";
import { requestsRelease } from "./queue";

const LOST_PERCENTILES: u64 = 20;
/** Time the host gives a READ or WRITE on a path that loses commands; never before the command itself counts as lost. */
const LOSSY_NS: u64 = 2 * SECOND;

/** After how long an orphan counts as lost: `leastNs`, or longer than any healthy device would take to answer. */
export function orphanLostNs(unit: Unit, leastNs: u64): u64 {
  return max(leastNs, LOST_PERCENTILES * unit.percentileNs);
}

/** Whether a path that has lost commands answers others: then it will answer an abort. A black hole does not. */
export function lossy(path: Path): bool {
  return path.answeredNs > path.lostNs && (path.flags & PATH_FLAG_STALLED) === 0;
}

/** An orphan counts as lost. */
export function orphanLost(command: Command): void {
  const path = command.path;
  command.flags |= COMMAND_LOST;
  if (path.lost === 0) path.lostNs = command.timeNs;
  path.lost++;
}

/** Time the host gives a READ or WRITE on a path that loses some, ns. */
export function lossyNs(unit: Unit): u64 {
  return orphanLostNs(unit, LOSSY_NS);
}

/** Other I/O has to wait for an orphan. */
function wanted(command: Command): void {
  if ((command.flags & COMMAND_WANTED) !== 0) return;
  command.flags |= COMMAND_WANTED;
  wakeUnit(command.unit, now + MILLISECOND);
}

/** A command in flight becomes an orphan. */
export function becomeOrphan(command: Command): void {
  if ((command.flags & COMMAND_ORPHAN) !== 0) return;
  command.flags |= COMMAND_ORPHAN;
  command.unit.orphans++;
  command.path.orphans++;
  command.path.orphansHeld++;
  if (changesMedium(command.method)) command.unit.harmful++;
  writeOff(command, now, false);
  // What waits for room on its path may go elsewhere now.
  if ((command.unit.queueFirst | command.unit.retryFirst | command.unit.flows) !== 0) unitDirty(command.unit);
}

/** The request of a command in flight fails now: whether the command is carried out remains open. */
export function commandGivenUp(command: Command): void {
  becomeOrphan(command);
  command.flags |= COMMAND_DEAD | COMMAND_OPEN;
}

/** An orphan can change nothing any more. `how` is one of SETTLED_*. */
export function orphanHarmless(command: Command, how: u32): void {
  if ((command.flags & COMMAND_ORPHAN) === 0 || (command.flags & COMMAND_HARMLESS) !== 0) return;
  const unit = command.unit;
  command.flags |= COMMAND_HARMLESS;
  unit.orphans--;
  command.path.orphans--;
  // One that was only a little late is not worth reporting.
  if ((command.flags & COMMAND_LOST) !== 0 || how !== SETTLED_COMPLETED) {
    const ageMs = <u32>((now - command.timeNs) / MILLISECOND);
    event(EVENT_ORPHAN_SETTLED, 0, unit.index, command.path.index, how, ageMs, 0, 0);
  }
  if (!changesMedium(command.method)) return;
  harmless(unit);
}

/** One command less that may change the medium: requests that wait check again. */
function harmless(unit: Unit): void {
  unit.harmful--;
  requestsRelease(unit);
  if (unit.retryFirst !== 0) unitDirty(unit);
  if (unit.draining !== 0 && unit.harmful === 0) unitRefresh(unit, REASON_RESERVATION, 0, 0);
}

/** Control reports whether commands of an earlier daemon can (1) or can no longer (0) change the medium. */
export function leftoversSet(unit: Unit, leftovers: u32): void {
  if (unit.leftovers === leftovers) return;
  unit.leftovers = leftovers;
  if (leftovers !== 0) {
    unit.harmful++;
    unit.draining = 1;
  } else harmless(unit);
}

/** The host has completed a command that may be an orphan. */
export function orphanCompleted(command: Command): void {
  orphanHarmless(command, SETTLED_COMPLETED);
}

/** Whether `command` is an orphan that an overlapping command with this method has to wait for. */
function harms(command: Command, method: u8): bool {
  if ((command.flags & (COMMAND_ORPHAN | COMMAND_HARMLESS)) !== COMMAND_ORPHAN || !changesMedium(command.method))
    return false;
  return method !== METHOD_READ || (command.flags & COMMAND_OPEN) !== 0;
}

/** Whether the rest of `request` has to wait for an orphan; orphans of its own earlier pieces do not count. */
export function requestOverlapsOrphan(unit: Unit, request: Request): bool {
  // One that reads what it writes around waits, before it reads, for everything its write would have to wait for.
  const method = request.exclusive !== 0 && request.method === METHOD_READ ? METHOD_WRITE : request.method;
  if (method >= METHOD_SYNC) return false;
  if (unit.leftovers !== 0 && changesMedium(method)) return true;
  for (let command = listsOf(unit).inFlight.first; changetype<usize>(command) !== 0; command = command.next) {
    if (!harms(command, method) || (command.request === request && request.cut !== 0)) continue;
    const first = command.lba << unit.blockShift;
    if (first >= request.offset + <u64>request.bytes || request.offset >= first + <u64>command.pieceBytes) continue;
    wanted(command);
    return true;
  }
  return false;
}

/** Whether `piece` has to wait for an orphan; an orphan of the same piece brings the same bytes and does not count. */
export function commandOverlapsOrphan(unit: Unit, piece: Command): bool {
  if (unit.harmful === 0 || piece.method >= METHOD_SYNC) return false;
  if (unit.leftovers !== 0 && changesMedium(piece.method)) return true;
  const from = piece.lba << unit.blockShift;
  for (let command = listsOf(unit).inFlight.first; changetype<usize>(command) !== 0; command = command.next) {
    if (
      !harms(command, piece.method) ||
      (command.request === piece.request && command.pieceOffset === piece.pieceOffset)
    )
      continue;
    const first = command.lba << unit.blockShift;
    if (first >= from + <u64>piece.pieceBytes || from >= first + <u64>command.pieceBytes) continue;
    wanted(command);
    return true;
  }
  return false;
}
