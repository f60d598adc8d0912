// What cannot be sent now: commands that are sent again, at once or after a pause, and requests that wait for a path.

import { EVENT_NO_PATH_FAILED, EVENT_NO_PATH_WAITING } from "../abi";
import { putOff } from "../memory/deadline";
import { unitDirty } from "../memory/due";
import { EIO, EPERM } from "../memory/errno";
import { COMMAND_DELAYED, COMMAND_QUEUED, Command, REQUEST_LINED, REQUEST_QUEUED, Request } from "../memory/records";
import { NONE, event, now } from "../memory/ring";
import { MILLISECOND, NEVER } from "../memory/time";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { wakeUnit } from "../memory/wake";
import { unitInTransition, unitAwaitsPath } from "../path/facts";
import { requestAbandon, requestFail } from "./request";

/** Pause before a command is sent again to a busy device. */
const DELAY_NS: u64 = 20 * MILLISECOND;
/** Rounds over all paths before a command that no path carries out is answered with an error. */
const ROUNDS_MAX: u8 = 4;

/** A command (in no list) is sent again as soon as a path takes it. */
export function requeue(command: Command): void {
  const unit = command.unit;
  command.state = COMMAND_QUEUED;
  listsOf(unit).retry.push(command);
  unit.retrying++;
  unitDirty(unit);
}

/** A command (in no list) is sent again after DELAY_NS: the same for all, so the list is in time order. */
export function delay(command: Command): void {
  const unit = command.unit;
  command.state = COMMAND_DELAYED;
  command.timeNs = now + DELAY_NS;
  listsOf(unit).delayed.push(command);
  wakeUnit(unit, command.timeNs);
}

/** Commands whose pause is over. */
export function delaysOver(unit: Unit): void {
  while (unit.delayedFirst !== 0) {
    const command = listsOf(unit).delayed.first;
    if (command.timeNs > now) return wakeUnit(unit, command.timeNs);
    listsOf(unit).delayed.remove(command);
    requeue(command);
  }
}

/** A command in the retry list tries all paths again, after a pause. */
export function pause(command: Command): void {
  command.tried = 0;
  listsOf(command.unit).retry.remove(command);
  command.unit.retrying--;
  delay(command);
}

/**
 * Every path was tried: after a pause all of them are tried again, a few times, and until those whose identity is being checked
 * could be tried as well. False when its request was failed instead.
 */
export function nextRound(command: Command): bool {
  if (command.rounds < ROUNDS_MAX) command.rounds++;
  if (command.rounds < ROUNDS_MAX || unitAwaitsPath(command.unit)) {
    pause(command);
    return true;
  }
  requestFail(command.request, EIO);
  return false;
}

/** Nothing of the unit can be sent. Requests wait, unless they may not. */
export function noPath(unit: Unit): void {
  unit.waiting = unit.queued + unit.retrying;
  // A path whose identity is being checked, or that is being registered, is about to be usable or to be found bad.
  const awaited = unitAwaitsPath(unit);
  const waitNs = noPathWaitNs(unit);
  if ((waitNs === 0 && !awaited) || (unit.released | (<u32>unit.preempted)) !== 0) {
    noPathFail(unit, NEVER);
    return;
  }
  if (waitNs !== 0) wakeUnit(unit, now + waitNs);
  if (unit.noPathTold !== 0 || awaited) return;
  unit.noPathTold = 1;
  const waitMs = <u32>(waitNs / MILLISECOND);
  event(EVENT_NO_PATH_WAITING, unit.noPathReason, unit.index, NONE, waitMs, unitInTransition(unit) ? 1 : 0, 0, 0);
}

/**
 * How long requests wait while no path may get I/O. While port groups are in transition there are paths, and the device asks for
 * patience: as long as it says that a transition takes, or for the requests' own time if it does not say.
 */
export function noPathWaitNs(unit: Unit): u64 {
  if (!unitInTransition(unit)) return unit.noPathTimeoutNs;
  return max(unit.noPathTimeoutNs, unit.transitionNs !== 0 ? unit.transitionNs : unit.ioTimeoutNs);
}

/** The time of `request` is over; returns whether it is extended because the device has announced a longer transition. */
export function transitionPutOff(request: Request): bool {
  const unit = request.unit;
  if (
    unit.noPathNs === 0 ||
    unit.noPathNs + unit.transitionNs <= now ||
    !unitInTransition(unit) ||
    !waitsForPath(request)
  )
    return false;
  // A transition that keeps starting again does not take longer than the device has announced for one.
  if (!putOff(request, unit.transitionNs)) return false;
  unit.putOff = 1;
  return true;
}

/** Fails requests that have waited for a path since before `beforeNs`; returns when the next one is due. */
export function noPathFail(unit: Unit, beforeNs: u64): u64 {
  let failed: u32 = 0;
  let dueNs: u64 = NEVER;
  const waitNs = noPathWaitNs(unit);
  for (let next = listsOf(unit).requests.first; changetype<usize>(next) !== 0;) {
    const request = next;
    next = request.unitNext;
    if (!waitsForPath(request)) continue;
    const sinceNs = max(request.acceptedNs, unit.noPathNs);
    if (sinceNs > beforeNs) {
      dueNs = min(dueNs, sinceNs + waitNs);
      continue;
    }
    failed++;
    requestAbandon(request, unit.preempted !== 0 ? EPERM : EIO);
  }
  // Of a preempted unit control knows why.
  if (failed !== 0 && unit.preempted === 0) event(EVENT_NO_PATH_FAILED, 0, unit.index, NONE, failed, 0, 0, 0);
  unit.waiting = unit.queued + unit.retrying;
  return dueNs;
}

function waitsForPath(request: Request): bool {
  if (request.state === REQUEST_QUEUED || request.state === REQUEST_LINED) return true;
  for (let command = request.commands.first; changetype<usize>(command) !== 0; command = command.nextOfRequest) {
    if (command.state === COMMAND_QUEUED) return true;
  }
  return false;
}
