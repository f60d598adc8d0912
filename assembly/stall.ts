// The stall rule: a command that does not answer within a threshold goes out again on another path; the first good
// answer wins. The threshold is learned from the unit's own latencies, so that no setting is needed.
//
// - Latencies of good commands are counted in 128 buckets, eight to an octave; the counts are halved now and then, so
//   old times fade. The threshold is 1.5 x the 99.9th percentile, within the unit's bounds; a piece that has stalled
//   before is given up sooner, so that three silent paths in a row cost no more than four times the percentile.
// - A ghost that answers after all counts with at most twice the threshold: a device that has become slow raises the
//   threshold step by step, one silent path does not.
// - Commands that may rightly take long (SYNCHRONIZE CACHE, UNMAP, WRITE SAME) have the upper bound for a threshold.
// - What is re-issued must not do harm: see ghost.ts. A re-issue needs a path that is not stalled itself, a free command
//   slot and, for a read, a buffer; without them the command goes on waiting and is looked at again.

import { EVENT_STALL, PATH_FLAG_STALLED, REASON_TIMEOUT } from "./abi";
import { bufferTake } from "./buffers";
import { WANT_HEALTH, checkWant } from "./check";
import { build, chooseOther, commandTake, commandsFree, issue } from "./dispatch";
import { hedgeDue, hedgeEarn } from "./hedge";
import { becomeGhost, changesMedium, commandOverlapsGhost } from "./ghost";
import { listNext } from "./lists";
import {
  COMMAND_DEAD,
  COMMAND_FLIGHT,
  COMMAND_GHOST,
  Command,
  METHOD_READ,
  METHOD_WRITE,
  METHOD_ZERO_WRITE,
  Path,
  Request,
  STALL_BUCKETS,
  UNIT_LATENCIES,
  Unit,
} from "./records";
import { resetDue } from "./reset";
import { hedgeSoonestNs } from "./selection/hedge";
import { event, now } from "./ring";
import { shakyCountOne } from "./shaky";
import { siblingsSuspect } from "./sibling";
import { timerSooner } from "./timers";
import { unitRefresh } from "./unit";

const LINK: usize = offsetof<Command>("next");
const SIBLING: usize = offsetof<Command>("siblingNext");
/** Threshold while there is nothing to learn from. */
const UNLEARNED_NS: u64 = 500000000;
const SAMPLES_MIN: u32 = 16;
const SAMPLES_MAX: u32 = 8192;
/** Latencies counted between two looks at the percentile. */
const LEARN_EVERY: u32 = 128;
/** Commands at once for one piece, and re-issued reads of one request whose data waits in buffers of their own. */
const ATTEMPTS_MAX: u32 = 4;
export const OWN_BUFFERS_MAX: u32 = 40;
/** A command that cannot be re-issued yet is looked at again after this. */
const AGAIN_NS: u64 = 5000000;

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

/** After how long a command counts as stalled. */
function thresholdOf(u: Unit, c: Command): u64 {
  const method = c.method;
  if (method !== METHOD_READ && method !== METHOD_WRITE && method !== METHOD_ZERO_WRITE) {
    return max(u.stallMaxNs, u.stallNs);
  }
  return c.attempt === 0 ? u.stallNs : max(u.stallNs / 2, u.stallMinNs);
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
  let soonestNs = max(u.stallNs / 2, u.stallMinNs);
  if (u.hedgeBudget !== 0) soonestNs = min(soonestNs, hedgeSoonestNs(u.selection));
  let dueNs: u64 = <u64>-1;
  for (let at = u.flightFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, LINK);
    if ((c.flags & COMMAND_GHOST) !== 0) {
      dueNs = min(dueNs, resetDue(u, c));
      continue;
    }
    if (u.hedgeBudget !== 0) dueNs = min(dueNs, hedgeDue(u, c));
    if (u.stallMaxNs === 0) continue;
    const atNs = c.timeNs + thresholdOf(u, c);
    if (atNs <= now) dueNs = min(dueNs, stalled(u, c));
    else dueNs = min(dueNs, atNs);
    // In the order of their issue: whoever follows cannot be due before this.
    if (c.timeNs + soonestNs > dueNs) break;
  }
  if (dueNs !== <u64>-1) timerSooner(u.index, max(dueNs, now + 1));
}

/** A command is past its threshold; answers when it has to be looked at again. */
function stalled(u: Unit, c: Command): u64 {
  pathStalled(c.path);
  if (!reissue(u, c)) return now + max(AGAIN_NS, u.stallMinNs / 4);
  event(EVENT_STALL, REASON_TIMEOUT, u.index, c.path.index, <u32>min<u64>(u.stallNs / 1000, 0xffffffff), 0, 0, 0);
  return resetDue(u, c);
}

/** A path does not answer: others are preferred until it has. It is asked at once; silence makes it failed. */
function pathStalled(p: Path): void {
  if ((p.flags & PATH_FLAG_STALLED) !== 0) return;
  p.flags |= PATH_FLAG_STALLED;
  p.stalledNs = now;
  shakyCountOne(p);
  unitRefresh(p.unit, REASON_TIMEOUT, 0, 0);
  siblingsSuspect(p);
  checkWant(p, WANT_HEALTH);
}

/** A path has answered something. */
export function pathAnswers(p: Path): void {
  if ((p.flags & PATH_FLAG_STALLED) === 0) return;
  // While something is unanswered, an answer to something else proves little; after a while it has to do.
  if (p.ghosts !== 0 && now - p.stalledNs < STALLED_NS) return;
  p.flags &= ~PATH_FLAG_STALLED;
  unitRefresh(p.unit, REASON_TIMEOUT, 0, 0);
}

const STALLED_NS: u64 = 5000000000;

/** Issues the piece of `c` again on another path beside it; false when that cannot be now. */
export function reissue(u: Unit, c: Command): bool {
  const r = c.request;
  if ((c.flags & COMMAND_DEAD) !== 0 || r.error !== 0 || commandsFree() === 0) return false;
  if (commandOverlapsGhost(u, c)) return false;
  const slot = chooseOther(u, attempted(c), c.pieceBytes, c.method !== METHOD_READ, r.connection.index);
  if (slot < 0) return false;
  let own: usize = 0;
  if (c.method === METHOD_READ) {
    if (ownBuffers(r) >= OWN_BUFFERS_MAX) return false;
    own = bufferTake(c.pieceBytes);
    if (own === 0) return false;
  } else if (changesMedium(c.method) && overlapsOther(u, c)) return false;
  becomeGhost(c);
  issueTwin(c, own, <u32>slot).attempt = c.attempt + 1;
  return true;
}

/** Issues the piece of `c` by another command, in `slot`; a read brings a buffer of its own. */
export function issueTwin(c: Command, own: usize, slot: u32): Command {
  const twin = commandTake(c.request);
  twin.ownBuffer = <u32>own;
  twin.pieceOffset = c.pieceOffset;
  twin.pieceBytes = c.pieceBytes;
  twin.lba = c.lba;
  twin.method = c.method;
  build(c.unit, c.request, twin);
  issue(twin, slot);
  return twin;
}

/** Slots that the piece of `c` is, or was, on; all of them when it has had enough. */
export function attempted(c: Command): u32 {
  let slots = c.tried;
  let count: u32 = 0;
  for (let at = c.request.commandFirst; at !== 0; at = listNext(at, SIBLING)) {
    const other = changetype<Command>(at);
    if (other.pieceOffset !== c.pieceOffset || other.method !== c.method) continue;
    // A twin that waits for a path is an attempt already.
    if (other.state !== COMMAND_FLIGHT) return <u32>-1;
    slots |= (<u32>1) << (<u32>other.path.slot);
    count++;
  }
  return count >= ATTEMPTS_MAX ? <u32>-1 : slots;
}

export function ownBuffers(r: Request): u32 {
  let count: u32 = 0;
  for (let at = r.commandFirst; at !== 0; at = listNext(at, SIBLING)) {
    if (changetype<Command>(at).ownBuffer !== 0) count++;
  }
  return count;
}

/** Whether another request has begun to change what `c` changes. */
function overlapsOther(u: Unit, c: Command): bool {
  const first = c.lba << u.blockShift;
  const end = first + <u64>c.pieceBytes;
  for (let at = u.requestFirst; at !== 0; at = changetype<Request>(at).unitNext) {
    const r = changetype<Request>(at);
    if (r === c.request || (r.commandFirst === 0 && r.cut === 0) || !changesMedium(r.method)) continue;
    if (first < r.offset + <u64>r.bytes && r.offset < end) return true;
  }
  return false;
}
