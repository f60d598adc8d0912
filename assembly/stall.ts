// The stall rule: a command that does not answer within a threshold goes out again on another path; the first good
// answer wins. The threshold is learned from the unit's own latencies, so that no setting is needed.
//
// - Latencies of good commands are counted in 128 buckets, eight to an octave; the counts are halved now and then, so
//   old times fade. The threshold is 1.5 x the 99.9th percentile, within the unit's bounds; a piece that has stalled
//   before is given up sooner and sooner, so that all but one silent paths in a row cost about four times the percentile.
// - A ghost that answers after all counts with at most twice the threshold: a device that has become slow raises the
//   threshold step by step, one silent path does not.
// - Commands that may rightly take long (SYNCHRONIZE CACHE, UNMAP, WRITE SAME) have a rule of their own: long.ts.
// - The command goes out again beside itself (reissue.ts), if that does no harm (ghost.ts) and there is a path, a slot and,
//   for a read, a buffer for it; else it goes on waiting and is looked at again.
// - Time in which the host worked and fetched no answers (`busyNs`) is nobody's silence.
// - A path that has answered something sent after the command has lost that command, or is slow with it: that says
//   nothing about others, so the path goes on as before. Only a path that has answered nothing since is stalled. It
//   is avoided until it has answered something that was sent after that: I/O, or the READ with which it is asked at once.
//   TEST UNIT READY does not count: devices answer it whose I/O hangs.

import { EVENT_STALL, PATH_FLAG_FAILED, PATH_FLAG_STALLED, REASON_TIMEOUT } from "./abi";
import { WANT_HEALTH, checkIdentity, checkWant } from "./check";
import { hedgeDue, hedgeEarn } from "./hedge";
import { listNext } from "./lists";
import { isLong, longAsk, longAskNs, longLostNs, longOwnNs, longSilentNs } from "./long";
import { COMMAND_DEAD, COMMAND_GHOST, COMMAND_HARMLESS, COMMAND_WANTED, Command, METHOD_ZERO_WRITE } from "./records";
import { reissue } from "./reissue";
import { commandTwin } from "./request";
import { ghostDue } from "./reset";
import { hedgeSoonestNs } from "./selection/hedge";
import { busyNs, event, now } from "./ring";
import { siblingsSuspect } from "./sibling";
import { timerSooner } from "./timers";
import { Path, STALL_BUCKETS, UNIT_LATENCIES, Unit } from "./topology";
import { unitRefresh } from "./unit";

const LINK: usize = offsetof<Command>("next");
/** Threshold while there is nothing to learn from. */
const UNLEARNED_NS: u64 = 500000000;
const SAMPLES_MIN: u32 = 16;
const SAMPLES_MAX: u32 = 8192;
/** Latencies counted between two looks at the percentile. */
const LEARN_EVERY: u32 = 128;
/** At most one event for each path in this time. */
const TELL_EVERY_NS: u64 = 1000000000;
/** A command that cannot be re-issued yet is looked at again after this. */
const AGAIN_NS: u64 = 5000000;
/** A path that was silent for so long may have come to lead elsewhere meanwhile. */
const AWAY_NS: u64 = 1000000000;

/** Bucket of a latency: eight to an octave from 2 us on. */
function bucketOf(latencyNs: u64): u32 {
  const value = (<u32>min<u64>(latencyNs >> 8, 0x7fffffff)) | 8;
  const octave = 31 - <u32>clz(value);
  return min<u32>(((octave - 3) << 3) | ((value >> (octave - 3)) & 7), STALL_BUCKETS - 1);
}

/** The longest latency of a bucket. */
function bucketEnd(bucket: u32): u64 {
  const shift = <u64>(bucket >> 3);
  return ((<u64>(9 + (bucket & 7))) << shift) << 8;
}

/** Learns from a good command. */
export function stallLearn(u: Unit, latencyNs: u64): void {
  const at = changetype<usize>(u) + UNIT_LATENCIES + <usize>bucketOf(latencyNs) * 4;
  store<u32>(at, load<u32>(at) + 1);
  u.latencies++;
  u.learnIn--;
  if (u.learnIn === 0) stallThreshold(u);
}

/** Works the threshold out anew. */
export function stallThreshold(u: Unit): void {
  u.learnIn = u.latencies < LEARN_EVERY ? SAMPLES_MIN : LEARN_EVERY;
  if (u.latencies < SAMPLES_MIN) {
    u.stallNs = bounded(u, UNLEARNED_NS);
    return;
  }
  const counts = changetype<usize>(u) + UNIT_LATENCIES;
  // The slowest thousandth, rounded up: with few samples the slowest one.
  u.percentileNs = exceededBy(counts, u.latencies / 1000 + 1);
  u.stallNs = bounded(u, u.percentileNs + u.percentileNs / 2);
  if (u.latencies < SAMPLES_MAX) return;
  u.latencies = 0;
  for (let i: u32 = 0; i < STALL_BUCKETS; i++) {
    const half = load<u32>(counts + <usize>i * 4) / 2;
    store<u32>(counts + <usize>i * 4, half);
    u.latencies += half;
  }
}

/** The latency that only `count` commands, with the slowest first, have reached. */
function exceededBy(counts: usize, count: u32): u64 {
  let above = count;
  let bucket: u32 = STALL_BUCKETS;
  while (bucket > 0 && above > 0) {
    bucket--;
    above -= min(above, load<u32>(counts + <usize>bucket * 4));
  }
  return bucketEnd(bucket);
}

function bounded(u: Unit, ns: u64): u64 {
  return min(max(ns, u.stallMinNs), max(u.stallMaxNs, u.stallMinNs));
}

/** A ghost has answered well after all. */
export function stallLearnGhost(u: Unit, latencyNs: u64): void {
  stallLearn(u, min(latencyNs, u.stallNs * 2));
}

/** After how long a command has to be looked at: it counts as stalled, or its path is asked. */
function thresholdOf(u: Unit, c: Command): u64 {
  if (c.method > METHOD_ZERO_WRITE) return isLong(c.method) ? longAskNs(u) : longSilentNs(u);
  if (c.attempt === 0) return u.stallNs;
  return max(c.attempt === 1 ? u.stallNs / 2 : u.stallNs / 4, u.stallMinNs / 2);
}

/** The shortest threshold a command of the unit can have. */
function soonest(u: Unit): u64 {
  return max(u.stallNs / 4, u.stallMinNs / 2);
}

/** A command goes out: the unit's timer has to look at it in time. */
export function stallArm(u: Unit, c: Command): void {
  if (u.stallMaxNs !== 0) timerSooner(u.index, now + thresholdOf(u, c));
  const hedgeNs = hedgeEarn(u, c);
  if (hedgeNs !== 0) timerSooner(u.index, now + hedgeNs);
}

/** The unit's timer has fired: looks at the oldest commands in flight. */
export function stallTimer(u: Unit): void {
  if (u.flightFirst === 0) return;
  let soonestNs = soonest(u);
  if (u.hedgeBudget !== 0) soonestNs = min(soonestNs, hedgeSoonestNs(u.selection));
  let dueNs: u64 = <u64>-1;
  for (let at = u.flightFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, LINK);
    if ((c.flags & COMMAND_GHOST) !== 0) {
      dueNs = min(dueNs, alone(c) ? stalled(u, c) : ghostDue(u, c));
      continue;
    }
    if (u.hedgeBudget !== 0) dueNs = min(dueNs, hedgeDue(u, c));
    if (u.stallMaxNs === 0) continue;
    const atNs = c.timeNs + thresholdOf(u, c) + (busyNs - c.busyNs);
    if (atNs <= now) dueNs = min(dueNs, isLong(c.method) ? longDue(u, c) : stalled(u, c));
    else dueNs = min(dueNs, atNs);
    // In the order of their issue: whoever follows cannot be due before this.
    if (c.timeNs + soonestNs > dueNs) break;
  }
  if (dueNs !== <u64>-1) timerSooner(u.index, max(dueNs, now + 1));
}

/** Whether a ghost is one because a reset has ended it, and its piece is not under way by another command. */
function alone(c: Command): bool {
  return (c.flags & (COMMAND_HARMLESS | COMMAND_DEAD)) === COMMAND_HARMLESS && !commandTwin(c);
}

/** A long command is under way for a while; answers when it has to be looked at again. */
function longDue(u: Unit, c: Command): u64 {
  const p = c.path;
  // A path that was found silent since is left as well.
  if (p.answeredNs > c.timeNs && (p.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) === 0) {
    const lostNs = longLostNs(u, c);
    if (lostNs <= now) return stalled(u, c);
    return min(lostNs, now + longSilentNs(u));
  }
  const silentNs = c.timeNs + longSilentNs(u) + (busyNs - c.busyNs);
  if (silentNs <= now) return stalled(u, c);
  longAsk(p);
  return silentNs;
}

/** A command is past its threshold; answers when it has to be looked at again. */
function stalled(u: Unit, c: Command): u64 {
  if (c.path.answeredNs <= c.timeNs) pathStalled(c.path);
  if (!reissue(u, c)) {
    const againNs = now + max(AGAIN_NS, u.stallMinNs / 4);
    return (c.flags & COMMAND_WANTED) !== 0 ? min(againNs, ghostDue(u, c)) : againNs;
  }
  tell(u, c.path, isLong(c.method) && c.path.answeredNs > c.timeNs ? longOwnNs(u, c) : u.stallNs);
  return ghostDue(u, c);
}

/** Tells control of a stalled command; once in a while for each path is enough. */
function tell(u: Unit, p: Path, thresholdNs: u64): void {
  if (p.stallToldNs !== 0 && now - p.stallToldNs < TELL_EVERY_NS) return;
  p.stallToldNs = now;
  event(EVENT_STALL, REASON_TIMEOUT, u.index, p.index, <u32>min<u64>(thresholdNs / 1000, 0xffffffff), 0, 0, 0);
}

/** A path does not answer: others are preferred until it has. It is asked at once, by a READ; silence makes it failed. */
function pathStalled(p: Path): void {
  if ((p.flags & PATH_FLAG_STALLED) !== 0) return;
  p.flags |= PATH_FLAG_STALLED;
  p.stalledNs = now;
  p.probeNotBeforeNs = 0;
  p.probePauseNs = 0;
  p.silent = 1;
  unitRefresh(p.unit, REASON_TIMEOUT, 0, 0);
  siblingsSuspect(p);
  checkWant(p, WANT_HEALTH);
}

/** A path has answered I/O that was sent at `sentNs`. */
export function pathAnswers(p: Path, sentNs: u64): void {
  if ((p.flags & PATH_FLAG_STALLED) === 0) return;
  // A late answer says little while others are due; one to what was sent since says that the path works.
  if (sentNs < p.stalledNs && p.ghosts !== 0) return;
  p.flags &= ~PATH_FLAG_STALLED;
  p.silent = 0;
  // A failed one is asked on its way back anyway.
  if (now - p.stalledNs >= AWAY_NS && (p.flags & PATH_FLAG_FAILED) === 0) checkIdentity(p);
  unitRefresh(p.unit, REASON_TIMEOUT, 0, 0);
}
