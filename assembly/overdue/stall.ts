// The stall rule: a command that does not answer within a threshold is sent again on another path; the first good answer wins.
// The threshold is learned from the unit's own latencies, so that no setting is needed.
//
// - Latencies of good commands are counted in 128 buckets, eight to an octave; the counts are halved now and then, so old values
//   fade. The threshold is 1.5 x the 99.9th percentile, within the unit's bounds; a piece that has stalled before is given up
//   sooner each time, so that all but one silent paths in a row cost about four times the percentile.
// - An orphan that answers after all counts with at most twice the threshold: a device that has become slow raises the threshold
//   step by step, one silent path does not.
// - Commands that may legitimately take long (SYNCHRONIZE CACHE, UNMAP, WRITE SAME) have a rule of their own: long.ts.
// - The command is sent again in parallel (speculative-retry.ts) if that does no harm (orphan.ts) and there is a path, a slot
//   and, for a read, a buffer; otherwise it keeps waiting and is checked again.
// - Time in which the host was busy and fetched no answers (`busyNs`) does not count as silence.
// - A path that has answered something sent after the command has lost that command, or is slow with it: that says nothing about
//   others, so the path stays in use. Only a path that has answered nothing since is stalled. It is avoided until it has answered
//   something sent after that: I/O, or the READ that is sent to it at once. TEST UNIT READY does not count: devices whose I/O
//   hangs answer it.

import { EVENT_STALL, PATH_FLAG_FAILED, PATH_FLAG_STALLED, REASON_TIMEOUT } from "../abi";
import { COMMAND_DEAD, COMMAND_ORPHAN, COMMAND_HARMLESS, COMMAND_WANTED, Command } from "../memory/records";
import { busyNs, event, now } from "../memory/ring";
import { MICROSECOND, MILLISECOND, NEVER, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { wakeUnit } from "../memory/wake";
import { checkIdentity, checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { BY_IO, BY_SILENCE, NOTED_SILENT, pathEnters, pathLeaves, pathNotes } from "../path/states";
import { unitRefresh } from "../path/tiers";
import { longAsk, longAskNs, longLostNs, longOwnNs, longSilentNs } from "../request/long";
import { commandDuplicate, isLong } from "../request/pieces";
import { soonest, thresholdOf } from "../request/threshold";
import { hedgeSoonestNs } from "../selection/hedge-budget";
import { hedgeDue } from "./hedge";
import { retrySpeculatively } from "./speculative-retry";
import { orphanDue } from "./reset";
import { sharersSuspect } from "./shared";

/** At most one event per path in this time. */
const TELL_EVERY_NS: u64 = SECOND;
/** A command that cannot be retried yet is checked again after this. */
const AGAIN_NS: u64 = 5 * MILLISECOND;
/** A path that was silent for this long may lead elsewhere now. */
const AWAY_NS: u64 = SECOND;

/** The unit's timer has fired: checks the oldest commands in flight. */
export function stallTimer(unit: Unit): void {
  if (unit.flightFirst === 0) return;
  let soonestNs = soonest(unit);
  if (unit.hedgeBudget !== 0) soonestNs = min(soonestNs, hedgeSoonestNs(unit.selection));
  let dueNs: u64 = NEVER;
  for (let next = listsOf(unit).inFlight.first; changetype<usize>(next) !== 0;) {
    const command = next;
    next = command.next;
    if ((command.flags & COMMAND_ORPHAN) !== 0) {
      dueNs = min(dueNs, alone(command) ? stalled(unit, command) : orphanDue(unit, command));
      continue;
    }
    if (unit.hedgeBudget !== 0) dueNs = min(dueNs, hedgeDue(unit, command));
    if (unit.stallMaxNs === 0) continue;
    const atNs = command.timeNs + thresholdOf(unit, command) + (busyNs - command.busyNs);
    if (atNs <= now) dueNs = min(dueNs, isLong(command.method) ? longDue(unit, command) : stalled(unit, command));
    else dueNs = min(dueNs, atNs);
    // In the order they were sent: later ones cannot be due before this one.
    if (command.timeNs + soonestNs > dueNs) break;
  }
  if (dueNs !== NEVER) wakeUnit(unit, max(dueNs, now + 1));
}

/** Whether it is an orphan only because a reset has ended it: no other command for its piece is in flight. */
function alone(command: Command): bool {
  return (command.flags & (COMMAND_HARMLESS | COMMAND_DEAD)) === COMMAND_HARMLESS && !commandDuplicate(command);
}

/** A long command has been in flight for a while; returns when to check it again. */
function longDue(unit: Unit, command: Command): u64 {
  const path = command.path;
  const answered = path.answeredNs > command.timeNs;
  // A path found silent since is avoided as well.
  if (answered && (path.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) === 0) {
    const lostNs = longLostNs(unit, command);
    if (lostNs <= now) return stalled(unit, command);
    return min(lostNs, now + longSilentNs(unit));
  }
  const silentNs = command.timeNs + longSilentNs(unit) + (busyNs - command.busyNs);
  if (silentNs <= now) {
    const isAsked = answered || path.silent !== 0 || (path.flags & PATH_FLAG_FAILED) !== 0;
    if (isAsked) return stalled(unit, command);
    // Another path of its nexus was asked in its place, and has answered.
    longAsk(path);
    return now + longAskNs(unit);
  }
  // Once it has answered it is not asked again: recovering it is patrol's job.
  if (!answered) longAsk(path);
  return silentNs;
}

/** A command is past its threshold; returns when to check it again. */
function stalled(unit: Unit, command: Command): u64 {
  if (command.path.answeredNs <= command.timeNs) pathStalled(command.path);
  if (!retrySpeculatively(unit, command)) {
    const againNs = now + max(AGAIN_NS, unit.stallMinNs / 4);
    return (command.flags & COMMAND_WANTED) !== 0 ? min(againNs, orphanDue(unit, command)) : againNs;
  }
  tell(
    unit,
    command.path,
    isLong(command.method) && command.path.answeredNs > command.timeNs ? longOwnNs(unit, command) : unit.stallNs,
  );
  return orphanDue(unit, command);
}

/** Reports a stalled command to control; occasionally per path is enough. */
function tell(unit: Unit, path: Path, thresholdNs: u64): void {
  if (path.stallToldNs !== 0 && now - path.stallToldNs < TELL_EVERY_NS) return;
  path.stallToldNs = now;
  event(
    EVENT_STALL,
    REASON_TIMEOUT,
    unit.index,
    path.index,
    <u32>min<u64>(thresholdNs / MICROSECOND, u32.MAX_VALUE),
    0,
    0,
    0,
  );
}

/** A path does not answer: others are preferred until it does. It is sent a READ at once; if that stays silent, it has failed. */
function pathStalled(path: Path): void {
  if ((path.flags & PATH_FLAG_STALLED) !== 0) return;
  path.stalledNs = now;
  path.probeNotBeforeNs = 0;
  path.probePauseNs = 0;
  pathNotes(path, NOTED_SILENT, 1, BY_SILENCE);
  pathEnters(path, PATH_FLAG_STALLED, BY_SILENCE);
  unitRefresh(path.unit, REASON_TIMEOUT, 0, 0);
  sharersSuspect(path);
  checkWant(path, WANT_HEALTH);
}

/** A path has answered I/O that was sent at `sentNs`. */
export function pathAnswers(path: Path, sentNs: u64): void {
  if ((path.flags & PATH_FLAG_STALLED) === 0) return;
  // A late answer proves little while others are missing; one to something sent since proves that the path works.
  if (sentNs < path.stalledNs && path.orphans !== 0) return;
  pathLeaves(path, PATH_FLAG_STALLED, BY_IO);
  pathNotes(path, NOTED_SILENT, 0, BY_IO);
  // A failed path is checked while it recovers anyway.
  if (now - path.stalledNs >= AWAY_NS && (path.flags & PATH_FLAG_FAILED) === 0) checkIdentity(path, BY_IO);
  unitRefresh(path.unit, REASON_TIMEOUT, 0, 0);
}
