// A unit's queue of requests that have pieces to make, and those held back by an orphan.

import { unitDirty } from "../memory/due";
import { REQUEST_FLIGHT, REQUEST_HELD, REQUEST_LINED, REQUEST_QUEUED, Request } from "../memory/records";
import { statisticsWaited } from "../memory/statistics";
import { now } from "../memory/ring";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { flowLeave } from "./flows";

/** Puts it at the end of its unit's queue. */
export function requestQueue(request: Request): void {
  const unit = request.unit;
  request.state = REQUEST_QUEUED;
  listsOf(unit).queue.push(request);
  unit.queued++;
  unitDirty(unit);
}

/** Removes it from its unit's queue, or its flow: all pieces are made, or it must wait for an orphan. */
export function requestUnqueue(request: Request, state: u8): void {
  const unit = request.unit;
  assert(request.state === REQUEST_QUEUED || request.state === REQUEST_LINED);
  if (request.state === REQUEST_LINED) flowLeave(request);
  else listsOf(unit).queue.remove(request);
  unit.queued--;
  request.state = state;
  if (state === REQUEST_FLIGHT && now > request.acceptedNs) statisticsWaited(unit.statistics, now - request.acceptedNs);
  if (state === REQUEST_HELD) listsOf(unit).held.push(request);
}

/** An orphan was settled: requests that waited for one check again. */
export function requestsRelease(unit: Unit): void {
  const held = listsOf(unit).held;
  for (let request = held.shift(); changetype<usize>(request) !== 0; request = held.shift()) requestQueue(request);
}
