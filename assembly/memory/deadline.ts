// A unit's requests in the order of their deadlines, and how deadlines are extended. Each request has one deadline. It is
// extended by the request's own progress, or by progress of what is queued before it (request/long.ts), and every such step
// happens once; and by delays that are not its own and whose length is announced, up to that length in total.

import { listInsert, listPush, listRemove } from "./lists";
import { Request } from "./records";
import { now } from "./ring";
import { Unit } from "./topology";

const UNIT_REQUESTS: usize = offsetof<Unit>("requestFirst");

const UNIT_LINK: usize = offsetof<Request>("unitNext");

/** Restarts the time of `r`. The list of requests is ordered by deadline; none is later than one that starts now. */
export function renew(r: Request): void {
  const u = r.unit;
  r.sinceNs = now;
  r.deadlineNs = now + u.ioTimeoutNs;
  listRemove(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
  listPush(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
}

/** Restarts the time of `r` as of `sinceNs`, which may be a while ago. */
export function renewFrom(r: Request, sinceNs: u64): void {
  const u = r.unit;
  const list = changetype<usize>(u) + UNIT_REQUESTS;
  r.sinceNs = sinceNs;
  r.deadlineNs = sinceNs + u.ioTimeoutNs;
  listRemove(list, changetype<usize>(r), UNIT_LINK);
  let later = u.requestFirst;
  while (later !== 0 && changetype<Request>(later).deadlineNs <= r.deadlineNs)
    later = changetype<Request>(later).unitNext;
  if (later === 0) listPush(list, changetype<usize>(r), UNIT_LINK);
  else listInsert(list, changetype<usize>(r), later, UNIT_LINK);
}

/** Restarts the time of `r` without progress, unless it has already been postponed by `patienceNs`. */
export function putOff(r: Request, patienceNs: u64): bool {
  if (r.putOffs === u8.MAX_VALUE || <u64>r.putOffs * r.unit.ioTimeoutNs >= patienceNs) return false;
  r.putOffs++;
  renew(r);
  return true;
}

/** The same for all requests of a unit; those already postponed that long keep their deadlines. */
export function putOffAll(u: Unit, patienceNs: u64): void {
  const last = u.requestLast;
  for (let at = u.requestFirst; at !== 0;) {
    const r = changetype<Request>(at);
    const isLast = at === last;
    at = r.unitNext;
    putOff(r, patienceNs);
    if (isLast) return;
  }
}
