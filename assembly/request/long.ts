// Commands that may legitimately take long: UNMAP, WRITE SAME, SYNCHRONIZE CACHE. Their duration says something about the array,
// and nothing about the path they were sent on. So
//
// - if one takes a while, a READ is sent on the path, unless it has answered other I/O since. Only if it does not answer that
//   either is it silent, and the command is sent again elsewhere like any other (stall.ts);
// - on a path that answers, a command has a time of its own: four times what the slowest recent one took, and 30 s at least, but
//   not more than half of its request's time, counted from the last answer to one sent before it. Until then it is not sent
//   again, nor while none of several is answered; after that it counts as lost, is sent again in parallel, and the path is not
//   blamed;
// - in cluster mode a command that changes the medium is not sent again in parallel: the host ends it after that time
//   (`longHostNs`), and only then is it sent elsewhere;
// - no reset is sent for it while the host has not ended it, unless other I/O waits for it;
// - the time of a request made of many commands restarts whenever one of them is done (`longProgress`); requests that wait behind
//   it for their turn (flows.ts) do so while any of them makes progress. Waiting alone, or being sent again, extends nothing.

import { renew, renewFrom } from "../memory/deadline";
import { listNext } from "../memory/lists";
import { COMMAND_DEAD, Command, METHOD_SAME, REQUEST_LINED, Request } from "../memory/records";
import { now } from "../memory/ring";
import { NEVER, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { clusterMode } from "../path/mode";
import { changesMedium } from "./pieces";
import { isZeroing } from "./zeroing";

const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const SLOWEST: usize = offsetof<Unit>("slowest0");

/** A command's own time while nothing slower is known. */
const LONG_NS: u64 = 30 * SECOND;
/** No shorter than this where little is left. */
const LEAST_NS: u64 = SECOND;
/** So many times the slowest one. */
const SLOWEST_TIMES: u64 = 4;
/** The value for the slowest one decays by this fraction of the difference with each faster one. */
const FADE_SHIFT: u64 = 4;

function slowestAt(u: Unit, method: u8): usize {
  return changetype<usize>(u) + SLOWEST + <usize>(method - METHOD_SAME) * 8;
}

/** One has completed. */
export function longLearn(u: Unit, c: Command, latencyNs: u64): void {
  const at = slowestAt(u, c.method);
  const slowestNs = load<u64>(at);
  store<u64>(at, latencyNs >= slowestNs ? latencyNs : slowestNs - ((slowestNs - latencyNs) >> FADE_SHIFT));
  u.longDoneNs = now;
  u.longDoneSentNs = c.timeNs;
}

/** How long one may take on a path that answers others; less if it was sent again before. */
export function longOwnNs(u: Unit, c: Command): u64 {
  const ownNs = min(max(LONG_NS, SLOWEST_TIMES * load<u64>(slowestAt(u, c.method))), u.ioTimeoutNs / 2);
  return ownNs >> min<u64>(c.attempt, 2);
}

/**
 * When one counts as lost on such a path. While commands sent before it are being answered, it waits for its turn; and if none of
 * several has been answered since it was sent, the device is slow with all of them.
 */
export function longLostNs(u: Unit, c: Command): u64 {
  if (u.longs > 1 && u.longDoneSentNs < c.timeNs) return NEVER;
  const fromNs = u.longDoneSentNs <= c.timeNs ? max(c.timeNs, u.longDoneNs) : c.timeNs;
  return fromNs + longOwnNs(u, c);
}

/**
 * When the host ends one that has `leftNs` in all. In cluster mode one that changes the medium is not sent again beside itself, so the
 * host gives it back while there is time for another path: each gets its own time, besides that of those under way before it.
 */
export function longHostNs(u: Unit, c: Command, leftNs: u64): u64 {
  if (!clusterMode || !changesMedium(c.method)) return leftNs;
  return min(leftNs, <u64>u.longs * max(min(longOwnNs(u, c), leftNs / 2), LEAST_NS));
}

/** After how long a path that has answered nothing since is silent. */
export function longSilentNs(u: Unit): u64 {
  return u.stallMaxNs === 0 ? LONG_NS : max(u.stallMaxNs, u.stallNs);
}

/** After how long it is asked. */
export function longAskNs(u: Unit): u64 {
  return longSilentNs(u) / 2;
}

/** The path has answered nothing since a long command was sent, perhaps because there was nothing to answer. */
export function longAsk(p: Path): void {
  if (p.silent !== 0) return;
  p.silent = 1;
  checkWant(p, WANT_HEALTH);
}

/** A piece of `r` is done; unless it was the last one (`over`), the time of `r` restarts. */
export function longProgress(r: Request, over: bool): void {
  if (!isZeroing(r)) return;
  r.unit.zeroedNs = now;
  if (over) return;
  r.putOffs = 0;
  renew(r);
}

/** A piece of `r` is sent that may have waited until now for others of its kind, which were done one by one. */
export function longBegins(r: Request): void {
  if (r.state === REQUEST_LINED && isZeroing(r) && r.unit.zeroedNs > r.sinceNs) renew(r);
}

/**
 * The time of `r` is over; returns whether it is extended because it waits behind others of its kind that are done one by one:
 * for its turn, or in the device, for those sent there before. Its time then counts from
 * the end of the last of them.
 */
export function longPutOff(r: Request): bool {
  if (!isZeroing(r)) return false;
  const u = r.unit;
  let doneNs: u64 = 0;
  const oldest = oldestCommand(r);
  if (oldest === 0) {
    if (r.state === REQUEST_LINED) doneNs = u.zeroedNs;
  } else if (u.longDoneSentNs <= changetype<Command>(oldest).firstNs) doneNs = u.longDoneNs;
  if (doneNs <= r.sinceNs) return false;
  renewFrom(r, doneNs);
  return true;
}

/** The oldest command of `r` whose piece is not settled, or 0. */
function oldestCommand(r: Request): usize {
  let at = r.commandFirst;
  while (at !== 0 && (changetype<Command>(at).flags & COMMAND_DEAD) !== 0) at = listNext(at, OF_REQUEST);
  return at;
}
