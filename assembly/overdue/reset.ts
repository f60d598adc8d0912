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
import { listNext } from "../memory/lists";
import { COMMAND_ORPHAN, COMMAND_HARMLESS, COMMAND_LOST, COMMAND_WANTED, Command } from "../memory/records";
import { TAG_RESET, countStray, makeTag, now, submit } from "../memory/ring";
import { MILLISECOND, NEVER, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { pathIdle } from "../path/path";
import { marginalCountOne } from "../path/marginal";
import { becomeOrphan, orphanHarmless, orphanLost, orphanLostNs } from "../request/orphan";
import { longAsk, longAskNs, longLostNs, longOwnNs } from "../request/long";
import { isLong } from "../request/pieces";

const LINK: usize = offsetof<Command>("next");
const PAUSE_NS: u64 = 5 * SECOND;
/** An orphan counts as a fault of its path after this time. */
const LOST_NS: u64 = SECOND;
/** Shortest time between two resets for lost commands by one path. */
const LOST_PAUSE_NS: u64 = SECOND;

/** Time for an abort to be carried out. */
const ABORT_NS: u64 = SECOND;
/** After its own time a long command that I/O waits for is settled; if it was sent again, this much later. */
const LATER_NS: u64 = 5 * SECOND;

/** Examines an orphan: counts it if it is lost, and resets if that is due. Returns when to check again. */
export function orphanDue(u: Unit, c: Command): u64 {
  const p = c.path;
  if (isLong(c.method)) return resetWhen(p, longResetDue(u, c));
  const dueNs = resetWhen(p, resetDue(u, c));
  if ((c.flags & COMMAND_LOST) !== 0) return dueNs;
  const lostNs = c.timeNs + orphanLostNs(u, LOST_NS);
  if (lostNs > now) return min(dueNs, lostNs);
  orphanLost(c);
  marginalCountOne(p);
  return dueNs;
}

/** Resets by `p` if that is due; returns when to check again. */
function resetWhen(p: Path, dueNs: u64): u64 {
  if (dueNs > now) return dueNs;
  resetStart(p);
  return now + PAUSE_NS;
}

/** When the orphan `c` is due for a reset. */
function resetDue(u: Unit, c: Command): u64 {
  if ((c.flags & COMMAND_HARMLESS) !== 0) return NEVER;
  const p = c.path;
  let dueNs: u64 = u.orphanResetNs === 0 ? NEVER : max(c.timeNs + u.orphanResetNs, p.resetNotBeforeNs);
  const lost = (c.flags & COMMAND_WANTED) !== 0 && p.answeredNs > c.timeNs;
  if (lost && u.lostResetNs !== 0 && p.resetScope <= <u8>RESET_DEVICE) {
    const pauseNs = max(u.lostResetNs, LOST_PAUSE_NS);
    let lostNs = orphanLostNs(u, u.lostResetNs);
    // The host is about to abort it, which is milder.
    const endsNs = <u64>c.timeoutMs * MILLISECOND + ABORT_NS;
    if (endsNs <= lostNs + 2 * ABORT_NS) lostNs = max(lostNs, endsNs);
    dueNs = min(dueNs, max(c.timeNs + lostNs, p.resetStartNs + pauseNs));
  }
  return dueNs;
}

/**
 * The same for a command that may legitimately take long (long.ts). As long as its path answers others it counts as slow, not
 * lost: the host ends it in due time. Only if other I/O waits for it is it settled earlier, once it is slower than any before.
 */
function longResetDue(u: Unit, c: Command): u64 {
  const p = c.path;
  if ((c.flags & COMMAND_HARMLESS) !== 0) return NEVER;
  if (p.answeredNs <= c.timeNs) {
    const askNs = c.timeNs + longAskNs(u);
    if (askNs > now) return askNs;
    longAsk(p);
    return resetDue(u, c);
  }
  const endsNs = c.timeNs + <u64>c.timeoutMs * MILLISECOND + ABORT_NS;
  let dueNs = u.orphanResetNs === 0 ? NEVER : max(max(c.timeNs + u.orphanResetNs, endsNs), p.resetNotBeforeNs);
  if ((c.flags & COMMAND_WANTED) !== 0 && u.lostResetNs !== 0 && p.resetScope <= <u8>RESET_DEVICE) {
    const lateNs = longLostNs(u, c) === NEVER ? endsNs : c.timeNs + longOwnNs(u, c) + LATER_NS;
    dueNs = min(dueNs, max(lateNs, p.resetStartNs + max(u.lostResetNs, LOST_PAUSE_NS)));
  }
  return dueNs;
}

/** Starts a reset by path `p`, of the next scope, unless one is pending. */
export function resetStart(p: Path): void {
  if (p.resetting !== 0 || (p.flags & PATH_FLAG_PRESENT) === 0) return;
  if (p.resetScope === 0) p.resetScope = <u8>RESET_DEVICE;
  p.resetting = 1;
  p.resetStartNs = now;
  p.resetAnsweredNs = p.answeredNs;
  p.resetGeneration++;
  p.resetNotBeforeNs = now + max(p.unit.orphanResetNs, PAUSE_NS);
  submit(p.arrayPort !== 0, OP_RESET, 0, makeTag(TAG_RESET, p.resetGeneration, p.index), p.port, 0, p.resetScope);
}

/** The host has completed a reset. */
export function resetCompleted(p: Path, generation: u8, result: i32): void {
  if (p.resetting === 0 || p.resetGeneration !== generation) return countStray();
  const u = p.unit;
  p.resetting = 0;
  p.resetWorked = result >= 0 ? 1 : 0;
  let undelivered = false;
  if (result >= 0) {
    undelivered = settle(u, p);
    wakeUnit(u, now + 1);
  } else p.resetNotBeforeNs = now + PAUSE_NS;
  // If it failed, or did not bring back a check, the next one is larger.
  if (result >= 0 && p.checkLost === 0) p.resetScope = 0;
  else if (p.resetScope === <u8>RESET_DEVICE) p.resetScope = <u8>RESET_TARGET;
  else p.resetScope = <u8>(p.resetScope === <u8>RESET_TARGET ? RESET_HOST : RESET_DEVICE);
  if (undelivered) {
    p.silent = 1;
    checkWant(p, WANT_HEALTH);
  }
  pathIdle(p);
}

/** A reset by `p` was carried out. Returns whether it leaves orphans that the device may not have received yet. */
function settle(u: Unit, p: Path): bool {
  let undelivered = false;
  for (let at = u.flightFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, LINK);
    if (c.path !== p || (c.flags & (COMMAND_ORPHAN | COMMAND_WANTED)) === 0) continue;
    if (p.resetAnsweredNs <= c.timeNs) {
      undelivered = true;
      continue;
    }
    // A command that was not sent again because it overlaps others in flight is sent now, if the host does not return it.
    becomeOrphan(c);
    orphanHarmless(c, SETTLED_RESET);
  }
  return undelivered;
}

/** The path has answered a READ: if that was all that was missing, the next reset need not be larger. */
export function resetHelped(p: Path): void {
  if (p.resetWorked !== 0) resetOver(p);
}

/** Nothing is unanswered on the path any more: the next reset starts small again. */
export function resetOver(p: Path): void {
  if (p.resetting === 0) p.resetScope = 0;
}
