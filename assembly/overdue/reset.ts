// Settling orphans by force. A reset ends commands of every host on the unit, so it is the last resort:
//
// - The host itself ends an unanswered command after UNIT_SET_COMMAND_TIMEOUT_MS: Linux aborts that one command. That time is
//   long, because if the device does not answer the abort either, Linux resets it together with its whole host adapter. A path
//   that has lost a command but answers others will answer an abort: there the time is short, so that lost commands do not fill
//   the path up.
// - An orphan that other I/O waits for, on a path that answers other commands, is lost, and the path will answer a task
//   management request: after UNIT_SET_LOST_RESET_MS, and never before 20 times the latency of the slowest thousandth, the
//   logical unit is reset over that path; nothing larger. A path, or an array, that answers nothing at all is spared: a reset
//   would hang there as well, and when an array pauses for a while every host would send some.
//   If other hosts are registered on the unit (UNIT_SET_SHARED) that takes four times as long.
// - Any other orphan: after UNIT_SET_ORPHAN_RESET_MS the logical unit; if that fails, the target; then the host adapter.
//
// One reset at a time per path. A completed reset has ended what the device had received before it (SAM-5 7.7, 7.9), not what the
// host had queued: a command waiting there, while a link is down or the device's queue is full, survives the reset and is
// delivered right after it. So a reset settles only what the device is known to have received: the path had answered something
// that was sent later, before the reset began. Those orphans can change nothing any more, and nothing waits for them. Their slots
// and buffers remain the host's until it completes them, and no further reset is sent for them. If there are others, a READ is
// sent on the path, which the host queues behind them: once that is answered they have come back, or are lost, and the next reset
// settles them.

import { OP_RESET, PATH_FLAG_PRESENT, RESET_DEVICE, RESET_HOST, RESET_TARGET, SETTLED_RESET } from "../abi";
import { COMMAND_ORPHAN, COMMAND_HARMLESS, COMMAND_LOST, COMMAND_WANTED, Command } from "../memory/records";
import { TAG_RESET, countStray, makeTag, now, submit } from "../memory/ring";
import { MILLISECOND, NEVER, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { wakeUnit } from "../memory/wake";
import { checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { pathIdle } from "../path/path";
import { marginalCountOne } from "../path/marginal";
import {
  BY_CHECK,
  BY_RESET,
  BY_SILENCE,
  NOTED_RESETTING,
  NOTED_RESET_SCOPE,
  NOTED_RESET_WORKED,
  NOTED_SILENT,
  pathNotes,
} from "../path/states";
import { becomeOrphan, orphanHarmless, orphanLost, orphanLostNs } from "../request/orphan";
import { longAsk, longAskNs, longLostNs, longOwnNs } from "../request/long";
import { isLong } from "../request/pieces";

const PAUSE_NS: u64 = 5 * SECOND;
/** An orphan counts as a fault of its path after this time. */
const LOST_NS: u64 = SECOND;
/** So many times as long when other hosts are registered on the unit, whose commands a reset ends as well. */
const SHARED_TIMES: u64 = 4;
/** Shortest time between two resets for lost commands by one path. */
const LOST_PAUSE_NS: u64 = SECOND;

/** Time for an abort to be carried out. */
const ABORT_NS: u64 = SECOND;
/** After its own time a long command that I/O waits for is settled; if it was sent again, this much later. */
const LATER_NS: u64 = 5 * SECOND;

/** Examines an orphan: counts it if it is lost, and resets if that is due. Returns when to check again. */
export function orphanDue(unit: Unit, command: Command): u64 {
  const path = command.path;
  if (isLong(command.method)) return resetWhen(path, longResetDue(unit, command));
  const dueNs = resetWhen(path, resetDue(unit, command));
  if ((command.flags & COMMAND_LOST) !== 0) return dueNs;
  const lostNs = command.timeNs + orphanLostNs(unit, LOST_NS);
  if (lostNs > now) return min(dueNs, lostNs);
  orphanLost(command);
  marginalCountOne(path);
  return dueNs;
}

/** Resets by `path` if that is due; returns when to check again. */
function resetWhen(path: Path, dueNs: u64): u64 {
  if (dueNs > now) return dueNs;
  resetStart(path);
  return now + PAUSE_NS;
}

/** UNIT_SET_LOST_RESET_MS, with regard for other hosts. */
function politeNs(unit: Unit): u64 {
  return unit.shared !== 0 ? SHARED_TIMES * unit.lostResetNs : unit.lostResetNs;
}

/** When the orphan `command` is due for a reset. */
function resetDue(unit: Unit, command: Command): u64 {
  if ((command.flags & COMMAND_HARMLESS) !== 0) return NEVER;
  const path = command.path;
  let dueNs: u64 = unit.orphanResetNs === 0 ? NEVER : max(command.timeNs + unit.orphanResetNs, path.resetNotBeforeNs);
  const lost = (command.flags & COMMAND_WANTED) !== 0 && path.answeredNs > command.timeNs;
  if (lost && unit.lostResetNs !== 0 && path.resetScope <= <u8>RESET_DEVICE) {
    const pauseNs = max(politeNs(unit), LOST_PAUSE_NS);
    let lostNs = orphanLostNs(unit, politeNs(unit));
    // The host is about to abort it, which is milder.
    const endsNs = <u64>command.timeoutMs * MILLISECOND + ABORT_NS;
    if (endsNs <= lostNs + 2 * ABORT_NS) lostNs = max(lostNs, endsNs);
    dueNs = min(dueNs, max(command.timeNs + lostNs, path.resetStartNs + pauseNs));
  }
  return dueNs;
}

/**
 * The same for a command that may legitimately take long (long.ts). As long as its path answers others it counts as slow, not
 * lost: the host ends it in due time. Only if other I/O waits for it is it settled earlier, once it is slower than any before.
 */
function longResetDue(unit: Unit, command: Command): u64 {
  const path = command.path;
  if ((command.flags & COMMAND_HARMLESS) !== 0) return NEVER;
  if (path.answeredNs <= command.timeNs) {
    const askNs = command.timeNs + longAskNs(unit);
    if (askNs > now) return askNs;
    longAsk(path);
    return resetDue(unit, command);
  }
  const endsNs = command.timeNs + <u64>command.timeoutMs * MILLISECOND + ABORT_NS;
  let dueNs =
    unit.orphanResetNs === 0 ? NEVER : max(max(command.timeNs + unit.orphanResetNs, endsNs), path.resetNotBeforeNs);
  if ((command.flags & COMMAND_WANTED) !== 0 && unit.lostResetNs !== 0 && path.resetScope <= <u8>RESET_DEVICE) {
    const lateNs = longLostNs(unit, command) === NEVER ? endsNs : command.timeNs + longOwnNs(unit, command) + LATER_NS;
    dueNs = min(dueNs, max(lateNs, path.resetStartNs + max(politeNs(unit), LOST_PAUSE_NS)));
  }
  return dueNs;
}

/** Starts a reset by `path`, of the next scope, unless one is pending. */
export function resetStart(path: Path): void {
  if (path.resetting !== 0 || (path.flags & PATH_FLAG_PRESENT) === 0) return;
  // The unit is another host's.
  if (path.unit.preempted !== 0) return;
  if (path.resetScope === 0) pathNotes(path, NOTED_RESET_SCOPE, <u8>RESET_DEVICE, BY_SILENCE);
  pathNotes(path, NOTED_RESETTING, 1, BY_SILENCE);
  path.resetStartNs = now;
  path.resetAnsweredNs = path.answeredNs;
  path.resetGeneration++;
  path.resetNotBeforeNs = now + max(path.unit.orphanResetNs, PAUSE_NS);
  submit(
    path.arrayPort !== 0,
    OP_RESET,
    0,
    makeTag(TAG_RESET, path.resetGeneration, path.index),
    path.port,
    0,
    path.resetScope,
  );
}

/** The host has completed a reset. */
export function resetCompleted(path: Path, generation: u8, result: i32): void {
  if (path.resetting === 0 || path.resetGeneration !== generation) return countStray();
  const unit = path.unit;
  pathNotes(path, NOTED_RESETTING, 0, BY_RESET);
  pathNotes(path, NOTED_RESET_WORKED, result >= 0 ? 1 : 0, BY_RESET);
  let undelivered = false;
  if (result >= 0) {
    undelivered = settle(unit, path);
    wakeUnit(unit, now + 1);
  } else path.resetNotBeforeNs = now + PAUSE_NS;
  // If it failed, or did not bring back a check, the next one is larger.
  pathNotes(path, NOTED_RESET_SCOPE, result >= 0 && path.checkLost === 0 ? 0 : largerScope(path.resetScope), BY_RESET);
  if (undelivered) {
    pathNotes(path, NOTED_SILENT, 1, BY_RESET);
    checkWant(path, WANT_HEALTH);
  }
  pathIdle(path);
}

/** The scope after this one; the largest is followed by the smallest. */
function largerScope(scope: u8): u8 {
  if (scope === <u8>RESET_DEVICE) return <u8>RESET_TARGET;
  return <u8>(scope === <u8>RESET_TARGET ? RESET_HOST : RESET_DEVICE);
}

/** A reset by `path` was carried out. Returns whether it leaves orphans that the device may not have received yet. */
function settle(unit: Unit, path: Path): bool {
  let undelivered = false;
  for (let next = listsOf(unit).inFlight.first; changetype<usize>(next) !== 0;) {
    const command = next;
    next = command.next;
    if (command.path !== path || (command.flags & (COMMAND_ORPHAN | COMMAND_WANTED)) === 0) continue;
    if (path.resetAnsweredNs <= command.timeNs) {
      undelivered = true;
      continue;
    }
    // A command that was not sent again because it overlaps others in flight is sent now, if the host does not return it.
    becomeOrphan(command);
    orphanHarmless(command, SETTLED_RESET);
  }
  return undelivered;
}

/** The path has answered a READ: if that was all that was missing, the next reset need not be larger. */
export function resetHelped(path: Path): void {
  if (path.resetWorked !== 0) resetOver(path, BY_CHECK);
}

/** Nothing is unanswered on the path any more: the next reset starts small again. */
export function resetOver(path: Path, by: u32): void {
  if (path.resetting === 0) pathNotes(path, NOTED_RESET_SCOPE, 0, by);
}
