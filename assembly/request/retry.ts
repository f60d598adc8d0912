// What cannot be sent now: commands that are sent again, at once or after a pause, and requests that wait for a path.

import { EVENT_NO_PATH_FAILED, EVENT_NO_PATH_WAITING } from "../abi";
import { putOff } from "../memory/deadline";
import { unitDirty } from "../memory/due";
import { EIO } from "../memory/errno";
import { listNext, listPush, listRemove } from "../memory/lists";
import { COMMAND_DELAYED, COMMAND_QUEUED, Command, REQUEST_LINED, REQUEST_QUEUED, Request } from "../memory/records";
import { NONE, event, now } from "../memory/ring";
import { MILLISECOND, NEVER } from "../memory/time";
import { Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { unitInTransition, unitUnverified } from "../path/facts";
import { requestAbandon, requestFail } from "./request";

const LINK: usize = offsetof<Command>("next");
const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const RETRY: usize = offsetof<Unit>("retryFirst");
const DELAYED: usize = offsetof<Unit>("delayedFirst");

/** Pause before a command is sent again to a busy device. */
const DELAY_NS: u64 = 20 * MILLISECOND;
/** Rounds over all paths before a command that no path carries out is answered with an error. */
const ROUNDS_MAX: u8 = 4;

/** A command (in no list) is sent again as soon as a path takes it. */
export function requeue(c: Command): void {
  const u = c.unit;
  c.state = COMMAND_QUEUED;
  listPush(changetype<usize>(u) + RETRY, changetype<usize>(c), LINK);
  u.retrying++;
  unitDirty(u);
}

/** A command (in no list) is sent again after DELAY_NS: the same for all, so the list is in time order. */
export function delay(c: Command): void {
  const u = c.unit;
  c.state = COMMAND_DELAYED;
  c.timeNs = now + DELAY_NS;
  listPush(changetype<usize>(u) + DELAYED, changetype<usize>(c), LINK);
  wakeUnit(u, c.timeNs);
}

/** Commands whose pause is over. */
export function delaysOver(u: Unit): void {
  while (u.delayedFirst !== 0) {
    const c = changetype<Command>(u.delayedFirst);
    if (c.timeNs > now) return wakeUnit(u, c.timeNs);
    listRemove(changetype<usize>(u) + DELAYED, changetype<usize>(c), LINK);
    requeue(c);
  }
}

/** A command in the retry list tries all paths again, after a pause. */
export function pause(c: Command): void {
  c.tried = 0;
  listRemove(changetype<usize>(c.unit) + RETRY, changetype<usize>(c), LINK);
  c.unit.retrying--;
  delay(c);
}

/**
 * Every path was tried: after a pause all of them are tried again, a few times, and until those whose identity is being checked
 * could be tried as well. False when its request was failed instead.
 */
export function nextRound(c: Command): bool {
  if (c.rounds < ROUNDS_MAX) c.rounds++;
  if (c.rounds < ROUNDS_MAX || unitUnverified(c.unit)) {
    pause(c);
    return true;
  }
  requestFail(c.request, EIO);
  return false;
}

/** Nothing of the unit can be sent. Requests wait, unless they may not. */
export function noPath(u: Unit): void {
  u.waiting = u.queued + u.retrying;
  // A path whose identity is being checked is about to be usable, or to be found bad: its check has a time limit of its own.
  const unverifiedOnly = unitUnverified(u);
  const waitNs = noPathWaitNs(u);
  if ((waitNs === 0 && !unverifiedOnly) || u.released !== 0) {
    noPathFail(u, NEVER);
    return;
  }
  if (waitNs !== 0) wakeUnit(u, now + waitNs);
  if (u.noPathTold !== 0 || unverifiedOnly) return;
  u.noPathTold = 1;
  const waitMs = <u32>(waitNs / MILLISECOND);
  event(EVENT_NO_PATH_WAITING, u.noPathReason, u.index, NONE, waitMs, unitInTransition(u) ? 1 : 0, 0, 0);
}

/**
 * How long requests wait while no path may get I/O. While port groups are in transition there are paths, and the device asks for
 * patience: as long as it says that a transition takes, or for the requests' own time if it does not say.
 */
export function noPathWaitNs(u: Unit): u64 {
  if (!unitInTransition(u)) return u.noPathTimeoutNs;
  return max(u.noPathTimeoutNs, u.transitionNs !== 0 ? u.transitionNs : u.ioTimeoutNs);
}

/** The time of `r` is over; returns whether it is extended because the device has announced a longer transition. */
export function transitionPutOff(r: Request): bool {
  const u = r.unit;
  if (u.noPathNs === 0 || u.noPathNs + u.transitionNs <= now || !unitInTransition(u) || !waitsForPath(r)) return false;
  // A transition that keeps starting again does not take longer than the device has announced for one.
  if (!putOff(r, u.transitionNs)) return false;
  u.putOff = 1;
  return true;
}

/** Fails requests that have waited for a path since before `beforeNs`; returns when the next one is due. */
export function noPathFail(u: Unit, beforeNs: u64): u64 {
  let failed: u32 = 0;
  let dueNs: u64 = NEVER;
  const waitNs = noPathWaitNs(u);
  for (let at = u.requestFirst; at !== 0;) {
    const r = changetype<Request>(at);
    at = r.unitNext;
    if (!waitsForPath(r)) continue;
    const sinceNs = max(r.acceptedNs, u.noPathNs);
    if (sinceNs > beforeNs) {
      dueNs = min(dueNs, sinceNs + waitNs);
      continue;
    }
    failed++;
    requestAbandon(r, EIO);
  }
  if (failed !== 0) event(EVENT_NO_PATH_FAILED, 0, u.index, NONE, failed, 0, 0, 0);
  u.waiting = u.queued + u.retrying;
  return dueNs;
}

function waitsForPath(r: Request): bool {
  if (r.state === REQUEST_QUEUED || r.state === REQUEST_LINED) return true;
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    if (changetype<Command>(at).state === COMMAND_QUEUED) return true;
  }
  return false;
}
