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
import { COMMAND_DEAD, Command, METHOD_SAME, REQUEST_LINED, Request } from "../memory/records";
import { now } from "../memory/ring";
import { NEVER, SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { clusterMode } from "../path/mode";
import { BY_SILENCE, NOTED_SILENT, pathNotes } from "../path/states";
import { changesMedium } from "./pieces";
import { isZeroing } from "./zeroing";

const SLOWEST: usize = offsetof<Unit>("slowest0");

/** A command's own time while nothing slower is known. */
const LONG_NS: u64 = 30 * SECOND;
/** It is not shorter than this, even if little time is left. */
const LEAST_NS: u64 = SECOND;
/** This many times what the slowest one took. */
const SLOWEST_TIMES: u64 = 4;
/** The value for the slowest one decays by this fraction of the difference with each faster one. */
const FADE_SHIFT: u64 = 4;

function slowestAt(unit: Unit, method: u8): usize {
  return changetype<usize>(unit) + SLOWEST + <usize>(method - METHOD_SAME) * 8;
}

/** One has completed. */
export function longLearn(unit: Unit, command: Command, latencyNs: u64): void {
  const at = slowestAt(unit, command.method);
  const slowestNs = load<u64>(at);
  store<u64>(at, latencyNs >= slowestNs ? latencyNs : slowestNs - ((slowestNs - latencyNs) >> FADE_SHIFT));
  unit.longDoneNs = now;
  unit.longDoneSentNs = command.timeNs;
}

/** How long one may take on a path that answers others; less if it was sent again before. */
export function longOwnNs(unit: Unit, command: Command): u64 {
  const ownNs = min(max(LONG_NS, SLOWEST_TIMES * load<u64>(slowestAt(unit, command.method))), unit.ioTimeoutNs / 2);
  return ownNs >> min<u64>(command.attempt, 2);
}

/**
 * When one counts as lost on such a path. While commands sent before it are being answered, it waits for its turn; and if none of
 * several has been answered since it was sent, the device is slow with all of them.
 */
export function longLostNs(unit: Unit, command: Command): u64 {
  if (unit.longs > 1 && unit.longDoneSentNs < command.timeNs) return NEVER;
  const fromNs = unit.longDoneSentNs <= command.timeNs ? max(command.timeNs, unit.longDoneNs) : command.timeNs;
  return fromNs + longOwnNs(unit, command);
}

/**
 * When the host ends one that has `leftNs` in all. In cluster mode one that changes the medium is not sent again in parallel, so the
 * host returns it while there is time for another path: each gets its own time, on top of that of those sent before it.
 */
export function longHostNs(unit: Unit, command: Command, leftNs: u64): u64 {
  if (!clusterMode || !changesMedium(command.method)) return leftNs;
  return min(leftNs, <u64>unit.longs * max(min(longOwnNs(unit, command), leftNs / 2), LEAST_NS));
}

/** After how long a path that has answered nothing since is silent. */
export function longSilentNs(unit: Unit): u64 {
  return unit.stallMaxNs === 0 ? LONG_NS : max(unit.stallMaxNs, unit.stallNs);
}

/** After how long it is sent a READ. */
export function longAskNs(unit: Unit): u64 {
  return longSilentNs(unit) / 2;
}

/** The path has answered nothing since a long command was sent, perhaps because there was nothing to answer. */
export function longAsk(path: Path): void {
  if (path.silent !== 0) return;
  pathNotes(path, NOTED_SILENT, 1, BY_SILENCE);
  checkWant(path, WANT_HEALTH);
}

/** A piece of `request` is done; unless it was the last one (`over`), the time of `request` restarts. */
export function longProgress(request: Request, over: bool): void {
  if (!isZeroing(request)) return;
  request.unit.zeroedNs = now;
  if (over) return;
  request.putOffs = 0;
  renew(request);
}

/** A piece of `request` is sent that may have waited until now for others of its kind, which were done one by one. */
export function longBegins(request: Request): void {
  if (request.state === REQUEST_LINED && isZeroing(request) && request.unit.zeroedNs > request.sinceNs) renew(request);
}

/**
 * The time of `request` is over; returns whether it is extended because it waits behind others of its kind that are done one by
 * one: for its turn, or in the device, for those sent there before. Its time then counts from the end of the last of them.
 */
export function longPutOff(request: Request): bool {
  if (!isZeroing(request)) return false;
  const unit = request.unit;
  let doneNs: u64 = 0;
  const oldest = oldestCommand(request);
  if (changetype<usize>(oldest) === 0) {
    if (request.state === REQUEST_LINED) doneNs = unit.zeroedNs;
  } else if (unit.longDoneSentNs <= oldest.firstNs) doneNs = unit.longDoneNs;
  if (doneNs <= request.sinceNs) return false;
  renewFrom(request, doneNs);
  return true;
}

/** The oldest command of `request` whose piece is not settled; none (0) when all are. */
function oldestCommand(request: Request): Command {
  let command = request.commands.first;
  while (changetype<usize>(command) !== 0 && (command.flags & COMMAND_DEAD) !== 0) command = command.nextOfRequest;
  return command;
}
