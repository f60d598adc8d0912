// A unit's queue of requests that have pieces to make, and those held back by an orphan.

import { unitDirty } from "../memory/due";
import { listPush, listRemove, listShift } from "../memory/lists";
import { REQUEST_HELD, REQUEST_LINED, REQUEST_QUEUED, Request } from "../memory/records";
import { now } from "../memory/ring";
import { Unit } from "../memory/topology";
import { flowLeave } from "./flows";

const QUEUE: usize = offsetof<Unit>("queueFirst");

const LINK: usize = offsetof<Request>("next");
const HELD: usize = offsetof<Unit>("heldFirst");

/** Puts it at the end of its unit's queue. */
export function requestQueue(r: Request): void {
  const u = r.unit;
  r.state = REQUEST_QUEUED;
  listPush(changetype<usize>(u) + QUEUE, changetype<usize>(r), LINK);
  u.queued++;
  unitDirty(u);
}

/** Removes it from its unit's queue, or its flow: all pieces are made, or it must wait for an orphan. */
export function requestUnqueue(r: Request, state: u8): void {
  const u = r.unit;
  assert(r.state === REQUEST_QUEUED || r.state === REQUEST_LINED);
  if (r.state === REQUEST_LINED) flowLeave(r);
  else listRemove(changetype<usize>(u) + QUEUE, changetype<usize>(r), LINK);
  u.queued--;
  r.state = state;
  if (state === REQUEST_HELD) {
    r.heldNs = now;
    listPush(changetype<usize>(u) + HELD, changetype<usize>(r), LINK);
  }
}

/** An orphan was settled: requests that waited for one check again. */
export function requestsRelease(u: Unit): void {
  const held = changetype<usize>(u) + HELD;
  for (let at = listShift(held, LINK); at !== 0; at = listShift(held, LINK)) {
    const r = changetype<Request>(at);
    r.heldNs = 0;
    requestQueue(r);
  }
}
