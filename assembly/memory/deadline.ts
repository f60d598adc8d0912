// A unit's requests in the order of their deadlines, and how deadlines are extended. Each request has one deadline. It is
// extended by the request's own progress, or by progress of what is queued before it (request/long.ts), and every such step
// happens once; and by delays that are not its own and whose length is announced, up to that length in total.

import { Request } from "./records";
import { now } from "./ring";
import { Unit } from "./topology";
import { listsOf } from "./unit-lists";

/** Restarts the time of `request`. The list of requests is ordered by deadline; none is later than one that starts now. */
export function renew(request: Request): void {
  const unit = request.unit;
  request.sinceNs = now;
  request.deadlineNs = now + unit.ioTimeoutNs;
  listsOf(unit).requests.remove(request);
  listsOf(unit).requests.push(request);
}

/** Restarts the time of `request` as of `sinceNs`, which may be a while ago. */
export function renewFrom(request: Request, sinceNs: u64): void {
  const unit = request.unit;
  const list = listsOf(unit).requests;
  request.sinceNs = sinceNs;
  request.deadlineNs = sinceNs + unit.ioTimeoutNs;
  list.remove(request);
  let later = list.first;
  while (changetype<usize>(later) !== 0 && later.deadlineNs <= request.deadlineNs) later = later.unitNext;
  if (changetype<usize>(later) === 0) list.push(request);
  else list.insert(request, later);
}

/** Restarts the time of `request` without progress, unless it has already been postponed by `patienceNs`. */
export function putOff(request: Request, patienceNs: u64): bool {
  if (request.putOffs === u8.MAX_VALUE || <u64>request.putOffs * request.unit.ioTimeoutNs >= patienceNs) return false;
  request.putOffs++;
  renew(request);
  return true;
}

/** The same for all requests of a unit; those already postponed that long keep their deadlines. */
export function putOffAll(unit: Unit, patienceNs: u64): void {
  const last = listsOf(unit).requests.last;
  for (let next = listsOf(unit).requests.first; changetype<usize>(next) !== 0;) {
    const request = next;
    const isLast = request === last;
    next = request.unitNext;
    putOff(request, patienceNs);
    if (isLast) return;
  }
}
