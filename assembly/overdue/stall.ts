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
import { listNext } from "../memory/lists";
import { COMMAND_DEAD, COMMAND_ORPHAN, COMMAND_HARMLESS, COMMAND_WANTED, Command } from "../memory/records";
import { busyNs, event, now } from "../memory/ring";
import { MICROSECOND, MILLISECOND, NEVER, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { checkIdentity, checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { BY_IO, BY_SILENCE, pathEnters, pathLeaves } from "../path/states";
import { unitRefresh } from "../path/tiers";
import { longAsk, longLostNs, longOwnNs, longSilentNs } from "../request/long";
import { commandDuplicate, isLong } from "../request/pieces";
import { soonest, thresholdOf } from "../request/threshold";
import { hedgeSoonestNs } from "../selection/hedge";
import { hedgeDue } from "./hedge";
import { retrySpeculatively } from "./speculative-retry";
import { orphanDue } from "./reset";
import { sharersSuspect } from "./shared";

const LINK: usize = offsetof<Command>("next");
/** At most one event per path in this time. */
const TELL_EVERY_NS: u64 = SECOND;
/** A command that cannot be retried yet is checked again after this. */
const AGAIN_NS: u64 = 5 * MILLISECOND;
/** A path that was silent for this long may lead elsewhere now. */
const AWAY_NS: u64 = SECOND;

/** The unit's timer has fired: checks the oldest commands in flight. */
export function stallTimer(u: Unit): void {
  if (u.flightFirst === 0) return;
  let soonestNs = soonest(u);
  if (u.hedgeBudget !== 0) soonestNs = min(soonestNs, hedgeSoonestNs(u.selection));
  let dueNs: u64 = NEVER;
  for (let at = u.flightFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, LINK);
    if ((c.flags & COMMAND_ORPHAN) !== 0) {
      dueNs = min(dueNs, alone(c) ? stalled(u, c) : orphanDue(u, c));
      continue;
    }
    if (u.hedgeBudget !== 0) dueNs = min(dueNs, hedgeDue(u, c));
    if (u.stallMaxNs === 0) continue;
    const atNs = c.timeNs + thresholdOf(u, c) + (busyNs - c.busyNs);
    if (atNs <= now) dueNs = min(dueNs, isLong(c.method) ? longDue(u, c) : stalled(u, c));
    else dueNs = min(dueNs, atNs);
    // In the order they were sent: later ones cannot be due before this one.
    if (c.timeNs + soonestNs > dueNs) break;
  }
  if (dueNs !== NEVER) wakeUnit(u, max(dueNs, now + 1));
}

/** Whether an orphan is one because a reset has ended it, and no other command for its piece is in flight. */
function alone(c: Command): bool {
  return (c.flags & (COMMAND_HARMLESS | COMMAND_DEAD)) === COMMAND_HARMLESS && !commandDuplicate(c);
}

/** A long command has been in flight for a while; returns when to check it again. */
function longDue(u: Unit, c: Command): u64 {
  const p = c.path;
  const answered = p.answeredNs > c.timeNs;
  // A path found silent since is avoided as well.
  if (answered && (p.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) === 0) {
    const lostNs = longLostNs(u, c);
    if (lostNs <= now) return stalled(u, c);
    return min(lostNs, now + longSilentNs(u));
  }
  const silentNs = c.timeNs + longSilentNs(u) + (busyNs - c.busyNs);
  if (silentNs <= now) return stalled(u, c);
  // Once it has answered it is not asked again: recovering it is patrol's job.
  if (!answered) longAsk(p);
  return silentNs;
}

/** A command is past its threshold; returns when to check it again. */
function stalled(u: Unit, c: Command): u64 {
  if (c.path.answeredNs <= c.timeNs) pathStalled(c.path);
  if (!retrySpeculatively(u, c)) {
    const againNs = now + max(AGAIN_NS, u.stallMinNs / 4);
    return (c.flags & COMMAND_WANTED) !== 0 ? min(againNs, orphanDue(u, c)) : againNs;
  }
  tell(u, c.path, isLong(c.method) && c.path.answeredNs > c.timeNs ? longOwnNs(u, c) : u.stallNs);
  return orphanDue(u, c);
}

/** Reports a stalled command to control; occasionally per path is enough. */
function tell(u: Unit, p: Path, thresholdNs: u64): void {
  if (p.stallToldNs !== 0 && now - p.stallToldNs < TELL_EVERY_NS) return;
  p.stallToldNs = now;
  event(
    EVENT_STALL,
    REASON_TIMEOUT,
    u.index,
    p.index,
    <u32>min<u64>(thresholdNs / MICROSECOND, u32.MAX_VALUE),
    0,
    0,
    0,
  );
}

/** A path does not answer: others are preferred until it does. It is sent a READ at once; if that stays silent, it has failed. */
function pathStalled(p: Path): void {
  if ((p.flags & PATH_FLAG_STALLED) !== 0) return;
  p.stalledNs = now;
  p.probeNotBeforeNs = 0;
  p.probePauseNs = 0;
  p.silent = 1;
  pathEnters(p, PATH_FLAG_STALLED, BY_SILENCE);
  unitRefresh(p.unit, REASON_TIMEOUT, 0, 0);
  sharersSuspect(p);
  checkWant(p, WANT_HEALTH);
}

/** A path has answered I/O that was sent at `sentNs`. */
export function pathAnswers(p: Path, sentNs: u64): void {
  if ((p.flags & PATH_FLAG_STALLED) === 0) return;
  // A late answer proves little while others are missing; one to something sent since proves that the path works.
  if (sentNs < p.stalledNs && p.orphans !== 0) return;
  pathLeaves(p, PATH_FLAG_STALLED, BY_IO);
  p.silent = 0;
  // A failed path is checked while it recovers anyway.
  if (now - p.stalledNs >= AWAY_NS && (p.flags & PATH_FLAG_FAILED) === 0) checkIdentity(p, BY_IO);
  unitRefresh(p.unit, REASON_TIMEOUT, 0, 0);
}
